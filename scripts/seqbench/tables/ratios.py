"""ratios.csv: what takes less time than what, cell by cell, seen through each lens."""
from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqbench.read import dimensions, runs
from seqbench.tables.noise import quantile
from seqbench.tables.table import Made

FASTER, SLOWER, SAME = "faster", "slower", "no difference"
DRAWS = 2000
ANY = "any"  # the class of all engines
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


# ---- layers compared ---------------------------------------------------------------------------


def whole_sequences(summary: pd.DataFrame) -> pd.DataFrame:
    """The timed layers whose run makes SeqLen tokens: one token against a context is no rival."""
    return summary[(summary.kind == "layer") & (summary.samples > 0) & (summary.tokens == "all")]


def of_engine(rows: pd.DataFrame, engine: str) -> pd.DataFrame:
    """The rows of one engine; with ANY of all whose weights are float32, every one of them."""
    return rows[~runs.is_narrow(rows.engine)] if engine == ANY else rows[rows.engine == engine]


def engine_classes(summary: pd.DataFrame) -> list[str]:
    """The headline's engine, ours that the reference was timed with, ANY if there are several."""
    timed = whole_sequences(summary)
    engines = timed.engine[timed.layer == runs.REFERENCE]
    ours = set(engines[~runs.is_peer(engines)]) - {runs.HEADLINE}
    some = [ANY] if set(of_engine(timed, ANY).engine) - {runs.HEADLINE} else []
    return [runs.HEADLINE, *sorted(ours), *some]


def best_class(summary: pd.DataFrame) -> str:
    """The class in which every layer is at its best."""
    return engine_classes(summary)[-1]


def fastest(rows: pd.DataFrame, by: list[str] | None = None) -> pd.DataFrame:
    """The rows of the fastest variant of each layer in each cell, among the timed layers."""
    timed = rows[(rows.kind == "layer") & (rows.samples > 0)]
    cells = timed.groupby([*(by or ["layer", "tokens"]), *CELL])
    return timed.loc[cells.median_ns.idxmin()]


def relative(summary: pd.DataFrame, engine: str = runs.HEADLINE,
             lens: str = LAYER) -> pd.DataFrame:
    """Per layer and cell, fastest variants: time and flops of the reference over the layer's.

    A layer with heads meets the reference with as many; one without (heads = 1) meets every. The
    reference has none of the sizes that only some layers have and meets every.
    `scale` is what both ratios hold beside times and flops: 1, or parameters over the reference's.
    """
    seen = LENSES[lens]
    kept = ["layer", *KEY, "median_ns", "flops", "parameters", "job"]
    alike = [name for name in CELL if name not in ("heads", *dimensions.OPTIONAL)]
    best = fastest(of_engine(whole_sequences(summary), engine))[kept]
    best = best.astype({"flops": float, "parameters": float})
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


# ---- intervals ---------------------------------------------------------------------------------

Drawn = Callable[[tuple], np.ndarray]  # (kernel, engine, dimensions) to factors around 1


def own_noise(noise: pd.DataFrame) -> pd.DataFrame:
    """The noise of each case that ratios of one run have, by kernel, engine and dimensions."""
    table = noise[["own_error", "own_df"]].reset_index().drop_duplicates(KEY)
    return table.set_index(KEY)[["own_error", "own_df"]]


def drawn_from(noise: pd.DataFrame) -> Drawn:
    """What the median of a case could have been over what it is, drawn for each on its own.

    By its name without the sizes that are not given: one dimension more draws the same.
    """
    own = {case: tuple(row) for case, row in zip(noise.index, noise.to_numpy())}
    kept: dict[tuple, np.ndarray] = {}

    def of_case(case: tuple) -> np.ndarray:
        if case not in kept:
            kernel, engine, *sizes = case
            name = "\0".join((kernel, engine, *(str(int(size)) for size in sizes if size)))
            error, df = own[case]
            draw = np.random.default_rng([runs.SEED, zlib.crc32(name.encode())])
            kept[case] = np.exp(error * draw.standard_t(df, DRAWS)) if df > 0 else np.full(
                DRAWS, np.nan)
        return kept[case]

    return of_case


def own_cases(pairs: pd.DataFrame) -> pd.DataFrame:
    """The case of the layer in each row."""
    return pairs[KEY].assign(heads=pairs.own_heads)


def reference_cases(pairs: pd.DataFrame) -> pd.DataFrame:
    """The case of the reference in each row."""
    return pairs[["kernel_reference", "engine_reference", *CELL]].assign(
        **dict.fromkeys(dimensions.OPTIONAL, 0))


def half_widths(pairs: pd.DataFrame, noise: pd.DataFrame) -> np.ndarray:
    """Half the 95 % interval of the logarithm of each ratio; NaN where noise is not known."""
    sides = [noise.reindex(pd.MultiIndex.from_frame(cases)).to_numpy()
             for cases in (own_cases(pairs), reference_cases(pairs))]
    squares = [side[:, 0] ** 2 for side in sides]
    df = sum(squares) ** 2 / sum(square ** 2 / side[:, 1] for square, side in zip(squares, sides))
    return quantile(df) * np.sqrt(sum(squares))


def judged(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether a ratio is surely above 1 or below, by its interval; not known is no difference."""
    return np.where(low > 1, FASTER, np.where(high < 1, SLOWER, SAME))


def ratios(summary: pd.DataFrame, noise: pd.DataFrame) -> pd.DataFrame:
    """ratios.csv: per lens, class of engines, layer and cell the ratio with its interval."""
    found = []
    for lens in LENSES.values():
        for engine in engine_classes(summary):
            pairs = relative(summary, engine, lens.name)
            half = half_widths(pairs, noise)
            low, high = pairs.ratio * np.exp(-half), pairs.ratio * np.exp(half)
            found.append(pairs.assign(
                lens=lens.name, reference=lens.reference, engines=engine, ci_low=low, ci_high=high,
                verdict=judged(low.to_numpy(), high.to_numpy())))
    table = pd.concat(found, ignore_index=True)
    order = ["lens", "layer", "engines", *runs.ACROSS, "seq_len"]
    table = table.sort_values(order, kind="stable", key=lambda column: (
        column.map(list(LENSES).index) if column.name == "lens" else column))
    return table[list(runs.schema(runs.README, "ratios.csv"))]


def through(found: pd.DataFrame, lens: str, engines: str | None = None) -> pd.DataFrame:
    """The rows of ratios.csv or crossover.csv of one lens, and of one class of engines."""
    return found[(found.lens == lens) & (found.engines == engines if engines else True)]


MADE = [Made("own noise", ["noise"], own_noise),
        Made("drawn", ["own noise"], drawn_from),
        Made("ratios.csv", ["summary.csv", "own noise"], ratios)]
