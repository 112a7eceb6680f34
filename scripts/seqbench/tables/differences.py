"""Statistics of two runs: is a case faster, slower, or can one not tell?"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats import multitest

from seqbench.read import runs
from seqbench.tables.noise import (LEAST_NOISE, LEAST_ROUNDS, LEVEL, case_variances, centred, limited,
                                   median_weights, prior, quantile, round_medians,
                                   shared_variance, variance_of_median)

FASTER, SLOWER, SAME, NOT_COMPARABLE = "faster", "slower", "no difference", "not comparable"
DIFFERENT = [FASTER, SLOWER]
ALL = "all cases"
GROUP_NUMBERS = ["time_ratio", "ci_low", "ci_high", "different_share", "width_median", "width_p90"]


@dataclass
class Differences:
    """Difference B - A of log times with standard error and degrees of freedom, per row."""
    value: np.ndarray
    error: np.ndarray
    df: np.ndarray

    def p_value(self) -> np.ndarray:
        """Two-sided, of no difference."""
        return 2 * stats.t.sf(np.abs(self.value) / self.error, self.df)

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval of the ratio B / A."""
        half = quantile(self.df) * self.error
        return np.exp(self.value - half), np.exp(self.value + half)


# ---- cases compared ----------------------------------------------------------------------------


def adjusted(p_values: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg: the least false discovery rate at which each would be called."""
    return multitest.fdrcorrection(p_values)[1]


def case_differences(a: np.ndarray, b: np.ndarray) -> Differences:
    """B - A of every case, from cases x rounds of log times."""
    sides = limited([a, b])
    effects = [np.nanmedian(centred(side), axis=0) for side in sides]
    variances, df = case_variances([side - effect for side, effect in zip(sides, effects)])
    prior_variance, prior_df = prior(variances, df)
    own = (prior_df * prior_variance + df * variances) / (prior_df + df)
    shared, shared_df = shared_variance(effects)
    total_df = (own + shared) ** 2 / (own ** 2 / (prior_df + df) + shared ** 2 / shared_df)
    weights = median_weights(a) + median_weights(b)
    return Differences(np.nanmedian(b, axis=1) - np.nanmedian(a, axis=1),
                       np.sqrt(weights * (own + shared)), total_df)


def group_difference(a: np.ndarray, b: np.ndarray, value: float) -> Differences:
    """The mean difference of some cases, from their rounds: what they share is not averaged out."""
    effects = [np.nanmean(centred(side), axis=0) for side in limited([a, b])]
    variance, df = shared_variance(effects)
    weight = sum(variance_of_median(len(effect)) for effect in effects)
    error = np.sqrt(weight * max(variance, LEAST_NOISE ** 2))
    return Differences(np.array([value]), np.array([error]), np.array([df]))


# ---- cases -------------------------------------------------------------------------------------


def without_empty_rounds(side: np.ndarray) -> np.ndarray:
    """The rounds in which at least one of the cases was timed."""
    return side[:, np.isfinite(side).any(axis=0)]


def reason(in_a: bool, in_b: bool, rounds_a: int, rounds_b: int) -> str:
    """Why a case cannot be compared; empty when it can."""
    if not (in_a and in_b):
        return "only in A" if in_a else "only in B"
    found = []
    for name, rounds in (("A", rounds_a), ("B", rounds_b)):
        if rounds == 0:
            found.append(f"{name} has no good sample")
        elif rounds < LEAST_ROUNDS:
            found.append(f"{name} has only {rounds} round")
    return "; ".join(found)


def case_frame(index: pd.MultiIndex, sides: list[np.ndarray], reasons: list[str]) -> pd.DataFrame:
    """What compare.csv says of each case before it is tested."""
    frame = index.to_frame(index=False)
    for name, side in zip("ab", sides):
        frame[f"rounds_{name}"] = np.isfinite(side).sum(axis=1)
    for name, side in zip("ab", sides):
        frame[f"median_{name}_ns"] = np.exp(pd.DataFrame(side).median(axis=1))
    frame["time_ratio"] = frame.median_b_ns / frame.median_a_ns
    return frame.assign(ci_low=np.nan, ci_high=np.nan, p_value=np.nan, p_adjusted=np.nan,
                        verdict=NOT_COMPARABLE, reason=reasons)


def compare(a_samples: pd.DataFrame, b_samples: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """compare.csv and compare_groups.csv of two runs' samples."""
    tables = [round_medians(samples) for samples in (a_samples, b_samples)]
    index = tables[0].index.union(tables[1].index).reorder_levels(runs.CASE)
    index = index[np.lexsort([index.get_level_values(name) for name in runs.ORDER[::-1]])]
    sides = [table.reindex(index).to_numpy() for table in tables]
    counts = [np.isfinite(side).sum(axis=1) for side in sides]
    reasons = list(map(reason, index.isin(tables[0].index), index.isin(tables[1].index), *counts))
    frame = case_frame(index, sides, reasons)
    can = np.array([not text for text in reasons])
    if can.any():
        found = case_differences(*(without_empty_rounds(side[can]) for side in sides))
        low, high = found.interval()
        p_value = found.p_value()
        p_adjusted = adjusted(p_value)
        words = np.where(p_adjusted > LEVEL, SAME, np.where(found.value > 0, SLOWER, FASTER))
        columns = ["ci_low", "ci_high", "p_value", "p_adjusted"]
        frame.loc[can, columns] = np.column_stack([low, high, p_value, p_adjusted])
        frame.loc[can, "verdict"] = words
    return frame, group_frame(frame, sides)


# ---- groups ------------------------------------------------------------------------------------


def group_names(frame: pd.DataFrame) -> pd.Series:
    """The group of each case: its layer, the step or the parts of its layer, or the roofs."""
    names = frame.layer + frame.kind.map({"layer": "", "step": " step", "part": " parts"})
    return names.where(frame.kind != "roof", "roofs")


def group_row(name: str, frame: pd.DataFrame, sides: list[np.ndarray]) -> dict:
    """One row of compare_groups.csv."""
    verdicts = frame.verdict.value_counts()
    can = (frame.verdict != NOT_COMPARABLE).to_numpy()
    row = {"group": name, "cases": len(frame)} | {
        word.replace(" ", "_"): verdicts.get(word, 0)
        for word in (FASTER, SLOWER, SAME, NOT_COMPARABLE)}
    if not can.any():
        return row | dict.fromkeys(GROUP_NUMBERS, np.nan)
    mean = np.log(frame.time_ratio[can]).mean()
    found = group_difference(*(without_empty_rounds(side[can]) for side in sides), mean)
    (low,), (high,) = found.interval()
    widths = frame.ci_high[can] / frame.ci_low[can] - 1
    numbers = [np.exp(mean), low, high, frame.verdict.isin(DIFFERENT).sum() / can.sum(),
               widths.median(), widths.quantile(0.9)]
    return row | dict(zip(GROUP_NUMBERS, numbers))


def group_frame(frame: pd.DataFrame, sides: list[np.ndarray]) -> pd.DataFrame:
    """compare_groups.csv: a row per group, then one of all cases."""
    names = group_names(frame)
    members = [(name, (names == name).to_numpy()) for name in sorted(names.unique())]
    members.append((ALL, np.ones(len(frame), dtype=bool)))
    rows = [group_row(name, frame[rows], [side[rows] for side in sides]) for name, rows in members]
    return pd.DataFrame(rows)
