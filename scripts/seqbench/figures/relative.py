"""How many times as fast as the reference each layer is."""
from __future__ import annotations

from seqbench.figures.drawing import (Drawing, Figure, Run, Skip, heat_panels, ratio_text,
                                      size_text)
from seqbench.read import runs
from seqbench.tables import ratios


def draw(run: Run, lens: str = ratios.LAYER) -> Drawing:
    """One heat map per layer."""
    cells = ratios.relative(run.layers, run.engine, lens)
    if cells.empty:
        raise Skip(f"no layer was timed beside the layer {runs.REFERENCE}")

    def text(row) -> str:
        return (f"{ratio_text(row.ratio)}x: {row.kernel_reference} over {row.kernel}\n"
                f"{size_text(row)}")

    panels, size = heat_panels({layer: cells[cells.layer == layer]
                                for layer in run.in_order(cells.layer)}, text)
    which = "all engines" if run.engine == ratios.ANY else run.engine
    return Drawing(f"fastest variants of {which}; above 1, blue, the layer takes less time; "
                   "thick line: where that changes", panels, size=size,
                   columns=2 if len(panels) in (2, 4) else 3)


FIGURE = Figure(
    place=1, name="relative", title="Transformer time / layer time",
    alt="Transformer time over the time of each layer, for every SeqLen and HidSize",
    draw=draw, is_of_engines=True)
