"""The faster peer over ours as a figure: the ratio in every cell of each layer."""
from __future__ import annotations

import pandas as pd

from seqbench.figures.drawing import Drawing, Skip, heat_panels, ratio_text, size_text

TITLE = "Time of the faster of oneDNN and PyTorch / our time"


def text(row) -> str:
    """A cell."""
    return f"{ratio_text(row.ratio)}x\n{size_text(row)}"


def draw(frame: pd.DataFrame) -> Drawing:
    """One heat map per layer."""
    cells = frame.rename(columns={"faster_ratio": "ratio"}).dropna(subset=["ratio"])
    if cells.empty:
        raise Skip("no cell was timed by us and by a peer")
    panels, size = heat_panels(dict(list(cells.groupby("layer"))), text)
    return Drawing("above 1, blue, ours takes less time; thick line: where that changes", panels,
                   size=size, columns=2)
