"""summary.csv: the median of each case with its interval; the parts of a layer."""
from __future__ import annotations

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables.table import Made

RESAMPLES = 2000


def resampled_medians(rounds: list[np.ndarray], seed: int | list[int] = runs.SEED) -> np.ndarray:
    """Bootstrap medians: rounds are drawn, then samples in them."""
    counts = np.array([len(times) for times in rounds])
    table = np.full((len(rounds), counts.max()), np.nan)
    for row, times in zip(table, rounds):
        row[:len(times)] = times
    random = np.random.default_rng(seed)
    drawn_round = random.integers(len(rounds), size=(RESAMPLES, len(rounds)))
    drawn_count = counts[drawn_round][:, :, None]
    place = random.random((RESAMPLES, *table.shape)) * drawn_count
    drawn = table[drawn_round[:, :, None], place.astype(int)]
    drawn[np.broadcast_to(np.arange(counts.max()) >= drawn_count, drawn.shape)] = np.nan
    drawn = np.sort(drawn.reshape(RESAMPLES, -1), axis=1)  # NaN last
    total = drawn_count.sum(axis=(1, 2))
    every = np.arange(RESAMPLES)
    return (drawn[every, (total - 1) // 2] + drawn[every, total // 2]) / 2


def median_interval(rounds: list[np.ndarray]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the median."""
    low, high = np.percentile(resampled_medians(rounds), [2.5, 97.5])
    return low, high


def time_statistics(rounds: list[np.ndarray]) -> dict[str, float]:
    """Median, minimum, MAD and interval of times that are grouped by round."""
    if not rounds:
        return dict.fromkeys(("median_ns", "min_ns", "mad_ns", "ci_low_ns", "ci_high_ns"), np.nan)
    times = np.concatenate(rounds)
    median = np.median(times)
    low, high = median_interval(rounds)
    return {"median_ns": median, "min_ns": times.min(), "mad_ns": np.median(abs(times - median)),
            "ci_low_ns": low, "ci_high_ns": high}


def stability(statistics: dict[str, float], rounds: int, until: float) -> str:
    """Whether the interval of a median is as narrow as the run was asked for."""
    half_width = (statistics["ci_high_ns"] - statistics["ci_low_ns"]) / 2
    is_known = rounds > 1 and half_width <= until * statistics["median_ns"]
    return "stable" if is_known else "unstable"


def clean(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples that count: neither failed nor disturbed."""
    return samples[(samples.status == "ok") & (samples["flags"] == "")]


def times_by_round(good: pd.DataFrame) -> list[np.ndarray]:
    """Time of one iteration of each of the samples that count, grouped by round."""
    times = good.wall_ns.to_numpy() / good.iterations.to_numpy()
    places = good["round"].to_numpy()
    return [times[places == place] for place in np.unique(places)]


def summarise_case(case: tuple, rows: pd.DataFrame, until: float) -> dict:
    """One row of summary.csv."""
    row = dict(zip([*runs.CASE, "tokens"], case))
    good = clean(rows)
    rounds = times_by_round(good)
    statistics = time_statistics(rounds)
    median = statistics["median_ns"]
    costs = good[runs.COSTS].iloc[0].to_dict() if len(good) else dict.fromkeys(runs.COSTS, np.nan)
    tokens = 1 if row["tokens"] == "one" else row["seq_len"]
    failed = int((rows.status != "ok").sum())
    return row | {"samples": len(good), "rounds": len(rounds), "failed": failed,
                  "disturbed": len(rows) - len(good) - failed,
                  "stability": stability(statistics, len(rounds), until), **statistics,
                  "us_per_token": median / tokens / 1000, **costs,
                  "gflops": costs["flops"] / median, "gbytes_per_s": costs["bytes"] / median}


def summarise(samples: pd.DataFrame, until: float = runs.UNTIL) -> pd.DataFrame:
    """summary.csv: one row per case, ordered by kind, kernel and size."""
    ordered = samples.sort_values(["round", "sample"], kind="stable")
    rows = [summarise_case(case, group, until)
            for case, group in ordered.groupby([*runs.CASE, "tokens"])]
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


MADE = [Made("summary.csv", ["samples", "until"], summarise)]
