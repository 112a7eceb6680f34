"""What the article states, line by line, and what the clock says."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import ratios
from seqbench.tables.crossover import drawn_ratios
from seqbench.tables.ratios import KEY, Drawn
from seqbench.tables.table import Made

WITHIN = 0.15  # an exponent holds if it is so near
FAR_BELOW = 0.1  # share of time
SAME = 1.5  # times within this factor are about the same
CLEARLY = 2.0  # times beyond this factor are clearly different
CHAT_LENGTHS, CHAT_SIZES = (20, 100), (100, 1000)
THOUSANDS = 1000
HOLDS, FAILS, UNDECIDED, NOT_MEASURED = "holds", "fails", "undecided", "not measured"
IN_WORDS = {"rnn": "an RNN", "lstm": "an LSTM"}  # the layers that the article speaks of


@dataclass(frozen=True)
class Measured:
    """What claims are judged by."""
    summary: pd.DataFrame
    ratios: pd.DataFrame
    drawn: Drawn
    lanes: int | None  # floats in a vector of our own kernels


@dataclass(frozen=True)
class Finding:
    """A number at one HidSize, with its 95 % interval."""
    hid_size: int
    value: float
    low: float
    high: float
    cells: int


@dataclass(frozen=True)
class Claim:
    """A line of the article and how it is measured; it holds where the number lies in `range`."""
    name: str
    statement: str
    lens: str
    measure: str
    claimed: str
    range: tuple[float, float]
    findings: Callable[[Measured], list[Finding]]
    why: str

    def verdict(self, found: Finding) -> str:
        """Of one HidSize: an interval that reaches across an end of the range decides nothing."""
        least, most = self.range
        if least <= found.low and found.high <= most:
            return HOLDS
        return FAILS if found.high < least or found.low > most else UNDECIDED


def finding(hid_size: int, values: np.ndarray, cells: int) -> Finding:
    """From a number, and what it could have been, drawn."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Finding(int(hid_size), float(values[0]), float(low), float(high), cells)


# ---- times -------------------------------------------------------------------------------------


def of_kernel(summary: pd.DataFrame, kernel: str) -> pd.DataFrame:
    """The timed rows of one kernel with the first engine, with the fewest heads of each cell."""
    rows = summary[(summary.kernel == kernel) & (summary.samples > 0)
                   & summary.engine.isin([runs.HEADLINE, "none"])]
    return rows.sort_values("heads").drop_duplicates(["seq_len", "hid_size"])


def log_times(rows: pd.DataFrame, by: list[str], drawn: Drawn) -> dict[tuple, np.ndarray]:
    """Logarithms of the median of each case, and of what it could have been, by some sizes."""
    found = {}
    for row in rows.itertuples():
        case = tuple(getattr(row, name) for name in KEY)
        place = tuple(getattr(row, name) for name in by)
        found[place] = np.log(row.median_ns) + np.concatenate([[0], np.log(drawn(case))])
    return found


def slope(sizes: list[int], logs: list[np.ndarray]) -> np.ndarray:
    """Log-log slope of each draw."""
    x = np.log(sizes) - np.log(sizes).mean()
    return x @ np.array(logs) / (x ** 2).sum()


def median_finding(hid_size: int, values: list[np.ndarray]) -> Finding:
    """The median of some numbers, draw by draw."""
    return finding(hid_size, np.median(values, axis=0), len(values))


def over_hid_size(kernel: str) -> Callable[[Measured], list[Finding]]:
    """The exponent of HidSize at each HidSize, by its neighbours, for every SeqLen."""
    def findings(run: Measured) -> list[Finding]:
        rows = of_kernel(run.summary, kernel)
        logs = log_times(rows, ["hid_size", "seq_len"], run.drawn)
        sizes = sorted(set(rows.hid_size))
        lengths = [s for s in sorted(set(rows.seq_len)) if all((h, s) in logs for h in sizes)]
        found = []
        for i, hid_size in enumerate(sizes if len(sizes) > 1 and lengths else []):
            around = sizes[max(i - 1, 0):i + 2]
            found.append(median_finding(hid_size, [
                slope(around, [logs[h, s] for h in around]) for s in lengths]))
        return found
    return findings


def over_seq_len(kernel: str) -> Callable[[Measured], list[Finding]]:
    """The exponent of SeqLen at each HidSize, between neighbouring SeqLens."""
    def findings(run: Measured) -> list[Finding]:
        found = []
        for hid_size, rows in of_kernel(run.summary, kernel).groupby("hid_size"):
            logs = log_times(rows, ["seq_len"], run.drawn)
            places = sorted(logs)
            if len(places) > 1:
                found.append(median_finding(hid_size, [
                    slope([one[0], other[0]], [logs[one], logs[other]])
                    for one, other in zip(places, places[1:])]))
        return found
    return findings


