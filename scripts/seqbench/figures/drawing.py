"""What the figures share: colours, curves and their looks, axes, heat maps."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from seqbench.read import hosts, runs
from seqbench.tables import ratios
from seqbench.words import wording

# Each colour on light and on dark ground; files are light, the page is both.
PALETTE = {
    "ground": ("#ffffff", "#14171b"), "panel": ("#f5f6f8", "#1d2126"),
    "ink": ("#1b1f24", "#e9ecf0"),
    "muted": ("#565d66", "#a9b1bb"), "line": ("#d3d7de", "#333a42"), "grey": ("#b4bac3", "#59616b"),
    "good": ("#4a9be0", "#1f5f9f"), "bad": ("#ee9440", "#9a4c0a"),
    "c1": ("#0064b5", "#62adf0"), "c2": ("#c24a00", "#ff9055"), "c3": ("#007a55", "#3fcb9d"),
    "c4": ("#a83384", "#f08ac6"), "c5": ("#7a6400", "#d9c54a"),
}
LIGHT = {name: light for name, (light, _) in PALETTE.items()}
HUES = [f"c{i}" for i in range(1, 6)]  # what comes after them is grey
# The layers that have a colour and a name of their own wherever they are drawn, in this order.
NAMES = {runs.REFERENCE: "Transformer block", "lstm": "LSTM", "rnn": "RNN", "gru": "GRU",
         "mamba": "Mamba"}
LINE_STYLES = ["-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3))]
MARKERS = ["o", "s", "^", "D", "v", "P"]
SHADES = [LIGHT[name] for name in ("c1", "c2", "c3", "c4")]  # by size
MOST_LAYERS = 6  # in one panel; more get a panel each
MOST_LINES = 12  # in a panel of all layers
# The dimensions beyond the two that are axes: a case that has them says so.
OTHERS = [name for name in ratios.CELL if name not in ("seq_len", "hid_size")]
LEAST_FULL = 2.0  # powers of two that have the full colour, if no ratio of a figure is larger
BOX = {"linewidth": 7, "solid_capstyle": "butt"}  # how a legend shows an area

STYLE = {
    "svg.hashsalt": "seqbench", "svg.fonttype": "none", "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"], "font.size": 9,
    "text.parse_math": False, "text.color": LIGHT["ink"], "axes.labelcolor": LIGHT["ink"],
    "xtick.color": LIGHT["ink"], "ytick.color": LIGHT["ink"], "axes.edgecolor": LIGHT["muted"],
    "xtick.major.size": 0, "ytick.major.size": 0, "axes.unicode_minus": False,
    "axes.titlesize": 10, "axes.labelsize": 9, "xtick.labelsize": 8, "ytick.labelsize": 8,
    "legend.fontsize": 9, "axes.grid": True, "grid.color": LIGHT["line"], "grid.linewidth": 0.6,
    "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
    "figure.dpi": 110, "savefig.dpi": 110, "savefig.facecolor": LIGHT["ground"],
}


class Skip(Exception):
    """Why a figure cannot be drawn from this run."""


class NotAsked(Skip):
    """The figure is of something that this run was not made for: no news."""


# ---- what a figure is ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Kind:
    """Axes that some panels have in common; `scale` sets what of them is not linear."""
    x: str
    y: str
    scale: Callable[[Axes], None]


@dataclass(frozen=True)
class Panel:
    """One pair of axes and what is drawn in it."""
    title: str
    kind: Kind
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Drawing:
    """The panels of a figure, in order, and the legend of them all."""
    note: str
    panels: list[Panel]
    looks: dict[str, dict] = field(default_factory=dict)
    size: tuple[float, float] = (3.3, 2.5)  # of a panel, in inches
    columns: int = 4
    alone: tuple[float, float] = (3.6, 2.5)  # inches of a panel by itself


@dataclass(frozen=True)
class Figure:
    """A figure of every run. README, files and page have them in the order of `place`."""
    place: int
    name: str
    title: str
    alt: str
    draw: Callable[[Run], Drawing]
    is_of_engines: bool = False  # another one for each class of engines
    lens: str = ""  # what is compared with what, where that is in the figure


@dataclass(frozen=True)
class Run:
    """What figures are drawn from."""
    folder: Path
    summary: pd.DataFrame
    host: dict
    engine: str  # the class of engines that are compared
    all_variants: bool = False

    @classmethod
    def load(cls, folder: Path, all_variants: bool = False) -> Run:
        """From its files, with the class in which every layer is at its best."""
        summary = runs.load_summary(folder)
        return cls(folder, summary, hosts.load(folder), ratios.best_class(summary), all_variants)

    def with_engine(self, engine: str) -> Run:
        """The same for another class of engines, if the run has it."""
        has_it = engine in ratios.engine_classes(self.summary)
        return replace(self, engine=engine) if has_it else self

    @cached_property
    def kernels(self) -> pd.DataFrame:
        """kernels.csv."""
        return runs.load_kernels(self.folder).reset_index()

    def table(self, name: str) -> pd.DataFrame:
        """A derived table."""
        if not (self.folder / name).exists():
            raise Skip(f"no {name}: `make csv RUN={self.folder}` makes it")
        return runs.least_batch(runs.load_derived(self.folder, name))

    def cells(self, lens: str) -> pd.DataFrame:
        """The ratios of its class of engines through a lens."""
        found = ratios.through(self.table("ratios.csv"), lens, self.engine)
        if found.empty:
            raise Skip("no layer was timed beside the layer " + ratios.LENSES[lens].reference)
        return found

    @property
    def layers(self) -> pd.DataFrame:
        """The cases of whole layers."""
        rows = runs.least_batch(self.summary[self.summary.kind == "layer"])
        if rows.empty:
            raise Skip("no layer was timed")
        return rows

    def in_order(self, names: Iterable[str], column: str = "layer") -> list[str]:
        """Layers, engines or parts as kernels.csv has them."""
        names = set(names)
        return [name for name in dict.fromkeys(self.kernels[column]) if name in names]

    @property
    def engines_text(self) -> str:
        """The class of engines in words."""
        return "all engines of float32" if self.engine == ratios.ANY else self.engine

    @property
    def caption(self) -> str:
        """Where the numbers come from, in one line."""
        virtual = hosts.value(self.host, "machine", "virtual")
        machine = hosts.machine_name(self.host) + (" (virtual machine)" if virtual is True else "")
        return (f"{machine}  ·  run {self.folder.resolve().name}  ·  "
                f"{self.summary.rounds.max()} rounds")


# ---- values by the pointer -----------------------------------------------------------------------


def say(artist, titles: list[str]) -> None:
    """What the pointer shows on an artist, or on each marker of a line (svg.py reads it)."""
    artist.set_gid(json.dumps(titles))


def others_text(row) -> str:
    """The dimensions of a case beyond SeqLen and HidSize, where they are not 1: heads 4."""
    return ", ".join(f"{name} {getattr(row, name)}" for name in OTHERS if getattr(row, name) > 1)


def size_text(row) -> str:
    """The size of a case."""
    return ", ".join(filter(None, [f"S {row.seq_len}, H {row.hid_size}", others_text(row)]))


def case_text(row) -> str:
    """A case and its time."""
    interval = (f" [{wording.duration(row.ci_low_ns)} to {wording.duration(row.ci_high_ns)}]"
                if np.isfinite(row.ci_low_ns) else "")
    return (f"{row.kernel} ({row.engine})\n{size_text(row)}\n"
            f"{wording.duration(row.median_ns)}{interval}\n"
            f"{wording.duration(1000 * row.us_per_token)} per token")


# ---- colours -------------------------------------------------------------------------------------


def hues(names: Iterable[str]) -> dict[str, str]:
    """The colour of each of some lines, by its name in PALETTE: five hues, then grey."""
    return {name: HUES[i] if i < len(HUES) else "grey" for i, name in enumerate(names)}


def layer_hues(layers: Iterable[str]) -> dict[str, str]:
    """The same of layers; some have the same colour in every figure."""
    layers = list(layers)
    own = {name: hue for name, hue in hues(NAMES).items() if name in layers}
    free = [hue for hue in HUES if hue not in own.values()]
    others = [name for name in layers if name not in own]
    free += ["grey"] * len(others)
    return own | dict(zip(others, free))


# ---- curves --------------------------------------------------------------------------------------


def best_variants(rows: pd.DataFrame) -> pd.DataFrame:
    """The fastest variant of each layer in each cell, per engine."""
    return ratios.fastest(rows, ["layer", "tokens", "engine"])


def lines_of(run: Run, all_variants: bool) -> tuple[pd.DataFrame, str]:
    """The rows with the name of their line, and what a line is.

    A line is called by its layer or kernel, its engine where that is not the first one, its other
    dimensions where a HidSize has several, and `one token` where a run makes one token.
    """
    rows = run.layers if all_variants else best_variants(run.layers)
    names = rows.kernel if all_variants else rows.layer
    engines = (" (" + rows.engine + ")").where(rows.engine != runs.HEADLINE, "")
    sizes = rows[["kernel", "engine", "hid_size", *OTHERS]].drop_duplicates()
    several = sizes.duplicated(["kernel", "engine", "hid_size"]).any()
    others = pd.Series([f" ({text})" if several and text else ""
                        for text in map(others_text, rows.itertuples())], rows.index, dtype=object)
    tokens = pd.Series(" (one token)", rows.index).where(rows.tokens == "one", "")
    named = rows.assign(name=names + engines + others + tokens)
    return named, "one line per kernel" if all_variants else "fastest variant of each layer"


def engine_styles(run: Run, engines: Iterable[str]) -> dict[str, object]:
    """A line style per engine: the first one is drawn through."""
    others = [name for name in run.in_order(engines, "engine") if name != runs.HEADLINE]
    return {name: LINE_STYLES[i % len(LINE_STYLES)]
            for i, name in enumerate([runs.HEADLINE, *others])}


def line_looks(run: Run, rows: pd.DataFrame) -> dict[str, dict]:
    """How each line is drawn: colour by layer, style by engine, marker by variant."""
    styles, colours = engine_styles(run, rows.engine), layer_hues(run.in_order(rows.layer))
    looks = {}
    for layer in run.in_order(rows.layer):
        group = rows[rows.layer == layer]
        for i, (name, engine) in enumerate(sorted(set(zip(group.name, group.engine)))):
            looks[name] = {"color": LIGHT[colours[layer]], "linestyle": styles[engine],
                           "marker": MARKERS[i % len(MARKERS)], "markersize": 3.5, "linewidth": 1.5}
    return looks


def draw_curves(axes: Axes, rows: pd.DataFrame, x: str, y: str, looks: dict,
                text: Callable[[object], str] = case_text, band: bool = False) -> None:
    """One curve per name; on request with the 95 % interval of its times per token."""
    for name, line in rows.groupby("name"):
        line = line.sort_values(x)
        if band:
            scale = line[y] / line.median_ns
            axes.fill_between(line[x], line.ci_low_ns * scale, line.ci_high_ns * scale,
                              color=looks[name]["color"], alpha=0.25, linewidth=0)
        curve, = axes.plot(line[x], line[y], **looks[name])
        say(curve, [text(row) for row in line.itertuples()])


def layer_panels(run: Run, rows: pd.DataFrame, kind: Kind, x: str, y: str, by: tuple[str, str],
                 text: Callable[[object], str] = case_text, with_reference: bool = True):
    """One panel per layer: curves for some sizes, the reference in grey; and their looks.

    Colour by size, line style by engine.
    """
    column, word = by
    sizes, styles = some(rows[column], len(SHADES)), engine_styles(run, rows.engine)
    looks = {f"{word} {size}": {"color": SHADES[i], "marker": MARKERS[i], "markersize": 3.5,
                                "linewidth": 1.5} for i, size in enumerate(sizes)}
    grey = {"color": LIGHT["grey"], "linewidth": 2.5, "zorder": 1}
    reference = rows[(rows.layer == runs.REFERENCE) & (rows.engine == runs.HEADLINE)
                     & with_reference]

    def draw(axes: Axes, of_layer: pd.DataFrame) -> None:
        for size in sizes:
            line = reference[reference[column] == size].sort_values(x)
            axes.plot(line[x], line[y], **grey)
            at_size = of_layer[of_layer[column] == size]
            for name, line in at_size.groupby("name"):
                look = looks[f"{word} {size}"] | {"linestyle": styles[line.engine.iloc[0]]}
                draw_curves(axes, line, x, y, {name: look}, text)

    panels = [Panel(layer + (" (one token)" if tokens == "one" else ""), kind,
                    partial(draw, of_layer=rows[(rows.layer == layer) & (rows.tokens == tokens)]))
              for layer in run.in_order(rows.layer)
              for tokens in sorted(set(rows.tokens[rows.layer == layer]))]
    if len(reference):
        looks[runs.REFERENCE] = grey
    if len(styles) > 1:
        looks |= {f"engine {name}": {"color": LIGHT["muted"], "linestyle": style}
                  for name, style in styles.items()}
    return panels, looks


# ---- axes ----------------------------------------------------------------------------------------


def log_x(axes: Axes, ticks: pd.Series) -> None:
    """The first axis logarithmic, with some of the values that occur below it."""
    values = np.sort(ticks.unique())
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(values[::-(-len(values) // 6)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def log_from_0(ticks: pd.Series) -> Callable[[Axes], None]:
    """The first axis as log_x has it, the second linear from 0 on."""
    def scale(axes: Axes) -> None:
        log_x(axes, ticks)
        axes.set_ylim(bottom=0)

    return scale


def log_log(ticks: pd.Series) -> Callable[[Axes], None]:
    """Both axes logarithmic, the first as log_x has it."""
    def scale(axes: Axes) -> None:
        log_x(axes, ticks)
        axes.set_yscale("log")
        low, high = axes.yaxis.get_view_interval()
        subs = (1,) if high > 300 * low else (1, 2, 5) if high > 8 * low else (1, 1.5, 2, 3, 5, 7)
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))

    return scale


def looks_of_sizes(sizes: list[int]) -> dict[int, dict]:
    """A line for each HidSize."""
    return {size: {"color": SHADES[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1.6}
            for i, size in enumerate(sizes)}


def some(values: pd.Series, most: int) -> list[int]:
    """At most so many of the values, spread evenly, first and last included."""
    values = np.sort(values.unique())
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [int(value) for value in values[places]]


# ---- heat maps -----------------------------------------------------------------------------------


def no_scale(_: Axes) -> None:
    """Linear axes as they come."""


def above_one(ratio: float) -> bool:
    """Whether a ratio of the other's time over ours is good."""
    return ratio > 1


