"""What the article states, line by line, and what the clock says."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import ratios
from seqbench.tables.table import Made

WITHIN = 0.15  # an exponent holds if it is so near
FAR_BELOW = 0.1  # share of time
SAME = 1.5  # times within this factor are about the same
CLEARLY = 2.0  # times beyond this factor are clearly different
CHAT_LENGTHS, CHAT_SIZES = (20, 100), (100, 1000)
THOUSANDS = 1000
HOLDS, FAILS, DEPENDS, NOT_MEASURED = "holds", "fails", "depends", "not measured"


@dataclass(frozen=True)
class Finding:
    """One measured number at one HidSize."""
    hid_size: int
    value: float
    low: float
    high: float
    cells: int
    holds: bool


@dataclass(frozen=True)
class Claim:
    """A line of the article and how it is measured."""
    name: str
    statement: str
    measure: str
    claimed: str
    findings: Callable[[pd.DataFrame], list[Finding]]


# ---- exponents ---------------------------------------------------------------------------------


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Log-log slope."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def of_kernel(summary: pd.DataFrame, kernel: str) -> pd.DataFrame:
    """The timed rows of one kernel, with the fewest heads of each cell."""
    rows = summary[(summary.kernel == kernel) & (summary.samples > 0)]
    return rows.sort_values("heads").drop_duplicates(["seq_len", "hid_size"])


def finding(hid_size: int, values: Iterable[float], is_held: Callable[[float], bool]) -> Finding:
    """The median of some values; it holds if the median does."""
    found = np.array(list(values))
    median = float(np.median(found))
    return Finding(int(hid_size), median, float(found.min()), float(found.max()), len(found),
                   bool(is_held(median)))


def near(claimed: float) -> Callable[[float], bool]:
    """The rule of an exponent."""
    return lambda value: abs(value - claimed) <= WITHIN


def over_hid_size(kernel: str, claimed: float) -> Callable[[pd.DataFrame], list[Finding]]:
    """The exponent of HidSize at each HidSize, by its neighbours, for every SeqLen."""
    def findings(summary: pd.DataFrame) -> list[Finding]:
        table = of_kernel(summary, kernel).pivot(index="hid_size", columns="seq_len",
                                                 values="median_ns").dropna()
        found = []
        for i, hid_size in enumerate(table.index):
            around = table.iloc[max(i - 1, 0):i + 2]
            if len(around) > 1:
                slopes = [slope(around.index.to_numpy(), around[s].to_numpy()) for s in around]
                found.append(finding(hid_size, slopes, near(claimed)))
        return found
    return findings


def over_seq_len(kernel: str, claimed: float) -> Callable[[pd.DataFrame], list[Finding]]:
    """The exponent of SeqLen at each HidSize, between neighbouring SeqLens."""
    def findings(summary: pd.DataFrame) -> list[Finding]:
        found = []
        for hid_size, rows in of_kernel(summary, kernel).groupby("hid_size"):
            rows = rows.sort_values("seq_len")
            if len(rows) > 1:
                x, y = np.log(rows.seq_len.to_numpy()), np.log(rows.median_ns.to_numpy())
                found.append(finding(hid_size, np.diff(y) / np.diff(x), near(claimed)))
        return found
    return findings


def over_heads(kernel: str, claimed: float) -> Callable[[pd.DataFrame], list[Finding]]:
    """The exponent of HeadCount at each HidSize that was timed with several."""
    def findings(summary: pd.DataFrame) -> list[Finding]:
        timed = summary[(summary.kernel == kernel) & (summary.samples > 0)]
        found = []
        for hid_size, rows in timed.groupby("hid_size"):
            slopes = [slope(cell.heads.to_numpy(), cell.median_ns.to_numpy())
                      for _, cell in rows.groupby("seq_len") if cell.heads.nunique() > 1]
            if slopes:
                found.append(finding(hid_size, slopes, near(claimed)))
        return found
    return findings


# ---- times beside each other -------------------------------------------------------------------


def softmax_share(summary: pd.DataFrame) -> list[Finding]:
    """Softmax over the two products of the attention, per HidSize."""
    parts = {name: of_kernel(summary, f"transformer.{name}").set_index(["hid_size", "seq_len"])
             .median_ns for name in ("softmax", "scores", "weighted")}
    share = (parts["softmax"] / (parts["scores"] + parts["weighted"])).dropna()
    return [finding(hid_size, values, lambda value: value < FAR_BELOW)
            for hid_size, values in share.groupby(level="hid_size")]


def lead(layer: str, lengths: tuple[float, float], sizes: tuple[float, float],
         is_held: Callable[[float], bool]) -> Callable[[pd.DataFrame], list[Finding]]:
    """Transformer time over the layer's, per HidSize, in a range of SeqLen and HidSize."""
    def findings(summary: pd.DataFrame) -> list[Finding]:
        cells = ratios.relative(summary)
        cells = cells[(cells.layer == layer) & cells.seq_len.between(*lengths)
                      & cells.hid_size.between(*sizes)]
        return [finding(hid_size, rows.ratio, is_held)
                for hid_size, rows in cells.groupby("hid_size")]
    return findings


