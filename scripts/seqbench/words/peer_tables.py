"""Ours beside other libraries, as tables for a reader."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables.peer_ratios import FASTER, PEERS
from seqbench.words import wording


def ratio_text(row) -> str:
    """A geometric mean with its interval."""
    if row is None or np.isnan(row.ratio):
        return "-"
    return f"{wording.times(row.ratio)} ({row.ci_low:.2f} to {row.ci_high:.2f})"


def layer_table(frame: pd.DataFrame, groups: dict[str, pd.DataFrame]) -> str:
    """Per layer: peer time / our time, and in how many cells we are ahead of both."""
    header = ["layer", "cells", *(f"{peer} / ours" for peer in PEERS), "faster peer / ours",
              "ours ahead", "behind"]
    rows = []
    for layer, cells in frame.groupby("layer"):
        means = [groups[peer].loc[layer] if layer in groups[peer].index else None
                 for peer in (*PEERS, FASTER)]
        rows.append([layer, str(len(cells)), *map(ratio_text, means),
                     str((cells.faster_ci_low > 1).sum()), str((cells.faster_ci_high < 1).sum())])
    return wording.text_table(header, rows)


def cell_table(frame: pd.DataFrame) -> str:
    """Every cell: our variant and its time, and the ratios."""
    sizes = {"seq_len": "SeqLen", "hid_size": "HidSize",
             **({"batch": "BatchSize"} if frame.batch.nunique() > 1 else {})}
    header = ["layer", *sizes.values(), "ours", "us", *PEERS, "faster peer", "95 % interval"]
    rows = []
    for row in frame.itertuples():
        ratios = [getattr(row, f"{peer}_ratio") for peer in PEERS]
        rows.append([row.layer, *(str(getattr(row, name)) for name in sizes),
                     f"{row.ours.partition('/')[2]} {row.ours_engine}",
                     wording.plain(row.ours_ns / 1000),
                     *("-" if np.isnan(ratio) else wording.times(ratio) for ratio in ratios),
                     f"{wording.times(row.faster_ratio)} {row.faster_peer}"
                     if row.faster_peer else "-",
                     "-" if np.isnan(row.faster_ci_low)
                     else f"{row.faster_ci_low:.2f} to {row.faster_ci_high:.2f}"])
    return wording.text_table(header, rows)


def spread_text(ratios: pd.Series) -> str:
    """Geometric mean and range of some ratios."""
    known = ratios.dropna()
    if known.empty:
        return "-"
    mean = float(np.exp(np.log(known).mean()))
    return f"{wording.times(mean)} ({wording.spread(known)})"


def batch_section(folder: Path) -> str:
    """The faster peer over ours, per layer and BatchSize, and the cells where ours takes longer."""
    frame = runs.load_derived(folder, "peers.csv")
    every = sorted(set(frame.batch))
    rows = []
    for layer, cells in frame.groupby("layer", sort=False):
        by_batch = [cells.faster_ratio[cells.batch == batch] for batch in every]
        rows.append([layer, *map(spread_text, by_batch), spread_text(cells.faster_ratio)])
    behind = frame[frame.faster_ratio.round(2) < 1].sort_values("faster_ratio")
    told = [f"{row.layer} with BatchSize {row.batch} at SeqLen {row.seq_len}, HidSize "
            f"{row.hid_size}: {row.faster_ratio:.2f}" for row in behind.itertuples()]
    last = f"Ours takes longer in {len(told)} of {len(frame)} cells" + (
        f": {'; '.join(told)}." if told else ".")
    return "\n\n".join([wording.markdown_table(
        ["faster peer / ours", *(f"B={batch}" for batch in every), "all"], rows), last])


def eager_section(folder: Path) -> str:
    """Every cell of layers that torch.nn has not: ours, and torch-eager over it."""
    frame = runs.load_derived(folder, "peers.csv")
    rows = [[row.layer, str(row.seq_len), str(row.hid_size), wording.plain(row.ours_ns / 1000),
             f"{wording.times(row.torch_ratio)} ({wording.two(row.torch_ci_low)} to "
             f"{wording.two(row.torch_ci_high)})"] for row in frame.itertuples()]
    return wording.markdown_table(["layer", "SeqLen", "HidSize", "ours, µs", "torch-eager / ours"], rows)


def section(folder: Path) -> str:
    """The page's part on the peers: per layer the ratios of peers.csv."""
    frame = runs.load_derived(folder, "peers.csv")
    frame = frame[frame.faster_ratio.notna()]
    header = ["layer", "cells", *(f"{peer} / ours" for peer in PEERS), "faster peer / ours",
              "cells where ours is at least as fast"]
    rows = [[layer, str(len(cells)), *(spread_text(cells[f"{peer}_ratio"]) for peer in PEERS),
             spread_text(cells.faster_ratio), str((cells.faster_ratio >= 1).sum())]
            for layer, cells in frame.groupby("layer", sort=False)]
    return ("Time of the library over our fastest variant, geometric mean and range over the "
            "cells; every cell with its interval is in peers.csv.\n\n"
            + wording.markdown_table(header, rows))
