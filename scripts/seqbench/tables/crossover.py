"""From which SeqLen on a layer is faster than the reference, with an interval."""
from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import medians
from seqbench.tables.table import Made

ANY = "any"  # the class of all engines
UNKNOWN = "unknown"  # verdict of operations that were not counted
CELL = runs.DIMENSIONS
KEY = [*runs.KERNEL, *CELL]


@dataclass(frozen=True)
class Lens:
    """What is set against what."""
    name: str
    reference: str  # the layer that the others are set against
    jobs: tuple[str, ...] = ()  # the layers that are, by what they do in a model; all if empty
    per_parameter: bool = False  # as large a model of each: time over parameters


LAYER, PARAMETER, MIXER = "layer", "parameter", "mixer"
LENSES = {lens.name: lens for lens in [
    Lens(LAYER, runs.REFERENCE), Lens(PARAMETER, runs.REFERENCE, per_parameter=True),
    Lens(MIXER, "causal_attention", jobs=("mixer",))]}
Resampled = Callable[[tuple], np.ndarray]  # (kernel, engine, dimensions) to medians


# ---- layers compared ---------------------------------------------------------------------------


def whole_sequences(summary: pd.DataFrame) -> pd.DataFrame:
    """The timed layers whose run makes SeqLen tokens: one token against a context is no rival."""
    return summary[(summary.kind == "layer") & (summary.samples > 0) & (summary.tokens == "all")]


def of_engine(rows: pd.DataFrame, engine: str) -> pd.DataFrame:
    """The rows of one engine; of all with ANY."""
    return rows if engine == ANY else rows[rows.engine == engine]


def engine_classes(summary: pd.DataFrame) -> list[str]:
    """The headline's engine, ours that the reference was timed with, ANY if there are several."""
    timed = whole_sequences(summary)
    ours = set(timed.engine[timed.layer == runs.REFERENCE]) - {*runs.PEERS, runs.HEADLINE}
    some = [ANY] if set(timed.engine) - {runs.HEADLINE} else []
    return [runs.HEADLINE, *sorted(ours), *some]


def fastest(rows: pd.DataFrame, by: list[str] | None = None) -> pd.DataFrame:
    """The rows of the fastest variant of each layer in each cell, among the timed layers."""
    timed = rows[(rows.kind == "layer") & (rows.samples > 0)]
    cells = timed.groupby([*(by or ["layer", "tokens"]), *CELL])
    return timed.loc[cells.median_ns.idxmin()]


def relative(summary: pd.DataFrame, engine: str = runs.HEADLINE,
             lens: str = LAYER) -> pd.DataFrame:
    """Per layer and cell, fastest variants: time and flops of the reference over the layer's.

    A layer with heads meets the reference with as many; one without (heads = 1) meets every.
    `scale` is what both ratios hold beside times and flops: 1, or parameters over the reference's.
    """
    seen = LENSES[lens]
    kept = ["layer", *KEY, "median_ns", "flops", "parameters", "job"]
    alike = [name for name in CELL if name != "heads"]
    best = fastest(of_engine(whole_sequences(summary), engine))[kept].astype({"flops": float})
    if seen.per_parameter:
        best = best[best.parameters > 0]  # those of runs made before were not counted
    is_reference = best.layer == seen.reference
    is_seen = ~is_reference & (best.job.isin(seen.jobs) if seen.jobs else True)
    pairs = best[is_seen].merge(best[is_reference], on=alike, suffixes=("", "_reference"))
    pairs = pairs[(pairs.heads == 1) | (pairs.heads == pairs.heads_reference)]
    pairs = pairs.rename(columns={"heads": "own_heads", "heads_reference": "heads"})
    cell = ["layer", *runs.ACROSS, "seq_len"]
    pairs = pairs.sort_values(cell + ["own_heads"]).drop_duplicates(cell, keep="last")
    scale = pairs.parameters / pairs.parameters_reference if seen.per_parameter else 1.0
    pairs = pairs.assign(scale=scale, ratio=pairs.median_ns_reference / pairs.median_ns * scale,
                         flops_ratio=pairs.flops_reference / pairs.flops * scale)
    return pairs[[*cell, "ratio", "flops_ratio", "scale", *runs.KERNEL, "own_heads",
                  "kernel_reference", "engine_reference"]].reset_index(drop=True)


# ---- crossings ---------------------------------------------------------------------------------


def crossings(seq_len: np.ndarray, ratio: np.ndarray) -> list[float]:
    """SeqLens at which the ratio passes 1, on straight lines between cells in log-log."""
    x, y = np.log(seq_len), np.log(ratio)
    faster = y > 0
    found = []
    for i in np.flatnonzero(faster[1:] != faster[:-1]):
        found.append(float(np.exp(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i]))))
    return found


