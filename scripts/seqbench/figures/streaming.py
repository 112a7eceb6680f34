"""Time of one step over HidSize: bands from the median to p99.9, with deadlines as lines."""
from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from seqbench.figures.drawing import (HUES, LIGHT, NAMES, Drawing, Kind, Panel, Skip, log_log, say)
from seqbench.words import streaming, wording

TITLE = "Time of one step, call by call"


def band_text(row) -> str:
    """A marker."""
    return (f"{row.kernel} {row.engine}, H {row.hid_size}\n"
            f"{streaming.condition_text(row.condition, row.period_ns)}\n"
            f"p50 {wording.plain(row.p50_ns / 1000)} µs, p99 {wording.plain(row.p99_ns / 1000)} µs")


def draw_bands(axes: Axes, rows: pd.DataFrame, looks: dict[tuple, dict]) -> None:
    """A line for the median of each condition, a band up to its p99.9."""
    for pair, look in looks.items():
        line = streaming.under(rows, *pair).sort_values("hid_size")
        if line.empty:
            continue
        upper = line.p999_ns.fillna(line.max_ns)
        axes.fill_between(line.hid_size, line.p50_ns / 1000, upper / 1000, color=look["color"],
                          alpha=0.2, linewidth=0)
        curve, = axes.plot(line.hid_size, line.p50_ns / 1000, **look)
        say(curve, [band_text(row) for row in line.itertuples()])
    low, high = axes.get_ylim()
    for deadline in streaming.DEADLINES:
        if low < deadline / 1000 < high:
            axes.axhline(deadline / 1000, color=LIGHT["muted"], linewidth=0.9, linestyle="--")
            axes.annotate(streaming.period_text(deadline), (1, deadline / 1000), fontsize=7,
                          xycoords=("axes fraction", "data"), ha="right", va="bottom",
                          color=LIGHT["muted"])


def draw(table: pd.DataFrame) -> Drawing:
    """A panel for each layer."""
    rows = streaming.in_time(streaming.best(streaming.steps(table)))
    if rows.hid_size.nunique() < 2:
        raise Skip("only one HidSize was timed")
    pairs = streaming.conditions(rows)
    looks = {pair: {"color": LIGHT[HUES[i % len(HUES)]], "marker": "o", "markersize": 3,
                    "linewidth": 1.5} for i, pair in enumerate(pairs)}
    kind = Kind("HidSize", "µs per step", log_log(rows.hid_size))
    panels = [Panel(NAMES.get(layer, layer), kind, partial(draw_bands, rows=of_layer, looks=looks))
              for layer, of_layer in rows.groupby("layer")]
    return Drawing("line: median; band: up to what 99.9 % of the calls stay below (the longest call "
                   "where fewer than 1000 were timed); dashed: deadlines",
                   panels, {streaming.condition_text(*pair): look for pair, look in looks.items()},
                   size=(3.2, 2.7), columns=3)
