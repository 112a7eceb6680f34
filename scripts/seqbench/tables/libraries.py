"""How much longer layers take with one engine than with another, cell by cell."""
from __future__ import annotations

import pandas as pd

from seqbench.read import runs
from seqbench.tables import ratios


def time_ratios(summary: pd.DataFrame, engine: str, base: str) -> pd.DataFrame:
    """Per layer and cell: time with an engine over time with the base.

    Each with its fastest variant of those that were timed with both.
    """
    rows = summary[summary.engine.isin([engine, base])]
    engines = rows.groupby(["kernel", *ratios.CELL]).engine.transform("nunique")
    best = ratios.fastest(rows[engines == 2], ["layer", "engine"])
    times = best.pivot(index=["layer", *ratios.CELL], columns="engine", values="median_ns")
    if times.empty:
        raise runs.RunError(f"no layer was timed with both engines {engine} and {base}")
    return (times[engine] / times[base]).rename("ratio").reset_index()
