#!/usr/bin/python3
"""Draw the figures of a run folder, from its summary, into RUN_DIR/figures."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator  # noqa: E402

import runs  # noqa: E402

# Okabe and Ito's colours, apart under every common kind of colour blindness.
REFERENCE_COLOUR = "#000000"
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C8C00"]
PART_COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442",
                "#999999"]
LINE_STYLES = ["-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3))]
MARKERS = ["o", "s", "^", "D", "v", "P"]
# The variants whose pieces the parts are; a layer with none of them: the fastest that was timed.
VARIANTS_CUT_INTO_PARTS = ["full", "literal"]
# Most sizes that get a panel; of more, a choice is drawn that is spread evenly.
MOST_SIZES_OF_TIMES, MOST_SIZES_OF_PARTS, MOST_LENGTHS_OF_ROOFS = 16, 8, 3
MOST_LINES = 12  # in a panel; with more kernels, each layer is one line: its fastest variant

STYLE = {
    "svg.hashsalt": "seqbench", "svg.fonttype": "none", "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"], "font.size": 9,
    "axes.titlesize": 10, "axes.labelsize": 9, "xtick.labelsize": 8, "ytick.labelsize": 8,
    "legend.fontsize": 9, "axes.grid": True, "grid.color": "#dddddd", "grid.linewidth": 0.6,
    "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
    "figure.dpi": 110, "savefig.dpi": 110, "savefig.facecolor": "white",
}


class Skip(Exception):
    """Why a figure cannot be drawn from this run."""


# ---- shared pieces -----------------------------------------------------------------------------


def layer_rows(summary: pd.DataFrame) -> pd.DataFrame:
    """The whole layers."""
    rows = summary[summary.kind == "layer"]
    if rows.empty:
        raise Skip("no layer was timed")
    return rows


def series_names(rows: pd.DataFrame) -> pd.Series:
    """What a line is called: the kernel, with its head count where the run has several per H."""
    several = rows.groupby(["kernel", "hid_size"]).heads.nunique().max() > 1
    with_heads = rows.kernel + " A=" + rows.heads.astype(str)
    return with_heads.where(several & (rows.heads > 1), rows.kernel)


def lines_of(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows with the name of their line, and what a line is."""
    named = rows.assign(name=series_names(rows))
    if named.name.nunique() <= MOST_LINES:
        return named, "one line per kernel"
    best = runs.fastest(rows)
    best = best.assign(kernel=best.layer)
    return best.assign(name=series_names(best)), "fastest variant of each layer"


def layer_colours(rows: pd.DataFrame) -> dict[str, str]:
    """A colour per layer; black for the reference."""
    others = sorted(set(rows.layer) - {runs.REFERENCE})
    colours = {layer: COLOURS[i % len(COLOURS)] for i, layer in enumerate(others)}
    return colours | {runs.REFERENCE: REFERENCE_COLOUR}


def line_looks(rows: pd.DataFrame) -> dict[str, dict]:
    """How each line is drawn: colour by layer, style and marker by variant."""
    colours = layer_colours(rows)
    looks = {}
    for layer, group in rows.groupby("layer"):
        for i, name in enumerate(sorted(group.name.unique())):
            looks[name] = {"color": colours[layer], "linestyle": LINE_STYLES[i % len(LINE_STYLES)],
                           "marker": MARKERS[i % len(MARKERS)], "markersize": 3.5,
                           "linewidth": 1.5}
    return looks


def legend_below(figure: Figure, looks: dict[str, dict], bottom: float) -> None:
    """One legend for all panels; `bottom` is its lower edge in inches."""
    handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    figure.legend(handles=handles, loc="lower center", ncol=legend_columns(figure, looks),
                  frameon=False, bbox_to_anchor=(0.5, bottom / figure.get_figheight()))


def legend_columns(figure: Figure, names: dict) -> int:
    """How many legend entries fit side by side."""
    return max(1, min(len(names), int(figure.get_figwidth() / 1.75)))


