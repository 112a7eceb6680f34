"""A comparison as a figure: the time ratio in every cell of each kernel."""
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter

from seqbench.figures import drawing
from seqbench.tables import differences

MOST_PANELS = 40
LEAST_SCALE, MOST_SCALE = np.log2(1.05), np.log2(2)  # ends of the colour scale


def chosen_kernels(cases: pd.DataFrame) -> list[str]:
    """The kernels that get a panel: whole layers first; of too many, those that differ most."""
    kernels = cases[["kind", "kernel"]].drop_duplicates().sort_values(["kind", "kernel"])
    called = cases.verdict.isin(differences.DIFFERENT).groupby(cases.kernel).sum()
    order = kernels.kernel.map(called).sort_values(ascending=False, kind="stable").index
    return list(kernels.loc[kernels.index.isin(order[:MOST_PANELS])].kernel)


def draw_panel(axes: Axes, cases: pd.DataFrame, limit: float):
    """One kernel: the ratio in every cell, and a frame with the ratio where it is called."""
    cells = cases.pivot(index=["hid_size", "heads"], columns="seq_len", values="time_ratio")
    logs = np.log2(cells.to_numpy())
    edges = np.arange(logs.shape[1] + 1) - 0.5, np.arange(logs.shape[0] + 1) - 0.5
    mesh = axes.pcolormesh(*edges, np.ma.masked_invalid(logs), cmap="RdBu_r", vmin=-limit,
                           vmax=limit, edgecolors="white", linewidth=0.5)
    for row in cases[cases.verdict.isin(differences.DIFFERENT)].itertuples():
        i = cells.columns.get_loc(row.seq_len)
        j = cells.index.get_loc((row.hid_size, row.heads))
        axes.add_patch(Rectangle((i - 0.44, j - 0.44), 0.88, 0.88, fill=False, linewidth=1.1))
        axes.text(i, j, f"{row.time_ratio:.2f}", ha="center", va="center", fontsize=6,
                  color="white" if abs(np.log2(row.time_ratio)) > 0.6 * limit else "black")
    several = cases.groupby("hid_size").heads.nunique().max() > 1
    axes.set_xticks(range(logs.shape[1]), cells.columns, rotation=90)
    axes.set_yticks(range(logs.shape[0]),
                    [f"{size} (A={heads})" if several else size for size, heads in cells.index])
    axes.set_xlim(edges[0][[0, -1]])
    axes.set_ylim(edges[1][[0, -1]])
    axes.tick_params(labelsize=6.5, length=2)
    axes.grid(False)
    return mesh


def add_scale(figure: Figure, mesh, limit: float, place: list[float], beyond: bool) -> None:
    """The colour bar, with ratios as labels."""
    bar = figure.colorbar(mesh, cax=figure.add_axes(place), extend="both" if beyond else "neither")
    bar.locator = FixedLocator(np.linspace(-limit, limit, 9))
    bar.formatter = FuncFormatter(lambda power, _: f"{2 ** power:.2f}x")
    bar.update_ticks()
    bar.outline.set_visible(False)


def draw_figure(cases: pd.DataFrame, caption: str) -> Figure:
    """The time ratio over SeqLen and HidSize, one panel per kernel."""
    shown = cases[(cases.kind != "roof") & (cases.verdict != differences.NOT_COMPARABLE)]
    if shown.empty:
        raise drawing.Skip("no layer or part can be compared")
    kernels = chosen_kernels(shown)
    largest = np.log2(shown.time_ratio).abs().max()
    # Some room at the ends of the scale, where a frame would hardly be seen.
    limit = float(np.clip(1.3 * largest, LEAST_SCALE, MOST_SCALE))
    columns = min(4, len(kernels))
    rows = -(-len(kernels) // columns)
    per_row = max(shown.groupby("kernel").hid_size.nunique().max() * 0.2, 0.6)
    width, height = max(2.9 * columns, 5.8) + 1.6, 1.7 + rows * (per_row + 0.75)
    figure = plt.figure(figsize=(width, height))
    grid = figure.add_gridspec(rows, columns, left=0.75 / width, right=1 - 1.25 / width,
                               top=1 - 1.0 / height, bottom=0.85 / height, wspace=0.28,
                               hspace=0.75 / per_row)
    for i, kernel in enumerate(kernels):
        panel = figure.add_subplot(grid[i // columns, i % columns])
        mesh = draw_panel(panel, shown[shown.kernel == kernel], limit)
        panel.set_title(kernel, fontsize=9)
        if i % columns == 0:
            panel.set_ylabel("HidSize", fontsize=8)
        if i + columns >= len(kernels):
            panel.set_xlabel("SeqLen", fontsize=8)
    add_scale(figure, mesh, limit, [1 - 1.0 / width, 0.85 / height, 0.16 / width,
                                    1 - 1.85 / height], largest > limit)
    count = shown.kernel.nunique()
    of = f"; {len(kernels)} of {count} kernels" if len(kernels) < count else ""
    drawing.frame(figure, "Time of B / time of A\n"
               f"(above 1x B is slower; framed: called different{of})", caption)
    return figure
