"""stream.csv: how long the calls of a stream take, from the histograms of calls.csv."""
from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
WITH_INTERVAL = ["p50", "p99"]
COMPARED = ["p50", "p99"]
LEAST_CALLS = {"p999": 1000, "p99": 100}  # of fewer a quantile says nothing of its own
DRAWS = 500
FINE_BITS = 10  # bins are 1024 for each doubling, and no finer than 1 ns
LONGEST_FIELD = 1 << 20  # characters: a histogram in which every bin holds something
PACED = "paced"
CASE = [name for name in runs.CASE if name != "cache"]
ONE = [*CASE, "condition", "period_ns"]
BIN = re.compile(r"([0-9]{1,18}):([1-9][0-9]{0,17})")


# ---- histograms --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Histogram:
    """Durations in ns, where their bins begin, and how many calls each bin holds."""
    low: np.ndarray
    count: np.ndarray

    @classmethod
    def parse(cls, text: str) -> Histogram:
        """From `412:3 413:55`; ValueError where it is anything else."""
        found = [BIN.fullmatch(item) for item in text.split(" ")]
        if not all(found):
            raise ValueError(text)
        low, count = np.array([[int(number) for number in item.groups()] for item in found]).T
        if (np.diff(low) <= 0).any():
            raise ValueError(text)
        return cls(low, count)

    @classmethod
    def of(cls, durations: np.ndarray) -> Histogram:
        """Of whole ns from 1 on, in the bins of bench/measure/histogram.c."""
        shift = (np.floor(np.log2(durations)).astype(int) - FINE_BITS).clip(min=0)
        return cls(*np.unique(durations >> shift << shift, return_counts=True))

    def text(self) -> str:
        """As in calls.csv."""
        return " ".join(f"{low}:{count}" for low, count in zip(self.low, self.count))

    @classmethod
    def merged(cls, several: list[Histogram]) -> Histogram:
        """All calls of several."""
        low, count = onto_common_bins(several)
        return cls(low, count.sum(axis=0))

    @property
    def calls(self) -> int:
        """How many were timed."""
        return int(self.count.sum())

    def quantile(self, share: float) -> float:
        """The duration that a share of the calls stays below; the others take it or longer."""
        return float(quantiles_of(self.low, self.count[None], share)[0])

    def above(self, ns: float) -> int:
        """Calls that took longer than ns."""
        return int(self.count[self.low > ns].sum())


def onto_common_bins(several: list[Histogram]) -> tuple[np.ndarray, np.ndarray]:
    """The bins of all of them, and the counts of each in these, a row for each."""
    low = np.unique(np.concatenate([each.low for each in several]))
    count = np.zeros((len(several), len(low)), dtype=np.int64)
    for row, each in zip(count, several):
        row[np.searchsorted(low, each.low)] = each.count
    return low, count


def quantiles_of(low: np.ndarray, counts: np.ndarray, share: float) -> np.ndarray:
    """The quantile of each row of counts."""
    upto = np.cumsum(counts, axis=1)
    rank = np.floor(share * upto[:, -1])
    return low[(upto <= rank[:, None]).sum(axis=1).clip(max=len(low) - 1)]


def interval(several: list[Histogram], share: float) -> tuple[float, float]:
    """95 % interval of a quantile of all calls: bootstrap over visits, each a block of calls."""
    if len(several) < 2:
        return np.nan, np.nan
    low, count = onto_common_bins(several)
    rng = np.random.default_rng(runs.SEED)
    weights = rng.multinomial(len(several), np.full(len(several), 1 / len(several)), DRAWS)
    return tuple(np.quantile(quantiles_of(low, weights @ count, share), [0.025, 0.975]))


# ---- a run -------------------------------------------------------------------------------------


def is_stream(run_dir: Path) -> bool:
    """Whether a run timed calls."""
    return bool(hosts.value(hosts.load(run_dir), "run", "conditions"))


def parsed(path: Path, line: int, text: str) -> Histogram:
    """A histogram of a file."""
    try:
        return Histogram.parse(text)
    except ValueError:
        raise runs.RunError(f"{path}: line {line}: histogram: not `ns:calls ns:calls ...` in "
                            "rising order") from None


def condition_of(cache: str) -> tuple[str, float]:
    """hot and cold as they are; a period as paced with its ns."""
    if found := re.fullmatch(r"([0-9]{1,18})ns", cache):
        return PACED, float(found[1])
    return cache, np.nan