def legend_inches(figure: Figure, names: dict) -> float:
    """Height of that legend."""
    return 0.1 + 0.2 * -(-len(names) // legend_columns(figure, names))


def frame(figure: Figure, title: str, caption: str) -> None:
    """Title on top, caption at the bottom."""
    height = figure.get_figheight()
    figure.text(0.5, 1 - 0.12 / height, title, ha="center", va="top", fontsize=12, weight="bold")
    figure.text(0.5, 0.08 / height, caption, ha="center", va="bottom", fontsize=8, color="#555555")


def plain_ticks(axis, values: np.ndarray, most: int = 6) -> None:
    """Label a logarithmic axis with some of the values that occur, as plain numbers."""
    values = np.sort(np.unique(values))
    axis.set_major_locator(FixedLocator(values[::-(-len(values) // most)]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def plain_log(axis) -> None:
    """Plain numbers on a logarithmic axis, more of them in a short range; call it when drawn."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1,) if high > 300 * low else (1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def some(values: np.ndarray, most: int) -> list[int]:
    """At most so many of the values, spread evenly, first and last included."""
    values = np.sort(np.unique(values))
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [int(value) for value in values[places]]


def caption_of(summary: pd.DataFrame, host: dict, run_dir: Path) -> str:
    """Where the numbers come from, in one line."""
    virtual = runs.host_value(host, "machine", "virtual")
    machine = runs.machine_name(host) + (" (virtual machine)" if virtual is True else "")
    return f"{machine}  ·  run {run_dir.resolve().name}  ·  {summary.rounds.max()} rounds"


# ---- 1: time per token -------------------------------------------------------------------------


def panel_grid(count: int, columns: int, size: tuple[float, float], looks: dict):
    """A figure and its panels with shared axes, and room for title, legend and caption."""
    columns = min(columns, count)
    rows = -(-count // columns)
    width = max(size[0] * columns, 6.5)
    figure = plt.figure(figsize=(width, 1))
    legend = legend_inches(figure, looks)
    height = 0.9 + size[1] * rows + 0.35 + legend + 0.25
    figure.set_figheight(height)
    grid = figure.add_gridspec(rows, columns, left=0.65 / width, right=1 - 0.2 / width,
                               top=1 - 0.9 / height, bottom=(0.75 + legend) / height,
                               hspace=0.3, wspace=0.12)
    axes: list[Axes] = []
    for i in range(count):
        axes.append(figure.add_subplot(grid[i // columns, i % columns],
                                       sharex=axes[0] if axes else None,
                                       sharey=axes[0] if axes else None))
        axes[i].tick_params(labelleft=i % columns == 0, labelbottom=i + columns >= count)
    return figure, axes


def draw_time_lines(axes: Axes, rows: pd.DataFrame, looks: dict) -> None:
    """One line per kernel with its 95 % interval."""
    for name, line in rows.groupby("name"):
        line = line.sort_values("seq_len")
        per_token = 1 / (line.seq_len * 1000)
        axes.fill_between(line.seq_len, line.ci_low_ns * per_token, line.ci_high_ns * per_token,
                          color=looks[name]["color"], alpha=0.25, linewidth=0)
        axes.plot(line.seq_len, line.us_per_token, **looks[name])


def draw_us_per_token(summary: pd.DataFrame, caption: str) -> Figure:
    """Time per token over SeqLen, one panel per HidSize."""
    rows, what = lines_of(layer_rows(summary))
    looks = line_looks(rows)
    sizes = some(rows.hid_size, MOST_SIZES_OF_TIMES)
    columns = len(sizes) if len(sizes) <= 3 else 4
    figure, axes = panel_grid(len(sizes), columns, (3.1, 2.6), looks)
    axes[0].set_xscale("log")
    axes[0].set_yscale("log")
    plain_ticks(axes[0].xaxis, rows.seq_len)
    for i, (panel, hid_size) in enumerate(zip(axes, sizes)):
        draw_time_lines(panel, rows[rows.hid_size == hid_size], looks)
        panel.set_title(f"HidSize {hid_size}")
        if i % columns == 0:
            panel.set_ylabel("median time per token (µs)")
        if i + columns >= len(sizes):
            panel.set_xlabel("SeqLen (steps)")
    plain_log(axes[0].yaxis)
    legend_below(figure, looks, 0.25)
    frame(figure, f"Time per token over SeqLen\n({what}; band: 95 % interval of the median)",
          caption)
    return figure


# ---- 2: relative to the reference --------------------------------------------------------------


def ratio_text(ratio: float) -> str:
    """A ratio with two digits: 0.35x, 2.3x, 13x."""
    return f"{ratio:.{2 if ratio < 0.95 else 1 if ratio < 9.95 else 0}f}x"


def draw_crossover(axes: Axes, logs: np.ndarray) -> None:
    """A line along the cell borders between faster and slower."""
    faster = np.where(np.isfinite(logs), logs > 0, np.nan)
    for j, i in np.argwhere(np.abs(np.diff(faster, axis=1)) == 1):
        axes.plot([i + 0.5] * 2, [j - 0.5, j + 0.5], color="black", linewidth=2.2)
    for j, i in np.argwhere(np.abs(np.diff(faster, axis=0)) == 1):
        axes.plot([i - 0.5, i + 0.5], [j + 0.5] * 2, color="black", linewidth=2.2)


def draw_heat_map(axes: Axes, cells: pd.DataFrame, limit: float):
    """The ratio in every cell, on a log colour scale centred at 1, and the crossover."""
    table = cells.pivot(index=["hid_size", "heads"], columns="seq_len", values="ratio")
    logs = np.log2(table.to_numpy())
    edges = np.arange(logs.shape[1] + 1) - 0.5, np.arange(logs.shape[0] + 1) - 0.5
    mesh = axes.pcolormesh(*edges, np.ma.masked_invalid(logs), cmap="PuOr", vmin=-limit,
                           vmax=limit, edgecolors="white", linewidth=0.5)
    for (j, i), value in np.ndenumerate(logs):
        if np.isfinite(value):
            axes.text(i, j, ratio_text(2 ** value), ha="center", va="center", fontsize=7.5,
                      color="white" if abs(value) > 0.5 * limit else "black")
    draw_crossover(axes, logs)
    several = cells.groupby("hid_size").heads.nunique().max() > 1
    axes.set_xticks(range(logs.shape[1]), table.columns)
    axes.set_yticks(range(logs.shape[0]),
                    [f"{size} (A={heads})" if several else size for size, heads in table.index])
    axes.set_xlim(edges[0][[0, -1]])
    axes.set_ylim(edges[1][[0, -1]])
    axes.grid(False)
    return mesh


def draw_relative(summary: pd.DataFrame, caption: str) -> Figure:
    """How many times as fast as the reference each layer is: one heat map per layer."""
    cells = runs.relative(layer_rows(summary))
    if cells.empty:
        raise Skip(f"no layer was timed beside the layer {runs.REFERENCE}")
    layers = sorted(cells.layer.unique())
    limit = max(np.log2(cells.ratio).abs().max(), 1.0)
    columns = min(2, len(layers))
    rows = -(-len(layers) // columns)
    width = max(columns * max(3.2, 0.9 + 0.52 * cells.seq_len.nunique()), 5.0) + 1.4
    height = 1.45 + rows * (0.95 + 0.36 * len(cells[["hid_size", "heads"]].drop_duplicates()))
    figure = plt.figure(figsize=(width, height))
    grid = figure.add_gridspec(rows, columns, left=1.15 / width, right=1 - 1.15 / width,
                               top=1 - 0.9 / height, bottom=0.8 / height,
                               wspace=0.28, hspace=0.5)
    for i, layer in enumerate(layers):
        panel = figure.add_subplot(grid[i // columns, i % columns])
        mesh = draw_heat_map(panel, cells[cells.layer == layer], limit)
        panel.set_title(f"Transformer time / {layer} time")
        panel.set_xlabel("SeqLen (steps)")
        if i % columns == 0:
            panel.set_ylabel("HidSize (channels)")
    bar = figure.colorbar(mesh, cax=figure.add_axes([1 - 0.95 / width, 0.8 / height, 0.16 / width,
                                                     1 - 1.7 / height]))
    bar.formatter = FuncFormatter(
        lambda power, _: f"{2 ** power:g}x" if power >= 0 else f"1/{2 ** -power:g}x")
    bar.locator = FixedLocator(np.arange(-(limit // 1), limit + 0.01))
    bar.update_ticks()
    bar.outline.set_visible(False)
    frame(figure, "Speed relative to the Transformer block, fastest variants\n"
          "(above 1x the layer is faster; black line: where that changes)", caption)
    return figure


# ---- 3: against the roofs ----------------------------------------------------------------------


def roof_lines(roofs: pd.DataFrame) -> dict[str, float]:
    """The best GFLOP/s of each compute roof that was measured."""
    best = roofs[roofs.flops > 0].groupby("kernel").gflops.max()
    return {name: best[name] for name in ("roof/fma", "roof/sgemm", "roof/sgemv") if name in best}


def draw_roof_lines(axes: Axes, lines: dict[str, float], with_names: bool) -> None:
    """Horizontal lines with their name at the right end."""
    for name, value in lines.items():
        axes.axhline(value, color="#666666", linewidth=1, linestyle=(0, (4, 2)))
        if with_names:
            axes.annotate(f"{name} {value:.0f}", (1.015, value), xycoords=("axes fraction", "data"),
                          va="center", fontsize=8, color="#444444")


def draw_read_curve(axes: Axes, read: pd.DataFrame) -> None:
    """Bandwidth over the working set."""
    read = read.sort_values("bytes")
    axes.plot(read.bytes, read.gbytes_per_s, color="#0072B2", marker="o", markersize=3.5,
              linewidth=1.5)
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    powers = np.arange(10, 50, 4)
    axes.xaxis.set_major_locator(FixedLocator(2.0 ** powers))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: runs.bytes_text(count)))
    axes.set_xlabel("working set")
    axes.set_ylabel("read bandwidth (GB/s)")
    axes.set_title("roof/read")


def draw_roofs(summary: pd.DataFrame, caption: str) -> Figure:
    """GFLOP/s of the layers over HidSize at three SeqLens, under the measured roofs."""
    rows, what = lines_of(layer_rows(summary))
    roofs = summary[summary.kind == "roof"]
    lines, read = roof_lines(roofs), roofs[roofs.kernel == "roof/read"]
    if not lines:
        raise Skip("no compute roof (roof/fma, roof/sgemm, roof/sgemv) was timed")
    looks = line_looks(rows)
    lengths = some(rows.seq_len, MOST_LENGTHS_OF_ROOFS)
    width = 2.9 * len(lengths) + 1.9 + (3.4 if len(read) else 0)
    figure = plt.figure(figsize=(width, 1))
    legend = legend_inches(figure, looks)
    height = 4.55 + legend
    figure.set_figheight(height)
    span = dict(top=1 - 0.9 / height, bottom=(0.75 + legend) / height)
    right = width - 1.35 - (3.4 if len(read) else 0)
    grid = figure.add_gridspec(1, len(lengths), left=0.65 / width, right=right / width,
                               wspace=0.1, **span)
    first = None
    for i, seq_len in enumerate(lengths):
        first = panel = figure.add_subplot(grid[i], sharex=first, sharey=first)
        for name, line in rows[rows.seq_len == seq_len].groupby("name"):
            line = line.sort_values("hid_size")
            panel.plot(line.hid_size, line.gflops, **looks[name])
        draw_roof_lines(panel, lines, with_names=i == len(lengths) - 1)
        panel.set_title(f"SeqLen {seq_len}")
        panel.set_xlabel("HidSize (channels)")
        panel.tick_params(labelleft=i == 0)
    first.set_xscale("log")
    first.set_yscale("log")
    plain_ticks(first.xaxis, rows.hid_size)
    plain_log(first.yaxis)
    figure.axes[0].set_ylabel("matrix operations (GFLOP/s)")
    if len(read):
        side = figure.add_gridspec(1, 1, left=1 - 2.75 / width, right=1 - 0.3 / width, **span)
        draw_read_curve(figure.add_subplot(side[0]), read)
    legend_below(figure, looks, 0.25)
    frame(figure, f"Speed of the layers under the measured roofs\n"
          f"({what}; dashed: the best of each roof)", caption)
    return figure


# ---- 4: where the time goes --------------------------------------------------------------------


def whole_over_sum(rows: pd.DataFrame, layer: str, parts: pd.DataFrame) -> pd.Series:
    """Time of the variant that the parts are cut from, over the sum of its parts, per cell."""
    whole = rows[(rows.layer == layer) & (rows.kind == "layer")]
    cut = whole[whole.variant.isin(VARIANTS_CUT_INTO_PARTS)]
    whole = (whole if cut.empty else cut).groupby(["seq_len", "hid_size", "heads"]).median_ns.min()
    return (whole / parts.sum(axis=1)).dropna()


def draw_shares(axes: Axes, parts: pd.DataFrame) -> None:
    """Stacked columns: the share of each part, one column per cell."""
    shares = parts.div(parts.sum(axis=1), axis=0) * 100
    tops = shares.cumsum(axis=1)
    edges = np.arange(len(shares) + 1) - 0.5
    for i, part in enumerate(shares):
        top, base = tops[part].to_numpy(), (tops[part] - shares[part]).to_numpy()
        axes.fill_between(edges, np.append(base, base[-1]), np.append(top, top[-1]), step="post",
                          label=part, facecolor=PART_COLOURS[i % len(PART_COLOURS)], linewidth=0,
                          hatch="////" if i >= len(PART_COLOURS) else None)
    axes.vlines(edges[1:-1], 0, 100, color="white", linewidth=1.2)
    axes.set_ylim(0, 100)
    axes.grid(False)


def draw_ratio(axes: Axes, ratio: pd.Series, cells: pd.Index, seq_lens: list[int]) -> None:
    """The whole over the sum of the parts, in the same places as the bars."""
    places = [cells.get_loc(cell) for cell in ratio.index]
    axes.axhline(1, color="#888888", linewidth=0.8)
    axes.plot(places, ratio, color="black", marker="o", markersize=3, linewidth=1.2)
    axes.set_xlim(-0.6, len(cells) - 0.4)
    step = -(-len(seq_lens) // 5)
    axes.set_xticks(range(0, len(seq_lens), step), seq_lens[::step])


def draw_layer_parts(figure: Figure, grid, layer: str, parts: pd.DataFrame, ratio: pd.Series,
                     sizes: list[int]) -> None:
    """One layer: shares above, whole over sum below, one column per HidSize."""
    inner = grid.subgridspec(2, len(sizes), height_ratios=[3, 1.3], hspace=0.12, wspace=0.1)
    low, high = min(0.9, ratio.min() - 0.05), max(1.1, ratio.max() + 0.05)
    for i, hid_size in enumerate(sizes):
        cells = parts.xs(hid_size, level="hid_size")
        cells = cells[cells.index.get_level_values("heads")
                      == cells.index.get_level_values("heads").min()]
        top, bottom = figure.add_subplot(inner[0, i]), figure.add_subplot(inner[1, i])
        draw_shares(top, cells)
        of_size = ratio[ratio.index.get_level_values("hid_size") == hid_size].droplevel("hid_size")
        draw_ratio(bottom, of_size[of_size.index.isin(cells.index)], cells.index,
                   list(cells.index.get_level_values("seq_len")))
        bottom.set_ylim(low, high)
        top.set_xlim(bottom.get_xlim())
        top.tick_params(labelbottom=False, bottom=False, labelleft=i == 0)
        bottom.tick_params(labelleft=i == 0)
        top.set_title(f"{layer}, HidSize {hid_size}")
        if i == 0:
            top.set_ylabel("share of the parts (%)")
            bottom.set_ylabel("whole / sum", fontsize=8)
    handles, names = top.get_legend_handles_labels()
    top.legend(handles[::-1], names[::-1], loc="upper left", bbox_to_anchor=(1.02, 1.02),
               frameon=False, handlelength=1.2)


def draw_parts(summary: pd.DataFrame, caption: str) -> Figure:
    """Where the time goes: shares of the parts, and the whole beside their sum."""
    rows = layer_rows(summary)
    tables = {layer: runs.part_times(summary, layer) for layer in sorted(rows.layer.unique())}
    tables = {layer: parts for layer, parts in tables.items() if parts.size}
    if not tables:
        raise Skip("no parts were timed beside a whole layer")
    every_size = pd.concat([parts.index.to_frame() for parts in tables.values()]).hid_size
    sizes = some(every_size, MOST_SIZES_OF_PARTS)
    width, height = max(2.4 * len(sizes), 4) + 2.2, 1.45 + 3.1 * len(tables)
    figure = plt.figure(figsize=(width, height))
    grid = figure.add_gridspec(len(tables), 1, left=0.75 / width, right=1 - 1.3 / width,
                               top=1 - 0.95 / height, bottom=0.8 / height, hspace=0.27)
    for i, (layer, parts) in enumerate(tables.items()):
        ratio = whole_over_sum(rows, layer, parts)
        present = [size for size in sizes if size in parts.index.get_level_values("hid_size")]
        draw_layer_parts(figure, grid[i], layer, parts, ratio, present)
    for panel in figure.axes[-1:-2 * len(present):-2]:
        panel.set_xlabel("SeqLen (steps)")
    frame(figure, "Where the time goes: shares of the parts, each timed alone\n"
          "(line: time of the whole layer / sum of its parts)", caption)
    return figure


# ---- output ------------------------------------------------------------------------------------

FIGURES: dict[str, Callable[[pd.DataFrame, str], Figure]] = {
    "us_per_token": draw_us_per_token,
    "relative": draw_relative,
    "roofs": draw_roofs,
    "parts": draw_parts,
}


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as SVG, the same bytes every time, and as PNG."""
    try:
        folder.mkdir(exist_ok=True)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png")
    except OSError as error:
        raise runs.RunError(f"{folder}: cannot write: {error.strerror}") from error
    finally:
        plt.close(figure)


def plot(run_dir: Path) -> None:
    """Draw every figure that the run has the cases for."""
    summary = runs.load_summary(run_dir)
    caption = caption_of(summary, runs.load_host(run_dir), run_dir)
    with matplotlib.rc_context(STYLE):
        for name, draw in FIGURES.items():
            try:
                save(draw(summary, caption), run_dir / "figures", name)
            except Skip as reason:
                print(f"plot.py: {run_dir}: figure {name} skipped: {reason}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="plot.py", description=__doc__)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    run_dir = parser.parse_args(arguments).run_dir
    return runs.exit_status("plot.py", lambda: plot(run_dir))


if __name__ == "__main__":
    sys.exit(main())