def about_the_same(ratio: float) -> bool:
    """The rule of equal times."""
    return 1 / SAME <= ratio <= SAME


def clearly_faster(ratio: float) -> bool:
    """The rule of a clear lead."""
    return ratio >= CLEARLY


# ---- the article -------------------------------------------------------------------------------


def power(axis: str, exponent: int) -> str:
    """SeqLen^2; SeqLen."""
    return {0: f"{axis}^0"}.get(exponent, axis if exponent == 1 else f"{axis}^{exponent}")


def growth_claims(name: str, statement: str, kernel: str, s: int | None, h: int | None,
                  a: int | None = None) -> list[Claim]:
    """The claims about the exponents of one kernel."""
    axes = [("SeqLen", s, over_seq_len), ("HidSize", h, over_hid_size),
            ("HeadCount", a, over_heads)]
    return [Claim(name, statement, f"exponent of {axis} of {kernel}", power(axis, exponent),
                  rule(kernel, exponent))
            for axis, exponent, rule in axes if exponent is not None]


def lead_claims(name: str, statement: str, claimed: str, lengths: tuple[float, float],
                sizes: tuple[float, float], is_held: Callable[[float], bool]) -> list[Claim]:
    """The claim for both recurrent layers that the article speaks of."""
    return [Claim(name, statement, f"transformer time / {layer} time", claimed,
                  lead(layer, lengths, sizes, is_held)) for layer in ("rnn", "lstm")]


EVERY = (1, np.inf)
CLAIMS = [
    *growth_claims("rnn step", "An RNN step is two matrix-vector products: HidSize^2",
                   "rnn.step", None, 2),
    *growth_claims("rnn", "A whole RNN: SeqLen * HidSize^2", "rnn/literal", 1, 2),
    *growth_claims("lstm gates", "The LSTM's gates are eight products: HidSize^2",
                   "lstm.gates", None, 2),
    *growth_claims("lstm update", "The updates of C and H, printed as HidSize^2 "
                   "(they are elementwise, HidSize)", "lstm.update", None, 2),
    *growth_claims("qkv", "Q, K, V: SeqLen * HidSize^2", "transformer.qkv", 1, 2),
    *growth_claims("scores", "Scores: HidSize * SeqLen^2, whatever the HeadCount",
                   "transformer.scores", 2, 1, 0),
    *growth_claims("weighted sum", "Weighted sum: HidSize * SeqLen^2, whatever the HeadCount",
                   "transformer.weighted", 2, 1, 0),
    *growth_claims("softmax", "Softmax: HeadCount * SeqLen^2", "transformer.softmax", 2, None, 1),
    Claim("softmax share", "Softmax is far below scores and weighted sum",
          "softmax time / time of scores and weighted sum", f"below {FAR_BELOW}", softmax_share),
    *growth_claims("output", "Output: SeqLen * HidSize^2", "transformer.output", 1, 2),
    *growth_claims("ffn", "FFN: SeqLen * HidSize^2", "transformer.ffn", 1, 2),
    *lead_claims("chat", "At chat lengths (SeqLen 20 to 100, HidSize a few hundred) both cost "
                 "about the same", f"within {SAME}x", CHAT_LENGTHS, CHAT_SIZES, about_the_same),
    *lead_claims("thousands", "At thousands of tokens the recurrent layer is clearly faster",
                 f"above {CLEARLY:g}x", (THOUSANDS, np.inf), EVERY, clearly_faster),
    *lead_claims("one core", "Without parallel hardware the Transformer is far less efficient",
                 f"above {CLEARLY:g}x", EVERY, EVERY, clearly_faster),
]


