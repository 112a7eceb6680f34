"""Tests of scripts/import: Google Benchmark JSON in, a run folder that every script takes out."""
import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from test_scripts import README, ROOT, grid_run, write_run

from conftest import command
from seqbench.read import runs

CONTEXT = {"date": "2024-05-06T09:08:09+02:00", "host_name": "box", "num_cpus": 4,
           "library_version": "v1.8.0", "caches": [
               {"type": "Data", "level": 1, "size": 32768, "num_sharing": 1},
               {"type": "Instruction", "level": 1, "size": 65536, "num_sharing": 1},
               {"type": "Unified", "level": 2, "size": 1048576, "num_sharing": 1}]}


def entry(name, ms, **more):
    """One result of Google Benchmark."""
    return {"name": name, "run_name": name, "run_type": "iteration", "threads": 1, "iterations": 10,
            "real_time": ms, "cpu_time": ms * 0.9, "time_unit": "ms", **more}


def write_json(path, *benchmarks, **context):
    """A file as Google Benchmark writes it."""
    path.write_text(json.dumps({"context": CONTEXT | context, "benchmarks": benchmarks}),
                    encoding="utf-8")
    return path


def import_files(*arguments):
    """Run scripts/import."""
    return subprocess.run([sys.executable, ROOT / "scripts" / "import", *map(str, arguments)],
                          capture_output=True, text=True)


def imported(folder, *arguments):
    """A run folder that was imported, and its samples."""
    done = import_files(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader((folder / "samples.csv").read_text(encoding="utf-8").splitlines()))