def load(run_dir: Path) -> pd.DataFrame:
    """A row for each block of calls: its case, condition, round, and `histogram`.

    Blocks without a row in samples.csv were broken off; of those made twice the last one counts.
    """
    path = run_dir / "calls.csv"
    csv.field_size_limit(LONGEST_FIELD)
    if not path.exists():
        raise runs.RunError(f"{path}: No such file: {run_dir} is no stream")
    calls = runs.read_columns(path, runs.schema(runs.README, path.name))
    samples = runs.load_samples(run_dir)
    orders = runs.read_samples(run_dir / "samples.csv", ["order", "minor_faults", "major_faults"])
    samples = samples.join(orders)
    calls = calls.reset_index(names="line").drop_duplicates(["order", "sample", "block"], keep="last")
    blocks = samples[samples.status == "ok"].merge(calls, on=["order", "sample"])
    if blocks.empty:
        raise runs.RunError(f"{path}: no calls of a visit that came to its end")
    conditions = pd.DataFrame([condition_of(cache) for cache in blocks.cache],
                              columns=["condition", "period_ns"], index=blocks.index)
    histograms = [parsed(path, line, text) for line, text in zip(blocks.line, blocks.histogram)]
    return blocks.assign(histogram=histograms, condition=conditions.condition,
                         period_ns=conditions.period_ns)


def by_visit(blocks: pd.DataFrame) -> list[Histogram]:
    """The calls of each visit: those of one process from one place in memory."""
    return [Histogram.merged(list(of_visit)) for _, of_visit in
            blocks.groupby(["order", "sample"], sort=False).histogram]


def one_row(blocks: pd.DataFrame) -> dict:
    """What stream.csv says of one case under one condition."""
    several = by_visit(blocks)
    merged = Histogram.merged(several)
    row = {"rounds": blocks["round"].nunique(), "blocks": len(blocks), "calls": merged.calls,
           "clock_ns": blocks.clock_ns.median(), "max_ns": float(merged.low[-1]),
           "late": merged.above(blocks.period_ns.iloc[0]) if blocks.period_ns.notna().all() else np.nan}
    for name, share in QUANTILES.items():
        known = merged.calls >= LEAST_CALLS.get(name, 1)
        row[f"{name}_ns"] = merged.quantile(share) if known else np.nan
        if name in WITH_INTERVAL:
            row[f"{name}_low_ns"], row[f"{name}_high_ns"] = (
                interval(several, share) if known else (np.nan, np.nan))
    visits = blocks.drop_duplicates(["order", "sample"])
    row["disturbed"] = int((visits["flags"] != "").sum())
    row["faults"] = float((visits.minor_faults + visits.major_faults).sum())
    return row


def streams(run_dirs: list[Path]) -> pd.DataFrame:
    """stream.csv of one run, or of several that are parts of one."""
    blocks = pd.concat([load(folder).assign(run=i) for i, folder in enumerate(run_dirs)],
                       ignore_index=True)
    blocks["round"] += 1000 * blocks.run
    blocks["order"] += 1000000 * blocks.run
    rows = [dict(zip(ONE, key)) | one_row(group)
            for key, group in blocks.groupby(ONE, dropna=False, sort=False)]
    table = pd.DataFrame(rows)
    order = ["kind", "kernel", "engine", *runs.DIMENSIONS, "condition", "period_ns"]
    table = table.sort_values(order, kind="stable").reset_index(drop=True)
    return table[list(runs.schema(runs.README, "stream.csv"))]


def as_samples(run_dir: Path) -> pd.DataFrame:
    """A visit's quantiles as if they were times of samples, so that runs can be compared."""
    blocks = load(run_dir)
    several = by_visit(blocks)
    visits = blocks.drop_duplicates(["order", "sample"])
    found = []
    for name in COMPARED:
        ns = [each.quantile(QUANTILES[name]) if each.calls >= LEAST_CALLS.get(name, 1) else np.nan
              for each in several]
        found.append(visits.assign(cache=visits.cache + f" {name}", wall_ns=ns, iterations=1,
                                   sample=0, flags=""))
    samples = pd.concat(found, ignore_index=True)
    return samples[samples.wall_ns.notna()][runs.NEEDED_OF_SAMPLES]
