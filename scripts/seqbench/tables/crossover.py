"""From which SeqLen on a layer takes less time than what it is set against, with an interval."""
from __future__ import annotations

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables.ratios import (FASTER, LENSES, SAME, SLOWER, Drawn, judged, own_cases,
                                    reference_cases)
from seqbench.tables.table import Made

ALWAYS, NEVER = "faster everywhere", "slower everywhere"
NOT_SLOWER, NOT_FASTER, NONE = "never slower", "never faster", "no difference"
CROSSES, BACK, SEVERAL = "crosses", "crosses back", "several crossings"
UNKNOWN = "unknown"  # verdict of operations that were not counted


# ---- crossings ---------------------------------------------------------------------------------


def crossings(seq_len: np.ndarray, ratio: np.ndarray) -> list[float]:
    """SeqLens at which the ratio passes 1, on straight lines between cells in log-log."""
    x, y = np.log(seq_len), np.log(ratio)
    faster = y > 0
    found = []
    for i in np.flatnonzero(faster[1:] != faster[:-1]):
        found.append(float(np.exp(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i]))))
    return found


def word_for(states: np.ndarray) -> str:
    """How a layer fares along SeqLen, by whether it is surely faster or slower in each cell."""
    sure = [state for state in states if state != SAME]
    changes = sum(one != other for one, other in zip(sure, sure[1:]))
    if not sure:
        return NONE
    if changes == 0:
        whole = len(sure) == len(states)
        if sure[0] == FASTER:
            return ALWAYS if whole else NOT_SLOWER
        return NEVER if whole else NOT_FASTER
    if changes > 1:
        return SEVERAL
    return CROSSES if sure[0] == SLOWER else BACK


def verdict(seq_len: np.ndarray, ratio: np.ndarray, states: np.ndarray | None = None
            ) -> tuple[str, float, list[float]]:
    """How the layer fares along SeqLen, from where on it stays faster, and all crossings.

    Without the states of the cells each ratio is taken as sure.
    """
    found = crossings(seq_len, ratio)
    word = word_for(judged(ratio, np.where(ratio > 1, ratio, 0)) if states is None else states)
    return word, found[-1] if found and ratio[-1] > 1 else np.nan, found


def resampled_crossings(seq_len: np.ndarray, ratios: np.ndarray, last: float,
                        to_faster: bool) -> np.ndarray:
    """In each row of ratios the crossing of that direction which is nearest to `last`.

    Where there is none the crossing lies before the grid (0) or behind it (infinity).
    """
    x, y = np.log(seq_len), np.log(ratios)
    faster = y > 0
    passes = (faster[:, 1:] != faster[:, :-1]) & (faster[:, 1:] == to_faster)
    rise = np.where(passes, y[:, 1:] - y[:, :-1], 1)
    places = x[:-1] - y[:, :-1] * np.diff(x) / rise
    distance = np.where(passes, abs(places - np.log(last)), np.inf)
    nearest = distance.argmin(axis=1)
    found = np.exp(places[np.arange(len(y)), nearest])
    absent = np.where((y.mean(axis=1) > 0) == to_faster, 0, np.inf)
    return np.where(passes.any(axis=1), found, absent)


def crossing_interval(seq_len: np.ndarray, ratio: np.ndarray,
                      ratios: np.ndarray) -> tuple[float, float]:
    """95 % interval of the last crossing; an end beyond the grid is not finite or 0."""
    found = crossings(seq_len, ratio)
    if not found:
        return np.nan, np.nan
    if np.isnan(ratios).any():
        return np.nan, np.nan
    places = resampled_crossings(seq_len, ratios, found[-1], ratio[-1] > 1)
    low, high = np.percentile(places, [2.5, 97.5], method="nearest")
    return (np.nan if low == 0 else low), high


def drawn_ratios(cells: pd.DataFrame, drawn: Drawn) -> np.ndarray:
    """Ratios as they could have been, one column per cell."""
    sides = (cases.itertuples(index=False, name=None)
             for cases in (own_cases(cells), reference_cases(cells)))
    return np.column_stack([drawn(beside) / drawn(case) * ratio
                            for case, beside, ratio in zip(*sides, cells.ratio)])


def crossover_row(key: tuple, cells: pd.DataFrame, drawn: Drawn) -> dict:
    """One row of crossover.csv, from the cells of one layer and HidSize, ordered by SeqLen."""
    lens, engines, layer, *sizes = key
    seq_len, ratio = cells.seq_len.to_numpy(), cells.ratio.to_numpy()
    word, faster_from, found = verdict(seq_len, ratio, cells.verdict.to_numpy())
    low, high = (crossing_interval(seq_len, ratio, drawn_ratios(cells, drawn))
                 if found else (np.nan, np.nan))
    counted = cells.flops_ratio.to_numpy()
    is_counted = (np.isfinite(counted) & (counted > 0)).all()
    arithmetic_word, arithmetic_from, _ = (verdict(seq_len, counted) if is_counted
                                           else (UNKNOWN, np.nan, []))
    return {"lens": lens, "layer": layer, "reference": LENSES[lens].reference,
            "engines": engines, **dict(zip(runs.ACROSS, sizes)), "verdict": word,
            "faster_from_seq_len": faster_from,
            "crossings": " ".join(runs.format_number(value) for value in found),
            "crossing_low": low, "crossing_high": high,
            "min_seq_len": seq_len[0], "max_seq_len": seq_len[-1],
            "ratio_at_min_seq_len": ratio[0], "ratio_at_max_seq_len": ratio[-1],
            "arithmetic_verdict": arithmetic_word, "arithmetic_seq_len": arithmetic_from,
            "operation_price": np.median(cells.flops_ratio / ratio)}


def crossover(ratios: pd.DataFrame, drawn: Drawn) -> pd.DataFrame:
    """crossover.csv: one row per lens, class of engines, layer and HidSize; else only a header."""
    groups = ratios.groupby(["lens", "engines", "layer", *runs.ACROSS], sort=False)
    rows = [crossover_row(key, cells, drawn) for key, cells in groups]
    return pd.DataFrame(rows, columns=list(runs.schema(runs.README, "crossover.csv")))


MADE = [Made("crossover.csv", ["ratios.csv", "drawn"], crossover)]
