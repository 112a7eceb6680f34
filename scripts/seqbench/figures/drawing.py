"""What the figures share: style, lines and their looks, legends, panels, axes."""
from __future__ import annotations

from dataclasses import dataclass
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

from seqbench.read import hosts, runs  # noqa: E402
from seqbench.tables import crossover  # noqa: E402

# Okabe and Ito's colours, apart under every common kind of colour blindness.
REFERENCE_COLOUR = "#000000"
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C8C00"]
LINE_STYLES = ["-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3))]
MARKERS = ["o", "s", "^", "D", "v", "P"]
MOST_CURVES = 4  # sizes in the panel of one layer
ENGINE_STYLES = {"openblas": "-", "packed": "--", "onednn": ":", "torch": "-."}

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


@dataclass(frozen=True)
class Context:
    """What a figure needs beside the summary."""
    caption: str
    host: dict
    all_variants: bool = False


# ---- lines and axes ------------------------------------------------------------------------------


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


def best_variants(rows: pd.DataFrame) -> pd.DataFrame:
    """The fastest variant of each layer in each cell, per engine; its line is called by both."""
    best = crossover.fastest(rows, ["layer", "tokens", "engine"])
    called = best.layer + (" (" + best.engine + ")").where(best.engine != runs.HEADLINE, "")
    return best.assign(kernel=called)


def lines_of(rows: pd.DataFrame, all_variants: bool) -> tuple[pd.DataFrame, str]:
    """The rows with the name of their line, and what a line is.

    One token against a context is called so: its time per token is that of a run.
    """
    lines = rows if all_variants else best_variants(rows)
    names = series_names(lines)
    named = lines.assign(name=names.where(lines.tokens == "all", names + " (one token)"))
    return named, "one line per kernel" if all_variants else "fastest variant of each layer"


def layer_colours(rows: pd.DataFrame) -> dict[str, str]:
    """A colour per layer, apart while there are few; black for the reference."""
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


def size_looks(sizes: list[int], what: str, rows: pd.DataFrame) -> dict[str, dict]:
    """Legend of the panels of one layer each: shades from dark to light by size, dashes by engine.

    The shades differ in lightness, so every kind of colour blindness tells them apart.
    """
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(sizes)))
    looks = {f"{what} {size}": {"color": matplotlib.colors.to_hex(shade), "linewidth": 1.5,
                                "marker": MARKERS[i % len(MARKERS)], "markersize": 3.5}
             for i, (size, shade) in enumerate(zip(sizes, shades))}
    others = sorted(set(rows.engine) - {runs.HEADLINE})
    return looks | {f"engine {engine}": {"color": "#666666", "linestyle": ENGINE_STYLES[engine]}
                    for engine in others}


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
    virtual = hosts.value(host, "machine", "virtual")
    machine = hosts.machine_name(host) + (" (virtual machine)" if virtual is True else "")
    return f"{machine}  ·  run {run_dir.resolve().name}  ·  {summary.rounds.max()} rounds"


# ---- panels --------------------------------------------------------------------------------------


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


def panels_of_layers(rows: pd.DataFrame, x: str, y: str, by: str, what: str,
                     with_reference: bool = True):
    """One panel per layer: curves of `y` over `x` for some sizes `by`; the reference in grey."""
    sizes = some(rows[by], MOST_CURVES)
    looks = size_looks(sizes, what, rows)
    groups = list(rows.groupby(["layer", "tokens"]))
    columns = min(4, len(groups))
    figure, axes = panel_grid(len(groups), columns, (3.1, 2.4), looks)
    reference = rows[(rows.layer == runs.REFERENCE) & (rows.tokens == "all")
                     & (rows.engine == runs.HEADLINE) & with_reference]
    for panel, ((layer, tokens), of_layer) in zip(axes, groups):
        for size in sizes:
            line = reference[reference[by] == size].sort_values(x)
            panel.plot(line[x], line[y], color="#c8c8c8", linewidth=2.5, zorder=1)
            at_size = of_layer[of_layer[by] == size].sort_values(x)
            for (engine, _), line in at_size.groupby(["engine", "heads"] if by == "hid_size"
                                                     else ["engine", "tokens"]):
                panel.plot(line[x], line[y], **looks[f"{what} {size}"]
                           | {"linestyle": ENGINE_STYLES[engine]})
        panel.set_title(layer + (" (one token)" if tokens == "one" else ""))
    legend_below(figure, looks, 0.25)
    return figure, axes, columns, len(groups)
