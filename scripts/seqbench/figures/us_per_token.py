"""Time per token over SeqLen."""
from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from seqbench.figures.drawing import (LIGHT, LINE_STYLES, MARKERS, MOST_LAYERS, MOST_LINES,
                                      Drawing, Figure, Kind, Panel, Run, draw_curves, hues,
                                      layer_panels, line_looks, lines_of, log_log, some)

BAND = "band: 95 % interval of the median"
MOST_SIZES, FEW_SIZES = 16, 3  # panels; of more HidSizes, some that are spread evenly


def by_size(run: Run, rows: pd.DataFrame, kind: Kind) -> tuple[list[Panel], dict]:
    """One panel per HidSize, all layers in it."""
    looks = line_looks(run, rows)
    return [Panel(f"HidSize {size}", kind,
                  partial(draw_curves, rows=rows[rows.hid_size == size], x="seq_len",
                          y="us_per_token", looks=looks, band=True))
            for size in some(rows.hid_size, MOST_SIZES)], looks


def variants_of(run: Run, rows: pd.DataFrame, kind: Kind) -> list[Panel]:
    """A row of panels per layer, a column per HidSize, every variant, and a legend in each."""
    def draw(axes: Axes, layer: str, size: int) -> None:
        of_layer = rows[rows.layer == layer]
        looks = {name: {"color": LIGHT[hue], "markersize": 3.5, "linewidth": 1.3,
                        "linestyle": LINE_STYLES[i % len(LINE_STYLES)],
                        "marker": MARKERS[i % len(MARKERS)], "label": name}
                 for i, (name, hue) in enumerate(hues(sorted(of_layer.name.unique())).items())}
        draw_curves(axes, of_layer[of_layer.hid_size == size], "seq_len", "us_per_token", looks,
                    band=True)
        if axes.lines:
            axes.legend(frameon=False, fontsize=6.5)

    return [Panel(f"{layer}, HidSize {size}", kind, partial(draw, layer=layer, size=size))
            for layer in run.in_order(rows.layer) for size in some(rows.hid_size, FEW_SIZES)]


def draw(run: Run) -> Drawing:
    """A panel per HidSize; with many layers one per layer."""
    rows, what = lines_of(run, run.all_variants)
    kind = Kind("SeqLen (steps)", "µs per token", log_log(rows.seq_len))
    if rows.layer.nunique() <= MOST_LAYERS and rows.name.nunique() <= MOST_LINES:
        panels, looks = by_size(run, rows, kind)
        return Drawing(f"{what}; {BAND}", panels, looks, columns=3 if len(panels) < 4 else 4)
    if run.all_variants:
        return Drawing(f"{what}; {BAND}", variants_of(run, rows, kind), size=(4.6, 2.4),
                       columns=len(some(rows.hid_size, FEW_SIZES)))
    panels, looks = layer_panels(run, rows, kind, "seq_len", "us_per_token",
                                 ("hid_size", "HidSize"))
    return Drawing(what, panels, looks)


FIGURES = [Figure(place=6, name="us_per_token", title="Time per token over SeqLen",
                alt="Time per token over SeqLen, one panel per HidSize", draw=draw)]
