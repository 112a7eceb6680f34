"""Tests of scripts/: planted times in, known answers out."""
import json
import math
import random
import re
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
from seqbench.read import dimensions, runs
from seqbench.tables import derived, medians, noise
from seqbench.words import sections, wording
from seqbench.words.phrases import LANGUAGES

README = ROOT / "results" / "README.md"

HEADER = list(runs.schema(README, "samples.csv"))
FIGURES = [figure.name for figure in REGISTRY]
PREDICTIONS = ["predict.csv", "whatif.csv"]
TABLES = [name for name in derived.TABLES if name not in PREDICTIONS]
CACHES = [{"level": 1, "bytes": 32768}, {"level": 2, "bytes": 1048576},
          {"level": 3, "bytes": 33554432}]
VIRTUAL = {"cpu": {"model": "Planted CPU 3000", "caches": CACHES}, "machine": {"virtual": True}}
PACKING = {"openblas": "call", "packed": "before", "onednn": "before", "none": "none"}


# ---- synthetic runs ----------------------------------------------------------------------------


def sample(kernel, seq_len, hid_size, ns, heads=1, round=0, number=0, iterations=4, flops=1000,
           moved=500, flags="", cache="hot", elementwise=10, exps=5, streamed=0, parameters=0,
           engine="openblas", batch=1):
    """One good row of samples.csv: `ns` per iteration."""
    layer, variant = kernel.replace(".", "/").split("/")
    kind = ("roof" if layer == "roof" else "layer" if "/" in kernel
            else "step" if variant == "step" else "part")
    time = repr(float(ns * iterations))
    values = {
        **dict.fromkeys(HEADER, ""), "kernel": kernel, "kind": kind, "layer": layer,
        "variant": variant, "engine": engine, **dimensions.ABSENT,
        "seq_len": seq_len, "hid_size": hid_size, "heads": heads, "batch": batch, "round": round, "cache": cache,
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
              "products": "step" if stepwise else "sequence", "batches": "together",
              "parts": "yes" if variant in ("literal", "full") else "no",
              "packing": PACKING.get(engine, "unknown"), "bytes_per_weight": 4, "roof": "fma",
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


PARAMETERS = {"rnn": 2, "lstm": 8, "transformer": 12}  # of a layer, in H^2


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
                 sample("roof/sgemv", 1, 64, 10, flops=600, parameters=7, round=round),
                 sample("roof/read", 4, 1024, 100, flops=0, moved=16384, round=round),
                 sample("roof/read", 8, 1024, 400, flops=0, moved=32768, round=round)]
    place = HEADER.index("parameters")
    for row in rows:
        if row[1] == "layer":
            row[place] = PARAMETERS[row[2]] * row[HEADER.index("hid_size")] ** 2
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
        for round in (0, 1):
            at = dict(seq_len=seq_len, hid_size=64, round=round)
            rows += [sample("lstm/hoisted", ns=1000, **at), sample("lstm/literal", ns=7000, **at),
                     sample("transformer/full", ns=1000 * ratio * 9, heads=2, flops=int(flops), **at),
                     sample("transformer/tiled", ns=1000 * ratio, heads=2, flops=int(flops), **at)]
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


def simulated(random, cases, rounds, own=0.02, shared=0.01):
    """Log times of cases x rounds around 0, with what a round does to all cases."""
    return (random.normal(0, own, (cases, rounds)) + random.normal(0, shared, rounds))


@pytest.mark.parametrize("rounds", [3, 5])
def test_intervals_of_medians_and_ratios_cover_the_truth(rounds):
    random = np.random.default_rng(1)
    held, ratios_held, count = 0, 0, 0
    for _ in range(60):
        logs = simulated(random, 40, rounds)
        found = noise.noise_of(logs)
        off = np.median(logs, axis=1)
        held += (abs(off) <= noise.quantile(found.df) * found.error).sum()
        error = np.hypot(found.own_error[::2], found.own_error[1::2])
        ratios_held += (abs(off[::2] - off[1::2]) <= noise.quantile(found.own_df[::2]) * error).sum()
        count += 40
    assert 0.90 <= held / count <= 0.99
    assert 0.92 <= ratios_held / (count / 2) <= 0.985


def test_one_round_tells_nothing_of_how_rounds_differ():
    found = noise.noise_of(np.array([[1.0, np.nan], [2.0, np.nan]]))
    assert np.isnan(found.error).all() and np.isnan(found.own_error).all()


def test_a_case_of_one_round_borrows_the_noise_of_the_others():
    logs = simulated(np.random.default_rng(3), 40, 5)
    logs[0, 1:] = np.nan
    found = noise.noise_of(logs)
    assert found.own_error[0] > 1.5 * np.median(found.own_error[1:])
    assert np.isfinite(found.error).all()


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
    ([1, 1, 1, 1, 1], "no difference", None, []),
    ([0.5, 1, 0.5, 0.5, 0.5], "never faster", None, []),
    ([2, 1, 2, 2, 2], "never slower", 32, [32, 32]),
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


