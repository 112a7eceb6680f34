"""What the entries of the atlas tell: crossings measured, predicted from roofs, and by one law."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import atlas, runs
from seqbench.tables import crossover, prediction, rates, ratios, roofline

BLAS, OWN = "sgemm over sgemv", "fma over read"  # whose advantage of many rows over one
SLIP = 0.01  # relative: a crossing may differ so much from that of the medians, which are rounded


def roofs(entry: atlas.Entry) -> rates.Roofs:
    """The roofs of a machine."""
    return rates.roofs_of(entry.cases, entry.host)


def advantages(machine: rates.Roofs, matrix: float) -> dict[str, float]:
    """How many times the rate of a product of many rows that of one row has, by OpenBLAS's roofs and ours.

    The one row meets a matrix of so many bytes, which is read for 2 operations a float.
    """
    bytes_per_operation = 4 / 2
    return {BLAS: float(machine.sgemm * machine.sgemv.at(matrix) * bytes_per_operation),
            OWN: float(machine.fma * machine.reading_ns(matrix) / matrix * bytes_per_operation)}


def by_law(hid_size, advantage):
    """The SeqLen of the crossing if nothing but products took time, at two rates.

    Per token and at equal size the block has 24 H^2 + 4 S H operations at the one rate; lstm or gru has
    12 H^2 at that rate and 12 H^2 at that of one row.
    """
    return 3 * hid_size * (advantage - 1)


def at_equal_size(cases: pd.DataFrame) -> pd.DataFrame:
    """Ratios of some cases, every layer at its best, by layer and HidSize."""
    return ratios.relative(cases, ratios.ANY, ratios.PARAMETER)


def crossings_of(cells: pd.DataFrame, layer: str, hid_size: int) -> tuple[str, float]:
    """How a layer fares along SeqLen, taking each ratio as sure, and its last crossing."""
    rows = cells[(cells.layer == layer) & (cells.hid_size == hid_size)].sort_values("seq_len")
    word, _, found = crossover.verdict(rows.seq_len.to_numpy(), rows.ratio.to_numpy())
    return word, found[-1] if found else np.nan


def predicted_cells(entry: atlas.Entry) -> pd.DataFrame:
    """Ratios predicted from the roofs.

    A build without OpenBLAS's roofs is taken to multiply many rows at the rate of roof/fma.
    """
    machine = roofs(entry)
    machine = machine if np.isfinite(machine.sgemm) else replace(machine, sgemm=machine.fma)
    return at_equal_size(prediction.with_times(entry.cases[entry.cases.kind == atlas.LAYER], machine))


def step_bytes(entry: atlas.Entry, layer: str, hid_size: int) -> float:
    """Bytes that a step of a layer reads again."""
    rows = entry.cases[(entry.cases.layer == layer) & (entry.cases.hid_size == hid_size)]
    return float(roofline.streamed_per_step(rows).max())


def rows_of(entry: atlas.Entry) -> list[dict]:
    """A row for each layer and HidSize of an entry."""
    measured = at_equal_size(entry.cases[entry.cases.kind == atlas.LAYER])
    predicted, machine = predicted_cells(entry), roofs(entry)
    rows = []
    for row in entry.crossings.itertuples():
        _, place = crossings_of(measured, row.name, row.hid_size)
        if np.isfinite(row.value) and not abs(np.log(place / row.value)) < SLIP:
            raise runs.RunError(f"{entry.path}: the crossing of {row.name} at HidSize {row.hid_size} is not "
                                "that of its times")
        word, guess = crossings_of(predicted, row.name, row.hid_size)
        guess = guess if word in (crossover.CROSSES, crossover.BACK) else np.nan
        found = advantages(machine, step_bytes(entry, row.name, row.hid_size))
        rows.append({"file": entry.path.stem, "layer": row.name,
                     "hid_size": row.hid_size, "verdict": row.word, "place": row.value,
                     "low": row.ci_low, "high": row.ci_high, "predicted_verdict": word, "predicted": guess,
                     "error": guess / row.value if word == row.word else np.nan, **found,
                     "restricted": bool(atlas.restrictions(entry.facts)),
                     "shortest": entry.lengths[0], "longest": entry.lengths[-1]})
    return rows


def table(entries: list[atlas.Entry]) -> pd.DataFrame:
    """The rows of all entries."""
    return pd.DataFrame([row for entry in entries for row in rows_of(entry)])


def load(folder: Path) -> tuple[list[atlas.Entry], pd.DataFrame]:
    """The entries of a folder, and what they tell."""
    entries = atlas.load_all(folder)
    return entries, table(entries)
