"""The least time that a case can take on the machine that was measured, and its parts."""
from __future__ import annotations

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import rates
from seqbench.tables.table import Made

TOGETHER = "together"  # of kernels.csv: a step is of all sequences
PARTS = ["gemm_ns", "stream_ns", "transcendental_ns", "elementwise_ns"]


def steps(summary: pd.DataFrame) -> pd.Series:
    """How often a run walks through its streamed bytes: once for sequences taken together."""
    of_each = summary.seq_len.where(summary.tokens == "all", 1)
    return of_each * (summary.batch // at_once(summary))


def at_once(summary: pd.DataFrame) -> pd.Series:
    """Sequences that a step is of."""
    return summary.batch.where(summary.batches == TOGETHER, 1)


def streamed_operations(summary: pd.DataFrame) -> pd.Series:
    """Operations of the products with the streamed weights, at most all there are.

    Streamed bytes that are no weights, as a cache of keys, belong to one sequence.
    """
    per_sequence = rates.multiply_adds(summary.streamed_bytes.astype(float),
                                       summary.bytes_per_weight)
    return np.minimum(per_sequence * at_once(summary), summary.flops.astype(float))


def weight_operations(summary: pd.DataFrame) -> pd.Series:
    """Operations of the products with weights: each weight meets every token once."""
    tokens = summary.batch * summary.seq_len.where(summary.tokens == "all", 1)
    kept = summary.flops.where(summary.parameters.isna(), 2.0 * summary.parameters * tokens)
    return np.minimum(kept, summary.flops)


def products_ns(summary: pd.DataFrame, walked: pd.Series, machine: rates.Roofs,
                rate: float) -> pd.Series:
    """Time of the products beside those of `walked` operations, if those of float32 had a rate."""
    left = (summary.flops - walked).clip(lower=0)
    of_weights = np.minimum((weight_operations(summary) - walked).clip(lower=0), left)
    return of_weights / (rate * machine.speed(summary.roof)) + (left - of_weights) / rate


def streamed_per_step(summary: pd.DataFrame) -> pd.Series:
    """Working set of the sequential part: what is read again at each step."""
    return summary.streamed_bytes.astype(float) / steps(summary)


def weight_bytes(summary: pd.DataFrame) -> pd.Series:
    """Bytes that do not grow with SeqLen: the line through the two shortest sequences, at 0.

    With one SeqLen all bytes count.
    """
    of_line = ["kernel", "engine", "cache", *runs.ACROSS]
    points = summary.astype({"bytes": float}).sort_values("seq_len").drop_duplicates(
        [*of_line, "seq_len"])
    place = points.groupby(of_line).cumcount()
    first, second = (points[place == i].set_index(of_line) for i in (0, 1))
    slope = (second.bytes - first.bytes) / (second.seq_len - first.seq_len)
    at_zero = (first.bytes - first.seq_len * slope.fillna(0)).clip(lower=0)
    lines = pd.MultiIndex.from_frame(summary[of_line])
    return pd.Series(at_zero.reindex(lines).to_numpy(), index=summary.index)


def working_set(summary: pd.DataFrame) -> pd.Series:
    """What decides the cache regime: the streamed bytes of a step, else the weights."""
    streamed = streamed_per_step(summary)
    return streamed.where(streamed > 0, weight_bytes(summary))


def known_sum(parts: pd.DataFrame) -> pd.Series:
    """Sum of the parts that are known; NaN where none takes any time."""
    total = parts.sum(axis=1)
    return total.where(total > 0)


def bounds(summary: pd.DataFrame, machine: rates.Roofs) -> pd.DataFrame:
    """Parts of the bound of each row, in ns; NaN where the run lacks the roof."""
    numbers = summary.astype(dict.fromkeys(runs.COSTS, float))
    streamed_flops = streamed_operations(numbers)
    return pd.DataFrame({
        "gemm_ns": products_ns(numbers, streamed_flops, machine, machine.fma),
        "stream_ns": steps(summary) * machine.walking_ns(
            streamed_per_step(summary), streamed_flops / steps(summary),
            machine.speed(summary.roof)),
        "transcendental_ns": machine.evaluating_ns(numbers),
        "elementwise_ns": numbers.elementwise_flops / (machine.fma / 2)})


def roofline(summary: pd.DataFrame, host: dict) -> pd.DataFrame:
    """roofline.csv: one row per timed layer and part, ordered as summary.csv."""
    timed = summary[(summary.samples > 0) & (summary.kind != "roof")]
    machine = rates.roofs_of(summary, host)
    parts = bounds(timed, machine)
    bound = known_sum(parts).where(machine.speed(timed.roof).notna())
    table = timed[[*runs.CASE, "tokens"]].assign(
        working_set_bytes=working_set(timed), bound_ns=bound, **parts,
        median_ns=timed.median_ns, share=bound / timed.median_ns)
    return table[list(runs.schema(runs.README, "roofline.csv"))]


MADE = [Made("roofline.csv", ["summary.csv", "host"], roofline)]