NOT_GIVEN = [0] * len(dimensions.OPTIONAL)


def test_parts_count_once_or_once_per_step(grid):
    summary = runs.load_summary(grid)
    lstm = medians.part_times(summary, "lstm")
    assert lstm.loc[(128, 64, 1, 1, *NOT_GIVEN)].to_dict() == {"gates": 128 * 30 * 64, "update": 128 * 5 * 64}
    transformer = medians.part_times(summary, "transformer")
    sum_of_parts = transformer.loc[(16, 256, 4, 1, *NOT_GIVEN)].sum()
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
GOOD_END = ",1000,10,5,0,0,0,0,0,500,0,1000,ok,\n"
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
    (replaced(",0,hot,,1,0,4,", ",0,hot,,1,0,0,"), "samples.csv: line 3: iterations is not at least 1"),
    (replaced(",16,64,", ",0,64,", 1), "line 2: seq_len: '0' is not of type dimension"),
    (replaced(",16,64,", ",1.5,64,", 1), "line 2: seq_len: '1.5' is not of type dimension"),
    (replaced("hoisted,layer", "hoisted,", 1), "samples.csv: line 2: kind: '' is not of type text"),
    (replaced(",0,hot,,1,0,4,", ",0,hot,,0,0,4,"), "samples.csv: line 3: this sample is there already"),
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
    (0.001, 3, None, "stable"), (0.05, 3, None, "unstable"), (0.01, 3, None, "unstable"),
    (0.05, 3, 0.4, "unstable"), (0.05, 3, 0.45, "stable"),
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

ZEROS = ",0" * len(dimensions.OPTIONAL)
LAST = dimensions.COLUMNS[-1]
GOOD_FILES = {
    "plan.csv": f"order,round,kernel,engine,{','.join(dimensions.COLUMNS)}\n"
                f"0,0,lstm/hoisted,packed,16,64,1,1{ZEROS}\n",
    "checks.csv": f"kernel,engine,{','.join(dimensions.COLUMNS)},error,bound,verdict\n"
                  f"lstm/hoisted,packed,16,64,1,1{ZEROS},1.5e-07,0.0001,PASS\n"
                  f"lstm/fused,openblas,16,64,1,1{ZEROS},,0.0001,FAIL\n",
}


def test_data_dictionary_describes_every_file(grid, tmp_path):
    assert list(runs.schemas(README)) == [
        "samples.csv", "plan.csv", "kernels.csv", "checks.csv", "instructions.csv", "accuracy.csv",
        *[name for name in runs.schemas(README) if name in derived.TABLES or name in ("trust.csv", "models.csv", "chunks.csv", "atlas.csv", "width.csv", "calls.csv", "stream.csv")],
        "compare.csv", "compare_groups.csv", "peers.csv"]
    for name in ("samples.csv", "kernels.csv", *derived.TABLES):
        runs.validate(grid / name, README)
    for name, text in GOOD_FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        runs.validate(tmp_path / name, README)


