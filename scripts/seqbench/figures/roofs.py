"""GFLOP/s of the layers under the measured roofs, and read bandwidth."""
from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from seqbench.figures.drawing import (LIGHT, LINE_STYLES, MOST_LAYERS, MOST_LINES, Drawing, Figure,
                                      Kind, Panel, Run, Skip, case_text, draw_curves, layer_panels,
                                      line_looks, lines_of, log_log, say, some)
from seqbench.read import runs
from seqbench.words import wording

COMPUTE = ("roof/fma", "roof/sgemm", "roof/sgemv")
MOST_LENGTHS = 3


def read_scale(axes: Axes) -> None:
    """Powers of two of bytes."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(2.0 ** np.arange(10, 50, 4)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: runs.bytes_text(count)))
    axes.set_ylim(bottom=0)


def read_panel(read: pd.DataFrame) -> Panel:
    """Bandwidth over the working set."""
    def draw(axes: Axes) -> None:
        rows = read.sort_values("bytes")
        curve, = axes.plot(rows.bytes, rows.gbytes_per_s, color=LIGHT["muted"], marker="o",
                           markersize=3.5, linewidth=1.5)
        say(curve, [f"{row.gbytes_per_s:.3g} GB/s\n{runs.bytes_text(row.bytes)}"
                    for row in rows.itertuples()])

    return Panel("roof/read", Kind("working set", "GB/s", read_scale), draw)


def text(row) -> str:
    """A case, its time and its rate."""
    return f"{case_text(row)}\n{row.gflops:.3g} GFLOP/s"


def under(panel: Panel, roofs: dict[str, float], looks: dict[str, dict]) -> Panel:
    """The panel with a line for each roof."""
    def draw(axes: Axes) -> None:
        panel.draw(axes)
        for value, look in zip(roofs.values(), looks.values()):
            axes.axhline(value, **look)

    return replace(panel, draw=draw)


def draw(run: Run) -> Drawing:
    """A panel per SeqLen, or per layer when there are many; then the read bandwidth."""
    layers, roofs = run.layers, run.summary[run.summary.kind == "roof"]
    best = roofs[roofs.flops > 0].groupby("kernel").gflops.max()
    lines = {name: best[name] for name in COMPUTE if name in best}
    if not lines:
        raise Skip(f"no compute roof ({', '.join(COMPUTE)}) was timed")
    rows, what = lines_of(run, run.all_variants and layers.kernel.nunique() <= MOST_LINES)
    kind = Kind("HidSize (channels)", "GFLOP/s", log_log(rows.hid_size))
    if rows.layer.nunique() <= MOST_LAYERS:
        looks = line_looks(run, rows)
        panels = [Panel(f"SeqLen {length}", kind,
                        partial(draw_curves, rows=rows[rows.seq_len == length], x="hid_size",
                                y="gflops", looks=looks, text=text))
                  for length in some(rows.seq_len, MOST_LENGTHS)]
    else:
        panels, looks = layer_panels(run, rows, kind, "hid_size", "gflops", ("seq_len", "SeqLen"),
                                     text)
    roof_looks = {f"{name} {wording.plain(value)}": {"color": LIGHT["muted"], "linewidth": 0.9,
                                                     "linestyle": LINE_STYLES[i]}
                  for i, (name, value) in enumerate(lines.items())}
    panels = [under(panel, lines, roof_looks) for panel in panels]
    read = roofs[roofs.kernel == "roof/read"]
    return Drawing(f"{what}; thin level lines: the best of each roof",
                   panels + ([read_panel(read)] if len(read) else []), looks | roof_looks)


FIGURES = [Figure(
    place=7, name="roofs", title="Speed of the layers under the measured roofs",
    alt="GFLOP/s of each kernel under the measured roofs, and read bandwidth by working set",
    draw=draw)]
