"""Ours beside other libraries, as tables for a reader."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import differences, peer_ratios
from seqbench.tables.peer_ratios import AHEAD, BEHIND, LEVEL
from seqbench.words import wording

FASTEST = "fastest peer"


def spread_text(ratios: pd.Series) -> str:
    """Geometric mean and range of some ratios."""
    known = ratios.dropna()
    if known.empty:
        return "-"
    mean = float(np.exp(np.log(known).mean()))
    return f"{wording.times(mean)} ({wording.spread(known)})"


def title(weights: str, layer: str) -> str:
    """A layer, and how its weights are stored if not as float32."""
    return f"{layer}, {weights}" if weights else layer


def by_layer(frame: pd.DataFrame):
    """Layers in their order, those of each kind of weights together: title and rows."""
    weights = peer_ratios.weights_of(frame.engine)
    for (kind, layer), rows in frame.groupby([weights, frame.layer]):
        yield title(kind, layer), rows


def layer_rows(frame: pd.DataFrame) -> tuple[list[str], list]:
    """Per layer: each peer over ours, the fastest peer, and in how many cells ours is ahead of it."""
    engines = frame.engine.str.replace(runs.NARROW, "", regex=True)
    names = list(dict.fromkeys(engines))
    rows = []
    for layer, cells in by_layer(frame):
        best = peer_ratios.fastest_peers(cells)
        counts = best.verdict.value_counts()
        rows.append([layer, str(len(best)),
                     *(spread_text(cells.ratio[engines[cells.index] == name]) for name in names),
                     spread_text(best.ratio), *(str(counts.get(word, 0)) for word in (AHEAD, LEVEL, BEHIND))])
    return ["layer", "cells", *(f"{name} / ours" for name in names), f"{FASTEST} / ours",
            f"ours {AHEAD}", LEVEL, BEHIND], rows


def interval_text(row) -> str:
    """Its 95 % interval, if it has one."""
    return "-" if np.isnan(row.ci_low) else f"{row.ci_low:.2f} to {row.ci_high:.2f}"


def cell_table(frame: pd.DataFrame) -> str:
    """Every cell: our variant and its time, and each peer over it."""
    sizes = {"seq_len": "SeqLen", "hid_size": "HidSize",
             **({"batch": "BatchSize"} if frame.batch.nunique() > 1 else {})}
    header = ["layer", *sizes.values(), "ours", "us", "peer", "peer / ours", "95 % interval"]
    rows = [[row.layer, *(str(getattr(row, name)) for name in sizes),
             f"{row.ours.partition('/')[2]} {row.ours_engine}", wording.plain(row.ours_ns / 1000),
             row.engine, wording.times(row.ratio), interval_text(row)]
            for row in frame.sort_values([*peer_ratios.CELL, "engine"]).itertuples()]
    return wording.text_table(header, rows)


def mean_table(groups: pd.DataFrame) -> str:
    """Geometric means of the cells of each layer, with intervals."""
    known = groups[(groups.index != differences.ALL) & groups.ratio.notna()]
    rows = [[layer, row.engine, wording.times(row.ratio), interval_text(row)]
            for layer, row in known.sort_index().iterrows()]
    return wording.text_table(["layer", "peer", "peer / ours", "95 % interval"], rows)


def behind_sentence(best: pd.DataFrame) -> str:
    """In how many cells a peer takes surely less time than ours, and which these are."""
    behind = best[best.verdict == BEHIND].sort_values("ratio")
    told = [f"{row.layer} at SeqLen {row.seq_len}, HidSize {row.hid_size}, BatchSize {row.batch}: "
            f"{row.engine} {row.ratio:.2f}" for row in behind.itertuples()]
    some = f": {'; '.join(told[:8])}{' ...' if len(told) > 8 else ''}." if told else "."
    return f"Ours takes longer than the fastest peer in {len(told)} of {len(best)} cells{some}"


def batch_section(folder: Path) -> str:
    """The fastest peer over ours, per layer and BatchSize, and the cells where ours takes longer."""
    best = peer_ratios.fastest_peers(runs.load_derived(folder, "peers.csv"))
    every = sorted(set(best.batch))
    rows = [[layer, *(spread_text(cells.ratio[cells.batch == batch]) for batch in every),
             spread_text(cells.ratio)] for layer, cells in by_layer(best)]
    return "\n\n".join([wording.markdown_table(
        [f"{FASTEST} / ours", *(f"B={batch}" for batch in every), "all"], rows), behind_sentence(best)])


def eager_section(folder: Path) -> str:
    """Every cell of layers that torch.nn has not: ours, and each engine of a peer over it."""
    frame = runs.load_derived(folder, "peers.csv")
    engines, rows = list(dict.fromkeys(frame.engine)), []
    for (layer, seq_len, hid_size, *_), cell in frame.groupby(peer_ratios.CELL, sort=False):
        said = {row.engine: f"{wording.times(row.ratio)} ({wording.two(row.ci_low)} to {wording.two(row.ci_high)})"
                for row in cell.itertuples()}
        rows.append([layer, str(seq_len), str(hid_size), wording.plain(cell.ours_ns.iloc[0] / 1000),
                     *(said.get(engine, "-") for engine in engines)])
    header = ["layer", "SeqLen", "HidSize", "ours, µs", *(f"{engine} / ours" for engine in engines)]
    return wording.markdown_table(header, rows)


def said_by_peers(folder: Path) -> list[str]:
    """What the peers of a run say of themselves in host.json."""
    libraries = hosts.load(folder).get("libraries", {})
    said = [f"{peer['name']} {peer['version']}, {peer['threads']} thread" for peer in libraries.get("peers", [])]
    version = libraries.get("onednn", "not built in")
    return said if version == "not built in" else [f"oneDNN {version}, {libraries['onednn_threads']} thread", *said]


def overhead_sentence(folder: Path) -> str:
    """What a call of a peer costs when nothing is in it, if the run has timed one."""
    summary = runs.load_derived(folder, "summary.csv")
    empty = summary[(summary.layer == "roof") & runs.is_peer(summary.engine) & (summary.samples > 0)]
    return " ".join(f"A call of {runs.PEERS[row.engine]} with nothing in it takes "
                    f"{wording.two(row.median_ns / 1000)} µs, which is in its times."
                    for row in empty.itertuples())


def section(folder: Path) -> str:
    """The page's part on the peers: per layer the ratios of peers.csv."""
    frame = runs.load_derived(folder, "peers.csv")
    parts = ["Time of the library over that of our fastest variant, geometric mean and range over the cells. "
             f"{AHEAD.capitalize()} and {BEHIND} are cells whose 95 % interval leaves out 1; every cell with "
             "its interval is in peers.csv.", wording.markdown_table(*layer_rows(frame)),
             behind_sentence(peer_ratios.fastest_peers(frame))]
    if (folder / "summary.csv").exists():
        parts.append(" ".join([f"{'; '.join(said_by_peers(folder))}.", overhead_sentence(folder)]).strip())
    return "\n\n".join(parts)
