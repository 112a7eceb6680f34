"""How the time of a kernel grows with SeqLen and HidSize while its weights stay in one cache."""
from __future__ import annotations

import zlib

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import nnls

import roofline
import roofs
import runs

# Terms of the time: name, power of SeqLen, power of HidSize. Of terms that the cells cannot tell
# apart the first is kept.
TERMS = [("sh2_ns", 1, 2), ("s2h_ns", 2, 1), ("sh_ns", 1, 1), ("s_ns", 1, 0), ("const_ns", 0, 0)]
REGIME = ["kernel", "cache", "regime"]  # what has a fit of its own
RESAMPLES = 1000
MOST_PULL = 0.9  # of a cell on the fit
LEAST_INDEPENDENT = 1e-3  # share of a term that the terms before it do not explain
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


def intervals(columns: np.ndarray, times: np.ndarray, found: np.ndarray,
              seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals: relative residuals are drawn again, and widened for few cells.

    Those of least squares that may be negative, cut at 0: a coefficient that is held at 0 says
    nothing of how far the others can be off. A cell that decides a coefficient pulls the fit to
    itself: its residual is scaled up for that.
    """
    freedom = len(times) - columns.shape[1]
    if freedom < 1:
        return np.full(len(found), np.nan), np.full(len(found), np.nan)
    scaled = columns / times[:, None]
    norms = np.linalg.norm(scaled, axis=0)
    basis, triangle = np.linalg.qr(scaled / norms)
    fitted = basis @ basis.sum(axis=0)
    residuals = (1 - fitted) / np.sqrt(1 - np.minimum((basis ** 2).sum(axis=1), MOST_PULL))
    random = np.random.default_rng(seed)
    drawn = fitted + random.choice(residuals, size=(RESAMPLES, len(times)))
    again = np.linalg.solve(triangle, basis.T @ drawn.T) / norms[:, None]
    middle = np.linalg.solve(triangle, basis.sum(axis=0)) / norms
    low, high = np.percentile(again, [2.5, 97.5], axis=1)
    wider = stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)
    return (np.maximum(np.minimum(middle - (middle - low) * wider, found), 0),
            np.maximum(middle + (high - middle) * wider, found))


def exponent(sizes: np.ndarray, others: np.ndarray, times: np.ndarray) -> float:
    """Log-log slope over the sizes, with a level of its own for each value of the other size."""
    x, y = np.log(sizes), np.log(times)
    for value in np.unique(others):
        at = others == value
        x[at] -= x[at].mean()
        y[at] -= y[at].mean()
    spread = (x ** 2).sum()
    return (x * y).sum() / spread if spread > 1e-9 else np.nan


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
    low, high = intervals(columns[:, kept], times, found,
                          [runs.SEED, zlib.crc32(repr(key).encode())])
    names = [TERMS[i][0] for i in kept]
    coefficients = dict.fromkeys((name for name, _, _ in TERMS), 0.0) | dict(zip(names, found))
    bounds = dict(zip(names, zip(low, high)))
    errors = abs(columns[:, kept] @ found / times - 1)
    row = {"kernel": key[0], "cache": key[1], "regime": key[2], "cells": len(rows),
           "min_seq_len": int(seq_len.min()), "max_seq_len": int(seq_len.max()),
           "min_hid_size": int(hid_size.min()), "max_hid_size": int(hid_size.max())}
    for name, _, _ in TERMS:
        ends = bounds.get(name, (np.nan, np.nan))
        row |= {name: coefficients[name] if name in names else np.nan,
                f"{name}_low": ends[0], f"{name}_high": ends[1]}
    return row | {
        "exponent_s": exponent(seq_len, hid_size, times),
        "exponent_h": exponent(hid_size, seq_len, times),
        "residual_median": np.median(errors), "residual_max": errors.max(),
        "growth": growth(coefficients, bounds.get("s2h_ns", (0.0,))[0], seq_len,
                         rows.hid_size.to_numpy())}


def with_regime(summary: pd.DataFrame, host: dict) -> pd.DataFrame:
    """The timed layers and parts with the cache that holds their working set."""
    timed = summary[(summary.samples > 0) & (summary.kind != "roof")]
    caches = roofs.cache_sizes(host)
    return timed.assign(regime=[roofs.level_of(caches, size)
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
    table = cells.assign(fitted_ns=fitted, residual=fitted / cells.median_ns - 1)
    return table[list(runs.schema(runs.README, "residuals.csv"))]
