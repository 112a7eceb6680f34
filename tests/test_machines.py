"""The README's part on several machines, from planted roofs and crossovers."""
from dataclasses import replace

import pandas as pd
import pytest

from test_derived import MACHINE
from test_scripts import sample, summarised

from seqbench.read import dimensions, hosts
from seqbench.tables import rates
from seqbench.words import machines

SLOWER = replace(MACHINE, fma=50.0, sgemm=40.0)


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


def with_sizes(table):
    """The table with the other sizes of its layers."""
    return table.assign(**{name: size for name, size in dimensions.ABSENT.items() if name not in table})


def test_crossovers_of_each_machine():
    columns = ["layer", "hid_size", "verdict", "crossings", "crossing_low", "crossing_high",
               "min_seq_len", "max_seq_len"]
    a = pd.DataFrame([("lstm", 64, "crosses", "50", 40, 60, 16, 256),
                      ("lstm", 128, "slower everywhere", "", None, None, 16, 256),
                      ("gru", 64, "faster everywhere", "", None, None, 16, 256)], columns=columns)
    b = pd.DataFrame([("lstm", 64, "crosses", "70", 60, float("nan"), 16, 256)], columns=columns)
    text = machines.crossovers({"A": with_sizes(a), "B": with_sizes(b)})
    assert text.splitlines() == [
        "| layer | machine | H 64 | H 128 |", "| --- | --- | --- | --- |",
        "| lstm | A | S > 50 (40 to 60) | never |", "| lstm | B | S > 70 (60 to > 256) | - |"]


@pytest.mark.parametrize("host, words", [
    ({}, "unknown CPU, march unknown, OpenBLAS unknown"),
    ({"cpu": {"model": "B", "family": "1", "model_number": "2"},
      "build": {"flags": "-O3 -march=armv8-a -g"}, "libraries": {"openblas_corename": "NEOVERSEN1"}},
     "B (family 1, model 2), march armv8-a, OpenBLAS NEOVERSEN1"),
    ({"cpu": {"model": "C 1"}, "libraries": {"openblas_corename": "Zen", "blis_kernels": "skx"}},
     "C 1, march unknown, OpenBLAS Zen, BLIS skx")])
def test_machines_are_named_by_cpu_and_build(tmp_path, host, words):
    assert hosts.setup_name(host) == words
    rows = [sample(kernel, 4, 8, 10, parameters=1) for kernel in ("rnn/literal", "transformer/full")]
    summarised(tmp_path / "one", rows, host)
    assert machines.section(tmp_path, ["one"], str).startswith(f"- A: [{words}](one)\n")
