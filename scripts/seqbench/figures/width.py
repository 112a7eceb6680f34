"""What the width of vectors does: measured over counted ratios, and crossings, over lanes."""
from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from seqbench.figures.drawing import (LIGHT, NAMES, SHADES, Drawing, Kind, Panel, Skip, log_from_0,
                                      log_x, looks_of_sizes, say, some)
from seqbench.tables.crossover import ALWAYS, NEVER, NOT_FASTER, NOT_SLOWER
from seqbench.words import wording

QUOTIENTS = "Block time / layer time, over what the operations say"
CROSSINGS = "SeqLen from which a layer takes less time than a block of equal size"
LAYERS = ["lstm", "rnn"]  # of the figures, where they were timed
LANES = "floats per vector (lanes)"


def shown(table: pd.DataFrame) -> list[str]:
    """The layers that are drawn."""
    return [name for name in LAYERS if name in set(table.layer)] or sorted(set(table.layer))[:2]


def refuse_one_width(table: pd.DataFrame) -> None:
    """Raise Skip where there is nothing to draw over."""
    if table.lanes.nunique() < 2:
        raise Skip("only one width was timed")


def quotient_text(row) -> str:
    """A marker."""
    return (f"{row.layer}, {row.lanes} lanes, S {row.seq_len}, H {row.hid_size}\n"
            f"measured {wording.times(row.ratio)}, by operations {wording.times(row.flops_ratio)}\n"
            f"{wording.two(row.quotient)} of what the operations say")


def draw_lines(axes: Axes, rows: pd.DataFrame, looks: dict[int, dict]) -> None:
    """Quotient over lanes, a line and a band for each HidSize."""
    for size, look in looks.items():
        line = rows[rows.hid_size == size].sort_values("lanes")
        axes.fill_between(line.lanes, line.quotient_low, line.quotient_high, color=look["color"],
                          alpha=0.25, linewidth=0)
        curve, = axes.plot(line.lanes, line.quotient, **look)
        say(curve, [quotient_text(row) for row in line.itertuples()])
    axes.axhline(1, color=LIGHT["muted"], linewidth=0.9, linestyle="--")


def draw_quotients(table: pd.DataFrame) -> Drawing:
    """A row of panels for each layer, a panel for each SeqLen."""
    refuse_one_width(table)
    looks, lengths = looks_of_sizes(some(table.hid_size, len(SHADES))), some(table.seq_len, 4)
    kind = Kind(LANES, "measured / counted", log_from_0(table.lanes))
    panels = [Panel(f"{NAMES.get(layer, layer)}, SeqLen {length}", kind,
                    partial(draw_lines, looks=looks,
                            rows=table[(table.layer == layer) & (table.seq_len == length)]))
              for layer in shown(table) for length in lengths]
    return Drawing("at 1 (dashed) the clock agrees with the operation count; below 1 the block is "
                   "faster than its count; band: 95 % interval", panels,
                   {f"HidSize {size}": look for size, look in looks.items()},
                   size=(3.0, 2.4), columns=len(lengths))


def ends(row) -> tuple[float, bool]:
    """Where a crossing is drawn, and whether it lies beyond the grid."""
    if row.verdict in (ALWAYS, NOT_SLOWER):
        return row.min_seq_len, True
    if row.verdict in (NEVER, NOT_FASTER) or np.isnan(row.faster_from_seq_len):
        return row.max_seq_len, True
    return row.faster_from_seq_len, False


def draw_places(axes: Axes, rows: pd.DataFrame, looks: dict[int, dict]) -> None:
    """Crossing over `x`, told as `name`; hollow at the edge of the grid where it lies beyond."""
    for size, look in looks.items():
        line = rows[rows.hid_size == size].sort_values("x")
        places = [ends(row) for row in line.itertuples()]
        axes.plot(line.x, [place for place, _ in places], **look | {"marker": ""})
        for row, (place, beyond) in zip(line.itertuples(), places):
            mark, = axes.plot([row.x], [place], **look | (
                {"markerfacecolor": LIGHT["ground"]} if beyond else {}))
            what = row.verdict if beyond else f"from {wording.two(place)} tokens on"
            say(mark, [f"{row.layer}, {row.name}, H {size}\n{what}"])


def seq_len_up(axes: Axes) -> None:
    """SeqLen upwards, in powers of two."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(base=2))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def draw_crossings(table: pd.DataFrame) -> Drawing:
    """A panel for each layer."""
    refuse_one_width(table)
    looks = looks_of_sizes(some(table.hid_size, len(SHADES)))
    table = table.assign(x=table.lanes, name=table.lanes.astype(str) + " lanes")

    def scale(axes: Axes) -> None:
        log_x(axes, table.lanes)
        seq_len_up(axes)

    kind = Kind(LANES, "SeqLen (steps)", scale)
    panels = [Panel(NAMES.get(layer, layer), kind,
                    partial(draw_places, rows=table[table.layer == layer], looks=looks))
              for layer in shown(table)]
    return Drawing("hollow: at every length that was timed (low edge), or at none (high edge)",
                   panels, {f"HidSize {size}": look for size, look in looks.items()},
                   size=(3.6, 2.7), columns=len(panels))