def over_heads(kernel: str) -> Callable[[Measured], list[Finding]]:
    """The exponent of HeadCount at each HidSize that was timed with several."""
    def findings(run: Measured) -> list[Finding]:
        timed = run.summary[(run.summary.kernel == kernel) & (run.summary.samples > 0)]
        found = []
        for hid_size, rows in timed.groupby("hid_size"):
            slopes = []
            for _, cell in rows.groupby("seq_len"):
                logs = log_times(cell, ["heads"], run.drawn)
                if len(logs) > 1:
                    slopes.append(slope([place[0] for place in logs], list(logs.values())))
            if slopes:
                found.append(median_finding(hid_size, slopes))
        return found
    return findings


def softmax_share(run: Measured) -> list[Finding]:
    """Softmax over the two products of the attention, per HidSize."""
    parts = [log_times(of_kernel(run.summary, f"transformer.{name}"), ["hid_size", "seq_len"],
                       run.drawn) for name in ("softmax", "scores", "weighted")]
    shares: dict[int, list[np.ndarray]] = {}
    for cell in sorted(set(parts[0]) & set(parts[1]) & set(parts[2])):
        softmax, scores, weighted = (np.exp(part[cell]) for part in parts)
        shares.setdefault(cell[0], []).append(softmax / (scores + weighted))
    return [median_finding(hid_size, values) for hid_size, values in shares.items()]


def lead(layer: str, lens: str, lengths: tuple[float, float], sizes: tuple[float, float],
         over_count: bool = False) -> Callable[[Measured], list[Finding]]:
    """Geometric mean of the ratio, per HidSize, in a range of SeqLen and HidSize.

    On request over the ratio of the operations.
    """
    def findings(run: Measured) -> list[Finding]:
        seen = ratios.through(run.ratios, lens, ratios.best_class(run.summary))
        cells = seen[(seen.layer == layer) & seen.seq_len.between(*lengths)
                     & seen.hid_size.between(*sizes)]
        found = []
        for hid_size, rows in cells.groupby("hid_size"):
            every = np.vstack([rows.ratio, drawn_ratios(rows, run.drawn)])
            counted = rows.flops_ratio.to_numpy() if over_count else 1
            found.append(finding(hid_size, np.exp(np.log(every / counted).mean(axis=1)), len(rows)))
        return found
    return findings


def without_lanes(layer: str) -> Callable[[Measured], list[Finding]]:
    """Of a run with one float per vector: the ratio over that of the operations, per HidSize."""
    measured = lead(layer, ratios.LAYER, (THOUSANDS, np.inf), (1, np.inf), over_count=True)
    return lambda run: measured(run) if run.lanes == 1 else []


# ---- the article -------------------------------------------------------------------------------


def power(axis: str, exponent: int) -> str:
    """SeqLen^2; SeqLen."""
    return {0: f"{axis}^0"}.get(exponent, axis if exponent == 1 else f"{axis}^{exponent}")


def growth_claims(name: str, statement: str, kernel: str, s: int | None, h: int | None,
                  why: str, a: int | None = None) -> list[Claim]:
    """The claims about the exponents of one kernel."""
    axes = [("SeqLen", s, over_seq_len), ("HidSize", h, over_hid_size),
            ("HeadCount", a, over_heads)]
    return [Claim(name, statement, ratios.LAYER, f"exponent of {axis}", power(axis, exponent),
                  (exponent - WITHIN, exponent + WITHIN), findings(kernel), why)
            for axis, exponent, findings in axes if exponent is not None]


def lead_claims(name: str, statement: str, claimed: str, range_: tuple[float, float],
                lengths: tuple[float, float], sizes: tuple[float, float], why: dict[str, str]
                ) -> list[Claim]:
    """The claim for both recurrent layers that the article speaks of, through two lenses."""
    return [Claim(name, statement.format(word), lens, f"transformer / {layer}", claimed, range_,
                  lead(layer, lens, lengths, sizes), why[lens])
            for lens in (ratios.LAYER, ratios.PARAMETER) for layer, word in IN_WORDS.items()]


