"""Tests of scripts/: planted times in, known answers out."""
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from conftest import ROOT, command
from seqbench.figures import (FIGURES as REGISTRY, drawing, layout, parts, relative, roofline, roofs,
                              svg, us_per_token)
from seqbench.figures.drawing import Run
from seqbench.read import runs
from seqbench.tables import derived, medians
from seqbench.words import sections

README = ROOT / "results" / "README.md"

HEADER = list(runs.schema(README, "samples.csv"))
FIGURES = ["relative", "equal_parameters", "us_per_token", "roofs", "roofline", "parts"]
PREDICTIONS = ["predict.csv", "whatif.csv"]
TABLES = [name for name in derived.TABLES if name not in PREDICTIONS]
CACHES = [{"level": 1, "bytes": 32768}, {"level": 2, "bytes": 1048576},
          {"level": 3, "bytes": 33554432}]
VIRTUAL = {"cpu": {"model": "Planted CPU 3000", "caches": CACHES}, "machine": {"virtual": True}}
PACKING = {"openblas": "call", "packed": "before", "onednn": "before", "none": "none"}


# ---- synthetic runs ----------------------------------------------------------------------------


def sample(kernel, seq_len, hid_size, ns, heads=1, round=0, number=0, iterations=4, flops=1000,
           moved=500, flags="", cache="hot", elementwise=10, exps=5, streamed=0, parameters=0,
           engine="openblas"):
    """One good row of samples.csv: `ns` per iteration."""
    layer, variant = kernel.replace(".", "/").split("/")
    kind = ("roof" if layer == "roof" else "layer" if "/" in kernel
            else "step" if variant == "step" else "part")
    time = repr(float(ns * iterations))
    values = {
        **dict.fromkeys(HEADER, ""), "kernel": kernel, "kind": kind, "layer": layer,
        "variant": variant, "engine": engine, **dict.fromkeys(runs.DIMENSIONS, 1),
        "seq_len": seq_len, "hid_size": hid_size, "heads": heads, "round": round, "cache": cache,
        "sample": number, "order": 0, "iterations": iterations, "wall_ns": time, "cpu_ns": time,
        "started_utc": "2024-05-06T07:08:09.123Z", "cpu_before": 3, "cpu_after": 3,
        "steal_ticks": "unavailable", "clock_ghz_before": 2.5, "clock_ghz_after": 2.5,
        "flags": flags, "flops": flops, "elementwise_flops": elementwise,
        **dict.fromkeys(runs.EVALUATIONS, 0), "exps": exps, "parameters": parameters,
        "bytes": moved, "streamed_bytes": streamed, "resident_bytes": 2 * moved, "status": "ok"}
    return list(values.values())


def failed(kernel, seq_len, hid_size, heads=1, round=0, number=0):
    """One row of samples.csv of a sample that failed."""
    row = sample(kernel, seq_len, hid_size, 1, heads, round, number)
    first = HEADER.index("iterations")
    return row[:first] + [""] * (len(HEADER) - first - 2) + ["failed", '"cannot, alas"']


def facts(kernel, kind, layer, variant, engine, tokens="all"):
    """A row of kernels.csv."""
    stepwise = kind == "step" or tokens == "one" or variant in ("literal", "fused")
    values = {**dict.fromkeys(runs.schema(README, "kernels.csv"), ""), "kernel": kernel,
              "kind": kind, "layer": layer, "variant": variant, "engine": engine, "tokens": tokens,
              "job": "none", "per_block": 1,
              "products": "step" if stepwise else "sequence",
              "parts": "yes" if variant in ("literal", "full") else "no",
              "packing": PACKING.get(engine, "unknown"), "bytes_per_weight": 4,
              "operations_per_token": 1000, "sequential_share": 0.5, "equation": "y",
              "method": "m"}
    return list(values.values())


def kernels_text(rows, traits):
    """kernels.csv of the kernels in some rows; traits: what differs from openblas and all."""
    kernels = {(row[0], row[4]): row[:5] for row in rows}
    lines = [facts(*names, *traits.get(names[0], ("", "all"))[1:]) for names in kernels.values()]
    header = runs.schema(README, "kernels.csv")
    return "".join(",".join(map(str, line)) + "\n" for line in [header, *lines])


def write_run(folder, rows, host=VIRTUAL, traits=None):
    """A run folder with samples.csv, kernels.csv and host.json.

    traits: engine and tokens of kernels for which they are not those of the rows and `all`.
    """
    traits = traits or {}
    rows = [[*row[:4], traits.get(row[0], [row[4]])[0], *row[5:]] for row in rows]
    folder.mkdir(exist_ok=True)
    (folder / "kernels.csv").write_text(kernels_text(rows, traits), encoding="utf-8")
    lines = [HEADER, *rows]
    text = "".join(",".join(str(cell) for cell in line) + "\n" for line in lines)
    (folder / "samples.csv").write_text(text, encoding="utf-8")
    (folder / "host.json").write_text(json.dumps(host), encoding="utf-8")
    return folder


def table(path):
    """A CSV file without quotes as a list of dicts of text."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


def summarised(folder, rows, host=VIRTUAL, traits=None):
    """A run folder after summarise.py."""
    write_run(folder, rows, host, traits)
    assert command("summarise", [str(folder)]) == 0
    return folder


def grid_run():
    """Layers, steps, parts and roofs with planted times on SeqLen 16, 128, 1024 and HidSize 64, 256."""
    rows = []
    for round in range(2):
        for hid_size in (64, 256):
            heads = hid_size // 64
            rows += [sample("rnn.step", 1, hid_size, 10 * hid_size, round=round),
                     sample("lstm.step", 1, hid_size, 34 * hid_size, round=round),
                     sample("lstm.gates", 1, hid_size, 30 * hid_size, round=round),
                     sample("lstm.update", 1, hid_size, 5 * hid_size, round=round)]
            for seq_len in (16, 128, 1024):
                at = dict(seq_len=seq_len, hid_size=hid_size, round=round)
                ratio = (seq_len / 50) ** 0.5  # transformer over lstm
                lstm = 40 * hid_size * seq_len
                rows += [
                    sample("rnn/literal", ns=11 * hid_size * seq_len, **at),
                    sample("lstm/literal", ns=1.5 * lstm, **at),
                    sample("lstm/hoisted", ns=lstm, **at),
                    sample("transformer/full", ns=ratio * lstm * 1.25, heads=heads, flops=1500,
                           **at),
                    sample("transformer/tiled", ns=ratio * lstm, heads=heads, flops=1500, **at),
                    sample("transformer.softmax", ns=ratio * lstm * 0.4, heads=heads, **at),
                    sample("transformer.ffn", ns=ratio * lstm * 0.6, **at)]
        rows += [sample("roof/fma", 1, 1, 10, flops=2000, round=round),
                 sample("roof/sgemm", 64, 64, 10, flops=1500, round=round),
                 sample("roof/sgemm", 1024, 1024, 10, flops=1400, round=round),
                 sample("roof/sgemv", 1, 64, 10, flops=600, round=round),
                 sample("roof/read", 4, 1024, 100, flops=0, moved=16384, round=round),
                 sample("roof/read", 8, 1024, 400, flops=0, moved=32768, round=round)]
    return rows


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The run folder of grid_run, summarised."""
    return summarised(tmp_path_factory.mktemp("runs") / "2024-05-06T070809Z", grid_run())


