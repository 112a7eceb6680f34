"""What a machine can do: the rates of the roofs of a run, and its caches."""
from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs

# The roof at whose rate each kind of evaluation is done at best.
ROOF_OF = {"exps": "exp", "logs": "exp", "sigmoids": "sigmoid", "tanhs": "tanh", "rsqrts": "exp"}
DOTS = ["fma_bf16", "dot_int8"]  # roofs of products of narrow numbers
RESULT_BYTES = 4  # of `bytes` of roof/read, what it writes: one number


@dataclass(frozen=True)
class Curve:
    """Time per byte (ns) over the bytes walked through; straight lines in log-log."""
    sizes: tuple[float, ...] = ()
    ns_per_byte: tuple[float, ...] = ()

    def at(self, size):
        """Time per byte at a size; the nearest end beyond the curve, NaN without one."""
        if not self.sizes:
            return np.full_like(np.asarray(size, float), np.nan)
        logs = np.interp(np.log(np.maximum(size, 1)), np.log(self.sizes), np.log(self.ns_per_byte))
        return np.exp(logs)


@dataclass(frozen=True)
class Roofs:
    """Rates in operations, bytes or evaluations per ns; NaN where the run has no such roof."""
    caches: tuple[float, ...]  # bytes of L1, L2, ...
    fma: float  # flops
    sgemm: float  # flops of a large product
    sgemv: Curve  # by the bytes of the matrix
    packing: Curve  # what a product of few rows takes longer, by the bytes of its matrix
    read: Curve
    evaluations: dict[str, float] = field(default_factory=dict)
    dots: dict[str, float] = field(default_factory=dict)  # flops of products of narrow numbers

    def speed(self, roofs: pd.Series):
        """Peak rate of the products that each row's engine makes, over that of float32."""
        return roofs.map({"fma": 1.0, **{name: rate / self.fma for name, rate in self.dots.items()}})

    def level_rates(self) -> list[float]:
        """Best bandwidth of each cache level and of memory: of sizes beyond the level before."""
        floors = (0, *self.caches)
        sizes, rates = np.array(self.read.sizes), 1 / np.array(self.read.ns_per_byte)
        return [max(rates[sizes > floor], default=np.nan) for floor in floors]

    def reading_ns(self, working_set):
        """Least time to read a working set again: each level serves what it can hold."""
        working_set = np.asarray(working_set, float)
        edges = (0, *self.caches, np.inf)
        total = np.zeros_like(working_set)
        for low, high, rate in zip(edges, edges[1:], self.level_rates()):
            part = np.minimum(working_set, high) - np.minimum(working_set, low)
            total = total + np.where(part > 0, part / rate, 0)
        return total

    def walking_ns(self, matrix, operations, speed=1.0):
        """Least time of a step that reads a matrix of so many bytes again.

        Reading it, or its operations where these take longer, at so many times the peak of float32.
        """
        reading = self.reading_ns(matrix)
        computing = np.asarray(operations, float) / (self.fma * speed)
        return np.where(computing > reading, computing, reading)

    def evaluating_ns(self, counts: pd.DataFrame) -> pd.Series:
        """Least time of the evaluations of each row; NaN where there are some without a roof."""
        times = [(counts[kind] / self.evaluations.get(roof, np.nan)).where(counts[kind] != 0, 0)
                 for kind, roof in ROOF_OF.items()]
        return sum(times)


def multiply_adds(weight_bytes, bytes_per_weight):
    """Operations of a product of weights of so many bytes and a vector: 2 for each weight."""
    return 2 * weight_bytes / bytes_per_weight


def cache_sizes(host: dict) -> tuple[float, ...]:
    """Bytes of each data cache of the measured core, from the smallest."""
    caches = hosts.value(host, "cpu", "caches")
    if not isinstance(caches, list):
        return ()
    return tuple(sorted(float(cache["bytes"]) for cache in caches))


def level_name(caches: tuple[float, ...], level: int) -> str:
    """L1, L2, ..., memory."""
    return f"L{level + 1}" if level < len(caches) else "memory"


