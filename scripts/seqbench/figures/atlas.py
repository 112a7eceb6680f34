"""The crossings of the atlas over the roofs of its machines, and the law that would bind them."""
from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from seqbench.figures.drawing import LIGHT, NAMES, Drawing, Kind, Panel, layer_hues, say
from seqbench.figures.width import seq_len_up
from seqbench.read import atlas
from seqbench.tables.atlas import BLAS, OWN, by_law
from seqbench.tables.crossover import ALWAYS, NOT_SLOWER
from seqbench.words import atlas as words

TITLE = "S*, over how far products of many rows are ahead of products of one row"
X = {BLAS: "rate of sgemm / rate of sgemv", OWN: "rate of roof/fma / of products at roof/read"}
WHOLE, RESTRICTED = "o", "s"  # markers


def looks_of(table: pd.DataFrame) -> dict[str, dict]:
    """The legend: a colour for each layer, a marker for machines kept from their best."""
    hues = layer_hues(atlas.LAYERS)
    marker = {"linestyle": "none", "markersize": 6}
    looks = {NAMES[name]: marker | {"marker": WHOLE, "color": LIGHT[hues[name]]} for name in atlas.LAYERS}
    if table.restricted.any():
        looks["restricted"] = marker | {"marker": RESTRICTED, "color": LIGHT["muted"]}
    return looks | {"the law": {"color": LIGHT["muted"], "linewidth": 1.2, "linestyle": "--"}}


def draw_points(axes: Axes, rows: pd.DataFrame, x: str, hid_size: int, most: float) -> None:
    """Crossing with its interval; hollow at the edge of the grid where it lies beyond."""
    hues = layer_hues(atlas.LAYERS)
    line = np.linspace(1.02, most, 200)
    axes.plot(line, by_law(hid_size, line), color=LIGHT["muted"], linewidth=1.2, linestyle="--")
    for row, advantage in zip(rows.itertuples(), rows[x]):
        colour, is_in = LIGHT[hues[row.layer]], np.isfinite(row.place)
        edge = row.shortest if row.verdict in (ALWAYS, NOT_SLOWER) else row.longest
        if np.isfinite(row.low) and np.isfinite(row.high):
            axes.plot([advantage] * 2, [row.low, row.high], color=colour, linewidth=1.2)
        mark, = axes.plot([advantage], [row.place if is_in else edge], color=colour, markersize=6,
                          marker=RESTRICTED if row.restricted else WHOLE, linestyle="none",
                          markerfacecolor=colour if is_in else LIGHT["ground"])
        say(mark, [f"{row.file}\n{NAMES[row.layer]}, H {hid_size}: S* {words.measured_text(row)}\n"
                   f"{X[x]}: {advantage:.2f}"])


def draw(table: pd.DataFrame) -> Drawing:
    """A row of panels for each pair of roofs, a panel for each HidSize."""
    longest, panels, sizes = table.longest.max(), [], atlas.HID_SIZES
    for x in (BLAS, OWN):
        rows = table[table[x].notna()]
        most = 1.1 * max(rows[x].max(), 2)

        def scale(axes: Axes, most: float = most) -> None:
            axes.set_xlim(0.9, most)
            axes.set_ylim(16, 2 * longest)
            seq_len_up(axes)

        kind = Kind(X[x], "S* (SeqLen)", scale)
        panels += [Panel(f"HidSize {size}", kind, partial(
            draw_points, rows=rows[rows.hid_size == size], x=x, hid_size=size, most=most))
            for size in sizes if len(rows)]
    note = ("equal model size; hollow at the upper edge: none up to the longest SeqLen timed; bar: 95 % "
            f"interval; dashed, the law: {words.LAW}")
    return Drawing(note, panels, looks_of(table), size=(3.4, 2.8), columns=len(sizes))
