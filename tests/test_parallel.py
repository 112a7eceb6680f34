"""Width of vectors, batches and cores: tables, words, and what is refused."""
from __future__ import annotations

import csv
import json
import os
import subprocess

import numpy as np
import pandas as pd
import pytest

from conftest import BUILD, ROOT, command
from seqbench.read import runs
from seqbench.tables import batches, claims, counted, prediction, roofline, widths
from seqbench.words import answer, parallel
from seqbench.words.phrases import EN, LANGUAGES
from test_derived import MACHINE, frame, machine_rows, row, verdicts
from test_scripts import VIRTUAL, sample, summarised

ROUNDS = 5
CORE = max(os.sched_getaffinity(0))


def of_width(folder, lanes, block_ns, **changes):
    """A run of a build with so many lanes: a block, and an LSTM of half its operations."""
    rows = []
    for number in range(ROUNDS):
        wobble = 1 + 0.001 * number
        for s in (16, 64, 1024):
            at = {"seq_len": s, "hid_size": 512, "round": number, "engine": "packed"}
            rows += [sample("transformer/online", ns=block_ns * s * wobble, flops=2000 * s, heads=8,
                            parameters=12, **at),
                     sample("lstm/registers", ns=100.0 * s * wobble, flops=1000 * s, parameters=8,
                            **at)]
    host = {**VIRTUAL, "build": {"lanes": lanes, "commit": "c", "compiler": "cc", **changes}}
    return summarised(folder, rows, host)


@pytest.fixture
def two_widths(tmp_path, capsys):
    """One lane as counted, 16 lanes with half of that."""
    folders = [of_width(tmp_path / "wide", 16, 100.0), of_width(tmp_path / "narrow", 1, 200.0)]
    capsys.readouterr()
    return folders


# ---- width -------------------------------------------------------------------------------------


def test_width_table_holds_the_planted_quotients(two_widths, tmp_path, capsys):
    out = tmp_path / "out"
    assert command("width", [*map(str, two_widths), "-o", str(out)]) == 0
    runs.validate(out / "width.csv", runs.README)
    table = runs.load_derived(out, "width.csv")
    assert list(table.lanes) == [1, 16] * 3 and set(table.layer) == {"lstm"}
    assert table.flops_ratio.tolist() == pytest.approx([2] * 6)
    assert table.quotient.tolist() == pytest.approx([1, 0.5] * 3, rel=1e-3)
    assert (table.quotient_low < table.quotient).all() and (table.quotient < table.quotient_high).all()
    assert {path.name for path in (out / "figures").iterdir()} == {
        f"{name}.{ending}" for name in ("width", "width_crossings") for ending in ("svg", "png")}
    text = capsys.readouterr().out
    assert "1024, 512  2.0            2.0     1.0" in text
    assert "Without vectors the count of operations is nearly right" in text


def test_crossings_at_each_width(two_widths):
    found = widths.crossings(two_widths).set_index("lanes").verdict
    assert found[1] == "faster everywhere"  # twice as fast with two thirds of the parameters
    assert found[16] == "slower everywhere"


@pytest.mark.parametrize("lanes, changes, words", [
    (16, {}, "16 lanes as"), (4, {"commit": "d"}, "another build commit"),
    (4, {"compiler": "clang"}, "another build compiler"), (None, {}, "build: lanes is missing")])
