#!/usr/bin/python3
"""Set our fastest variants beside oneDNN and PyTorch: peers.csv, tables and a figure."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

import comparison
import plot
import runs
import wording

OURS = ["openblas", "packed"]
PEERS = ["onednn", "torch"]
FASTER = "faster"  # the faster of the peers in a cell
CELL = ["layer", "seq_len", "hid_size", "heads"]
RATIO = ["ratio", "ci_low", "ci_high"]


# ---- which kernels meet ------------------------------------------------------------------------


def load(folder: Path) -> pd.DataFrame:
    """The samples of the whole layers of a run, with the engine of each kernel."""
    path = folder / "kernels.csv"
    engines = runs.read_columns(path, runs.schema(runs.README, "kernels.csv"))
    samples = runs.load_samples(folder)
    samples = samples[samples.kind == "layer"]
    engine = samples.kernel.map(dict(zip(engines.kernel, engines.engine)))
    runs.refuse(path, engine.isna(), "a kernel of samples.csv is missing")
    return samples.assign(engine=engine)


def cell_times(samples: pd.DataFrame) -> pd.DataFrame:
    """Median over rounds of the rounds' medians, per cell and kernel, in ns."""
    logs = comparison.round_medians(samples).median(axis=1).dropna()
    return np.exp(logs).rename("ns").reset_index()[["kernel", *CELL, "ns"]]


def fastest(samples: pd.DataFrame, engines: list[str]) -> pd.DataFrame:
    """The fastest kernel of these engines in each cell: kernel and ns, indexed by cell."""
    times = cell_times(samples[samples.engine.isin(engines)])
    return times.loc[times.groupby(CELL).ns.idxmin()].set_index(CELL)


