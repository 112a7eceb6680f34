"""What a batch does: time per token, share of the peak, and measured over counted, over it."""
from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from seqbench.figures.drawing import (LIGHT, NAMES, Drawing, Figure, Kind, NotAsked, Panel, Run,
                                      Skip, case_text, layer_hues, log_from_0, log_log, say, some)
from seqbench.tables import batches, counted
from seqbench.words import wording

MOST_SIZES = 4


def share_text(row) -> str:
    """A marker of the second row of panels."""
    return f"{case_text(row)}\n{row.share:.0%} of roof/fma"


def quotient_text(row) -> str:
    """A marker of the third."""
    return (f"{row.layer}, S {row.seq_len}, H {row.hid_size}, B {row.batch}\n"
            f"measured {wording.times(row.ratio)}, by operations {wording.times(row.flops_ratio)}")


def draw_lines(axes: Axes, rows: pd.DataFrame, y: str, looks: dict[str, dict], text,
               level: float | None = None) -> None:
    """A line for each layer over BatchSize."""
    for layer, look in looks.items():
        line = rows[rows.layer == layer].sort_values("batch")
        if len(line):
            curve, = axes.plot(line.batch, line[y], **look)
            say(curve, [text(row) for row in line.itertuples()])
    if level is not None:
        axes.axhline(level, color=LIGHT["muted"], linewidth=0.9, linestyle="--")


def draw(run: Run) -> Drawing:
    """Three rows of panels at the smallest SeqLen, a panel for each HidSize."""
    if run.summary.batch.nunique() < 2:
        raise NotAsked("only one BatchSize was timed")
    rows = batches.shares(run.summary)
    if rows.empty:
        raise Skip("no roof/fma was timed")
    length = rows.seq_len.min()
    rows = rows[rows.seq_len == length]
    cells = counted.best_cells(run.folder)
    cells = cells[cells.seq_len == length]
    flat = log_from_0(rows.batch)
    layers = run.in_order(rows.layer)
    looks = {name: {"color": LIGHT[hue], "linewidth": 1.6, "marker": "o", "markersize": 3.5}
             for name, hue in layer_hues(layers).items()}

    kinds = [("us_per_token", rows, case_text, None,
              Kind("BatchSize (sequences)", "µs per token", log_log(rows.batch))),
             ("share", rows, share_text, batches.HALF,
              Kind("BatchSize (sequences)", "share of roof/fma", flat)),
             ("quotient", cells, quotient_text, 1,
              Kind("BatchSize (sequences)", "measured / counted", flat))]
    panels = [Panel(f"HidSize {size}", kind,
                    partial(draw_lines, rows=of_kind[of_kind.hid_size == size], y=y, looks=looks,
                            text=text, level=level))
              for y, of_kind, text, level, kind in kinds if len(of_kind)
              for size in some(rows.hid_size, MOST_SIZES)]
    return Drawing(f"SeqLen {length}, fastest variants. Above: time per token of one sequence. "
                   "Middle: share of the core's multiply-add rate; dashed: half. Below: block time "
                   "/ layer time over what the operations say; dashed: the count is right",
                   panels, {NAMES.get(name, name): look for name, look in looks.items()},
                   size=(3.0, 2.3), columns=min(MOST_SIZES, rows.hid_size.nunique()))


FIGURES = [Figure(place=10, name="batch", title="Many sequences at once",
                  alt="Time per token, share of peak and measured over counted ratio over BatchSize",
                  draw=draw)]
