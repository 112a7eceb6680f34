"""How many times as fast as the reference each layer is at equal parameter count."""
from __future__ import annotations

from functools import partial

from seqbench.figures import relative
from seqbench.figures.drawing import Figure
from seqbench.tables import ratios

FIGURE = Figure(
    place=2, name="equal_parameters",
    title="Transformer time / layer time, at equal parameter count",
    alt="Transformer time over the time of each layer at equal parameter count, for every SeqLen "
        "and HidSize",
    draw=partial(relative.draw, lens=ratios.PARAMETER), is_of_engines=True)
