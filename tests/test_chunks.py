"""Chunked forms beside recurrent ones: the table of several runs, and its words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seqbench.read import dimensions, hosts, runs
from seqbench.tables import chunks
from seqbench.words import chunks as words

ABSENT = {size.column: size.absent for size in dimensions.ALL}


def timed(layer, variant, ns, half=0.01, engine="packed", heads=1):
    """A row of summary.csv whose interval is so wide, in logarithms."""
    return {**ABSENT, "kind": "layer", "layer": layer, "variant": variant, "engine": engine, "heads": heads,
            "seq_len": 64, "hid_size": 32, "kernel": f"{layer}/{variant}", "median_ns": ns,
            "ci_low_ns": ns * np.exp(-half), "ci_high_ns": ns * np.exp(half)}


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """Plants runs by the length of their chunk."""
    def plant(rows_of):
        monkeypatch.setattr(runs, "load_summary", lambda folder: pd.DataFrame(rows_of[folder.name]))
        monkeypatch.setattr(hosts, "load", lambda folder: {"build": {
            "chunk": int(folder.name) if folder.name.isdigit() else None}})
        return [tmp_path / name for name in rows_of]
    return plant


def test_ratio_is_that_of_the_two_forms_with_both_intervals(planted):
    folders = planted({"16": [timed("mlstm", "recurrent", 100.0, 0.03), timed("mlstm", "chunked", 120.0, 0.04),
                              timed("rnn", "hoisted", 1.0)]})
    row, = chunks.chunks(folders).itertuples()
    assert (row.layer, row.chunk, row.ratio) == ("mlstm", 16, pytest.approx(1.2))
    assert row.ratio_high == pytest.approx(1.2 * np.exp(0.05))
    assert row.ratio_low == pytest.approx(1.2 * np.exp(-0.05))


def test_runs_that_cannot_be_set_side_by_side(planted):
    both = [timed("mlstm", "recurrent", 1.0), timed("mlstm", "chunked", 1.0)]
    with pytest.raises(runs.RunError, match="build: chunk is missing"):
        chunks.chunks(planted({"some": both}))
    with pytest.raises(runs.RunError, match="no layer was timed in both forms"):
        chunks.chunks(planted({"16": both[:1]}))
    folders = planted({"16": both})
    with pytest.raises(runs.RunError, match="chunks of the same length"):
        chunks.chunks(folders * 2)


def test_words(planted):
    never = {str(size): [timed("supra", "recurrent", 100.0), timed("supra", "chunked", 100.0 + size)]
             for size in (16, 32)}
    table = chunks.chunks(planted(never))
    assert words.sentence(table) == ("With chunks of 16 to 32 tokens the chunked form takes less time in none "
                                     "of 2 cells.")
    never["32"] += [timed("mlstm", "recurrent", 100.0, heads=2), timed("mlstm", "chunked", 50.0, heads=2)]
    table = chunks.chunks(planted(never))
    assert words.sentence(table) == (
        "The chunked form takes less time (the whole interval lies below 1) in 1 of 3 cells: for mlstm with heads "
        "of 16 channels, best 0.50x (16 channels, chunks of 32 tokens); never for supra.")
    assert words.table_text(table).splitlines()[2:] == ["| mlstm | 16 | - | 0.50x |",
                                                        "| supra | - | 1.2x | 1.3x |"]
