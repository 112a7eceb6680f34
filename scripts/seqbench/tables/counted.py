"""Ratios of times over those of the operations: where it is 1 the count of operations is right."""
from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqbench.read import runs
from seqbench.tables import ratios


def measured_over_counted(cells: pd.DataFrame) -> pd.DataFrame:
    """Rows of ratios.csv with their quotient and its interval."""
    counted = cells.flops_ratio
    return cells.assign(quotient=cells.ratio / counted, quotient_low=cells.ci_low / counted,
                        quotient_high=cells.ci_high / counted)


def best_cells(run_dir: Path) -> pd.DataFrame:
    """Layer over block, cell by cell, in the class in which every layer is at its best."""
    best = ratios.best_class(runs.load_summary(run_dir))
    return measured_over_counted(ratios.through(runs.load_derived(run_dir, "ratios.csv"),
                                                ratios.LAYER, best))