def ratio_run(folder, ratios, flops_ratios=None, seq_lens=(16, 32, 64, 128, 256)):
    """A run of lstm and transformer with these ratios of transformer time to lstm time."""
    rows = []
    for i, (seq_len, ratio) in enumerate(zip(seq_lens, ratios)):
        flops = 1000 * (flops_ratios[i] if flops_ratios else 1)
        rows += [sample("lstm/hoisted", seq_len, 64, 1000),
                 sample("lstm/literal", seq_len, 64, 7000),
                 sample("transformer/full", seq_len, 64, 1000 * ratio * 9, heads=2,
                        flops=int(flops)),
                 sample("transformer/tiled", seq_len, 64, 1000 * ratio, heads=2,
                        flops=int(flops))]
    return summarised(folder, rows)


# ---- statistics of a case ----------------------------------------------------------------------


def test_summary_holds_the_planted_statistics(tmp_path):
    times = {0: [120.0, 100.5, 110.0], 1: [90.25, 400.0, 95.0], 2: [101.0, 99.0]}
    rows = [sample("lstm/hoisted", 16, 64, ns, round=round, number=number, iterations=8,
                   flops=4_000_000_123, moved=700)
            for round, group in times.items() for number, ns in enumerate(group)]
    rows.append(failed("lstm/hoisted", 16, 64, round=2, number=2))
    (row,) = table(summarised(tmp_path / "run", rows) / "summary.csv")
    flat = [ns for group in times.values() for ns in group]
    median = statistics.median(flat)
    assert (row["samples"], row["rounds"], row["failed"], row["disturbed"]) == ("8", "3", "1", "0")
    assert float(row["median_ns"]) == pytest.approx(median)
    assert float(row["min_ns"]) == 90.25
    assert float(row["mad_ns"]) == pytest.approx(
        statistics.median(abs(ns - median) for ns in flat))
    assert float(row["us_per_token"]) == pytest.approx(median / 16 / 1000)
    assert (row["flops"], row["bytes"]) == ("4000000123", "700")
    assert float(row["gflops"]) == pytest.approx(4_000_000_123 / median)
    assert float(row["gbytes_per_s"]) == pytest.approx(700 / median)


def test_case_without_a_good_sample_keeps_its_row(tmp_path):
    rows = [failed("lstm/hoisted", 16, 64), sample("lstm/literal", 16, 64, 5)]
    run = summarised(tmp_path / "run", rows)
    empty = table(run / "summary.csv")[0]
    assert (empty["kernel"], empty["samples"], empty["failed"]) == ("lstm/hoisted", "0", "1")
    assert [empty[name] for name in ("median_ns", "ci_low_ns", "flops", "gflops")] == [""] * 4
    runs.validate(run / "summary.csv", README)


def test_interval_spans_rounds_that_disagree():
    low, high = medians.median_interval([np.full(50, 10.0), np.full(50, 20.0)])
    assert (low, high) == (10.0, 20.0)
    assert medians.median_interval([np.array([7.0])]) == (7.0, 7.0)


def slow_interval(rounds, resamples):
    """The interval of the median by plain loops."""
    source = random.Random(5)
    medians = []
    for _ in range(resamples):
        drawn = []
        for _ in rounds:
            times = source.choice(rounds)
            drawn += [source.choice(times) for _ in times]
        medians.append(statistics.median(drawn))
    medians.sort()
    return medians[int(0.025 * resamples)], medians[int(0.975 * resamples)]


def test_interval_agrees_with_plain_loops_on_rounds_of_unequal_size():
    source = random.Random(1)
    rounds = [[source.gauss(100 + 3 * i, 4) for _ in range(count)]
              for i, count in enumerate((9, 2, 5, 12))]
    expected = slow_interval(rounds, 4000)
    found = medians.median_interval([np.array(times) for times in rounds])
    assert found == pytest.approx(expected, abs=0.6)


