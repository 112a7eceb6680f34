"""How much the rounds of a case differ, learnt from all cases of a run.

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

from seqbench.read import runs
from seqbench.tables.table import Made

LEVEL = 0.05  # intervals hold the truth with 1 - LEVEL
LEAST_ROUNDS = 2
LEAST_NOISE = 1e-4  # no round repeats better than this, relative
MOST_PRIOR_DF = 20  # rounds of different cases are not quite independent
LIMIT = 2.5  # a round above its side's median counts as at most so many times the noise


def clean(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples that count: neither failed nor disturbed."""
    return samples[(samples.status == "ok") & (samples["flags"] == "")]


def round_medians(samples: pd.DataFrame) -> pd.DataFrame:
    """Median log time per case and round; a case without a good sample has an empty row."""
    good = clean(samples)
    logs = np.log(good.wall_ns / good.iterations)
    by_round = good.assign(log=logs).pivot_table(index=runs.CASE, columns="round", values="log",
                                                aggfunc="median")
    return by_round.reindex(pd.MultiIndex.from_frame(samples[runs.CASE].drop_duplicates()))


# ---- variances -----------------------------------------------------------------------------------


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
    return np.array([variance_of_median(int(count)) if count else np.nan for count in counts])


# ---- one run -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noise:
    """Of each case: standard error of its log median and degrees of freedom.

    `own` leaves out what a round does to all cases alike, as in a ratio of two cases of one run.
    All are NaN where a run has one round only.
    """
    error: np.ndarray
    df: np.ndarray
    own_error: np.ndarray
    own_df: np.ndarray


def quantile(df: np.ndarray) -> np.ndarray:
    """How many standard errors half a 95 % interval has."""
    return stats.t.ppf(1 - LEVEL / 2, df)


def noise_of(logs: np.ndarray) -> Noise:
    """From cases x rounds of log times; a round that a case has not is NaN."""
    count = np.isfinite(logs).sum(axis=1)
    unknown = np.full(len(logs), np.nan)
    several = count >= LEAST_ROUNDS
    if not several.any():
        return Noise(unknown, unknown, unknown, unknown)
    side, = limited([logs[several]])
    side = side[:, np.isfinite(side).any(axis=0)]
    effect = np.nanmedian(centred(side), axis=0)
    variances, df = case_variances([side - effect])
    cases = len(side)
    prior_variance, prior_df = prior(variances, df)
    shared, shared_df = shared_variance([effect])
    own, own_df = np.full(len(logs), prior_variance), np.full(len(logs), prior_df)
    # The common effect of few cases has taken some of their own noise with it.
    kept = cases / max(cases - 1, 1)
    own[several] = kept * (prior_df * prior_variance + df * variances) / (prior_df + df)
    own_df[several] = prior_df + df
    own_df = np.maximum(own_df, 1)
    weight = median_weights(logs)
    total_df = (own + shared) ** 2 / (own ** 2 / own_df + shared ** 2 / max(shared_df, 1))
    return Noise(np.sqrt(weight * (own + shared)), total_df, np.sqrt(weight * own), own_df)


def noise_table(samples: pd.DataFrame) -> pd.DataFrame:
    """The noise of every case of a run, one row per case."""
    logs = round_medians(samples)
    found = noise_of(logs.to_numpy())
    return pd.DataFrame(vars(found), index=logs.index)


MADE = [Made("noise", ["samples"], noise_table)]
