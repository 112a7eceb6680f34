"""The faster peer over ours as a figure: the ratio in every cell of each layer."""
from __future__ import annotations

import pandas as pd

from seqbench.figures.drawing import (Drawing, Skip, heat_looks, heat_panels, shade_of,
                                      size_text)
from seqbench.words import wording

TITLE = "Time of the faster of oneDNN and PyTorch / our time"


def text(row) -> str:
    """A cell."""
    return f"{wording.times(row.ratio)}\n{size_text(row)}"


def draw(frame: pd.DataFrame) -> Drawing:
    """One heat map per layer."""
    cells = frame.rename(columns={"faster_ratio": "ratio"}).dropna(subset=["ratio"])
    if cells.empty:
        raise Skip("no cell was timed by us and by a peer")
    cells["is_same"] = ~((cells.faster_ci_low > 1) | (cells.faster_ci_high < 1))
    panels, size = heat_panels(dict(list(cells.groupby("layer"))), text, shade_of(cells))
    return Drawing("above 1 ours takes less time; thick line: where that changes", panels,
                   heat_looks("ours takes less time", "ours takes more"), size, columns=2)