def refused(*arguments):
    """What scripts/import says when it refuses."""
    done = import_files(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    return done.stderr


def test_names_times_and_counters_become_samples(tmp_path):
    one = write_json(
        tmp_path / "one.json",
        entry("lstm/mine/S:128/H:256", 2.0, flops=1000.0, streamed_bytes=64),
        entry("lstm/mine/S:128/H:256", 2.1, repetition_index=1),
        entry("transformer/mine/S:128/H:256/A:4/iterations:10/real_time", 3000, time_unit="us"),
        entry("lstm/mine/S:128/H:256_median", 2.05, run_type="aggregate"))
    two = write_json(tmp_path / "two.json", entry("lstm/mine/S:128/H:256/B:8", 2.2))
    rows = imported(tmp_path / "run", one, two)
    assert [(row["kernel"], row["heads"], row["round"], row["sample"]) for row in rows] == [
        ("lstm/mine", "1", "0", "0"), ("lstm/mine", "1", "0", "1"), ("transformer/mine", "4", "0", "0"),
        ("lstm/mine", "1", "1", "0")]
    assert [row["batch"] for row in rows] == ["1", "1", "1", "8"]
    assert [float(row["wall_ns"]) for row in rows] == [2e7, 2.1e7, 3e7, 2.2e7]
    assert float(rows[0]["cpu_ns"]) == pytest.approx(1.8e7)
    assert (rows[0]["flops"], rows[0]["streamed_bytes"], rows[0]["bytes"]) == ("1000", "64", "0")
    assert (rows[0]["steal_ticks"], rows[0]["sentinel_ns"]) == ("unavailable", "")


def test_host_tells_what_is_known(tmp_path):
    imported(tmp_path / "run", write_json(tmp_path / "a.json", entry("rnn/x/S:1/H:2", 1)),
             "--cpu", "My CPU")
    host = json.loads((tmp_path / "run" / "host.json").read_text(encoding="utf-8"))
    assert host["cpu"] == {"model": "My CPU", "logical_cores": 4, "caches": [
        {"level": 1, "bytes": 32768, "shared_by_cores": 1},
        {"level": 2, "bytes": 1048576, "shared_by_cores": 1}]}
    assert host["run"] == {"started_utc": "2024-05-06T07:08:09.000Z", "rounds": 1,
                           "imported_from": ["a.json"]}


def test_every_script_takes_an_imported_run(tmp_path):
    files = [write_json(tmp_path / f"{i}.json", *(
        entry(f"{kernel}/S:{s}/H:64", s * factor * (1 + i / 100))
        for kernel, factor in (("lstm/mine", 1), ("transformer/mine", 2)) for s in (16, 64, 256)))
        for i in range(3)]
    folder = tmp_path / "run"
    done = import_files(folder, *files, "--engine", "openblas")
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("samples.csv", "kernels.csv"):
        runs.validate(folder / name, README)
    assert command("summarise", [str(folder)]) == 0
    crossover = runs.load_derived(folder, "crossover.csv")
    assert list(crossover.verdict) == ["faster everywhere"]
    assert crossover.ratio_at_max_seq_len[0] == pytest.approx(2)
    assert command("report", [str(folder)]) == 0


def test_seven_layers_of_an_unknown_engine_are_drawn_and_not_predicted(tmp_path):
    layers = ["rnn", "lstm", "gru", "gpt", "mamba", "tcn", "transformer"]
    path = write_json(tmp_path / "a.json", *(
        entry(f"{layer}/mine/S:{s}/H:64", s, flops=1e6, bytes=1000, exps=5, parameters=100)
        for layer in layers for s in (16, 64)))
    folder = tmp_path / "run"
    done = import_files(folder, path)
    assert done.returncode == 0
    assert done.stderr == ("import: engine 'other' is none of openblas, packed, onednn, none: when it "
                           "packs weights is not known, so its times are not predicted\n")
    for name in ("samples.csv", "kernels.csv"):
        runs.validate(folder / name, README)
    kernels = runs.load_kernels(folder)
    assert set(kernels.packing) == {"unknown"} and set(kernels.index) == {
        (f"{layer}/mine", "other") for layer in layers}
    assert command("summarise", [str(folder)]) == 0
    assert command("plot", [str(folder)]) == 0
    assert (folder / "figures" / "us_per_token.svg").exists()


def test_an_unknown_engine_is_predicted_as_nothing(tmp_path):
    known = write_run(tmp_path / "known", grid_run())
    assert command("summarise", [str(known)]) == 0
    costs = {"flops": 1e6, "bytes": 1000, "streamed_bytes": 0, "parameters": 100}
    path = write_json(tmp_path / "a.json", entry("lstm/mine/S:128/H:64", 1, **costs),
                      entry("transformer/mine/S:128/H:64", 1, **costs))
    for engine, is_predicted in (("other", False), ("openblas", True)):
        folder = tmp_path / engine
        imported(folder, path, "--engine", engine)
        assert command("summarise", [str(folder)]) == 0
        assert command("predict", [str(folder), "--roofs", str(known), "-o", str(tmp_path / "out")]) == 0
        table = runs.read_columns(tmp_path / "out" / "predict.csv",
                                  {"predicted_ns": "number, may be empty"})
        assert len(table) == 2 and table.predicted_ns.notna().all() == is_predicted


def test_costs_come_from_a_run_of_the_same_layer(tmp_path):
    known = write_run(tmp_path / "known", grid_run())
    rows = imported(tmp_path / "run", write_json(
        tmp_path / "a.json", entry("lstm/mine/S:128/H:64", 1), entry("lstm/mine/S:3/H:64", 1),
        entry("transformer/mine/S:128/H:256/A:4", 1, flops=7)), "--costs", known)
    assert [row["flops"] for row in rows] == ["1000", "0", "7"]
    assert (rows[0]["resident_bytes"], rows[0]["exps"], rows[0]["parameters"]) == ("1000", "5", "32768")


def test_evaluations_that_were_not_told_by_kind_are_exps(tmp_path):
    rows = imported(tmp_path / "run", write_json(
        tmp_path / "a.json", entry("lstm/mine/S:1/H:2", 1, transcendentals=5, tanhs=3)))
    assert (rows[0]["exps"], rows[0]["tanhs"]) == ("5", "3")


def test_another_pattern_engine_and_one_token(tmp_path):
    rows = imported(
        tmp_path / "run", write_json(tmp_path / "a.json", entry("BM_gpt<mine>/128/64", 1)),
        "--pattern", r"BM_(?P<layer>\w+)<(?P<variant>\w+)>/(?P<S>\d+)/(?P<H>\d+)",
        "--engine", "torch", "--tokens", "one")
    assert (rows[0]["kernel"], rows[0]["seq_len"], rows[0]["hid_size"]) == ("gpt/mine", "128", "64")
    kernels = runs.load_kernels(tmp_path / "run")
    assert tuple(kernels.loc[("gpt/mine", "torch"), ["tokens", "products"]]) == ("one", "step")


def test_a_failed_benchmark_is_a_failed_sample(tmp_path):
    rows = imported(tmp_path / "run", write_json(
        tmp_path / "a.json", entry("rnn/x/S:1/H:2", 0, error_occurred=True, error_message="no, \"x\""),
        entry("rnn/x/S:2/H:2", 1)))
    assert (rows[0]["status"], rows[0]["error"], rows[0]["wall_ns"]) == ("failed", 'no, "x"', "")
    runs.validate(tmp_path / "run" / "samples.csv", README)


@pytest.mark.parametrize("benchmarks, word", [
    ([entry("BM_thing", 1)], "does not match"),
    ([entry("rnn/x/S:1/H:2", 1, threads=2)], "2 threads"),
    ([entry("rnn/x/S:1/H:2", 1, time_unit="h")], "time_unit"),
    ([entry("rnn/x/S:1/H:2", 1, time_unit=["ms"])], "time_unit"),
    ([entry("rnn/x/S:0/H:2", 1)], "seq_len 0 is not a number from 1 on"),
    ([entry("rnn/x/S:1/H:" + "9" * 19, 1)], "hid_size 999"),
    ([entry("rnn/x/S:1/H:2", 1, flops=-1)], "flops is -1"),
    ([entry("rnn/x/S:1/H:2", 1, flops="many")], "flops is 'many'"),
    *(([entry("rnn/x/S:1/H:2", 1) | {name: value}], f"'rnn/x/S:1/H:2': {name}")
      for name in ("real_time", "cpu_time")
      for value in (0, -1, float("nan"), float("inf"), 1e300, "1", None, [1], True)),
    ([entry("rnn/x/S:1/H:2", 1, iterations=0)], "real_time of all iterations is 0"),
    ([entry("rnn/x/S:1/H:2", 1, iterations=float("nan"))], "iterations is nan"),
    ([entry("rnn/x/S:1/H:2", 1, flops=10**30)], "flops is 1000"),
    ([entry("rnn/x/S:1/H:2", 1, threads="\n")], "ran on '\\n' threads"),
    ([entry("rnn\n/S:1/H:2", 1)], "'rnn\\n/S:1/H:2' does not match"),
    ([1], "benchmark 1 is not an object"),
    ([entry("rnn/x/S:1/H:2", 1), None], "benchmark 2 is not an object"),
    ([entry("rnn/x/S:1/H:2", 1, run_type="aggregate")], "no benchmarks")])
def test_what_cannot_be_a_sample_is_refused(tmp_path, benchmarks, word):
    path = write_json(tmp_path / "a.json", *benchmarks)
    said = refused(tmp_path / "run", path, "--engine", "openblas")
    assert word in said and said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_bad_files_and_options_are_refused(tmp_path):
    good = write_json(tmp_path / "good.json", entry("rnn/x/S:1/H:2", 1))
    other = write_json(tmp_path / "other.json", entry("rnn/x/S:1/H:2", 1), host_name="elsewhere")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    out = tmp_path / "run"
    assert "line 1" in refused(out, tmp_path / "bad.json")
    assert "not an object" in refused(out, tmp_path / "list.json")
    for text, words in (
            ('{"benchmarks": [], "context": [1]}', "context: not an object"),
            ('{"benchmarks": [], "context": {"caches": [1]}}', "context: not an object"),
            ('{"benchmarks": [], "context": {"caches": [{}]}}', "not all have a level and a size"),
            ('{"benchmarks": {}}', "no list of benchmarks"), ("[" * 3000 + "]" * 3000, "nested"),
            ('\ufeff{"benchmarks": []}', "a.json: line 1")):
        (tmp_path / "a.json").write_text(text, encoding="utf-8")
        said = refused(out, tmp_path / "a.json")
        assert words in said and said.count("\n") == 1
    assert "host_name is not that of" in refused(out, good, other)
    assert "no group named" in refused(out, good, "--pattern", "(?P<layer>x)")
    assert "--pattern" in refused(out, good, "--pattern", "(")
    assert "no layer or no variant" in refused(
        out, good, "--pattern", r"(?P<layer>)(?P<variant>\D+)(?P<S>\d+)/H:(?P<H>\d+)")
    assert "not empty" in refused(Path(tmp_path), good)