@pytest.mark.parametrize("change, message", [
    (replaced(f"{LAST}\n", f"{LAST}s\n"), f"column {LAST} is missing"),
    (lambda text: "".join(line[:line.rindex(",")] + "\n" for line in text.splitlines()),
     f"column {LAST} is missing"),
    (replaced(f"{LAST}\n0", f"{LAST},more\n0"), r"line 2: (\d+) fields, the header has"),
    (lambda text: text.replace(f"{LAST}\n", f"{LAST},b\n").replace(",0\n", ",0,1\n"),
     "column b is not in the data dictionary"),
    (replaced("order,round", "round,order"), "columns are not in the order"),
    (replaced(",64,1,1,0,", ",64,one,1,0,"), "line 2: heads: 'one' is not of type dimension"),
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


def planted_sizes(folder, small, crossing=False, noise=0.0):
    """Layers against a block of 100 parameters; small: ns and parameters of rnn."""
    rows = []
    for round in range(4):
        for seq_len in (16, 64, 256, 1024):
            wobble = 1 + noise * (round - 1.5)
            block = 1000 * (seq_len / 64 if crossing else 1)
            at = dict(seq_len=seq_len, hid_size=512, round=round)
            rows += [sample("transformer/full", ns=block, parameters=100, **at),
                     sample("rnn/hoisted", ns=small[0] * wobble, parameters=small[1], **at)]
    return summarised(folder, rows)


def said(folder, capsys):
    """What answer.py prints of a run, in one line; and its lines."""
    capsys.readouterr()
    assert command("answer", [str(folder)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= wording.WIDTH
    return " ".join(text.split()), text.splitlines()


def test_answer_tells_from_which_length_on_at_equal_size(tmp_path, capsys):
    text, lines = said(planted_sizes(tmp_path / "run", (500, 25), crossing=True), capsys)
    # Equal size: 1000 (S / 64) / 500 / 4 = 1 at S = 128.
    assert lines[0].startswith("Which takes less time on one CPU core")
    assert "At equal model size an RNN takes less time than a Transformer block from about 130 " \
        "tokens on (HidSize 512)" in text
    assert "At 64 tokens an RNN takes 2.0 times as long as a Transformer block of equal size" in text
    assert "At 1024 tokens a Transformer block takes 8.0 times as long as an RNN of equal size" in text
    assert "it has 25 % of the parameters" in text and "lens parameter" in text
    assert len(lines) <= 30


def test_half_the_parameters_in_half_the_time_is_no_difference(tmp_path, capsys):
    text, _ = said(planted_sizes(tmp_path / "run", (500, 50)), capsys)
    assert "At equal model size no difference between an RNN and a Transformer block" in text
    assert "an RNN is faster than a Transformer block at every size" in text
    assert "only 50 % of the parameters" in text


def test_a_cell_whose_interval_spans_1_makes_no_sentence(tmp_path, capsys):
    run = planted_sizes(tmp_path / "run", (980, 100), noise=0.04)
    text, _ = said(run, capsys)
    assert set(found["verdict"] for found in table(run / "ratios.csv")) == {"no difference"}
    for word in ("less time than", "more time than", "times as long as", "is faster than"):
        assert word not in text.replace("SeqLen S at which a layer takes less time than", "")


def test_few_lengths_are_answered_one_by_one(tmp_path, capsys):
    rows = [sample(kernel, 50, 384, ns, round=round, parameters=parameters) for round in range(3)
            for kernel, ns, parameters in (("transformer/full", 1000, 100), ("lstm/hoisted", 400, 50),
                                           ("gru/hoisted", 100, 25))]
    text, lines = said(summarised(tmp_path / "run", rows), capsys)
    # Equal size: lstm 1.25, gru 2.5 times as fast as the block.
    assert "At 50 tokens, of models of equal size, a GRU takes the least time: 0.0020 µs" in text
    assert ["gru", "2.5e-05", "M", "0.0020", "2.5x"] in [line.split() for line in lines]


@pytest.mark.parametrize("host, words", [
    ({}, "Measured on unknown CPU, march unknown, OpenBLAS unknown, which may be a virtual machine; one "
     "core, batch 1, float32."),
    ({"cpu": "x", "machine": {"virtual": None}}, "unknown CPU"),
    ({"cpu": {"model": "A"}, "machine": {"virtual": True}, "build": {"flags": "-march=zen5 -O3"},
      "libraries": {"openblas_corename": "Zen"}},
     "Measured on A, march zen5, OpenBLAS Zen, a virtual machine; one core, batch 1, float32."),
    ({"cpu": {"model": "A", "family": "6", "model_number": "7"}},
     "Measured on A (family 6, model 7), march"),
    ({"cpu": {"model": "A 8", "family": "6", "model_number": "7"}}, "Measured on A 8, march"),
])
def test_answer_bears_an_incomplete_host(tmp_path, capsys, host, words):
    text, _ = said(summarised(tmp_path / "run", TWO_ROWS, host), capsys)
    assert words in text
    assert "No layer was timed beside the layer a Transformer block: there is nothing" in text


def test_both_languages_have_the_same_sentences_and_names():
    names = {language: {key: sorted(re.findall(r"{(\w)}", text)) for key, text in phrases.items()}
             for language, phrases in LANGUAGES.items()}
    assert names["en"] == names["zh"]


# ---- docs.py -----------------------------------------------------------------------------------

PAGE_TEXT = """# before
<!-- claims of {folder}, written by `make docs` -->
stale
<!-- end of the claims -->
after
"""


def test_docs_rewrites_the_block_and_nothing_else(grid, tmp_path):
    folder = tmp_path / "results" / "run"
    shutil.copytree(grid, folder)
    page, readme = tmp_path / "results" / "PAGE.md", tmp_path / "README.md"
    page.write_text(PAGE_TEXT.format(folder="old/run"))
    readme.write_text("no section")
    assert command("docs", [str(tmp_path), "claims=results/run"]) == 0
    text = page.read_text()
    assert text.startswith("# before\n<!-- claims of results/run,")
    assert text.endswith("-->\nafter\n") and "stale" not in text
    assert "| A whole RNN: SeqLen * HidSize^2 | layer | " in text
    assert command("docs", [str(tmp_path)]) == 0
    assert page.read_text() == text and readme.read_text() == "no section"


@pytest.mark.parametrize("what, named, message", [
    ("claims", ["answer=x"], "no page has a section 'answer', only claims"),
    ("riddle", [], "no section is called 'riddle'"),
])
def test_docs_refuses_what_no_page_has(tmp_path, capsys, what, named, message):
    text = PAGE_TEXT.format(folder="x").replace("claims", what)
    (tmp_path / "README.md").write_text(text)
    assert command("docs", [str(tmp_path), *named]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == text


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("results/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_sections_are_those_of_their_runs(page):
    assert sections.renewed(ROOT, page, {}) == page.read_text(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_pages_resolve(page):
    links = re.findall(r"\]\(([^)#\s]+)\)", re.sub(r"`[^`]*`", "", page.read_text()))
    for link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_front_page_is_short():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 130
    assert all(match[0].count("\n") <= 25 for match in sections.SECTION.finditer(text))


# ---- plot.py -----------------------------------------------------------------------------------


def test_plot_draws_all_figures_the_same_every_time(grid, capsys):
    assert command("plot", [str(grid)]) == 0
    assert [line.split(": ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "figure mixers skipped"]
    drawn = [name for name in FIGURES if name not in ("mixers", "batch", "precision", "precision_crossings")]
    files = sorted((grid / "figures").iterdir())
    assert [file.name for file in files] == sorted(
        f"{name}.{kind}" for name in drawn for kind in ("svg", "png"))
    first = {file.name: file.read_bytes() for file in files}
    assert all(3000 < len(content) < 300_000 for content in first.values())
    assert all(first[f"{name}.png"].startswith(b"\x89PNG") for name in drawn)
    assert command("plot", [str(grid)]) == 0
    assert {file.name: file.read_bytes() for file in files} == first


def test_figures_show_machine_run_kernels_and_values(grid):
    command("plot", [str(grid)])
    texts = {name: (grid / "figures" / f"{name}.svg").read_text(encoding="utf-8")
             for name in FIGURES if name not in ("mixers", "batch", "precision", "precision_crossings")}
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
             sample("roof/sgemv", 1, 64, 200, flops=8192, moved=16384, parameters=7),
             sample("roof/read", 4, 1024, 100, flops=0, moved=16384)]
    return summarised(tmp_path_factory.mktemp("many") / "run", rows, traits=traits)


def texts_of(draw, run, all_variants=False):
    """Every text in a figure."""
    with matplotlib.rc_context(drawing.STYLE):
        sheet = layout.sheet_of(draw(Run.load(run, all_variants)), "", "")
        return {text.get_text() for text in sheet.findobj(matplotlib.text.Text)}


def test_figures_are_drawn_in_the_order_of_their_places():
    assert [figure.place for figure in REGISTRY] == list(range(1, len(REGISTRY) + 1))
    assert FIGURES[0] == "fastest" and len(set(FIGURES)) == len(FIGURES)
    assert all(figure.title and figure.alt for figure in REGISTRY)


def test_plot_says_which_figures_it_skips_and_why(tmp_path, capsys):
    run = summarised(tmp_path / "run", [sample("roof/fma", 1, 1, 10)])
    capsys.readouterr()
    assert command("plot", [str(run)]) == 0
    lines = capsys.readouterr().err.splitlines()
    skipped = [line.split(": ")[2] for line in lines]
    assert {"figure us_per_token skipped", "figure fastest skipped"} <= set(skipped)
    assert not (run / "figures").exists() or len(skipped) < len(FIGURES)


def test_many_layers_get_panels_of_their_own(many):
    times = texts_of(us_per_token.draw, many)
    assert {"other3", "decode (one token)", "engine packed", "HidSize 512"} <= times
    assert "other3/v1" not in times
    under_roofs = texts_of(roofs.draw, many)
    assert {"decode (one token)", "SeqLen 1024", "roof/read"} <= under_roofs
    assert "other3, HidSize 512" in texts_of(parts.draw, many)


def test_all_variants_of_many_layers_have_a_row_per_layer(many):
    times = texts_of(us_per_token.draw, many, all_variants=True)
    assert {"other3, HidSize 512", "other3/v1", "decode/v0 (one token)"} <= times
    assert "decode (one token)" in texts_of(roofs.draw, many, all_variants=True)


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
    assert wording.ratio_text(ratio) == text


def test_the_bound_is_read_from_its_table(grid, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(grid, run)
    shutil.rmtree(run / "figures", ignore_errors=True)
    table = runs.load_derived(run, "roofline.csv")
    table["share"] = 0.25
    runs.write_text(run / "roofline.csv", runs.csv_text(table))
    assert {text for _, _, text in marks_of(roofline.draw(Run.load(run))) if "4 times" in text or "25 %" in text or "4.0" in text}
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


def test_many_layers_stay_readable_in_words(many, capsys):
    text, lines = said(many, capsys)
    assert any(line.startswith("other2 ") for line in lines)