def test_runs_that_differ_in_more_than_width_are_refused(two_widths, tmp_path, capsys, lanes,
                                                         changes, words):
    other = of_width(tmp_path / "other", lanes, 200.0, **changes)
    assert command("width", [*map(str, two_widths), str(other), "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_width_makes_no_figure(two_widths, tmp_path, capsys):
    assert command("width", [str(two_widths[0]), "-o", str(tmp_path / "out")]) == 0
    assert "only one width was timed" in capsys.readouterr().err


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("block_ns, key", [(200.0, "width agrees"), (150.0, "width differs")])
def test_sentence_says_whether_the_count_is_right(tmp_path, language, block_ns, key):
    folders = [of_width(tmp_path / "a", 1, block_ns), of_width(tmp_path / "b", 16, 100.0)]
    phrases = LANGUAGES[language]
    assert parallel.width_sentence(widths.widths(folders), phrases) == phrases[key].format(
        a=phrases["lstm"], b=phrases["transformer"], s=1024, h=512, n=phrases["one float"],
        m=phrases["floats"].format(n=16),
        x="2.0" if key == "width agrees" else "1.5", y="2.0", z="1.0")


def test_claim_of_one_lane_is_judged_in_such_a_run_only(two_widths):
    for folder, expected in zip(two_widths, (claims.NOT_MEASURED, claims.HOLDS)):
        found = runs.load_derived(folder, "claims.csv")
        found = found[(found.claim == "one lane") & found.hid_size.isna()]
        verdict = found.set_index("measure").verdict
        assert verdict["(transformer / lstm) / operations, 1 float per vector"] == expected
        assert verdict["(transformer / rnn) / operations, 1 float per vector"] == claims.NOT_MEASURED


@pytest.mark.parametrize("arguments, words", [
    (["LANES=3"], "LANES=3: with MARCH=native a vector can hold 1 4"),
    (["LANES=16", "MARCH=x86-64-v3"], "LANES=16: with MARCH=x86-64-v3 a vector can hold 1 4 8 floats"),
    (["LANES=8", "MARCH=x86-64-v2"], "LANES=8: with MARCH=x86-64-v2 a vector can hold 1 4 floats")])
def test_a_width_that_is_not_there_is_refused(arguments, words):
    if "x86-64" in words and subprocess.run(
            ["gcc", "-march=x86-64-v3", "-E", "-x", "c", "/dev/null"], capture_output=True).returncode:
        pytest.skip("this compiler is for another CPU")
    made = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 2 and words in made.stderr


def test_rows_and_host_tell_the_width(seqbench, tmp_path):
    run = tmp_path / "run"
    seqbench("run", "-k", "roof/empty", "--rounds", 1, "--cpu", CORE, "-o", run)
    lanes = json.loads((run / "host.json").read_text())["build"]["lanes"]
    assert lanes in (1, 4, 8, 16)
    types = {"lanes": runs.schema(runs.README, "samples.csv")["lanes"]}
    assert set(runs.read_columns(run / "samples.csv", types).lanes) == {lanes}


def turns_of(out, names):
    """Which run was at which round, in the order of time."""
    started = sorted((found["started_utc"], name, int(found["round"])) for name in names
                     for found in csv.DictReader((out / name / "samples.csv").open()))
    return list(dict.fromkeys((name, number) for _, name, number in started))


@pytest.mark.parametrize("broken_off, expected", [
    (False, "x0 y0 z0 z1 y1 x1"), (True, "x0 x1 y0 z0 z1 y1")])
def test_runs_take_turns_and_go_on_where_they_were_broken_off(tmp_path, broken_off, expected):
    out, program = tmp_path / "out", BUILD / "seqbench"
    options = ["-k", "rnn/literal", "-S", "4", "-H", "8", "--rounds", "2", "--cpu", CORE]
    if broken_off:
        subprocess.run(list(map(str, [program, "run", *options, "--budget", 0, "--pause-after", 1,
                                      "-o", out / "x"])), capture_output=True, check=True)
    turns = [ROOT / "scripts" / "turns", out, *(f"{name}={program}" for name in "xyz"), *options]
    for _ in range(2):  # finished runs are left alone
        made = subprocess.run(list(map(str, turns)), capture_output=True, text=True)
        assert made.returncode == 0, (out / "log").read_text()
        assert " ".join(f"{name}{number}" for name, number in turns_of(out, "xyz")) == expected


def test_a_run_killed_before_its_first_sample_starts_again(tmp_path):
    out, program = tmp_path / "out", BUILD / "seqbench"
    (out / "x").mkdir(parents=True)
    (out / "x" / "plan.csv").write_text("broken off", encoding="utf-8")
    turns = [ROOT / "scripts" / "turns", out, f"x={program}", "-k", "rnn/literal", "-S", "4", "-H",
             "8", "--rounds", "1", "--cpu", CORE]
    made = subprocess.run(list(map(str, turns)), capture_output=True, text=True)
    assert made.returncode == 0, (out / "log").read_text()
    assert len(runs.load_samples(out / "x"))


def test_turns_begin_no_round_after_their_time_and_go_on_when_asked_again(tmp_path):
    turns = [ROOT / "scripts" / "turns", "--at-most", "0", tmp_path / "out",
             *(f"{name}={BUILD / 'seqbench'}" for name in "xy"), "-k", "rnn/literal", "-S", "4",
             "-H", "8", "--rounds", "3", "--cpu", CORE]
    for rounds, is_over in ((1, False), (2, False), (3, False), (3, True)):
        made = subprocess.run(list(map(str, turns)), capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        assert ("the same command goes on" in made.stderr) != is_over
        for name in "xy":
            samples = runs.load_samples(tmp_path / "out" / name)
            assert set(samples["round"]) == set(range(rounds))


def test_turns_leave_a_folder_alone_that_is_no_run(tmp_path):
    mine = tmp_path / "out" / "x" / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("kept", encoding="utf-8")
    (mine.parent / "plan.csv").write_text("mine too", encoding="utf-8")
    made = subprocess.run([ROOT / "scripts" / "turns", tmp_path / "out", f"x={BUILD / 'seqbench'}",
                           "-k", "rnn/literal"], capture_output=True, text=True)
    assert made.returncode != 0 and mine.read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize("arguments", [[], ["out", "x"], ["out", "=y"], ["out", "x="], ["--at-most"]])
def test_turns_refuse_what_names_no_program(tmp_path, arguments):
    made = subprocess.run([ROOT / "scripts" / "turns", *arguments], capture_output=True, text=True,
                          cwd=tmp_path)
    assert made.returncode != 0 and "usage: scripts/turns [--at-most SECONDS] OUT NAME=PROGRAM" in made.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("changes, words", [
    ({"batch": [1, 2]}, "batch has several values"), ({"kernel": "rnn/x"}, "in a cell of the Trans")])
def test_width_refuses_runs_that_it_cannot_set_side_by_side(tmp_path, capsys, changes, words):
    rows = [sample(kernel, 16, 64, 100 * b, round=number, batch=b, engine="packed", flops=9, heads=heads)
            for number in range(ROUNDS) for b in changes.get("batch", [1])
            for kernel, heads in (("lstm/x", 1), (changes.get("kernel", "transformer/x"), 1))]
    host = {**VIRTUAL, "build": {"lanes": 1, "commit": "c", "compiler": "cc"}}
    run = summarised(tmp_path / "run", rows, host)
    capsys.readouterr()
    assert command("width", [str(run), "-o", str(tmp_path / "out")]) != 0
    assert words in capsys.readouterr().err


# ---- batch -------------------------------------------------------------------------------------


def shares(values, flops=1000):
    """An LSTM with these shares of the peak, by BatchSize."""
    rows = [row("roof/fma", 4096, 1, 1, flops=100)]
    return frame(rows + [row("lstm/a", 128, 256, b * flops / (100 * share), batch=b,
                             flops=b * flops) for b, share in values.items()])


@pytest.mark.parametrize("values, expected", [
    ({1: 0.3, 2: 0.6, 4: 0.7}, 2), ({1: 0.6, 2: 0.7}, 1), ({1: 0.3, 2: 0.6, 4: 0.45, 8: 0.7}, 8),
    ({1: 0.1, 2: 0.2}, np.nan)])
def test_half_of_the_peak_is_kept_from_a_batch_on(values, expected):
    (found,) = batches.half_from(shares(values)).half_from
    assert found == pytest.approx(expected, nan_ok=True)


def test_shares_are_of_the_fastest_variant_and_leave_peers_out():
    rows = [row("roof/fma", 4096, 1, 1, flops=100), row("rnn/a", 16, 64, 20, flops=1000, batch=4),
            row("rnn/b", 16, 64, 40, flops=1000, batch=4),
            row("rnn/onednn", 16, 64, 11, flops=1000, batch=4, engine="onednn")]
    (share,) = batches.shares(frame(rows)).share
    assert share == pytest.approx(0.5)


def test_least_batch_keeps_the_roofs():
    table = frame([row("roof/fma", 1, 1, 1), row("rnn/a", 4, 8, 1, batch=4),
                   row("rnn/a", 4, 8, 1, batch=16)])
    assert list(zip(runs.least_batch(table).kernel, runs.least_batch(table).batch)) == [
        ("roof/fma", 1), ("rnn/a", 4)]
    assert list(runs.least_batch(table[table.kind != "roof"].drop(columns="kind")).batch) == [4]


@pytest.mark.parametrize("batches_word, at_once, steps", [("together", 8, 16), ("one by one", 1, 128)])
def test_bound_of_a_batch_reads_the_matrix_once_per_step(batches_word, at_once, steps):
    """Of weights that all sequences share, and operations of each."""
    matrix = 1 << 20
    layer = row("lstm/a", 16, 64, 1e9, batch=8, batches=batches_word, engine="packed",
                streamed_bytes=matrix * steps, flops=8 * 16 * matrix // 2, bytes=matrix)
    table = frame([layer])
    assert roofline.steps(table).tolist() == [steps]
    assert roofline.at_once(table).tolist() == [at_once]
    bound = roofline.bounds(table, MACHINE).stream_ns.iloc[0]
    reading = float(MACHINE.reading_ns(matrix))
    computing = at_once * matrix / 2 / MACHINE.fma
    assert bound == pytest.approx(steps * max(reading, computing))
    assert roofline.bounds(table, MACHINE).gemm_ns.iloc[0] == 0


def test_answer_of_a_run_of_batches_tells_of_them(tmp_path, capsys):
    rows = []
    for number in range(ROUNDS):
        for b in (1, 16):
            at = {"seq_len": 1024, "hid_size": 512, "round": number, "batch": b,
                  "engine": "packed"}
            wobble = 1 + 0.001 * number
            rows += [sample("transformer/online", ns=2000 * b * wobble, flops=2000 * b, heads=8, parameters=12, **at),
                     sample("lstm/registers", ns=(2000 if b == 1 else 1000 * b) * wobble,
                            flops=1000 * b, parameters=8, **at)]
        rows.append(sample("roof/fma", 1, 1, 1000, flops=1100, round=number, engine="none"))
    run = summarised(tmp_path / "run", rows)
    assert command("answer", [str(run)]) == 0
    text = capsys.readouterr().out
    assert "lstm                 1024    45%   91%                 16" in text
    assert EN["batch"].format(a="an LSTM", b="a Transformer block", n=1, m=16, x="1.0", y="2.0",
                              z="2.0", s=1024, h=512) in text
    assert "From BatchSize 16 on the ratio stays within 15 % of the count." in text
    cells = counted.best_cells(run).set_index("batch")
    assert cells.quotient.to_dict() == pytest.approx({1: 0.5, 16: 1.0}, rel=1e-3)
    assert command("plot", [str(run)]) == 0
    assert (run / "figures" / "batch.png").exists()


def test_fits_are_of_one_batch(tmp_path):
    """Of twice the sequences a run takes twice as long, which is no growth with SeqLen."""
    rows = [sample("lstm/a", s, 64, 100 * s * b * (1 + 0.001 * number), batch=b, round=number)
            for number in range(ROUNDS) for b in (4, 8) for s in (16, 64, 256)]
    run = summarised(tmp_path / "run", rows)
    found = runs.load_derived(run, "residuals.csv")
    assert set(found.batch) == {4} and found.fitted_ns.tolist() == pytest.approx(
        found.median_ns.tolist(), rel=0.01)


def test_without_a_peak_no_share_is_told(tmp_path, capsys):
    rows = [sample(kernel, 64, 64, ns * b, flops=flops * b, batch=b, round=number, heads=heads,
                   parameters=9)
            for number in range(ROUNDS) for b in (1, 16)
            for kernel, ns, flops, heads in (("lstm/a", 100, 10, 1), ("transformer/a", 200, 20, 2))]
    run = summarised(tmp_path / "run", rows)
    capsys.readouterr()
    assert command("answer", [str(run)]) == 0
    text = capsys.readouterr().out
    assert "nan" not in text and "roof/fma" not in text and "multiply-add" not in text
    assert command("plot", [str(run)]) == 0
    assert "figure batch skipped: no roof/fma was timed" in capsys.readouterr().err


def test_prediction_of_decode_reads_the_cache_of_each_sequence():
    weights, cache, b = 1 << 20, 1 << 18, 4
    one = row("decode/a", 64, 64, 1, tokens="one", engine="packed", batch=b,
              streamed_bytes=weights + b * cache, flops=b * (weights + cache) // 2)
    parts = prediction.predicted_parts(frame([one]), MACHINE)
    assert parts.gemv_ns.iloc[0] == pytest.approx(max(
        float(MACHINE.reading_ns(weights + b * cache)), b * (weights + cache) / 2 / MACHINE.fma))


@pytest.mark.parametrize("asked, words", [([16, 4], "batch 4,"), ("by layer", "batch 1,")])
def test_the_machine_is_told_with_the_batch_of_the_sentences(asked, words):
    assert words in answer.machine_sentence({**VIRTUAL, "run": {"batch": asked}})


# ---- cores -------------------------------------------------------------------------------------


def test_cores_divide_the_work_and_steps_wait():
    predicted = frame([row("lstm/a", 16, 64, 1000, streamed_bytes=64),
                       row("transformer/a", 16, 64, 3000, streamed_bytes=0)])
    for count in (2, 64):
        assert prediction.on_cores(predicted, count, 100.0).median_ns.tolist() == [
            1000 / count + 16 * 100.0, 3000 / count]


def test_a_barrier_is_an_option_of_predict(tmp_path, capsys):
    table = prediction.what_if(frame(machine_rows() + [
        row("lstm/x", s, 256, 9e9, streamed_bytes=1 << 20, flops=1 << 20, parameters=7) for s in (16, 64)] + [
        row("transformer/x", s, 256, 9e9, flops=1 << 22, parameters=7) for s in (16, 64)]), MACHINE, 0.0)
    rows = table[table.layer == "lstm"].set_index("change")
    ratios = rows.ratio_at_max_seq_len
    assert ratios["64 cores"] == pytest.approx(ratios["predicted"])  # nobody waits
    assert rows.barrier_ns["64 cores"] == 0 and np.isnan(rows.barrier_ns["predicted"])
    assert prediction.over_cores(table).cores.tolist() == [1, 2, 4, 8, 16, 32, 64]
    with pytest.raises(SystemExit):
        command("predict", [str(tmp_path), "--barrier", "-1"])
    assert "is not a time in ns" in capsys.readouterr().err


def test_verdict_of_a_run_without_a_host_is_not_measured():
    found, _ = verdicts([row("lstm/x", 1024, 64, 1)])
    assert found["one lane", "(transformer / lstm) / operations, 1 float per vector"] == (
        claims.NOT_MEASURED)