@dataclass(frozen=True)
class Shade:
    """How a heat map shows a ratio."""
    is_good: Callable[[float], bool] = above_one  # blue; else orange
    full: float = LEAST_FULL
    form: Callable[[float], str] = wording.ratio_text
    least: float = 0.25  # how much colour a ratio near 1 has

    def look(self, cell) -> dict:
        """The area of a cell: grey where no difference is known."""
        if getattr(cell, "is_same", False):
            return {"facecolor": LIGHT["grey"], "alpha": 0.6}
        share = min(abs(np.log2(cell.ratio)) / self.full, 1)
        return {"facecolor": LIGHT["good" if self.is_good(cell.ratio) else "bad"],
                "alpha": self.least + (1 - self.least) * share}


def shade_of(cells: pd.DataFrame) -> Shade:
    """The largest ratio of a figure has the full colour."""
    return Shade(full=max(LEAST_FULL, np.log2(cells.ratio).abs().max()))


def heat_looks(less: str, more: str) -> dict[str, dict]:
    """The legend of heat maps."""
    colours = {less: "good", more: "bad", ratios.SAME: "grey"}
    return {name: BOX | {"color": LIGHT[colour]} for name, colour in colours.items()}


def row_names(cells: pd.DataFrame) -> tuple[str, ...]:
    """What tells the rows of cells apart: HidSize, and dimensions of which a size has several."""
    by_size = cells.groupby("hid_size")
    return "hid_size", *(name for name in OTHERS if (by_size[name].nunique() > 1).any())