EVERY = (1, np.inf)
BY_SIZE = ("an RNN layer has a sixth of the block's parameters, an LSTM layer two thirds")
BY_SPEED = ("an operation of a recurrent step takes longer than one of a product of matrices")
WHY_LEAD = {ratios.LAYER: BY_SIZE, ratios.PARAMETER: BY_SPEED}
PRODUCT = "one product of matrices, whose speed changes little with its size"
CLAIMS = [
    *growth_claims("rnn step", "An RNN step is two matrix-vector products: HidSize^2",
                   "rnn.step", None, 2, "it grows faster where its matrices leave a cache"),
    *growth_claims("rnn", "A whole RNN: SeqLen * HidSize^2", "rnn/literal", 1, 2,
                   "every step does the same; it grows faster where its matrices leave a cache"),
    *growth_claims("lstm gates", "The LSTM's gates are eight products: HidSize^2",
                   "lstm.gates", None, 2, "it grows faster where its matrices leave a cache"),
    *growth_claims("lstm update", "The updates of C and H, printed as HidSize^2", "lstm.update",
                   None, 2, "they are elementwise: HidSize numbers each"),
    *growth_claims("qkv", "Q, K, V: SeqLen * HidSize^2", "transformer.qkv", 1, 2, PRODUCT),
    *growth_claims("scores", "Scores: HidSize * SeqLen^2, whatever the HeadCount",
                   "transformer.scores", 2, 1, "more heads are smaller products, and these are "
                   "slower", 0),
    *growth_claims("weighted sum", "Weighted sum: HidSize * SeqLen^2, whatever the HeadCount",
                   "transformer.weighted", 2, 1, "more heads are smaller products, and these are "
                   "slower", 0),
    *growth_claims("softmax", "Softmax: HeadCount * SeqLen^2", "transformer.softmax", 2, None,
                   "one exp for every score of every head", 1),
    Claim("softmax share", "Softmax is far below scores and weighted sum", ratios.LAYER,
          "softmax / (scores + weighted sum)", f"below {FAR_BELOW}", (0, FAR_BELOW),
          softmax_share, "an exp takes as long as some ten multiply-adds"),
    *growth_claims("output", "Output: SeqLen * HidSize^2", "transformer.output", 1, 2, PRODUCT),
    *growth_claims("ffn", "FFN: SeqLen * HidSize^2", "transformer.ffn", 1, 2, PRODUCT),
    *lead_claims("chat", "At chat lengths (SeqLen 20 to 100, HidSize a few hundred) a block and "
                 "{} take about the same time", f"within {SAME}x", (1 / SAME, SAME), CHAT_LENGTHS,
                 CHAT_SIZES, WHY_LEAD),
    *lead_claims("thousands", "At thousands of tokens {} is clearly faster", f"above {CLEARLY:g}x",
                 (CLEARLY, np.inf), (THOUSANDS, np.inf), EVERY,
                 {lens: "the block's attention grows with SeqLen^2" for lens in WHY_LEAD}),
    *lead_claims("one core", "Without parallel hardware the block is far less efficient than {}",
                 f"above {CLEARLY:g}x", (CLEARLY, np.inf), EVERY, EVERY, WHY_LEAD),
    *(Claim("one lane", "Without parallel hardware the arithmetic decides", ratios.LAYER,
            f"(transformer / {layer}) / operations, 1 float per vector", f"within {1 + WITHIN}x",
            (1 / (1 + WITHIN), 1 + WITHIN), without_lanes(layer),
            "a multiply-add takes as long in a recurrent step as in a product of matrices")
      for layer in IN_WORDS),
]


# ---- table -------------------------------------------------------------------------------------


def overall(claim: Claim, findings: list[Finding]) -> str:
    """The verdict over all HidSizes: holds; fails; holds from H = 256 on; holds up to H = 256."""
    verdicts = [claim.verdict(found) for found in findings]
    sizes = [found.hid_size for found in findings]
    held = [verdict == HOLDS for verdict in verdicts]
    if not findings:
        return NOT_MEASURED
    if len(set(verdicts)) == 1:
        return verdicts[0]
    if not any(held):
        return UNDECIDED if FAILS not in verdicts else f"{FAILS} or {UNDECIDED}"
    first, count = held.index(True), sum(held)
    if held[first:] == [True] * count:
        return f"{HOLDS} from H = {sizes[first]} on"
    if held[:count] == [True] * count:
        return f"{HOLDS} up to H = {sizes[count - 1]}"
    return f"{HOLDS} at {count} of {len(held)} HidSizes"


def claim_rows(claim: Claim, run: Measured) -> list[dict]:
    """Rows of claims.csv: all HidSizes together, then each."""
    findings = [found for found in claim.findings(run) if np.isfinite(found.value)]
    values = [found.value for found in findings]
    common = {"claim": claim.name, "statement": claim.statement, "lens": claim.lens,
              "measure": claim.measure, "claimed": claim.claimed, "why": claim.why}
    every = {"hid_size": np.nan, "cells": sum(found.cells for found in findings),
             "measured": np.median(values) if values else np.nan,
             "low": min(values, default=np.nan), "high": max(values, default=np.nan),
             "verdict": overall(claim, findings)}
    return [common | every] + [
        common | {"hid_size": found.hid_size, "cells": found.cells, "measured": found.value,
                  "low": found.low, "high": found.high, "verdict": claim.verdict(found)}
        for found in findings]


def claims(summary: pd.DataFrame, compared: pd.DataFrame, drawn: Drawn, host: dict
           ) -> pd.DataFrame:
    """claims.csv: per claim one row of all HidSizes and one of each."""
    run = Measured(runs.least_batch(summary), runs.least_batch(compared), drawn,
                   hosts.value(host, "build", "lanes"))
    rows = [row for claim in CLAIMS for row in claim_rows(claim, run)]
    table = pd.DataFrame(rows, columns=list(runs.schema(runs.README, "claims.csv")))
    return table.astype({"hid_size": "Int64"})


MADE = [Made("claims.csv", ["summary.csv", "ratios.csv", "drawn", "host"], claims)]


def filled_up(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Each claim from the first table that has measured it."""
    keys = ["statement", "lens", "measure"]
    chosen = []
    for key, group in tables[0].groupby(keys, sort=False):
        for table in tables:
            rows = table[(table[keys] == key).all(axis=1)]
            if len(rows) and rows.verdict.iloc[0] != NOT_MEASURED:
                group = rows
                break
        chosen.append(group)
    return pd.concat(chosen, ignore_index=True)
