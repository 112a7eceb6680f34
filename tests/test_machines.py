"""The README's part on several machines, from planted roofs and crossovers."""
from dataclasses import replace

import pandas as pd
import pytest

from test_derived import MACHINE
from test_scripts import sample, summarised

from seqbench.read import hosts
from seqbench.tables import rates
from seqbench.words import machines

SLOWER = replace(MACHINE, fma=50.0, sgemm=40.0)


def crossed(*rows):
    return pd.DataFrame(rows, columns=[
        "layer", "engine", "hid_size", "crossings", "ratio_at_max_seq_len", "arithmetic_verdict",
        "arithmetic_seq_len"])


def test_roofs_by_level():
    lines = machines.roof_table({"A": MACHINE, "B": SLOWER}).splitlines()
    assert lines[0] == ("| machine | fma GFLOP/s | sgemm GFLOP/s | sgemv in L2 GFLOP/s | "
                        "sgemv in L3 GFLOP/s | sgemv in memory GFLOP/s | "
                        "read L2 GB/s | read L3 GB/s | read memory GB/s | "
                        "sgemm / sgemv in L2 | sgemm / sgemv in L3 | sgemm / sgemv in memory |")
    assert lines[2] == ("| A | 100 | 80.0 | 25.0 | 12.5 | 5.00 | 100 | 50.0 | 20.0 | "
                        "3.20 | 6.40 | 16.0 |")
    assert lines[3].startswith("| B | 50.0 | 40.0 | 25.0 |")


def test_a_machine_with_fewer_caches_has_gaps():
    fewer = replace(MACHINE, caches=MACHINE.caches[:2])
    lines = machines.roof_table({"A": fewer, "B": MACHINE}).splitlines()
    assert lines[0].count("L3") == 3
    assert lines[2].split(" | ")[4] == "-" and lines[3].split(" | ")[4] == "12.5"
    nothing = rates.Roofs((), float("nan"), float("nan"), rates.Curve(), rates.Curve(), rates.Curve())
    assert machines.roof_table({"A": nothing}).splitlines()[2] == "| A | - | - |"


def test_crossovers_of_each_machine_and_of_the_counts():
    a = crossed(("lstm", "openblas", 64, "50", 2.0, "faster everywhere", float("nan")),
                ("lstm", "openblas", 128, "", 0.5, "faster from", 100.0),
                ("lstm", "any", 64, "", 2.0, "faster everywhere", float("nan")),
                ("rnn", "openblas", 64, "", 2.0, "faster everywhere", float("nan")))
    b = crossed(("lstm", "openblas", 64, "", 2.0, "faster everywhere", float("nan")),
                ("rnn", "openblas", 64, "", 3.0, "faster everywhere", float("nan")))
    text = machines.crossovers({"A": a, "B": b})
    assert text.splitlines() == [
        "| layer | faster | H 64 | H 128 |", "| --- | --- | --- | --- |",
        "| lstm | A | S > 50 | nowhere |", "| lstm | B | everywhere | - |",
        "| lstm | by operations, on any machine | everywhere | S > 100 |", "",
        "Faster at every SeqLen and HidSize on each of them: rnn."]


def test_a_layer_that_no_machine_timed_is_not_always_faster():
    found = crossed(("rnn", "openblas", 64, "", 2.0, "faster everywhere", float("nan")))
    assert machines.crossovers({"A": found}).endswith("each of them: rnn.")
    assert machines.crossovers({"A": found[:0]}) == ""


@pytest.mark.parametrize("host, words", [
    ({}, "unknown CPU, march unknown, OpenBLAS unknown"),
    ({"cpu": {"model": "B", "family": "1", "model_number": "2"},
      "build": {"flags": "-O3 -march=armv8-a -g"}, "libraries": {"openblas_corename": "NEOVERSEN1"}},
     "B (family 1, model 2), march armv8-a, OpenBLAS NEOVERSEN1")])
def test_machines_are_named_by_cpu_and_build(tmp_path, host, words):
    assert hosts.setup_name(host) == words
    summarised(tmp_path / "one", [sample("rnn/literal", 4, 8, 10)], host)
    assert machines.section(tmp_path, ["one"]).startswith(f"- A: [{words}](one)\n")
