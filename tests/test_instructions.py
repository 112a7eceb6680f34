"""Counting instructions: reading what callgrind wrote, and one real count."""

import csv
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT, command
import instructions
from seqbench.read import dimensions, runs

CASE = {**{size.name: size.absent for size in dimensions.ALL}, "S": 2, "H": 8, "engine": "packed",
        "cost": {"multiply_adds": 256, "elementwise": 3, "exps": 1, "logs": 16, "sigmoids": 2,
                 "tanhs": 4, "rsqrts": 8}}


def test_total_is_found():
    assert instructions.counted("events: Ir\nfn=(1)\n16 5\n\ntotals: 1234\n") == 1234
    assert instructions.counted("summary: 99\n") == 99


def test_without_a_total():
    with pytest.raises(runs.RunError, match="no total"):
        instructions.counted("events: Ir\n")


def test_row_holds_the_ratio():
    row = instructions.row(CASE, "rnn/hoisted", 512)
    assert row["instructions_per_multiply_add"] == "2.0000"
    assert row["transcendentals"] == 31 and row["engine"] == "packed"
    assert list(row) == instructions.COLUMNS


def test_missing_kernel_is_named(tmp_path, capsys):
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    assert command("instructions", [str(BUILD / "seqbench"), str(tmp_path / "out.csv"), "no/such"]) == 2
    assert "no/such: valgrind failed" in capsys.readouterr().err


def test_an_engine_is_asked_for(monkeypatch):
    asked = []

    def run(command, **_):
        asked.append(command[command.index("dump"):])
        return subprocess.CompletedProcess(command, 1, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    for engine in ("packed", None):
        with pytest.raises(runs.RunError, match="rnn/hoisted: valgrind failed"):
            instructions.count("seqbench", "rnn/hoisted", ["-S", "2"], engine)
    assert asked[0][:7] == ["dump", "-k", "rnn/hoisted", "-S", "2", "--engine", "packed"]
    assert "--engine" not in asked[1]


def test_committed_counts_are_as_the_dictionary_says():
    path = ROOT / "results" / "instructions.csv"
    runs.validate(path, ROOT / "results" / "README.md")
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            assert 1 / 8 < float(row["instructions_per_multiply_add"]) < 1, row["kernel"]