def verdict(seq_len: np.ndarray, ratio: np.ndarray) -> tuple[str, float, list[float]]:
    """How the layer fares along SeqLen, from where on it stays faster, and all crossings."""
    found = crossings(seq_len, ratio)
    faster_at_end = ratio[-1] > 1
    if len(found) > 1:
        word = "several crossings"
    elif found:
        word = "crosses" if faster_at_end else "crosses back"
    else:
        word = "faster everywhere" if faster_at_end else "slower everywhere"
    return word, found[-1] if found and faster_at_end else np.nan, found


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
    places = resampled_crossings(seq_len, ratios, found[-1], ratio[-1] > 1)
    low, high = np.percentile(places, [2.5, 97.5], method="nearest")
    return (np.nan if low == 0 else low), high


def resampled_ratios(cells: pd.DataFrame, resampled: Resampled) -> np.ndarray:
    """Bootstrap ratios, one column per cell."""
    own = cells[KEY].assign(heads=cells.own_heads)
    reference = cells[["kernel_reference", "engine_reference", *CELL]]
    return np.column_stack([resampled(beside) / resampled(case) * scale for case, beside, scale in
                            zip(own.itertuples(index=False, name=None),
                                reference.itertuples(index=False, name=None), cells.scale)])


def crossover_row(key: tuple, lens: str, engine: str, cells: pd.DataFrame,
                  resampled: Resampled) -> dict:
    """One row of crossover.csv, from the cells of one layer and HidSize, ordered by SeqLen."""
    layer, *sizes = key
    seq_len, ratio = cells.seq_len.to_numpy(), cells.ratio.to_numpy()
    word, faster_from, found = verdict(seq_len, ratio)
    low, high = (crossing_interval(seq_len, ratio, resampled_ratios(cells, resampled))
                 if found else (np.nan, np.nan))
    counted = cells.flops_ratio.to_numpy()
    is_counted = (np.isfinite(counted) & (counted > 0)).all()
    arithmetic_word, arithmetic_from, _ = (verdict(seq_len, counted) if is_counted
                                           else (UNKNOWN, np.nan, []))
    return {"lens": lens, "layer": layer, "reference": LENSES[lens].reference, "engine": engine,
            **dict(zip(runs.ACROSS, sizes)), "verdict": word,
            "faster_from_seq_len": faster_from,
            "crossings": " ".join(runs.format_number(value) for value in found),
            "crossing_low": low, "crossing_high": high,
            "min_seq_len": seq_len[0], "max_seq_len": seq_len[-1],
            "ratio_at_min_seq_len": ratio[0], "ratio_at_max_seq_len": ratio[-1],
            "arithmetic_verdict": arithmetic_word, "arithmetic_seq_len": arithmetic_from,
            "operation_price": np.median(cells.flops_ratio / ratio)}


def crossover(summary: pd.DataFrame, resampled: Resampled) -> pd.DataFrame:
    """crossover.csv: one row per lens, layer, engine class and HidSize; else only a header."""
    rows = [crossover_row(key, lens, engine, cells, resampled)
            for lens in LENSES for engine in engine_classes(summary)
            for key, cells in relative(summary, engine, lens).groupby(["layer", *runs.ACROSS])]
    found = pd.DataFrame(rows, columns=list(runs.schema(runs.README, "crossover.csv")))
    order = ["lens", "layer", "engine", *runs.ACROSS]
    return found.sort_values(order, kind="stable", key=lambda column: (
        column.map(list(LENSES).index) if column.name == "lens" else column))


def through(found: pd.DataFrame, lens: str) -> pd.DataFrame:
    """The rows of crossover.csv of one lens."""
    return found[found.lens == lens]


def resampled_from(samples: pd.DataFrame) -> Resampled:
    """Bootstrap medians of a case, drawn for each case on its own, when they are asked for."""
    ordered = medians.clean(samples).sort_values(["round", "sample"], kind="stable")
    groups = ordered.groupby(KEY)
    kept: dict[tuple, np.ndarray] = {}

    def of_case(case: tuple) -> np.ndarray:
        if case not in kept:
            kernel, _, *sizes = case
            seed = [runs.SEED, zlib.crc32(repr((kernel, *map(str, sizes))).encode())]
            rounds = medians.times_by_round(groups.get_group(case))
            kept[case] = medians.resampled_medians(rounds, seed)
        return kept[case]

    return of_case


MADE = [Made("resampled", ["samples"], resampled_from),
        Made("crossover.csv", ["summary.csv", "resampled"], crossover)]
