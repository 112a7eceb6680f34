"""The README's words on the noise floor, from planted comparisons."""


import pytest

from conftest import ROOT
from seqbench.read import dimensions, runs
from seqbench.tables import claims
from seqbench.words import noise_floor
import pandas as pd

README = ROOT / "results" / "README.md"


def write_comparison(folder, cases):
    """compare.csv with (H, ratio, low, high, verdict)."""
    folder.mkdir(parents=True)
    lines = [",".join(runs.schema(README, "compare.csv"))]
    for hid_size, ratio, low, high, verdict in cases:
        known = f"{100},{100 * ratio if ratio else ''},{ratio},{low},{high},0.5,0.5" if ratio else ",,,,,,"
        sizes = ",".join(map(str, (dimensions.ABSENT | {"seq_len": 16, "hid_size": hid_size}).values()))
        lines.append(f"rnn/hoisted,layer,rnn,hoisted,openblas,hot,{sizes},3,3,{known},{verdict},")
    (folder / "compare.csv").write_text("\n".join(lines) + "\n")


def test_repetitions_are_added_up(tmp_path):
    write_comparison(tmp_path / "floor" / "aa-1", [(64, 1.0, 0.9, 1.1, "no difference"),
                                                   (128, 1.2, 1.1, 1.3, "slower")])
    write_comparison(tmp_path / "floor" / "aa-2", [(64, 1.0, 0.9, 1.1, "no difference"),
                                                   (128, "", "", "", "not comparable")])
    text = noise_floor.section(tmp_path / "floor", lambda folder: folder.relative_to(tmp_path))
    assert "2 times" in text and "1 of 3 cases (33.3%)" in text
    assert "[1 of 2](floor/aa-1/report.txt), [0 of 1](floor/aa-2/report.txt)" in text
    assert "is 22% wide" in text


def test_planted_slowdown_and_its_intervals(tmp_path):
    write_comparison(tmp_path / "floor" / "planted", [(64, 1.05, 1.04, 1.06, "slower"),
                                                      (128, 1.1, 1.08, 1.12, "slower"),
                                                      (256, 1.0, 0.9, 1.1, "no difference")])
    text = noise_floor.section(tmp_path / "floor", lambda folder: folder.relative_to(tmp_path))
    assert "[2 of 3 cases](floor/planted/report.txt)" in text and "and 2 of the" in text


def test_busy_loop_may_leave_a_case_unstable(tmp_path):
    folder = tmp_path / "floor" / "hog"
    write_comparison(folder, [(64, 1.01, 1, 1.02, "no difference"), (128, 1.1, 1, 1.2, "slower"),
                              (256, 0.9, 0.8, 1, "faster")])
    columns = list(runs.schema(README, "summary.csv"))
    rows = []
    for hid_size, stability in ((64, "stable"), (128, "unstable"), (256, "stable")):
        row = dict.fromkeys(columns, "1") | {"kernel": "rnn/hoisted", "kind": "layer",
                                             "layer": "rnn", "variant": "hoisted",
                                             "engine": "openblas", "cache": "hot", "seq_len": "16", "hid_size": str(hid_size),
                                             **dict.fromkeys(dimensions.OPTIONAL, "0"),
                                             "stability": stability}
        rows.append(",".join(row.values()))
    (folder / "summary.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    text = noise_floor.section(tmp_path / "floor", lambda folder: folder.relative_to(tmp_path))
    assert "[1 of 3 medians]" in text and "; 2 do so or are marked unstable." in text


def test_nothing_measured_is_refused(tmp_path):
    with pytest.raises(runs.RunError, match="neither"):
        noise_floor.section(tmp_path, lambda folder: folder.relative_to(tmp_path))


def test_a_later_run_fills_up_what_the_first_did_not_measure():
    def table(verdict, measured):
        return pd.DataFrame({"statement": ["scores"], "lens": ["layer"], "measure": ["heads"],
                             "verdict": [verdict], "measured": [measured]})
    one, two = table(claims.NOT_MEASURED, float("nan")), table(claims.HOLDS, 0.1)
    assert claims.filled_up([one, two]).verdict.tolist() == [claims.HOLDS]
    assert claims.filled_up([two, table(claims.FAILS, 3.0)]).measured.tolist() == [0.1]
    assert claims.filled_up([one, one]).verdict.tolist() == [claims.NOT_MEASURED]