def row_label(names: tuple[str, ...]) -> str:
    """What the rows are called by."""
    return ", ".join(["HidSize", *names[1:]])


def with_rows(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with the row that they stand in."""
    return cells.assign(row=list(cells[list(row_names(cells))].itertuples(index=False, name=None)))


def heat_panels(groups: dict[str, pd.DataFrame], text: Callable[[object], str],
                shade: Shade) -> tuple[list[Panel], tuple[float, float]]:
    """One heat map of `ratio` per group, and the inches of a panel.

    Groups with the same SeqLens and the same kind of rows share their axes.
    """
    named = {title: with_rows(cells) for title, cells in groups.items()}
    axes_of: dict[tuple, set] = {}
    keys = {}
    for title, cells in named.items():
        key = keys[title] = (tuple(sorted(cells.seq_len.unique())), row_names(cells))
        axes_of.setdefault(key, set()).update(cells.row)
    kinds = {key: Kind("SeqLen (steps)", row_label(key[1]), no_scale) for key in axes_of}
    panels = [Panel(title, kinds[keys[title]],
                    partial(draw_heat_map, cells=cells, columns=keys[title][0],
                            rows=sorted(axes_of[keys[title]]), text=text, shade=shade))
              for title, cells in named.items()]
    size = (max(3.2, 0.75 + 0.38 * max(len(columns) for columns, _ in axes_of)),
            0.95 + 0.27 * max(3, *map(len, axes_of.values())))
    return panels, size


def draw_heat_map(axes: Axes, cells: pd.DataFrame, columns: tuple, rows: list[tuple],
                  text: Callable[[object], str], shade: Shade) -> None:
    """`ratio` in every cell, and a line where it changes between good and not.

    Where the cells say which of them are `called`, those have a frame, and only they a number.
    Those that are `is_same` are neither good nor not.
    """
    signs = np.full((len(rows), len(columns)), np.nan)
    for cell in cells[np.isfinite(cells.ratio)].itertuples():
        i, j = columns.index(cell.seq_len), rows.index(cell.row)
        called = getattr(cell, "called", None)
        signs[j, i] = np.nan if getattr(cell, "is_same", False) else shade.is_good(cell.ratio)
        say(add_cell(axes, i, j, shade.look(cell)), [text(cell)])
        if called:
            axes.add_patch(Rectangle((i - 0.44, j - 0.42), 0.88, 0.84, fill=False, linewidth=1.1,
                                     edgecolor=LIGHT["ink"]))
        if called in (None, True):
            axes.text(i, j, shade.form(cell.ratio), ha="center", va="center", fontsize=7.5)
    if "called" not in cells:
        draw_border(axes, signs)
    number_cells(axes, columns, rows)


def add_cell(axes: Axes, i: int, j: int, look: dict) -> Rectangle:
    """The area of one cell."""
    return axes.add_patch(Rectangle((i - 0.47, j - 0.46), 0.94, 0.92, linewidth=0, **look))


def number_cells(axes: Axes, columns: tuple, rows: list[tuple]) -> None:
    """SeqLens below the cells, what a row is beside them."""
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), [", ".join(map(str, row)) for row in rows])
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.grid(False)


def draw_border(axes: Axes, signs: np.ndarray) -> None:
    """Lines between cells whose signs differ."""
    for j, i in np.argwhere(abs(np.diff(signs, axis=1)) == 1):
        axes.plot([i + 0.5] * 2, [j - 0.5, j + 0.5], color=LIGHT["ink"], linewidth=2)
    for j, i in np.argwhere(abs(np.diff(signs, axis=0)) == 1):
        axes.plot([i - 0.5, i + 0.5], [j + 0.5] * 2, color=LIGHT["ink"], linewidth=2)
