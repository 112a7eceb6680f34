"""summary.csv: the median of each case with its interval; the parts of a layer."""
from __future__ import annotations

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables.noise import clean, quantile
from seqbench.tables.table import Made

def time_statistics(times: np.ndarray, half: float) -> dict[str, float]:
    """Median, minimum and MAD of some times, and the interval of their median.

    `half` is half the width of that of the logarithm.
    """
    if not len(times):
        return dict.fromkeys(("median_ns", "min_ns", "mad_ns", "ci_low_ns", "ci_high_ns"), np.nan)
    median = np.median(times)
    return {"median_ns": median, "min_ns": times.min(), "mad_ns": np.median(abs(times - median)),
            "ci_low_ns": median * np.exp(-half), "ci_high_ns": median * np.exp(half)}


def stability(statistics: dict[str, float], until: float) -> str:
    """Whether the interval of a median is as narrow as the run was asked for."""
    half_width = (statistics["ci_high_ns"] - statistics["ci_low_ns"]) / 2
    return "stable" if half_width <= until * statistics["median_ns"] else "unstable"


def summarise_case(case: tuple, rows: pd.DataFrame, half: float, until: float) -> dict:
    """One row of summary.csv."""
    row = dict(zip([*runs.CASE, "tokens"], case))
    good = clean(rows)
    statistics = time_statistics((good.wall_ns / good.iterations).to_numpy(), half)
    median = statistics["median_ns"]
    costs = good[runs.COSTS].iloc[0].to_dict() if len(good) else dict.fromkeys(runs.COSTS, np.nan)
    tokens = row["batch"] * (1 if row["tokens"] == "one" else row["seq_len"])
    failed = int((rows.status != "ok").sum())
    return row | {"samples": len(good), "rounds": good["round"].nunique(), "failed": failed,
                  "disturbed": len(rows) - len(good) - failed,
                  "stability": stability(statistics, until), **statistics,
                  "us_per_token": median / tokens / 1000, **costs,
                  "gflops": costs["flops"] / median, "gbytes_per_s": costs["bytes"] / median}


def summarise(samples: pd.DataFrame, noise: pd.DataFrame, until: float = runs.UNTIL
              ) -> pd.DataFrame:
    """summary.csv: one row per case, ordered by kind, kernel and size."""
    halves = (quantile(noise.df) * noise.error).to_dict()
    rows = [summarise_case(case, group, halves[case[:-1]], until)
            for case, group in samples.groupby([*runs.CASE, "tokens"])]
    summary = pd.DataFrame(rows).sort_values(runs.ORDER, kind="stable").reset_index(drop=True)
    return summary.astype(dict.fromkeys(runs.COSTS, "Int64"))


# ---- parts of a layer --------------------------------------------------------------------------


def part_times(summary: pd.DataFrame, layer: str, engine: str = runs.HEADLINE) -> pd.DataFrame:
    """Time of a layer's parts in a whole sequence, per cell: one column per part.

    A part that was not timed with this engine is taken with the one that it was timed with.
    A part that was timed with SeqLen 1 only is of one step and counts SeqLen times, any other once.
    Cells of the layer where a part was not timed are left out.
    """
    cell = runs.DIMENSIONS
    of_layer = summary[(summary.layer == layer) & (summary.samples > 0)]
    table = of_layer.loc[of_layer.kind == "layer", cell].drop_duplicates().set_index(cell)
    for variant, rows in of_layer[of_layer.kind == "part"].groupby("variant"):
        times = rows.sort_values("engine", key=lambda names: names != engine).drop_duplicates(
            cell).set_index(cell).median_ns
        is_step = (rows.seq_len == 1).all()
        of_part = [dict(zip(cell, sizes)) | ({"seq_len": 1} if is_step else {})
                   for sizes in table.index]
        found = [times.get(tuple(sizes.values()),
                           times.get(tuple((sizes | {"heads": 1}).values()), np.nan))
                 for sizes in of_part]
        table[variant] = np.array(found) * (table.index.get_level_values("seq_len")
                                            if is_step else 1)
    return table.dropna().sort_index()


MADE = [Made("summary.csv", ["samples", "noise", "until"], summarise)]
