"""What a batch does to each layer: its share of the peak rate of multiply-adds."""
from __future__ import annotations

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import ratios

HALF = 0.5  # of roof/fma
CELL = ["layer", "seq_len", *(name for name in runs.ACROSS if name != "batch")]


def shares(summary: pd.DataFrame) -> pd.DataFrame:
    """The fastest variant of float32 of each layer in each cell, with its share of roof/fma."""
    peak = summary.gflops[summary.kernel == "roof/fma"].max()
    if not np.isfinite(peak):
        return summary[:0].assign(share=0.0)
    ours = ratios.of_engine(summary[~runs.is_peer(summary.engine)], ratios.ANY)
    best = ratios.fastest(ours)
    return best.assign(share=best.gflops / peak)


def half_from(summary: pd.DataFrame) -> pd.DataFrame:
    """Per layer and cell the BatchSize from which on it keeps to half of the peak; NaN: none."""
    found = []
    for cell, rows in shares(summary).groupby(CELL):
        below = rows.batch[rows.share < HALF].max()
        above = rows.batch if pd.isna(below) else rows.batch[rows.batch > below]
        found.append((*cell, float(above.min())))
    return pd.DataFrame(found, columns=[*CELL, "half_from"])
