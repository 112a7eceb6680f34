"""Fewer bytes per weight: time saved against error, and where the layers cross the block."""
from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from seqbench.figures.drawing import (LIGHT, NAMES, Drawing, Figure, Kind, NotAsked, Panel, Run,
                                      Skip, hues, looks_of_sizes, say, some)
from seqbench.figures.width import draw_places, seq_len_up
from seqbench.tables import precision
from seqbench.words import precision as words, wording

MOST_SIZES = 4


def gains_of(run: Run) -> pd.DataFrame:
    """Gains at one SeqLen, with errors."""
    if not precision.narrow_engines(run.summary.engine):
        raise NotAsked("only float32 was timed")
    if not (run.folder / "accuracy.csv").exists():
        raise Skip("no accuracy.csv: `seqbench accuracy` prints it")
    table = precision.with_errors(words.gains_of(run.folder), words.accuracy_of(run.folder))
    table = table[(table.tokens == "all") & table.rms.notna()]
    if table.empty:
        raise Skip("no engine of fewer bytes per weight has both a time and an error")
    return table


def point_text(row) -> str:
    """A marker."""
    return (f"{row.layer}, {words.NAMES.get(row.engine, row.engine)}, S {row.seq_len}, "
            f"H {row.hid_size}\n{wording.times(row.gain)} as fast as float32\n"
            f"error {100 * row.rms:.2g} %")


def draw_points(axes: Axes, rows: pd.DataFrame, looks: dict[str, dict]) -> None:
    """A line for each engine, a marker for each HidSize, larger where it is larger."""
    for engine, look in looks.items():
        line = rows[rows.engine == engine].sort_values("hid_size")
        axes.plot(100 * line.rms, line.gain, **look | {"marker": ""})
        for size, row in zip((3, 4, 5, 6, 7, 8, 9), line.itertuples()):
            mark, = axes.plot([100 * row.rms], [row.gain], **look | {"markersize": size})
            say(mark, [point_text(row)])
    axes.axhline(1, color=LIGHT["muted"], linewidth=0.9, linestyle="--")


def scale_points(axes: Axes) -> None:
    """Errors logarithmic, gains from 0 on."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)


def draw(run: Run) -> Drawing:
    """A panel for each layer."""
    table = gains_of(run)
    engines = precision.narrow_engines(table.engine)
    looks = {name: {"color": LIGHT[hue], "linewidth": 0.9, "marker": "o"}
             for name, hue in hues(engines).items()}
    kind = Kind("relative error of the output (%)", "float32 time / time", scale_points)
    panels = [Panel(NAMES.get(layer, layer), kind,
                    partial(draw_points, rows=table[table.layer == layer], looks=looks))
              for layer in run.in_order(table.layer)]
    return Drawing(f"SeqLen {table.seq_len.iloc[0]}; larger markers: larger HidSize; error of 128 "
                   "tokens, random weights; dashed: as fast as float32", panels,
                   {words.NAMES.get(name, name): look for name, look in looks.items()},
                   columns=min(3, len(panels)))


def scale_places(axes: Axes) -> None:
    """Precisions by name, SeqLen logarithmic."""
    axes.xaxis.set_major_locator(FixedLocator(range(len(words.ORDER))))
    axes.xaxis.set_major_formatter(FuncFormatter(
        lambda place, _: words.NAMES[words.ORDER[int(place)]] if place in range(len(words.ORDER)) else ""))
    axes.set_xlim(-0.3, len(words.ORDER) - 0.7)
    seq_len_up(axes)


def draw_crossings(run: Run) -> Drawing:
    """A panel for LSTM and for GRU."""
    if not precision.narrow_engines(run.summary.engine):
        raise NotAsked("only float32 was timed")
    table = words.crossings_of(run.folder)
    if table.engines.nunique() < 2:
        raise Skip("no layer was timed beside a block in two precisions")
    table = table.assign(x=table.engines.map(words.ORDER.index),
                         name=table.engines.map(words.NAMES))
    looks = looks_of_sizes(some(table.hid_size, MOST_SIZES))
    kind = Kind("weights of both", "SeqLen (steps)", scale_places)
    panels = [Panel(NAMES.get(layer, layer), kind,
                    partial(draw_places, rows=table[table.layer == layer], looks=looks))
              for layer in run.in_order(table.layer)]
    return Drawing("hollow: at every length that was timed (low edge), or at none (high edge)",
                   panels, {f"HidSize {size}": look for size, look in looks.items()},
                   size=(3.6, 2.7), columns=len(panels))


FIGURES = [
    Figure(place=12, name="precision", title="Time saved by fewer bytes per weight, against error",
           alt="Float32 time over time, over the relative error, for each layer", draw=draw),
    Figure(place=13, name="precision_crossings",
           title="SeqLen from which a layer takes less time than a block of equal size",
           alt="Crossing over the precision of the weights of both sides", draw=draw_crossings)]
