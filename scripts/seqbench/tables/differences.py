"""Statistics of two runs: is a case faster, slower, or can one not tell?

The unit is the round, one process: samples of a round share its luck. Runs have few rounds, so
how much the rounds of a case differ is not learnt from that case alone: it is drawn towards what
is usual in the other cases, and what a round does to all cases alike is kept apart.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, special, stats
from statsmodels.stats import multitest

from seqbench.read import runs
from seqbench.tables import medians

LEVEL = 0.05  # of the false discoveries; intervals hold the ratio with 1 - LEVEL
LEAST_ROUNDS = 2
LEAST_NOISE = 1e-4  # no round repeats better than this, relative
MOST_PRIOR_DF = 20  # rounds of different cases are not quite independent
LIMIT = 2.5  # a round above its side's median counts as at most so many times the noise
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
        half = stats.t.ppf(1 - LEVEL / 2, self.df) * self.error
        return np.exp(self.value - half), np.exp(self.value + half)


# ---- noise -------------------------------------------------------------------------------------


def adjusted(p_values: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg: the least false discovery rate at which each would be called."""
    return multitest.fdrcorrection(p_values)[1]


@functools.cache
def variance_of_median(count: int) -> float:
    """Variance of the median of so many standard normal numbers."""
    draws = np.random.default_rng(runs.SEED).standard_normal((20_000, count))
    return float(np.median(draws, axis=1).var())


def inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value."""
    log_x = optimize.brentq(lambda log: np.log(special.polygamma(1, np.exp(log)) / value), -30, 30)
    return float(np.exp(log_x))


def prior(variances: np.ndarray, df: np.ndarray) -> tuple[float, float]:
    """Variance and degrees of freedom of the noise of a typical case (Smyth 2004, limma)."""
    if len(variances) == 1:
        return float(variances[0]), 0.0
    logs = np.log(variances) - special.digamma(df / 2) + np.log(df / 2)
    excess = logs.var(ddof=1) - special.polygamma(1, df / 2).mean()
    most = min(MOST_PRIOR_DF, df.mean() * (len(df) - 1)) / 2
    half = inverse_trigamma(max(excess, special.polygamma(1, most)))
    return float(np.exp(logs.mean() + special.digamma(half) - np.log(half))), 2 * half


def centred(side: np.ndarray) -> np.ndarray:
    """Cases x rounds without the mean of each case."""
    return side - np.nanmean(side, axis=1, keepdims=True)


def shared_variance(effects: list[np.ndarray]) -> tuple[float, int]:
    """Variance of what rounds do to many cases alike, and its degrees of freedom.

    The limit on slow rounds costs one of them.
    """
    df = sum(map(len, effects)) - len(effects)
    variance = sum(((effect - effect.mean()) ** 2).sum() for effect in effects) / df
    return variance, df - any(len(effect) > LEAST_ROUNDS for effect in effects)


def limited(sides: list[np.ndarray]) -> list[np.ndarray]:
    """Slow rounds brought down to LIMIT times the noise of the rounds below the median.

    Two rounds are as far from their median, so that neither is.
    """
    medians = [np.nanmedian(side, axis=1, keepdims=True) for side in sides]
    below = np.hstack([np.where(side < median, side - median, np.nan)
                       for side, median in zip(sides, medians)])
    noise = np.sqrt(np.nansum(below ** 2, axis=1) / np.maximum(np.isfinite(below).sum(axis=1), 1))
    limit = LIMIT * np.maximum(noise, np.median(noise))[:, None]
    return [np.minimum(side, median + limit) for side, median in zip(sides, medians)]


def case_variances(sides: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Variance between the rounds of each case, and its degrees of freedom."""
    df = sum(np.isfinite(side).sum(axis=1) for side in sides) - len(sides)
    squares = sum(np.nansum(centred(side) ** 2, axis=1) for side in sides)
    return np.maximum(squares / df, LEAST_NOISE ** 2), df


def median_weights(side: np.ndarray) -> np.ndarray:
    """Variance of the median of the rounds of each case, for noise of variance 1."""
    counts = np.isfinite(side).sum(axis=1)
    return np.array([variance_of_median(int(count)) for count in counts])


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


def round_medians(samples: pd.DataFrame) -> pd.DataFrame:
    """Median log time per case and round; a case without a good sample has an empty row."""
    good = medians.clean(samples)
    logs = np.log(good.wall_ns / good.iterations)
    by_round = good.assign(log=logs).pivot_table(index=runs.CASE, columns="round", values="log",
                                                aggfunc="median")
    return by_round.reindex(pd.MultiIndex.from_frame(samples[runs.CASE].drop_duplicates()))


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
