"""How far intervals can be trusted, in words: from trust.csv."""
from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqbench.read import runs
from seqbench.tables.trust import (APART_MEDIANS, APART_RATIOS, APART_VERDICTS, CHOICE, CROSSINGS,
                                   MEDIANS, OPPOSITE, RATIOS)
from seqbench.words import wording


def coverage_table(table: pd.DataFrame) -> str:
    """How often 95 % intervals hold the truth, by rounds."""
    rows = table[table.what.isin([MEDIANS, RATIOS, CROSSINGS])]
    lines = []
    for (rounds, added), group in rows.groupby(["rounds", "added"]):
        values = group.set_index("what").value
        more = f", up to {added} more by `--until`" if added else ""
        lines.append([f"{rounds}{more}",
                      *(f"{values[what]:.1%}" for what in (MEDIANS, RATIOS, CROSSINGS))])
    return wording.markdown_table(["rounds", "medians", "ratios", "crossovers"], lines)


def row_of(table: pd.DataFrame, what: str) -> pd.Series:
    """The one row of a kind."""
    return table[table.what == what].iloc[0]


def apart_sentence(table: pd.DataFrame) -> str:
    """Two runs of one kind of machine: what the intervals of a run do not cover."""
    times, cells, verdicts, opposite = (
        row_of(table, what) for what in (APART_MEDIANS, APART_RATIOS, APART_VERDICTS, OPPOSITE))
    return (f"Two default runs on this CPU, hours apart, agree within their 95 % intervals in "
            f"{times.value:.0%} of {times.cases:.0f} times. They do in {cells.value:.0%} of "
            f"{cells.cases:.0f} ratios at equal model size. Of the verdicts on these (faster, slower, "
            f"no difference) {verdicts.value:.0%} are the same; opposite are "
            f"{opposite.value * opposite.cases:.0f}.")


def section(folder: Path) -> str:
    """What intervals hold, in a table and two sentences."""
    table = runs.load_derived(folder, "trust.csv")
    choice = row_of(table, CHOICE)
    return "\n\n".join([
        "How often a 95 % interval holds the truth, in simulated runs with the noise of a real "
        "one:", coverage_table(table), apart_sentence(table),
        f"The fastest of several variants is chosen by the same rounds that are reported. That "
        f"flatters a layer by {choice.value:.2%} on average (each round in turn left out of the "
        f"choice, {choice.cases:.0f} cells)."])


def front(folder: Path) -> str:
    """The sentence for the front page."""
    return apart_sentence(runs.load_derived(folder, "trust.csv"))