# ---- table -------------------------------------------------------------------------------------


def overall(findings: list[Finding]) -> str:
    """The verdict over all HidSizes."""
    if not findings:
        return NOT_MEASURED
    held = {found.holds for found in findings}
    return DEPENDS if len(held) > 1 else HOLDS if held == {True} else FAILS


def claim_rows(claim: Claim, summary: pd.DataFrame) -> list[dict]:
    """Rows of claims.csv: all HidSizes together, then each."""
    findings = claim.findings(summary)
    values = [found.value for found in findings]
    common = {"claim": claim.name, "statement": claim.statement, "measure": claim.measure,
              "claimed": claim.claimed}
    every = {"hid_size": np.nan, "cells": sum(found.cells for found in findings),
             "measured": np.median(values) if values else np.nan,
             "low": min((found.low for found in findings), default=np.nan),
             "high": max((found.high for found in findings), default=np.nan),
             "verdict": overall(findings)}
    return [common | every] + [
        common | {"hid_size": found.hid_size, "cells": found.cells, "measured": found.value,
                  "low": found.low, "high": found.high,
                  "verdict": HOLDS if found.holds else FAILS} for found in findings]


def claims(summary: pd.DataFrame) -> pd.DataFrame:
    """claims.csv: per claim one row of all HidSizes and one of each."""
    of_headline = summary[summary.engine.isin([runs.HEADLINE, "none"])]
    rows = [row for claim in CLAIMS for row in claim_rows(claim, of_headline)]
    table = pd.DataFrame(rows, columns=list(runs.schema(runs.README, "claims.csv")))
    return table.astype({"hid_size": "Int64"})


MADE = [Made("claims.csv", ["summary.csv"], claims)]


def filled_up(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Each claim from the first table that has measured it."""
    keys = ["claim", "measure"]
    chosen = []
    for key, group in tables[0].groupby(keys, sort=False):
        for table in tables:
            rows = table[(table[keys] == key).all(axis=1)]
            if len(rows) and rows.verdict.iloc[0] != NOT_MEASURED:
                group = rows
                break
        chosen.append(group)
    return pd.concat(chosen, ignore_index=True)


# ---- words -------------------------------------------------------------------------------------


def digits(value: float) -> str:
    """Two decimals, or fewer of a large number."""
    return f"{value:.{2 if abs(value) < 9.95 else 1}f}"


def verdict_text(verdict: str, sizes: pd.DataFrame) -> str:
    """The verdict, with the HidSizes at which it holds where that depends."""
    if verdict != DEPENDS:
        return verdict
    held = sizes.loc[sizes.verdict == HOLDS, "hid_size"]
    return f"{DEPENDS}: holds at H = {', '.join(map(str, map(int, held)))}"


def measured_text(every: pd.Series, sizes: pd.DataFrame) -> str:
    """What was measured for one measure, its range over HidSize, and the verdict."""
    numbers = [digits(sizes.measured.min()), digits(sizes.measured.max())] if len(sizes) else []
    values = " to ".join(dict.fromkeys(numbers)) or "-"
    verdict = verdict_text(every.verdict, sizes)
    return f"{every.measure}: {values} (claimed {every.claimed}: {verdict})"


def table_rows(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table for a reader, one per line of the article."""
    rows = []
    for statement, lines in table.groupby("statement", sort=False):
        words = [measured_text(group[group.hid_size.isna()].iloc[0], group[group.hid_size.notna()])
                 for _, group in lines.groupby("measure", sort=False)]
        rows.append([statement, "; ".join(words)])
    return ["the article", "measured, range over HidSize"], rows
