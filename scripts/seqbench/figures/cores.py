"""What several cores would do: predicted ratio of block to layer over their number."""
from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from seqbench.figures.drawing import (LIGHT, NAMES, Drawing, Figure, Kind, NotAsked, Panel, Run,
                                      log_log, looks_of_sizes, say, some)
from seqbench.read import runs
from seqbench.tables import prediction
from seqbench.words import wording

MOST_SIZES = 4


def ratio_text(row) -> str:
    """A marker."""
    return (f"{row.layer}, H {row.hid_size}, {row.cores} cores\n"
            f"predicted: {wording.times(row.ratio_at_max_seq_len)}")


def draw_lines(axes: Axes, rows: pd.DataFrame, looks: dict[int, dict]) -> None:
    """Ratio over cores, a line for each HidSize."""
    for size, look in looks.items():
        line = rows[rows.hid_size == size].sort_values("cores")
        curve, = axes.plot(line.cores, line.ratio_at_max_seq_len, **look)
        say(curve, [ratio_text(row) for row in line.itertuples()])
    axes.axhline(1, color=LIGHT["muted"], linewidth=0.9, linestyle="--")


def draw(run: Run) -> Drawing:
    """A panel for each layer, at the longest SeqLen."""
    path = run.folder / "whatif.csv"
    table = runs.load_derived(run.folder, "whatif.csv") if path.exists() else None
    if table is None or table.barrier_ns.isna().all():
        raise NotAsked("nothing was predicted of several cores")
    rows = runs.least_batch(prediction.over_cores(table))
    rows = rows[rows.heads == rows.groupby(["layer", "hid_size"]).heads.transform("min")]
    looks = looks_of_sizes(some(rows.hid_size, MOST_SIZES))
    kind = Kind("cores", "block time / layer time", log_log(rows.cores))
    panels = [Panel(f"{NAMES.get(layer, layer)}: predicted", kind,
                    partial(draw_lines, rows=rows[rows.layer == layer], looks=looks))
              for layer in prediction.COMPARED if layer in set(rows.layer)]
    return Drawing("predicted, not measured: all time divided by the number of cores, and each "
                   f"step of a recurrent layer waits {table.barrier_ns.max():.0f} ns for the "
                   "others; longest SeqLen; above 1 (dashed) the layer takes less time",
                   panels, {f"HidSize {size}": look for size, look in looks.items()},
                   size=(3.6, 2.7), columns=len(panels))


FIGURES = [Figure(place=11, name="cores", title="Several cores, predicted",
                  alt="Predicted block time over layer time over the number of cores", draw=draw)]