def as_one_kernel(samples: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The samples of the chosen kernels under one name per layer, so that runs can be compared."""
    names = chosen.kernel.reindex(pd.MultiIndex.from_frame(samples[CELL])).to_numpy()
    kept = samples[samples.kernel.to_numpy() == names]
    return kept.assign(kernel=kept.layer + "/chosen", variant="chosen")


# ---- ratios ------------------------------------------------------------------------------------


def compared(samples: pd.DataFrame, ours: pd.DataFrame, theirs: pd.DataFrame):
    """Ratio theirs / ours with its interval, per cell and per layer."""
    if theirs.empty:
        return pd.DataFrame(columns=RATIO), pd.DataFrame(columns=RATIO)
    cells, groups = comparison.compare(as_one_kernel(samples, ours),
                                       as_one_kernel(samples, theirs))
    cells = cells.rename(columns={"time_ratio": "ratio"}).set_index(CELL)
    groups = groups.rename(columns={"time_ratio": "ratio"}).set_index("group")
    return cells[RATIO], groups[RATIO]


def faster_peer(theirs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The faster peer in each cell."""
    every = pd.concat([chosen.assign(peer=peer).reset_index() for peer, chosen in theirs.items()],
                      ignore_index=True)
    return every.loc[every.groupby(CELL).ns.idxmin()].set_index(CELL)


def peers(samples: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """peers.csv, and per peer the geometric means of the layers."""
    ours = fastest(samples, OURS)
    theirs = {peer: fastest(samples, [peer]) for peer in PEERS}
    if ours.empty or all(chosen.empty for chosen in theirs.values()):
        raise runs.RunError("no cell with a good sample of ours and of a peer")
    theirs[FASTER] = faster_peer(theirs)
    frame = ours.rename(columns={"kernel": "ours", "ns": "ours_ns"})
    groups = {}
    for peer, chosen in theirs.items():
        cells, groups[peer] = compared(samples, ours, chosen)
        if peer == FASTER:
            frame["faster_peer"] = chosen.peer.reindex(frame.index).fillna("")
        else:
            frame[f"{peer}_ns"] = chosen.ns.reindex(frame.index)
        for column in RATIO:
            frame[f"{peer}_{column}"] = cells[column].reindex(frame.index)
    order = list(runs.schema(runs.README, "peers.csv"))
    frame = frame.sort_index().reset_index()[order]
    numbers = [name for name in order if name.endswith(("_ns", *RATIO))]
    return frame.astype(dict.fromkeys(numbers, float)), groups


# ---- tables ------------------------------------------------------------------------------------


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
    header = ["layer", "SeqLen", "HidSize", "ours", "us", *PEERS, "faster peer", "95 % interval"]
    rows = []
    for row in frame.itertuples():
        ratios = [getattr(row, f"{peer}_ratio") for peer in PEERS]
        rows.append([row.layer, str(row.seq_len), str(row.hid_size), row.ours.split("/")[1],
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


def section(folder: Path) -> str:
    """The README's part on the peers: per layer the ratios of peers.csv."""
    frame = runs.load_derived(folder, "peers.csv")
    header = ["layer", "cells", *(f"{peer} / ours" for peer in PEERS), "faster peer / ours",
              "cells where ours is at least as fast"]
    rows = [[layer, str(len(cells)), *(spread_text(cells[f"{peer}_ratio"]) for peer in PEERS),
             spread_text(cells.faster_ratio), str((cells.faster_ratio >= 1).sum())]
            for layer, cells in frame.groupby("layer", sort=False)]
    return ("Time of the library over our fastest variant, geometric mean and range over the "
            "cells; every cell with its interval is in peers.csv.\n\n"
            + wording.markdown_table(header, rows))


# ---- figure ------------------------------------------------------------------------------------


def draw(frame: pd.DataFrame, caption: str) -> Figure:
    """Faster peer / ours in every cell: one heat map per layer."""
    cells = frame.rename(columns={"faster_ratio": "ratio"}).dropna(subset="ratio")
    if cells.empty:
        raise plot.Skip("no cell was timed by us and by a peer")
    layers = sorted(cells.layer.unique())
    limit = max(np.log2(cells.ratio).abs().max(), 1.0)
    columns = min(2, len(layers))
    rows = -(-len(layers) // columns)
    width = max(columns * 3.6, 5.0) + 1.4
    height = 1.45 + rows * (0.95 + 0.36 * cells.hid_size.nunique())
    figure = plt.figure(figsize=(width, height))
    grid = figure.add_gridspec(rows, columns, left=1.15 / width, right=1 - 1.15 / width,
                               top=1 - 0.9 / height, bottom=0.8 / height, wspace=0.28, hspace=0.5)
    for i, layer in enumerate(layers):
        panel = figure.add_subplot(grid[i // columns, i % columns])
        mesh = plot.draw_heat_map(panel, cells[cells.layer == layer], limit)
        panel.set_title(layer)
        panel.set_xlabel("SeqLen (steps)")
        if i % columns == 0:
            panel.set_ylabel("HidSize (channels)")
    bar = figure.colorbar(mesh, cax=figure.add_axes([1 - 0.95 / width, 0.8 / height, 0.16 / width,
                                                     1 - 1.7 / height]))
    bar.locator = FixedLocator(np.linspace(-limit, limit, 9))
    bar.formatter = FuncFormatter(lambda power, _: f"{2 ** power:.2f}x")
    bar.update_ticks()
    bar.outline.set_visible(False)
    plot.frame(figure, "Time of the faster of oneDNN and PyTorch / our time\n"
               "(above 1x ours is faster; black line: where that changes)", caption)
    return figure


# ---- output ------------------------------------------------------------------------------------


def compare(folders: list[Path], output: Path) -> None:
    """Read the runs, write peers.csv and the figure, print the tables."""
    hosts = [runs.load_host(folder) for folder in folders]
    cores = {runs.host_value(host, "cpu", "measured_core") for host in hosts}
    if len(cores) > 1:
        raise runs.RunError(f"{folders[0]}: not the same core as {folders[-1]}")
    samples = pd.concat([load(folder) for folder in folders], ignore_index=True)
    frame, groups = peers(samples)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise runs.RunError(f"{output}: cannot make: {error.strerror}") from error
    runs.write_text(output / "peers.csv", runs.csv_text(frame))
    print(f"{cell_table(frame)}\n\nGeometric means over cells, with 95 % intervals; ahead and "
          f"behind: cells whose interval leaves out 1\n{layer_table(frame, groups)}\n")
    name = output.resolve().name
    try:
        with plt.rc_context(plot.STYLE):
            plot.save(draw(frame, f"{runs.machine_name(hosts[0])}  ·  {name}"),
                      output / "figures", "peers")
    except plot.Skip as skipped:
        print(f"peers.py: {output}: figure skipped: {skipped}", file=sys.stderr)
    print(f"written to {output}")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="peers.py", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_DIR",
                        help="runs made in turns: ours with oneDNN's, and torch's")
    parser.add_argument("-o", dest="output", type=Path, metavar="DIR", required=True)
    options = parser.parse_args(arguments)
    return runs.exit_status("peers.py", lambda: compare(options.folders, options.output))


if __name__ == "__main__":
    sys.exit(main())
