"""Draw the figures of a run folder, from its summary, into RUN_DIR/figures."""
from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from seqbench.figures.drawing import (COLOURS, LINE_STYLES, MARKERS, REFERENCE_COLOUR, STYLE,
                                      best_variants, caption_of, Context, frame, layer_rows,
                                      legend_below, legend_inches, line_looks, lines_of,
                                      panel_grid, panels_of_layers, plain_log, plain_ticks, Skip,
                                      some)
from seqbench.read import hosts, runs
from seqbench.tables import crossover, medians, rates, roofline

PART_COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442",
                "#999999"]
# The variants whose pieces the parts are; a layer with none of them: the fastest that was timed.
VARIANTS_CUT_INTO_PARTS = ["full", "literal"]
# Most sizes that get a panel; of more, a choice is drawn that is spread evenly.
MOST_SIZES_OF_TIMES, MOST_SIZES_OF_PARTS, MOST_LENGTHS_OF_ROOFS = 16, 8, 3
MOST_ROWS_OF_PARTS = 4  # with more layers there are two columns of them
MOST_LINES = 12  # in a panel of all layers
FEW_SIZES = 3
BAND = "band: 95 % interval of the median"
MOST_LAYERS = 6  # in one panel; more get a panel each


# ---- 1: time per token -------------------------------------------------------------------------


def draw_time_lines(axes: Axes, rows: pd.DataFrame, looks: dict) -> None:
    """One line per kernel with its 95 % interval."""
    for name, line in rows.groupby("name"):
        line = line.sort_values("seq_len")
        per_token = 1 / (line.seq_len * 1000)
        axes.fill_between(line.seq_len, line.ci_low_ns * per_token, line.ci_high_ns * per_token,
                          color=looks[name]["color"], alpha=0.25, linewidth=0)
        axes.plot(line.seq_len, line.us_per_token, **looks[name])


def time_axes(axes: list[Axes], columns: int, seq_lens: pd.Series) -> None:
    """Labels of the panels of time per token over SeqLen."""
    axes[0].set_xscale("log")
    axes[0].set_yscale("log")
    plain_ticks(axes[0].xaxis, seq_lens)
    for i, panel in enumerate(axes):
        if i % columns == 0:
            panel.set_ylabel("median time per token (µs)")
        if i + columns >= len(axes):
            panel.set_xlabel("SeqLen (steps)")


def times_by_size(rows: pd.DataFrame) -> tuple[Figure, str]:
    """One panel per HidSize, all layers in it."""
    looks = line_looks(rows)
    sizes = some(rows.hid_size, MOST_SIZES_OF_TIMES)
    columns = len(sizes) if len(sizes) <= 3 else 4
    figure, axes = panel_grid(len(sizes), columns, (3.1, 2.6), looks)
    time_axes(axes, columns, rows.seq_len)
    for panel, hid_size in zip(axes, sizes):
        draw_time_lines(panel, rows[rows.hid_size == hid_size], looks)
        panel.set_title(f"HidSize {hid_size}")
    plain_log(axes[0].yaxis)
    legend_below(figure, looks, 0.25)
    return figure, BAND


def times_by_layer(rows: pd.DataFrame) -> tuple[Figure, str]:
    """One panel per layer, some HidSizes in it."""
    figure, axes, columns, _ = panels_of_layers(rows, "seq_len", "us_per_token", "hid_size",
                                                "HidSize")
    time_axes(axes, columns, rows.seq_len)
    plain_log(axes[0].yaxis)
    return figure, f"grey: {runs.REFERENCE}"


