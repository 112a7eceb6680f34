"""Time per token of every layer at one HidSize."""
from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from seqbench.figures.drawing import (LIGHT, NAMES, Drawing, Figure, Kind, Panel, Run, Skip,
                                      case_text, draw_curves, layer_hues, log_log)
from seqbench.tables import ratios

AT_HID_SIZE = 384  # or the nearest that was timed
GAP = 0.06  # between two names, of the height of the panel


def lines_at(run: Run) -> pd.DataFrame:
    """The fastest variant of each layer over whole sequences, at one HidSize."""
    rows = ratios.fastest(ratios.of_engine(ratios.whole_sequences(run.layers), run.engine))
    if rows.empty:
        raise Skip("no layer was timed over whole sequences")
    rows = rows.sort_values("median_ns").drop_duplicates(["layer", "seq_len", "hid_size"])
    sizes = sorted(set(rows.hid_size))
    size = min(sizes, key=lambda value: abs(np.log(value / AT_HID_SIZE)))
    return rows[rows.hid_size == size].assign(name=rows.layer)


def add_names(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    """The name of each line at its right end, apart from one another."""
    ends = rows.sort_values("seq_len").drop_duplicates("layer", keep="last")
    low, high = np.log(rows.us_per_token.min()), np.log(rows.us_per_token.max())
    before = -np.inf
    for end in ends[ends.layer.isin(colours)].sort_values("us_per_token").itertuples():
        before = max(np.log(end.us_per_token), before + GAP * max(high - low, 1))
        axes.annotate(NAMES.get(end.layer, end.layer), (end.seq_len, np.exp(before)),
                      xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5,
                      color=LIGHT[colours[end.layer]])


def draw_lines(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    """The layers that have a colour, before the others in grey."""
    looks = {name: {"color": LIGHT["grey"], "linewidth": 0.9, "marker": "o", "markersize": 2}
             for name in rows.layer}
    looks |= {name: {"color": LIGHT[hue], "linewidth": 1.8, "marker": "o", "markersize": 3.5}
              for name, hue in colours.items()}
    is_grey = ~rows.layer.isin(colours)
    for those in (rows[is_grey], rows[~is_grey]):
        draw_curves(axes, those, "seq_len", "us_per_token", looks, case_text, band=True)
    add_names(axes, rows, colours)


def draw(run: Run) -> Drawing:
    """One panel."""
    rows = lines_at(run)
    layers = run.in_order(rows.layer)
    named = [name for name in layers if name in NAMES] or layers
    colours = {name: hue for name, hue in layer_hues(named).items() if hue != "grey"}
    log = log_log(rows.seq_len)

    def scale(axes: Axes) -> None:
        log(axes)
        axes.set_xlim(rows.seq_len.min() / 1.2, rows.seq_len.max() * 3.6)  # room for the names

    others = "; grey: all other layers" if len(layers) > len(colours) else ""
    return Drawing(f"fastest variants of {run.engines_text}; band: 95 % interval of the "
                   f"median{others}",
                   [Panel(f"HidSize {rows.hid_size.iloc[0]}",
                          Kind("SeqLen (steps)", "µs per token", scale),
                          partial(draw_lines, rows=rows, colours=colours))],
                   size=(7.5, 3.2), alone=(6.4, 3.6))


FIGURES = [Figure(
    place=2, name="one_size", title="Time per token of every layer at one HidSize",
    alt="Time per token of every layer over SeqLen at one HidSize", draw=draw, is_of_engines=True)]
