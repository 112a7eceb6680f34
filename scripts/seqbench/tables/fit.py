"""How the time of a kernel grows with SeqLen and HidSize while its weights stay in one cache."""
from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import nnls

from seqbench.read import runs
from seqbench.tables import rates, roofline
from seqbench.tables.table import Made

# Terms of the time: name, power of SeqLen, power of HidSize. Of terms that the cells cannot tell
# apart the first is kept.
TERMS = [("sh2_ns", 1, 2), ("s2h_ns", 2, 1), ("sh_ns", 1, 1), ("s_ns", 1, 0), ("const_ns", 0, 0)]
REGIME = ["kernel", "engine", "cache", "regime"]  # what has a fit of its own
RESAMPLES = 200
LEAST_SQUARES = 1e-20  # what rounding leaves
ENOUGH = 4  # cells beyond the terms; of fewer, drawn residuals are too often all alike
HALVINGS = 30
OUTSIDE = 1e3  # further from a coefficient of a column of length 1 than any interval reaches
LEAST_INDEPENDENT = 1e-3  # share of a term that the terms before it do not explain
ROUNDED_TO = 12  # decimals of a relative error
ONE_LENGTH, LINEAR = "one SeqLen only", "linear in S"


# ---- terms -------------------------------------------------------------------------------------


def term_columns(seq_len: np.ndarray, hid_size: np.ndarray) -> np.ndarray:
    """The terms in every cell, one column each."""
    return np.column_stack([seq_len ** s * hid_size ** h for _, s, h in TERMS]).astype(float)


def kept_terms(columns: np.ndarray, weights: np.ndarray, one_length: bool) -> list[int]:
    """The terms that the cells can tell apart, none of SeqLen^2 if there is one SeqLen."""
    kept: list[int] = []
    for i, (_, power_of_s, _) in enumerate(TERMS):
        if one_length and power_of_s == 2:
            continue
        column = columns[:, i] * weights
        column = column / np.linalg.norm(column)
        before = columns[:, kept] * weights[:, None]
        before = before / np.linalg.norm(before, axis=0) if kept else before
        left = column - before @ np.linalg.lstsq(before, column, rcond=None)[0] if kept else column
        if np.linalg.norm(left) > LEAST_INDEPENDENT:
            kept.append(i)
    return kept


# ---- least squares -----------------------------------------------------------------------------