def level_of(caches: tuple[float, ...], size: float) -> str:
    """The smallest level that holds so many bytes."""
    return level_name(caches, int(np.searchsorted(caches, size)))


def curve(sizes: pd.Series, ns_per_byte: pd.Series) -> Curve:
    """A curve, ordered by size."""
    order = np.argsort(sizes.to_numpy(float))
    return Curve(tuple(map(float, sizes.to_numpy(float)[order])),
                 tuple(map(float, ns_per_byte.to_numpy(float)[order])))


def matrix_bytes(products: pd.DataFrame) -> pd.Series:
    """Size of the matrix of each product that is a roof."""
    return products.parameters.astype(float) * products.bytes_per_weight


def packing_curve(sgemm: pd.DataFrame, rate: float) -> Curve:
    """Time per byte of the matrix that a product of few rows takes beyond its operations."""
    few = sgemm[sgemm.seq_len < sgemm.hid_size.clip(upper=64)]
    matrix = matrix_bytes(few)
    extra = (few.median_ns - few.flops.astype(float) / rate) / matrix
    known = extra > 0
    return curve(matrix[known], extra[known])


def roofs_of(summary: pd.DataFrame, host: dict) -> Roofs:
    """The roofs of one run."""
    timed = summary[(summary.kind == "roof") & (summary.samples > 0)]
    by_name = {name: timed[timed.variant == name] for name in
               ("fma", "sgemm", "sgemv", "read", *DOTS, *ROOF_OF.values())}
    sgemm, sgemv, read = by_name["sgemm"], by_name["sgemv"], by_name["read"]
    square = sgemm[sgemm.seq_len == sgemm.hid_size]
    rate = square.gflops.median()
    walked = read.bytes.astype(float) - RESULT_BYTES
    matrix = matrix_bytes(sgemv)
    counts = {name: (by_name[name][runs.EVALUATIONS].astype(float).sum(axis=1)
                     / by_name[name].median_ns).max() for name in dict.fromkeys(ROOF_OF.values())}
    return Roofs(caches=cache_sizes(host), fma=by_name["fma"].gflops.max(), sgemm=rate,
                 sgemv=curve(matrix, sgemv.median_ns / matrix),
                 packing=packing_curve(sgemm, rate), read=curve(walked, read.median_ns / walked),
                 evaluations=counts, dots={name: by_name[name].gflops.max() for name in DOTS})


# ---- what-if -----------------------------------------------------------------------------------


def resized(found: Curve, caches: tuple[float, ...], level: int, factor: float) -> Curve:
    """The curve of a machine whose cache of that level is `factor` times as large.

    Sizes between the caches move with them, evenly in the logarithm.
    """
    before = np.log(caches)
    after = before.copy()
    after[level] += np.log(factor)
    sizes = np.log(found.sizes)
    beyond = np.where(sizes > before[-1], after[-1] - before[-1], 0)
    within = (sizes >= before[0]) & (sizes <= before[-1])
    moved = np.where(within, np.interp(sizes, before, after), sizes + beyond)
    return replace(found, sizes=tuple(np.exp(moved)))


def faster_level(found: Curve, caches: tuple[float, ...], level: int, factor: float) -> Curve:
    """The curve of a machine that reads that level `factor` times as fast."""
    sizes = np.array(found.sizes)
    is_in = (sizes > caches[level - 1]) & (sizes <= caches[level] * 1.01)
    return replace(found, ns_per_byte=tuple(np.where(is_in, 1 / factor, 1) * found.ns_per_byte))


def changed(roofs: Roofs, change: str, factor: float) -> Roofs:
    """The roofs after one change: `L2 size`, `L2 bandwidth`, `L3 bandwidth`, `FMA rate`."""
    if change == "FMA rate":
        dots = {name: rate * factor for name, rate in roofs.dots.items()}
        return replace(roofs, fma=roofs.fma * factor, sgemm=roofs.sgemm * factor, dots=dots)
    level = int(change[1]) - 1
    move = resized if change.endswith("size") else faster_level
    return replace(roofs, **{name: move(getattr(roofs, name), roofs.caches, level, factor)
                             for name in ("sgemv", "packing")})
