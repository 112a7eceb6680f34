"""How many times as fast as what it is set against each layer is, through each lens."""
from __future__ import annotations

from functools import partial

import numpy as np

from seqbench.figures.drawing import (Drawing, Figure, Run, heat_looks, heat_panels, shade_of,
                                      size_text)
from seqbench.tables import ratios
from seqbench.words import wording


def text(row) -> str:
    """A cell."""
    interval = (f"{wording.times(row.ci_low)} to {wording.times(row.ci_high)}"
                if np.isfinite(row.ci_low) else "not known")
    return (f"{wording.times(row.ratio)}: {row.kernel_reference} over {row.kernel}\n"
            f"{size_text(row)}\n95 % interval {interval}: {row.verdict}")


def draw(run: Run, lens: str = ratios.PARAMETER) -> Drawing:
    """One heat map per layer."""
    cells = run.cells(lens)
    cells = cells.assign(is_same=cells.verdict == ratios.SAME)
    panels, size = heat_panels({layer: cells[cells.layer == layer]
                                for layer in run.in_order(cells.layer)}, text, shade_of(cells))
    return Drawing(f"fastest variants of {run.engines_text}; above 1 the layer takes less time; "
                   "thick line: where that changes", panels,
                   heat_looks("the layer takes less time", "it takes more"), size,
                   columns=2 if len(panels) in (2, 4) else 3)


def of_lens(place: int, name: str, title: str, lens: str) -> Figure:
    """The figure of a lens."""
    return Figure(place, name, title, f"{title}, for every SeqLen and HidSize",
                  partial(draw, lens=lens), is_of_engines=True, lens=lens)


FIGURES = [
    of_lens(3, "equal_parameters", "Transformer time / layer time, at equal parameter count",
            ratios.PARAMETER),
    of_lens(4, "relative", "Transformer time / layer time, one layer against one block",
            ratios.LAYER),
    of_lens(5, "mixers", "Causal attention time / layer time, in the place of attention",
            ratios.MIXER)]