def relative_nnls(columns: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Coefficients, none negative, with the least sum of squared relative errors."""
    scaled = columns / times[:, None]
    norms = np.linalg.norm(scaled, axis=0)
    return nnls(scaled / norms, np.ones(len(times)))[0] / norms


def squares(basis: np.ndarray, target: np.ndarray) -> float:
    """The least sum of squares that coefficients, none negative, leave of a target."""
    return nnls(basis, target)[1] ** 2 if basis.shape[1] else target @ target


def held_squares(basis: np.ndarray, target: np.ndarray, place: int, value: float) -> float:
    """The same with one coefficient held at a value."""
    return squares(np.delete(basis, place, axis=1), target - value * basis[:, place])


def bisected(is_within: Callable[[float], bool], inside: float, outside: float) -> float:
    """The end of a range between a value within it and one outside."""
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_within(middle) else (inside, middle)
    return inside


def ends(basis: np.ndarray, place: int, found: float, limit: float) -> tuple[float, float]:
    """The least and the largest value of a coefficient with which the fit stays within a limit."""
    ones = np.ones(len(basis))

    def is_within(value: float) -> bool:
        return held_squares(basis, ones, place, value) <= limit

    low = 0.0 if is_within(0.0) else bisected(is_within, found, 0.0)
    return low, bisected(is_within, found, found + OUTSIDE)


def intervals(columns: np.ndarray, times: np.ndarray, found: np.ndarray,
              seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals, of coefficients none of which is negative.

    A value belongs to the interval when the fit with the coefficient held there is hardly worse.
    What is hardly is learnt by a bootstrap: relative residuals are drawn again, and the loss is
    seen of holding the coefficient where it was found, which is the truth there; at least it is
    what normal residuals would lose. Percentiles of coefficients fitted again would miss too many
    where another one is 0 in truth.
    """
    freedom = len(times) - columns.shape[1]
    if freedom < 1:
        return np.full(len(found), np.nan), np.full(len(found), np.nan)
    scaled = columns / times[:, None]
    norms = np.linalg.norm(scaled, axis=0)
    basis, scaled_found = scaled / norms, found * norms
    fitted = basis @ scaled_found
    random = np.random.default_rng(seed)
    drawn = fitted + random.choice(1 - fitted, size=(RESAMPLES, len(times)))
    free = np.array([squares(basis, target) for target in drawn])
    least = max(squares(basis, np.ones(len(times))), LEAST_SQUARES)
    normal = 1 + stats.t.ppf(0.975, freedom) ** 2 / freedom
    low, high = np.empty(len(found)), np.empty(len(found))
    for place, value in enumerate(scaled_found):
        limit = normal
        if freedom >= ENOUGH:
            held = np.array([held_squares(basis, target, place, value) for target in drawn])
            limit = max(limit, np.quantile(held / np.maximum(free, LEAST_SQUARES), 0.95))
        low[place], high[place] = ends(basis, place, value, least * limit)
    return np.minimum(low / norms, found), np.maximum(high / norms, found)


def exponent(sizes: np.ndarray, others: np.ndarray, times: np.ndarray) -> float:
    """Log-log slope over the sizes, with a level of its own for each value of the other size."""
    x, y = np.log(sizes), np.log(times)
    for value in np.unique(others):
        at = others == value
        x[at] -= x[at].mean()
        y[at] -= y[at].mean()
    spread = (x ** 2).sum()
    return (x * y).sum() / spread if spread > 1e-9 else np.nan


def deviation(fitted: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Relative error of the fit; what rounding leaves, another on each CPU, is 0."""
    return np.round(fitted / times - 1, ROUNDED_TO) + 0.0  # no -0


# ---- words -------------------------------------------------------------------------------------


def halves(coefficients: dict[str, float], hid_size: np.ndarray) -> np.ndarray:
    """The SeqLen at which the quadratic term is half of what grows with SeqLen, per HidSize."""
    linear = (coefficients["sh2_ns"] * hid_size ** 2 + coefficients["sh_ns"] * hid_size
              + coefficients["s_ns"])
    with np.errstate(divide="ignore", invalid="ignore"):
        return linear / (coefficients["s2h_ns"] * hid_size)


def growth(coefficients: dict[str, float], low_of_quadratic: float, seq_len: np.ndarray,
           hid_size: np.ndarray) -> str:
    """The verdict: linear, or quadratic from some SeqLen on."""
    if len(np.unique(seq_len)) == 1:
        return ONE_LENGTH
    sizes = np.unique(hid_size)
    found = halves(coefficients, sizes)
    if not low_of_quadratic > 0 or not (found <= seq_len.max()).any():
        return LINEAR
    words = [f"S = {max(length, 1):.0f} at H = {size}" for length, size in zip(found, sizes)]
    return f"quadratic from {words[0]}" + (f" to {words[-1]}" if len(words) > 1 else "")


# ---- table -------------------------------------------------------------------------------------


def fit_row(key: tuple, rows: pd.DataFrame) -> dict:
    """One row of fit.csv, from the cells of a kernel in one cache regime."""
    seq_len, hid_size = rows.seq_len.to_numpy(float), rows.hid_size.to_numpy(float)
    times = rows.median_ns.to_numpy(float)
    columns = term_columns(seq_len, hid_size)
    kept = kept_terms(columns, 1 / times, len(np.unique(seq_len)) == 1)
    found = relative_nnls(columns[:, kept], times)
    regime = dict(zip(REGIME, key))
    drawn_for = repr((regime["kernel"], regime["cache"], regime["regime"]))
    low, high = intervals(columns[:, kept], times, found,
                          [runs.SEED, zlib.crc32(drawn_for.encode())])
    names = [TERMS[i][0] for i in kept]
    coefficients = dict.fromkeys((name for name, _, _ in TERMS), 0.0) | dict(zip(names, found))
    bounds = dict(zip(names, zip(low, high)))
    errors = abs(deviation(columns[:, kept] @ found, times))
    row = {**regime, "cells": len(rows),
           "min_seq_len": int(seq_len.min()), "max_seq_len": int(seq_len.max()),
           "min_hid_size": int(hid_size.min()), "max_hid_size": int(hid_size.max())}
    for name, _, _ in TERMS:
        low_end, high_end = bounds.get(name, (np.nan, np.nan))
        row |= {name: coefficients[name] if name in names else np.nan,
                f"{name}_low": low_end, f"{name}_high": high_end}
    return row | {
        "exponent_s": exponent(seq_len, hid_size, times),
        "exponent_h": exponent(hid_size, seq_len, times),
        "residual_median": np.median(errors), "residual_max": errors.max(),
        "growth": growth(coefficients, bounds.get("s2h_ns", (0.0,))[0], seq_len,
                         rows.hid_size.to_numpy())}


def with_regime(summary: pd.DataFrame, host: dict) -> pd.DataFrame:
    """The timed layers and parts of the smallest BatchSize, with the cache of their working set."""
    timed = summary[(summary.samples > 0) & (summary.kind != "roof")]
    timed = runs.least_batch(timed)
    caches = rates.cache_sizes(host)
    return timed.assign(regime=[rates.level_of(caches, size)
                                for size in roofline.working_set(timed)])


def fit(summary: pd.DataFrame, host: dict) -> pd.DataFrame:
    """fit.csv: one row per kernel and cache regime."""
    groups = with_regime(summary, host).groupby(REGIME)
    rows = [fit_row(key, group) for key, group in groups]
    return pd.DataFrame(rows, columns=list(runs.schema(runs.README, "fit.csv")))


def residuals(summary: pd.DataFrame, host: dict, fits: pd.DataFrame) -> pd.DataFrame:
    """residuals.csv: one row per fitted cell, ordered as summary.csv."""
    names = [name for name, _, _ in TERMS]
    cells = with_regime(summary, host)
    found = fits.set_index(REGIME)[names].reindex(pd.MultiIndex.from_frame(cells[REGIME]))
    terms = term_columns(cells.seq_len.to_numpy(float), cells.hid_size.to_numpy(float))
    fitted = (found.fillna(0).to_numpy(float) * terms).sum(axis=1)
    table = cells.assign(fitted_ns=fitted, residual=deviation(fitted, cells.median_ns))
    return table[list(runs.schema(runs.README, "residuals.csv"))]


MADE = [Made("fit.csv", ["summary.csv", "host"], fit),
        Made("residuals.csv", ["summary.csv", "host", "fit.csv"], residuals)]
