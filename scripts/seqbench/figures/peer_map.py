"""The fastest peer over ours as a figure: the ratio in every cell of each layer."""
from __future__ import annotations

import pandas as pd

from seqbench.figures.drawing import (Drawing, heat_looks, heat_panels, shade_of,
                                      size_text)
from seqbench.read import runs
from seqbench.tables import peer_ratios
from seqbench.words import peer_tables, wording

TITLE = "Time of the fastest peer / our time"


def text(row) -> str:
    """A cell."""
    return f"{wording.times(row.ratio)}\n{size_text(row)}"


def draw(frame: pd.DataFrame) -> Drawing:
    """One heat map per layer."""
    cells = peer_ratios.fastest_peers(frame)
    cells["is_same"] = cells.verdict == peer_ratios.LEVEL
    named = ", ".join(runs.PEERS[peer] for peer in sorted(set(frame.peer)))
    panels, size = heat_panels(dict(peer_tables.by_layer(cells)), text, shade_of(cells))
    return Drawing(f"of {named}; above 1 ours takes less time; thick line: where that changes", panels,
                   heat_looks("ours takes less time", "ours takes more"), size, columns=2)