def rank_of_resampled_median(count, share):
    """The exact quantile of the median of `count` draws from 1, 2, ... count (odd)."""
    for rank in range(1, count + 1):
        total = sum(math.comb(count, k) * rank ** k * (count - rank) ** (count - k)
                    for k in range((count + 1) // 2, count + 1)) / count ** count
        if total >= share:
            return rank
    raise AssertionError(f"no rank has a share of {share}")


def test_interval_of_one_round_is_that_of_the_resampled_median():
    low, high = medians.median_interval([np.arange(1.0, 302.0)])
    expected = rank_of_resampled_median(301, 0.025)
    assert low == pytest.approx(expected, abs=1.5)
    assert high == pytest.approx(302 - expected, abs=1.5)
    assert rank_of_resampled_median(301, 0.05) > expected + 2


def test_interval_covers_the_true_median():
    source = random.Random(2)
    covered = 0
    for _ in range(120):
        rounds = []
        for _ in range(8):
            level = source.gauss(1000, 20)
            rounds.append(np.array([source.gauss(level, 10) for _ in range(5)]))
        low, high = medians.median_interval(rounds)
        covered += low <= 1000 <= high
    assert 102 <= covered < 120  # 85 % of 120, and not an interval that holds anything


# ---- crossover ---------------------------------------------------------------------------------


def test_crossover_of_a_power_law_is_exact(tmp_path):
    seq_lens = (16, 32, 64, 128, 256)
    ratios = [(seq_len / 100) ** 0.7 for seq_len in seq_lens]
    flops = [5, 5, 5, 5, 5]
    (row,) = table(ratio_run(tmp_path / "run", ratios, flops) / "crossover.csv")
    assert (row["layer"], row["reference"]) == ("lstm", "transformer")
    assert (row["hid_size"], row["heads"]) == ("64", "2")
    assert row["verdict"] == "crosses"
    assert float(row["faster_from_seq_len"]) == pytest.approx(100, rel=1e-6)
    assert float(row["crossings"]) == pytest.approx(100, rel=1e-6)
    assert (row["min_seq_len"], row["max_seq_len"]) == ("16", "256")
    assert float(row["ratio_at_min_seq_len"]) == pytest.approx(0.16 ** 0.7)
    assert float(row["ratio_at_max_seq_len"]) == pytest.approx(2.56 ** 0.7)
    assert row["arithmetic_verdict"] == "faster everywhere"
    assert row["arithmetic_seq_len"] == ""


def test_crossover_by_operation_counts(tmp_path):
    run = ratio_run(tmp_path / "run", [2] * 5, [0.25, 0.5, 1, 2, 4])
    (row,) = table(run / "crossover.csv")
    assert row["verdict"] == "faster everywhere"
    assert row["arithmetic_verdict"] == "crosses"
    assert float(row["arithmetic_seq_len"]) == pytest.approx(64)


ROOT_2 = math.sqrt(2)


@pytest.mark.parametrize("ratios, word, faster_from, crossings", [
    ([2, 3, 4, 5, 6], "faster everywhere", None, []),
    ([0.5, 0.4, 0.3, 0.2, 0.1], "slower everywhere", None, []),
    ([1, 1, 1, 1, 1], "slower everywhere", None, []),
    ([0.5, 1, 0.5, 0.5, 0.5], "slower everywhere", None, []),
    ([0.25, 0.5, 0.5, 2, 4], "crosses", 64 * ROOT_2, [64 * ROOT_2]),
    ([4, 2, 0.5, 0.5, 0.5], "crosses back", None, [32 * ROOT_2]),
    ([0.5, 2, 0.5, 2, 2], "several crossings", 64 * ROOT_2,
     [16 * ROOT_2, 32 * ROOT_2, 64 * ROOT_2]),
    ([0.5, 2, 2, 2, 0.5], "several crossings", None, [16 * ROOT_2, 128 * ROOT_2]),
])
def test_verdicts(tmp_path, ratios, word, faster_from, crossings):
    (row,) = table(ratio_run(tmp_path / "run", ratios) / "crossover.csv")
    assert row["verdict"] == word
    assert [float(value) for value in row["crossings"].split()] == pytest.approx(crossings)
    assert (row["faster_from_seq_len"] == "") == (faster_from is None)
    if faster_from:
        assert float(row["faster_from_seq_len"]) == pytest.approx(faster_from, rel=1e-6)


def test_crossover_has_a_row_per_head_count_of_the_transformer(tmp_path):
    rows = []
    for seq_len in (16, 64):
        rows += [sample("lstm/hoisted", seq_len, 64, 1000),
                 sample("linear/plain", seq_len, 64, 500, heads=4),
                 sample("transformer/full", seq_len, 64, 2000, heads=1),
                 sample("transformer/full", seq_len, 64, 3000, heads=4)]
    rows.append(sample("lstm/hoisted", 256, 64, 1000))  # no transformer there
    found = table(summarised(tmp_path / "run", rows) / "crossover.csv")
    assert [(row["layer"], row["heads"], float(row["ratio_at_min_seq_len"]), row["max_seq_len"])
            for row in found] == [("linear", "4", 6, "64"), ("lstm", "1", 2, "64"),
                                  ("lstm", "4", 3, "64")]


# ---- parts -------------------------------------------------------------------------------------


def test_parts_count_once_or_once_per_step(grid):
    summary = runs.load_summary(grid)
    lstm = medians.part_times(summary, "lstm")
    assert lstm.loc[(128, 64, 1)].to_dict() == {"gates": 128 * 30 * 64, "update": 128 * 5 * 64}
    transformer = medians.part_times(summary, "transformer")
    sum_of_parts = transformer.loc[(16, 256, 4)].sum()
    assert sum_of_parts == pytest.approx((16 / 50) ** 0.5 * 40 * 256 * 16, rel=1e-6)


def test_a_step_is_no_part(grid):
    summary = runs.load_summary(grid)
    assert {"rnn.step", "lstm.step"} == set(summary[summary.kind == "step"].kernel)
    assert not medians.part_times(summary, "rnn").size


def test_whole_stands_beside_the_sum_of_its_parts(grid):
    summary = runs.load_summary(grid)
    expected = {"transformer": 1.25, "lstm": 60 / 35}
    for layer, ratio in expected.items():
        found = parts.whole_over_sum(Run.load(grid), layer, medians.part_times(summary, layer))
        assert list(found) == pytest.approx([ratio] * 6, rel=1e-6)


def test_whole_of_a_layer_without_literal_is_its_fastest_variant(tmp_path):
    rows = [sample("new/scan", 16, 64, 700), sample("new/slow", 16, 64, 900), 
            sample("new.cell", 1, 64, 40)]
    run = Run.load(summarised(tmp_path / "run", rows))
    found = parts.whole_over_sum(run, "new", medians.part_times(run.summary, "new"))
    assert list(found) == pytest.approx([700 / (16 * 40)])


def test_cells_with_a_missing_part_are_left_out(tmp_path):
    rows = [row for row in grid_run() if not (row[0] == "transformer.ffn" and row[5] == 128)]
    summary = runs.load_summary(summarised(tmp_path / "run", rows))
    assert sorted({cell[0] for cell in medians.part_times(summary, "transformer").index}) == [16, 1024]


# ---- malformed input ---------------------------------------------------------------------------


def replaced(old, new, count=-1):
    """A change of a text that must take effect."""
    def change(text):
        assert old in text
        return text.replace(old, new, count)
    return change


TWO_ROWS = [sample("lstm/hoisted", 16, 64, 100), sample("lstm/hoisted", 16, 64, 100, number=1)]
GOOD_END = ",1000,10,5,0,0,0,0,7,500,0,1000,ok,\n"
WIDTH, LEFT_OUT = len(HEADER), GOOD_END.count(",")


@pytest.mark.parametrize("change, message", [
    (lambda text: "", "samples.csv: empty"),
    (lambda text: text.splitlines(keepends=True)[0], "samples.csv: no rows"),
    (replaced("wall_ns,", "", 1), f"samples.csv: line 2: {WIDTH} fields, the header has {WIDTH - 1}"),
    (replaced("wall_ns,", "wall,", 1), "samples.csv: column wall_ns is missing"),
    (replaced("cpu_ns,", "wall_ns,", 1), "samples.csv: column wall_ns appears twice"),
    (lambda text: text[:-len(GOOD_END)], f"samples.csv: line 3: {WIDTH - LEFT_OUT} fields, the header has {WIDTH}"),
    (replaced(",400.0,", ",fast,", 1), "line 2: wall_ns: 'fast' is not of type number"),
    (replaced(",400.0,", ",nan,", 1), "line 2: wall_ns: 'nan' is not of type number"),
    (replaced(",400.0,", ",,", 1), "samples.csv: line 2: wall_ns is not above 0"),
    (replaced(",400.0,", ",0,", 1), "samples.csv: line 2: wall_ns is not above 0"),
    (replaced(",0,hot,1,0,4,", ",0,hot,1,0,0,"), "samples.csv: line 3: iterations is not at least 1"),
    (replaced(",16,64,", ",0,64,", 1), "line 2: seq_len: '0' is not of type dimension"),
    (replaced(",16,64,", ",1.5,64,", 1), "line 2: seq_len: '1.5' is not of type dimension"),
    (replaced("hoisted,layer", "hoisted,", 1), "samples.csv: line 2: kind: '' is not of type text"),
    (replaced(",0,hot,1,0,4,", ",0,hot,0,0,4,"), "samples.csv: line 3: this sample is there already"),
    (replaced(GOOD_END, ",9" + GOOD_END[2:], 1), "line 3: flops differs from another row"),
    (replaced(GOOD_END, "," + GOOD_END[5:], 1), "samples.csv: line 2: flops is empty"),
    (replaced(",ok,\n", ',ok,"x"y\n', 1), "samples.csv: line 2: ',' expected after '\"'"),
    (replaced(",ok,\n", ",maybe,\n", 1), "line 2: status is neither ok nor failed"),
    (replaced(",400.0,", ",1e308,", 1), "samples.csv: line 2: wall_ns is above 1e+16"),
    (replaced(GOOD_END, ",-1" + GOOD_END[2:], 1), "samples.csv: line 2: flops is negative"),
    (lambda text: "\ufeff" + text, "samples.csv: line 1: starts with a byte order mark"),
    (replaced("openblas,16", "packed,16", 1),
     "line 2: kernel lstm/hoisted with engine packed is not in kernels.csv"),
    (replaced("exps,", "exponentials,", 1), "samples.csv: column exps is missing"),
])
def test_malformed_samples_are_refused(tmp_path, capsys, change, message):
    run = write_run(tmp_path / "run", TWO_ROWS)
    path = run / "samples.csv"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert command("summarise", [str(run)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"summarise.py: {path}: ") and message in error
    assert sorted(file.name for file in run.iterdir()) == ["host.json", "kernels.csv",
                                                           "samples.csv"]


@pytest.mark.parametrize("flags", ["switch", "clock+sentinel"])
def test_disturbed_samples_are_counted_and_left_out(tmp_path, flags):
    rows = [sample("lstm/hoisted", 16, 64, ns, number=number) for number, ns in
            enumerate((100, 104))]
    rows.append(sample("lstm/hoisted", 16, 64, 900, number=2, flags=flags))
    (row,) = table(summarised(tmp_path / "run", rows) / "summary.csv")
    assert (row["samples"], row["disturbed"], row["failed"]) == ("2", "1", "0")
    assert float(row["median_ns"]) == 102


@pytest.mark.parametrize("spread, rounds, until, said", [
    (0.01, 3, None, "stable"), (0.05, 3, None, "unstable"), (0.05, 3, 0.1, "stable"),
    (0.0, 1, None, "unstable")])
def test_stability_is_measured_by_what_the_run_was_asked_for(tmp_path, spread, rounds, until, said):
    rows = [sample("lstm/hoisted", 16, 64, 100 * (1 + spread * round), round=round)
            for round in range(rounds)]
    host = {"run": {"until": until}} if until else VIRTUAL
    (row,) = table(summarised(tmp_path / "run", rows, host) / "summary.csv")
    assert row["stability"] == said


def test_hot_and_cold_caches_are_cases_of_their_own(tmp_path):
    rows = [sample("lstm/hoisted", 16, 64, 100), sample("lstm/hoisted", 16, 64, 300, cache="cold")]
    found = table(summarised(tmp_path / "run", rows) / "summary.csv")
    assert [(row["cache"], float(row["median_ns"])) for row in found] == [("cold", 300), ("hot", 100)]


def test_odd_line_separators_in_an_error_do_not_break_a_row(tmp_path):
    odd = failed("lstm/hoisted", 16, 64, number=2)
    odd[-1] = 'no\u2028such\x85core'
    (row,) = table(summarised(tmp_path / "run", [*TWO_ROWS, odd]) / "summary.csv")
    assert (row["samples"], row["failed"]) == ("2", "1")


def test_bytes_that_are_not_text_are_refused(tmp_path, capsys):
    run = write_run(tmp_path / "run", TWO_ROWS)
    (run / "samples.csv").write_bytes(b"kernel\xff\n")
    assert command("summarise", [str(run)]) == 2
    assert "samples.csv: not UTF-8 text: byte 6" in capsys.readouterr().err


def test_output_that_cannot_be_written_is_reported(tmp_path, capsys):
    run = write_run(tmp_path / "run", TWO_ROWS)
    (run / "summary.csv").mkdir()
    assert command("summarise", [str(run)]) == 2
    assert "summary.csv: cannot write: Is a directory" in capsys.readouterr().err
    assert len(list(run.iterdir())) == 4


@pytest.mark.parametrize("name", ["summarise.py", "answer.py", "plot.py"])
def test_missing_run_folder_ends_with_status_2(tmp_path, name):
    result = subprocess.run([str(ROOT / "scripts" / name), str(tmp_path / "nowhere")],
                            capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(f"{name}: {tmp_path / 'nowhere'}")
    assert "No such file" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("script", ["answer", "plot"])
@pytest.mark.parametrize("name, content, message", [
    ("summary.csv", None, "summary.csv: No such file: run scripts/summarise.py first"),
    ("summary.csv", "kernel,kind\n", "summary.csv: column layer is missing"),
    ("host.json", None, "host.json: No such file"),
    ("host.json", '{"cpu":\n oops}', "host.json: line 2: Expecting value"),
    ("host.json", "[]", "host.json: not an object"),
])
def test_later_scripts_refuse_broken_files(tmp_path, capsys, script, name, content, message):
    run = summarised(tmp_path / "run", TWO_ROWS)
    (run / name).unlink()
    if content is not None:
        (run / name).write_text(content, encoding="utf-8")
    assert command(script, [str(run)]) == 2
    assert message in capsys.readouterr().err


def test_run_in_which_everything_failed_is_refused(tmp_path, capsys):
    run = summarised(tmp_path / "run", [failed("lstm/hoisted", 16, 64)])
    assert command("answer", [str(run)]) == 2
    assert "summary.csv: no case with a good sample" in capsys.readouterr().err


# ---- the data dictionary -----------------------------------------------------------------------

GOOD_FILES = {
    "plan.csv": "order,round,kernel,engine,seq_len,hid_size,heads\n"
                "0,0,lstm/hoisted,packed,16,64,1\n",
    "checks.csv": "kernel,engine,seq_len,hid_size,heads,error,bound,verdict\n"
                  "lstm/hoisted,packed,16,64,1,1.5e-07,0.0001,PASS\n"
                  "lstm/fused,openblas,16,64,1,,0.0001,FAIL\n",
}


def test_data_dictionary_describes_every_file(grid, tmp_path):
    assert list(runs.schemas(README)) == [
        "samples.csv", "plan.csv", "kernels.csv", "checks.csv", "instructions.csv",
        *derived.TABLES, "compare.csv", "compare_groups.csv", "peers.csv"]
    for name in ("samples.csv", "kernels.csv", *derived.TABLES):
        runs.validate(grid / name, README)
    for name, text in GOOD_FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        runs.validate(tmp_path / name, README)


@pytest.mark.parametrize("change, message", [
    (replaced("heads\n", "head\n"), "column heads is missing"),
    (lambda text: "".join(line[:line.rindex(",")] + "\n" for line in text.splitlines()),
     "column heads is missing"),
    (replaced("heads\n0", "heads,more\n0"), "line 2: 7 fields, the header has 8"),
    (lambda text: text.replace("heads\n", "heads,b\n").replace(",1\n", ",1,1\n"),
     "column b is not in the data dictionary"),
    (replaced("order,round", "round,order"), "columns are not in the order"),
    (replaced(",64,1\n", ",64,one\n"), "line 2: heads: 'one' is not of type dimension"),
    (replaced("lstm/hoisted", ""), "line 2: kernel: '' is not of type text"),
])
def test_validate_refuses_what_the_dictionary_does_not_say(tmp_path, change, message):
    path = tmp_path / "plan.csv"
    path.write_text(change(GOOD_FILES["plan.csv"]), encoding="utf-8")
    with pytest.raises(runs.RunError, match=message):
        runs.validate(path, README)


@pytest.mark.parametrize("value, good", [
    ("2024-05-06T07:08:09.123Z", True), ("2024-05-06T07:08:09Z", False),
    ("2024-05-06 07:08:09.123Z", False), ("", True), ("1715000000", False),
])
def test_validate_knows_times(tmp_path, value, good):
    row = sample("lstm/hoisted", 16, 64, 100)
    row[HEADER.index("started_utc")] = value
    path = write_run(tmp_path / "run", [row]) / "samples.csv"
    if good:
        runs.validate(path, README)
    else:
        with pytest.raises(runs.RunError, match="started_utc: .* is not of type time"):
            runs.validate(path, README)


def test_dictionary_with_an_unknown_type_or_without_a_table_is_refused(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("## plan.csv\n| column | type |\n|---|---|\n| `order` | float |\n",
                      encoding="utf-8")
    with pytest.raises(runs.RunError, match="line 4: order: unknown type 'float'"):
        runs.schemas(readme)
    with pytest.raises(runs.RunError, match="no table for odd.csv"):
        runs.schema(README, "odd.csv")


def test_loader_reads_by_name_and_ignores_other_columns(tmp_path):
    run = write_run(tmp_path / "run", TWO_ROWS)
    path = run / "samples.csv"
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    turned = [["steal" if i == 0 else "?"] + line[::-1] for i, line in enumerate(lines)]
    before = runs.load_samples(run)
    path.write_text("".join(",".join(line) + "\n" for line in turned), encoding="utf-8")
    assert runs.load_samples(run).equals(before)


def test_a_dimension_that_a_file_does_not_know_was_1(tmp_path):
    run = write_run(tmp_path / "run", TWO_ROWS)
    for name, size in (("heads", 1), ("hid_size", 64)):
        path = run / "samples.csv"
        lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        place = lines[0].index(name)
        assert set(runs.load_samples(run)[name]) == {size}
        path.write_text("".join(",".join(line[:place] + line[place + 1:]) + "\n" for line in lines))
        assert set(runs.load_samples(run)[name]) == {1}


# ---- reruns ------------------------------------------------------------------------------------


def test_reruns_are_identical_and_the_order_of_rows_does_not_matter(tmp_path):
    source = random.Random(3)
    rows = [sample("lstm/hoisted", seq_len, 64, source.uniform(90, 110), round=round, number=i)
            for seq_len in (16, 32) for round in range(3) for i in range(4)]
    run = summarised(tmp_path / "run", rows)
    first = [(run / name).read_bytes() for name in TABLES]
    for _ in range(2):
        source.shuffle(rows)
        summarised(run, rows)
        assert [(run / name).read_bytes() for name in TABLES] == first
    assert sorted(file.name for file in run.iterdir()) == sorted(
        ["host.json", "kernels.csv", "samples.csv", *TABLES])


# ---- answer.py ---------------------------------------------------------------------------------


def test_answer_prints_the_planted_numbers(grid, capsys):
    assert command("answer", [str(grid)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 110
    words = [line.split() for line in text.splitlines()]
    # HidSize 64: lstm/hoisted takes 40*64 ns per token, rnn/literal 11*64, which is the least.
    assert ["lstm/hoisted", "2.56", "2.56", "2.56"] in words
    assert ["rnn/literal", "0.704*", "0.704*", "0.704*"] in words
    assert ["transformer/tiled", "1.45", "4.10", "11.6"] in words
    assert ["transformer/tiled", "A=4", "5.79", "16.4", "46.3"] in words
    assert ["lstm", "measured", "S", ">", "50", "S", ">", "50"] in words
    assert ["rnn", "measured,", "counted", "everywhere", "everywhere"] in words  # rows alike are one
    assert ["textbook", "S", "16..128", "1.25-3.00x", "1.06-1.50x"] in words
    assert ["lstm", "S", "16..128", "0.57-1.60x", "0.57-1.60x"] in words
    assert ["lstm", "S", ">=", "1024", "4.53x", "4.53x"] in words
    flat = " ".join(text.split())
    assert "Planted CPU 3000" in flat
    assert "a virtual machine: one session is not a CPU's number" in flat
    assert ("At S 16..128 the Transformer block takes 0.57x to 1.60x as long as lstm "
            "(median 1.08x; lstm is faster in 2 of 4 cells)") in flat
    assert "(S <= H/8, S 16..128) the textbook expects equal times (1.06x); measured: 0.57x for " \
        "lstm and 2.06x for rnn." in flat
    assert "At S >= 1024 the Transformer block takes 4.53x as long as lstm" in flat
    # measured 4.525 over textbook 17 and 5: median of 0.266 and 0.905 is 0.586, the inverse 1.71
    assert "the textbook expects a lead of 5.00x to 17.0x; measured, in the median cell, it is " \
        "1.71 times smaller for lstm" in flat
    assert "Fastest of all at S 16..128: rnn at every H." in flat


def test_a_kernel_with_several_engines_has_a_row_for_each(tmp_path, capsys):
    rows = [sample(kernel, 16, 64, ns, engine=engine) for kernel, engine, ns in (
        ("lstm/hoisted", "openblas", 32000), ("lstm/hoisted", "packed", 16000),
        ("lstm/literal", "openblas", 64000), ("transformer/full", "openblas", 48000))]
    run = summarised(tmp_path / "run", rows)
    assert command("answer", [str(run)]) == 0
    text = capsys.readouterr().out
    assert "lstm/hoisted openblas" in text and "lstm/hoisted packed" in text
    assert "lstm/literal " in text and "lstm/literal openblas" not in text


def test_answer_names_the_transformer_when_it_wins(tmp_path, capsys):
    command("answer", [str(ratio_run(tmp_path / "run", [0.5] * 5))])
    text = capsys.readouterr().out
    assert "Fastest of all at S 16..128: transformer at H = 64." in text
    assert "At S >= 1024 nothing was measured." in text
    assert "S=16" in text and "0.031*" in text


@pytest.mark.parametrize("ratios, words", [
    ([2, 3, 4, 5, 6], "everywhere"),
    ([0.5, 0.4, 0.3, 0.2, 0.1], "nowhere"),
    ([4, 2, 0.5, 0.5, 0.5], "S < 45"),
    ([0.5, 0.5, 2, 2, 2], "S > 45"),
    ([0.5, 2, 0.5, 2, 2], "S 23 to 45, > 91"),
    ([2, 0.5, 0.5, 2, 2], "S < 23, > 91"),
    ([0.5, 2, 2, 0.5, 0.5], "S 23 to 91"),
])
def test_answer_words_every_verdict(tmp_path, capsys, ratios, words):
    run = ratio_run(tmp_path / "run", ratios, [0.5, 2, 0.5, 0.5, 0.5])
    command("answer", [str(run), "--markdown"])
    text = capsys.readouterr().out
    assert "| layer | faster | H 64 |" in text
    assert f"| lstm | measured | {words} |\n| lstm | counted | at first |" in text


def test_answer_as_markdown_has_one_table(grid, capsys):
    assert command("answer", [str(grid), "--markdown"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Measured on ") and "median us per token" not in text
    blocks = text.strip().split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert [len(lines) for lines in tables] == [7]
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1
        assert set(lines[1]) <= set("|- ")
    assert tables[0][2:4] == ["| lstm | measured | S > 50 | S > 50 |",
                              "| lstm | counted | everywhere | everywhere |"]
    assert tables[0][4].startswith("| lstm | an operation | ")


@pytest.mark.parametrize("host, words", [
    ({}, "unknown CPU, march unknown, OpenBLAS unknown, one core, batch 1, float32 "
     "(whether it is a virtual machine is not known)"),
    ({"cpu": "x", "machine": {"virtual": None}}, "unknown CPU"),
    ({"cpu": {"model": "A"}, "machine": {"virtual": False}, "build": {"flags": "-march=zen5 -O3"},
      "libraries": {"openblas_corename": "Zen"}},
     "Measured on A, march zen5, OpenBLAS Zen, one core, batch 1, float32 (not a virtual machine)."),
    ({"cpu": {"model": "A", "family": "6", "model_number": "7"}},
     "Measured on A (family 6, model 7), march"),
    ({"cpu": {"model": "A 8", "family": "6", "model_number": "7"}}, "Measured on A 8, march"),
])
def test_answer_bears_an_incomplete_host(tmp_path, capsys, host, words):
    run = summarised(tmp_path / "run", TWO_ROWS, host)
    assert command("answer", [str(run)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert words in text
    assert "No layer was timed beside the layer transformer: nothing to compare." in text


def test_answer_names_caches_and_roofs(tmp_path, capsys):
    rows = TWO_ROWS + [
        sample("roof/sgemm", 512, 512, 1000, flops=100000),
        sample("roof/sgemv", 1, 64, 1000, flops=40000, moved=16384),
        sample("roof/sgemv", 1, 4096, 1000, flops=12500, moved=67108864)]
    host = {"cpu": {"model": "A", "caches": [{"level": 1, "bytes": 32768},
                                             {"level": 2, "bytes": 1572864}]}}
    command("answer", [str(summarised(tmp_path / "run", rows, host))])
    text = " ".join(capsys.readouterr().out.split())
    assert "Its caches: L1 32 KiB, L2 1.5 MiB." in text
    assert ("sgemm reaches 100 GFLOP/s, sgemv 40.0 with a matrix of 16 KiB and 12.5 with one of "
            "64 MiB.") in text


README_TEXT = """# before
<!-- answer of old/run, written by `make docs` -->
stale
<!-- end of the answer -->
after
"""


def test_docs_rewrites_the_block_and_nothing_else(grid, tmp_path):
    readme = grid.parent / "README.md"
    readme.write_text(README_TEXT)
    assert command("docs", [str(readme), f"answer={grid.name}"]) == 0
    text = readme.read_text()
    assert text.startswith(f"# before\n<!-- answer of {grid.name},") and text.endswith("-->\nafter\n")
    assert "stale" not in text and "| lstm | measured | S > 50 | S > 50 |" in text
    assert "exponent of SeqLen of rnn/literal: 1.00 (claimed SeqLen: holds)" in text
    assert f"]({grid.name}/figures/relative.png)" in text
    assert command("docs", [str(readme)]) == 0
    assert readme.read_text() == text


@pytest.mark.parametrize("text, named, message", [
    ("no section", [], "no section between markers"),
    ("no section", ["answer=x"], "0 sections 'answer', not 1"),
    (README_TEXT * 2, ["answer=x"], "2 sections 'answer', not 1"),
    (README_TEXT.replace("answer", "riddle"), [], "no section is called 'riddle'"),
])
def test_docs_refuses_a_readme_without_its_section(tmp_path, capsys, text, named, message):
    (tmp_path / "README.md").write_text(text)
    assert command("docs", [str(tmp_path / "README.md"), *named]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == text


def test_sections_of_the_readme_are_those_of_their_runs():
    readme = ROOT / "README.md"
    assert sections.renewed(readme, {}) == readme.read_text(), "run `make docs`"


def test_answer_breaks_wide_tables(tmp_path, capsys):
    rows = [sample("transformer/tiled", seq_len, 64, 1000, heads=16) for seq_len in range(1, 21)]
    command("answer", [str(summarised(tmp_path / "run", rows))])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 110
    assert sum(line.startswith("transformer/tiled A=16") for line in lines) == 2
    assert {f"S={n}" for n in range(1, 21)} <= {word for line in lines for word in line.split()}


# ---- plot.py -----------------------------------------------------------------------------------


def test_plot_draws_all_figures_the_same_every_time(grid, capsys):
    assert command("plot", [str(grid)]) == 0
    assert capsys.readouterr().err == ""
    files = sorted((grid / "figures").iterdir())
    assert [file.name for file in files] == sorted(
        f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png"))
    first = {file.name: file.read_bytes() for file in files}
    assert all(3000 < len(content) < 300_000 for content in first.values())
    assert all(first[f"{name}.png"].startswith(b"\x89PNG") for name in FIGURES)
    assert command("plot", [str(grid)]) == 0
    assert {file.name: file.read_bytes() for file in files} == first


def test_figures_show_machine_run_kernels_and_values(grid):
    command("plot", [str(grid)])
    texts = {name: (grid / "figures" / f"{name}.svg").read_text(encoding="utf-8")
             for name in FIGURES}
    for text in texts.values():
        assert "Planted CPU 3000 (virtual machine)  ·  run 2024-05-06T070809Z  ·  2 rounds" in text
    for word in (">lstm<", ">transformer<", "HidSize 256", "µs per token", "SeqLen (steps)"):
        assert word in texts["us_per_token"]
    for word in (">0.57<", ">1.6<", ">4.5<", ">16<", "Transformer time / layer time", ">rnn<"):
        assert word in texts["relative"]
    for word in ("roof/fma 200", "roof/sgemm 150", "roof/sgemv 60.0", "GFLOP/s", "16 KiB"):
        assert word in texts["roofs"]
    for word in (">softmax<", ">gates<", "lstm, HidSize 64", "whole layer / sum"):
        assert word in texts["parts"]


def test_plot_says_which_figures_it_skips_and_why(tmp_path, capsys):
    rows = [row for row in grid_run() if row[2] == "lstm" and row[1] == "layer"]
    run = summarised(tmp_path / "run", rows)
    capsys.readouterr()
    assert command("plot", [str(run)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[2] for line in lines] == [
        "figure relative skipped", "figure roofs skipped", "figure roofline skipped",
        "figure parts skipped"]
    assert lines[0] == (f"plot.py: {run}: figure relative skipped: "
                        "no layer was timed beside the layer transformer")
    assert sorted(file.name for file in (run / "figures").iterdir()) == [
        "us_per_token.png", "us_per_token.svg"]


def test_plot_without_layers_draws_nothing(tmp_path, capsys):
    run = summarised(tmp_path / "run", [sample("roof/fma", 1, 1, 10)])
    assert command("plot", [str(run)]) == 0
    assert capsys.readouterr().err.count("no layer was timed") == 5
    assert not (run / "figures").exists()


def test_a_line_is_the_fastest_variant_of_a_layer_and_engine_unless_all_are_asked_for(tmp_path):
    rows = [sample(f"layer{i}/v{j}", 16, 64, 100 + j) for i in range(4) for j in range(4)]
    run = summarised(tmp_path / "run", rows, traits={"layer1/v2": ("packed", "all"),
                                                     "layer2/v3": ("openblas", "one")})
    lines, what = drawing.lines_of(Run.load(run), all_variants=False)
    assert what == "fastest variant of each layer"
    assert dict(zip(lines.name, lines.median_ns)) == {
        "layer0": 100, "layer1": 100, "layer1 (packed)": 102, "layer2": 100,
        "layer2 (one token)": 103, "layer3": 100}
    lines, what = drawing.lines_of(Run.load(run), all_variants=True)
    assert what == "one line per kernel" and lines.name.nunique() == 16
    assert "layer2/v3 (one token)" in set(lines.name)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A run of 16 layers, 40 kernels, three engines and one layer that makes one token."""
    layers = ["transformer", "rnn", "lstm", "decode", *(f"other{i}" for i in range(12))]
    rows, traits = [], {}
    for i, layer in enumerate(layers):
        for j in range(3 if i < 8 else 2):
            kernel = f"{layer}/v{j}"
            traits[kernel] = (["openblas", "openblas", "packed"][j],
                              "one" if layer == "decode" else "all")
            for hid_size in (64, 128, 256, 512):
                steps = [(s, s if layer != "decode" else 1) for s in (16, 128, 1024)]
                rows += [sample(kernel, s, hid_size, (20 + 3 * i + j) * hid_size * made,
                                flops=2 * made * hid_size ** 2, moved=4 * hid_size ** 2 + 8 * s,
                                streamed=4 * made * hid_size ** 2) for s, made in steps]
                rows += [sample(f"{layer}.a", 1, hid_size, 9 * hid_size)] if j == 0 else []
    rows += [sample("roof/fma", 1, 1, 10, flops=2000), sample("roof/sgemm", 512, 512, 10,
                                                             flops=1500),
             sample("roof/sgemv", 1, 64, 200, flops=8192, moved=16384),
             sample("roof/read", 4, 1024, 100, flops=0, moved=16384)]
    return summarised(tmp_path_factory.mktemp("many") / "run", rows, traits=traits)


def texts_of(draw, run, all_variants=False):
    """Every text in a figure."""
    with matplotlib.rc_context(drawing.STYLE):
        sheet = layout.sheet_of(draw(Run.load(run, all_variants)), "", "")
        return {text.get_text() for text in sheet.findobj(matplotlib.text.Text)}


def test_many_layers_get_panels_of_their_own(many):
    times = texts_of(us_per_token.draw, many)
    assert {"other3", "decode (one token)", "engine packed", "HidSize 512"} <= times
    assert "other3/v1" not in times
    under_roofs = texts_of(roofs.draw, many)
    assert {"decode (one token)", "SeqLen 1024", "roof/read"} <= under_roofs
    assert {"decode (one token)", "L1 ends"} <= texts_of(roofline.draw, many)
    assert "other3" in texts_of(relative.draw, many)
    assert not any("decode" in text for text in texts_of(relative.draw, many))
    assert "other3, HidSize 512" in texts_of(parts.draw, many)


def test_all_variants_of_many_layers_have_a_row_per_layer(many):
    times = texts_of(us_per_token.draw, many, all_variants=True)
    assert {"other3, HidSize 512", "other3/v1", "decode/v0 (one token)"} <= times
    assert "decode (one token)" in texts_of(roofs.draw, many, all_variants=True)


def test_figures_are_drawn_in_the_order_of_their_places():
    assert [figure.name for figure in REGISTRY] == FIGURES
    assert all(figure.title and figure.alt for figure in REGISTRY)


def test_names_with_a_dollar_and_unknown_engines_are_drawn(tmp_path, capsys):
    rows = [sample(kernel, seq_len, 64, 10 * seq_len) for seq_len in (16, 64) for kernel in
            ("transformer/full", "$a/full", "$b^{/full", "l1/a", "l2/a", "l3/a", "l4/a", "l5/a")]
    host = VIRTUAL | {"cpu": VIRTUAL["cpu"] | {"model": "CPU $5 ^{"}}
    run = summarised(tmp_path / "run", rows, host, traits={"l3/a": ("other", "all")})
    capsys.readouterr()
    assert command("plot", [str(run)]) == 0
    text = (run / "figures" / "us_per_token.svg").read_text(encoding="utf-8")
    assert "CPU $5 ^{" in text and "engine other" in text and ">$b^{<" in text


@pytest.mark.parametrize("ratio, text", [
    (0.953, "0.95"), (0.996, "0.99"), (1.0, "1.0"), (1.004, "1.0"), (0.349, "0.35"), (9.94, "9.9"),
    (9.96, "10"), (45.4, "45")])
def test_a_ratio_has_two_digits_and_keeps_its_side_of_1(ratio, text):
    assert drawing.ratio_text(ratio) == text


def test_the_bound_is_read_from_its_table(grid, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(grid, run)
    shutil.rmtree(run / "figures", ignore_errors=True)
    table = runs.load_derived(run, "roofline.csv")
    table["share"] = 0.25
    runs.write_text(run / "roofline.csv", runs.csv_text(table))
    assert {text for _, _, text in marks_of(roofline.draw(Run.load(run))) if "4 times" in text}
    (run / "roofline.csv").unlink()
    capsys.readouterr()
    assert command("plot", [str(run)]) == 0
    assert f"figure roofline skipped: no roofline.csv: `make csv RUN={run}`" in capsys.readouterr().err


def marks_of(drawn):
    """Panel, tag and value of every mark that has one."""
    with matplotlib.rc_context(drawing.STYLE):
        pictures = [(panel.title, ElementTree.fromstring(svg.markup(sheet)))
                    for panel, sheet in layout.each_alone(drawn)]
    return [(title, mark.tag.rpartition("}")[2], value.text) for title, root in pictures
            for mark in root.iter() for value in mark.findall(f"{svg.SVG}title")]


def test_every_mark_says_its_case_and_value(grid):
    cells = marks_of(relative.draw(Run.load(grid)))
    assert {tag for _, tag, _ in cells} == {"path"} and len(cells) == 12
    assert ("rnn", "path", "16x: transformer/tiled over rnn/literal\nS 1024, H 256, heads 4") in cells
    points = marks_of(us_per_token.draw(Run.load(grid)))
    assert {tag for _, tag, _ in points} == {"use"} and len(points) == 18
    assert any(text.startswith("rnn/literal (openblas)\nS 16, H 64\n") for _, _, text in points)


def test_many_layers_stay_readable_in_words(many, capsys):
    assert command("answer", [str(many)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 110
    assert sum(line.startswith("other4 packed") for line in lines) == 0  # it has two variants
    assert any(line.startswith("other2 packed") for line in lines)
    assert any(line.startswith("decode (one token)") and "*" not in line for line in lines)
    assert any(line.startswith("other2") and "any engine" in line for line in lines)
