"""The faster peer over ours as a figure: the ratio in every cell of each layer."""
from __future__ import annotations

from functools import partial

import pandas as pd

from seqbench.figures.drawing import (HEAT, Drawing, Panel, Skip, draw_heat_map, heat_size,
                                      ratio_text, size_text)

TITLE = "Time of the faster of oneDNN and PyTorch / our time"


def text(row) -> str:
    """A cell."""
    return f"{ratio_text(row.ratio)}x\n{size_text(row)}"


def draw(frame: pd.DataFrame) -> Drawing:
    """One heat map per layer."""
    cells = frame.rename(columns={"faster_ratio": "ratio"}).dropna(subset=["ratio"])
    if cells.empty:
        raise Skip("no cell was timed by us and by a peer")
    return Drawing("above 1, blue, ours takes less time; thick line: where that changes",
                   [Panel(layer, HEAT, partial(draw_heat_map, cells=cells[cells.layer == layer],
                                               text=text, every=cells))
                    for layer in sorted(cells.layer.unique())], size=heat_size(cells), columns=2)