def times_by_variant(rows: pd.DataFrame) -> tuple[Figure, str]:
    """A row of panels per layer, a column per HidSize, every variant, and a legend in each."""
    layers, sizes = sorted(rows.layer.unique()), some(rows.hid_size, FEW_SIZES)
    figure, axes = panel_grid(len(layers) * len(sizes), len(sizes), (4.6, 2.4), {})
    time_axes(axes, len(sizes), rows.seq_len)
    for i, panel in enumerate(axes):
        layer, hid_size = layers[i // len(sizes)], sizes[i % len(sizes)]
        of_layer = rows[rows.layer == layer]
        names = sorted(of_layer.name.unique())
        looks = {name: {"color": ([REFERENCE_COLOUR] + COLOURS)[k % 8], "linewidth": 1.3,
                        "linestyle": LINE_STYLES[k % len(LINE_STYLES)],
                        "marker": MARKERS[k % len(MARKERS)], "markersize": 3.5}
                 for k, name in enumerate(names)}
        present = of_layer[of_layer.hid_size == hid_size]
        draw_time_lines(panel, present, looks)
        panel.set_title(f"{layer}, HidSize {hid_size}")
        handles = [Line2D([], [], label=name, **looks[name]) for name in names
                   if name in set(present.name)]
        panel.legend(handles=handles, frameon=False, fontsize=6.5)
    plain_log(axes[0].yaxis)
    return figure, BAND


def draw_us_per_token(summary: pd.DataFrame, context: Context) -> Figure:
    """Time per token over SeqLen: a panel per HidSize, or per layer when there are many."""
    rows, what = lines_of(layer_rows(summary), context.all_variants)
    if rows.layer.nunique() <= MOST_LAYERS and rows.name.nunique() <= MOST_LINES:
        figure, more = times_by_size(rows)
    else:
        figure, more = (times_by_variant if context.all_variants else times_by_layer)(rows)
    frame(figure, f"Time per token over SeqLen\n({what}; {more})", context.caption)
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


def draw_relative(summary: pd.DataFrame, context: Context) -> Figure:
    """How many times as fast as the reference each layer is: one heat map per layer."""
    cells = crossover.relative(layer_rows(summary))
    if cells.empty:
        raise Skip(f"no layer was timed beside the layer {runs.REFERENCE}")
    layers = sorted(cells.layer.unique())
    limit = max(np.log2(cells.ratio).abs().max(), 1.0)
    columns = min(2 if len(layers) <= MOST_LAYERS else 3, len(layers))
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
    frame(figure, f"Speed relative to the Transformer block, fastest {runs.HEADLINE} variants\n"
          "(above 1x the layer is faster; black line: where that changes)", context.caption)
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


def roofs_by_length(rows: pd.DataFrame, lines: dict[str, float], read: pd.DataFrame) -> Figure:
    """One panel per SeqLen, all layers in it."""
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
    roof_axes(first, rows)
    figure.axes[0].set_ylabel("matrix operations (GFLOP/s)")
    if len(read):
        side = figure.add_gridspec(1, 1, left=1 - 2.75 / width, right=1 - 0.3 / width, **span)
        draw_read_curve(figure.add_subplot(side[0]), read)
    legend_below(figure, looks, 0.25)
    return figure


def roof_axes(panel: Axes, rows: pd.DataFrame) -> None:
    """Scales of the panels under the roofs, once they are drawn."""
    panel.set_xscale("log")
    panel.set_yscale("log")
    plain_ticks(panel.xaxis, rows.hid_size)
    plain_log(panel.yaxis)


def roofs_by_layer(rows: pd.DataFrame, lines: dict[str, float], read: pd.DataFrame) -> Figure:
    """One panel per layer, some SeqLens in it, and the read curve in the last one."""
    figure, axes, columns, count = panels_of_layers(rows, "hid_size", "gflops", "seq_len",
                                                    "SeqLen")
    roof_axes(axes[0], rows)
    for i, panel in enumerate(axes):
        draw_roof_lines(panel, lines, with_names=False)
        for name, value in lines.items():
            panel.annotate(name.removeprefix("roof/"), (0.99, value), va="bottom", ha="right",
                           xycoords=("axes fraction", "data"), fontsize=6.5, color="#444444")
        if i % columns == 0:
            panel.set_ylabel("GFLOP/s")
        if i + columns >= count:
            panel.set_xlabel("HidSize (channels)")
    if len(read):
        with_read_curve(figure, axes[0], read)
    return figure


def with_read_curve(figure: Figure, beside: Axes, read: pd.DataFrame) -> None:
    """Make the figure wider by a panel with the read curve, on the right."""
    width, height = figure.get_size_inches()
    grown = width + 3.4
    for panel in figure.axes:
        box = panel.get_position()
        panel.set_position([box.x0 * width / grown, box.y0, box.width * width / grown, box.height])
    figure.set_figwidth(grown)
    box = beside.get_position()
    draw_read_curve(figure.add_axes([1 - 2.75 / grown, box.y0, 2.45 / grown, box.height]), read)


def draw_roofs(summary: pd.DataFrame, context: Context) -> Figure:
    """GFLOP/s of the layers over HidSize, under the measured roofs."""
    layers = layer_rows(summary)
    roofs = summary[summary.kind == "roof"]
    lines, read = roof_lines(roofs), roofs[roofs.kernel == "roof/read"]
    if not lines:
        raise Skip("no compute roof (roof/fma, roof/sgemm, roof/sgemv) was timed")
    all_variants = context.all_variants and layers.kernel.nunique() <= MOST_LINES
    rows, what = lines_of(layers, all_variants)
    if rows.layer.nunique() <= MOST_LAYERS:
        figure = roofs_by_length(rows, lines, read)
    else:
        figure = roofs_by_layer(rows, lines, read)
        what += f"; grey: {runs.REFERENCE}"
    frame(figure, f"Speed of the layers under the measured roofs\n"
          f"({what}; dashed: the best of each roof)", context.caption)
    return figure


# ---- 4: time over the bound --------------------------------------------------------------------


def cache_ends(rows: pd.DataFrame, caches: tuple[float, ...]) -> dict[str, float]:
    """The HidSize at which the working set leaves each cache, where that is within the rows."""
    table = rows.groupby("hid_size").working_set_bytes.median()
    table = table[table > 0]
    if len(table) < 2 or not (np.diff(table) > 0).all():
        return {}
    logs = np.log(table.to_numpy())
    return {rates.level_name(caches, i):
            float(np.exp(np.interp(np.log(size), logs, np.log(table.index))))
            for i, size in enumerate(caches) if logs[0] < np.log(size) < logs[-1]}


def draw_roofline(summary: pd.DataFrame, context: Context) -> Figure:
    """Time over its bound, one panel per layer, with the ends of the caches."""
    rows = best_variants(layer_rows(summary))
    table = roofline.roofline(summary, context.host)
    rows = rows.join(table[["working_set_bytes", "share"]])
    if rows.share.isna().all():
        raise Skip("no roof was timed that bounds a layer")
    rows = rows.assign(times=1 / rows.share)
    figure, axes, columns, count = panels_of_layers(rows, "hid_size", "times", "seq_len", "SeqLen",
                                                    with_reference=False)
    axes[0].set_xscale("log")
    axes[0].set_yscale("log")
    plain_ticks(axes[0].xaxis, rows.hid_size)
    caches = rates.cache_sizes(context.host)
    for i, (panel, (_, of_layer)) in enumerate(zip(axes, rows.groupby(["layer", "tokens"]))):
        panel.axhline(1, color="#888888", linewidth=0.8)
        for name, end in cache_ends(of_layer, caches).items():
            panel.axvline(end, color="#D55E00", linewidth=1, linestyle=(0, (2, 2)))
            panel.annotate(f"{name} ends", (end, 0.98), xycoords=("data", "axes fraction"),
                           rotation=90, va="top", ha="right", fontsize=7, color="#D55E00")
        if i % columns == 0:
            panel.set_ylabel("time / least time")
        if i + columns >= count:
            panel.set_xlabel("HidSize (channels)")
    plain_log(axes[0].yaxis)
    frame(figure, "Time of each layer over the least that the roofs allow\n"
          "(fastest variant; dotted: what it reads again and again leaves a cache)",
          context.caption)
    return figure


# ---- 5: where the time goes --------------------------------------------------------------------


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


def draw_parts(summary: pd.DataFrame, context: Context) -> Figure:
    """Where the time goes: shares of the parts, and the whole beside their sum."""
    rows = layer_rows(summary)
    tables = {layer: medians.part_times(summary, layer) for layer in sorted(rows.layer.unique())}
    tables = {layer: parts for layer, parts in tables.items() if parts.size}
    if not tables:
        raise Skip("no parts were timed beside a whole layer")
    every_size = pd.concat([parts.index.to_frame() for parts in tables.values()]).hid_size
    columns = 1 if len(tables) <= MOST_ROWS_OF_PARTS else 2
    sizes = some(every_size, MOST_SIZES_OF_PARTS if columns == 1 else FEW_SIZES)
    lines = -(-len(tables) // columns)
    width = columns * (max(2.4 * len(sizes), 4) + 2.2)
    height = 1.45 + 3.1 * lines
    figure = plt.figure(figsize=(width, height))
    grid = figure.add_gridspec(lines, columns, left=0.75 / width, right=1 - 1.3 / width,
                               top=1 - 0.95 / height, bottom=0.8 / height, hspace=0.27,
                               wspace=0.3)
    for i, (layer, parts) in enumerate(tables.items()):
        ratio = whole_over_sum(rows, layer, parts)
        present = [size for size in sizes if size in parts.index.get_level_values("hid_size")]
        draw_layer_parts(figure, grid[i // columns, i % columns], layer, parts, ratio, present)
        if i + columns >= len(tables):
            for panel in figure.axes[-1:-2 * len(present):-2]:
                panel.set_xlabel("SeqLen (steps)")
    frame(figure, "Where the time goes: shares of the parts, each timed alone\n"
          "(line: time of the whole layer / sum of its parts)", context.caption)
    return figure


# ---- output ------------------------------------------------------------------------------------

FIGURES: dict[str, Callable[[pd.DataFrame, Context], Figure]] = {
    "us_per_token": draw_us_per_token,
    "relative": draw_relative,
    "roofs": draw_roofs,
    "roofline": draw_roofline,
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


def plot(run_dir: Path, all_variants: bool = False) -> None:
    """Draw every figure that the run has the cases for."""
    summary = runs.load_summary(run_dir)
    host = hosts.load(run_dir)
    context = Context(caption_of(summary, host, run_dir), host, all_variants)
    with matplotlib.rc_context(STYLE):
        for name, draw in FIGURES.items():
            try:
                save(draw(summary, context), run_dir / "figures", name)
            except Skip as reason:
                print(f"plot.py: {run_dir}: figure {name} skipped: {reason}", file=sys.stderr)
