"""Our kernels beside oneDNN and PyTorch: the table from planted samples, and torch's side of it."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from conftest import BUILD, ROOT, command
from seqbench.peers import torch_layers, torch_run
from seqbench.read import dimensions, hosts, runs
from seqbench.tables import peer_ratios, streams
from test_scripts import sample, write_run

HAS_TORCH = subprocess.run([sys.executable, "-c", "import torch"],
                           capture_output=True).returncode == 0
needs_torch = pytest.mark.skipif(not HAS_TORCH,
                                 reason="no torch: `make deps-peers` installs it")
CORE = min(os.sched_getaffinity(0))  # the other tests that time use the last
ENGINES = {"panels": "packed", "onednn": "onednn", "torch": "torch",
           "torch_eager": "torch-eager"}  # of the others: openblas


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


# planted samples


def planted(folder, times, rounds=5):
    """A run folder with samples of (kernel, S, H) -> ns, a little noise in every round."""
    random = np.random.default_rng(7)
    rows = [sample(kernel, S, H, ns * np.exp(random.normal(0, 0.002)), round=number,
                   engine=ENGINES.get(kernel.split("/")[-1], "openblas"))
            for (kernel, S, H), ns in times.items() for number in range(rounds)]
    return write_run(folder, rows, {"cpu": {"model": "Z80", "measured_core": 3}})


OURS = {("lstm/hoisted", 16, 64): 1000, ("lstm/literal", 16, 64): 2000,
        ("lstm/hoisted", 128, 64): 9000, ("lstm/panels", 128, 64): 8000,
        ("rnn/hoisted", 16, 64): 500, ("lstm.gates", 1, 64): 1,
        ("lstm/onednn", 16, 64): 1500, ("lstm/onednn", 128, 64): 6000}
TORCH = {("lstm/torch", 16, 64): 1100, ("lstm/torch", 128, 64): 16000,
         ("rnn/torch", 16, 64): 2000}


@pytest.fixture
def folders(tmp_path):
    return planted(tmp_path / "a", OURS), planted(tmp_path / "b", TORCH)


def test_cells_meet_the_fastest_of_ours_and_the_faster_peer(folders, tmp_path, capsys):
    assert command("peers", [*map(str, folders), "-o", str(tmp_path / "out")]) == 0
    runs.validate(tmp_path / "out" / "peers.csv", runs.README)
    rows = {(row["layer"], row["seq_len"]): row for row in rows_of(tmp_path / "out" / "peers.csv")}
    assert list(rows) == [("lstm", "16"), ("lstm", "128"), ("rnn", "16")]
    for cell, ours, onednn, torch, faster in (
            (("lstm", "16"), "lstm/hoisted", 1.5, 1.1, "torch"),
            (("lstm", "128"), "lstm/panels", 0.75, 2.0, "onednn"),
            (("rnn", "16"), "rnn/hoisted", None, 4.0, "torch")):
        row = rows[cell]
        assert (row["ours"], row["faster_peer"]) == (ours, faster)
        for name, ratio in (("onednn", onednn), ("torch", torch), ("faster", {
                "onednn": onednn, "torch": torch}[faster])):
            if ratio is None:
                assert row[f"{name}_ratio"] == row[f"{name}_ci_low"] == row[f"{name}_ns"] == ""
                continue
            low, middle, high = (float(row[f"{name}_{end}"]) for end in ("ci_low", "ratio", "ci_high"))
            assert middle == pytest.approx(ratio, rel=0.01) and low < middle < high < 1.02 * low
    printed = capsys.readouterr().out
    assert "hoisted openblas" in printed and "panels packed" in printed
    last = printed[printed.index("Geometric means"):]
    assert all(f"{mean}x (" in last for mean in ("1.1", "1.5", "0.91", "4.0"))
    for figure in ("peers.svg", "peers.png"):
        assert (tmp_path / "out" / "figures" / figure).stat().st_size > 1000


def test_geometric_means_are_those_of_the_cells(folders):
    samples = pd.concat([peer_ratios.load(folder) for folder in folders], ignore_index=True)
    _, groups = peer_ratios.peers(samples)
    assert groups["onednn"].ratio["lstm"] == pytest.approx((1.5 * 0.75) ** 0.5, rel=0.01)
    assert groups["torch"].ratio["lstm"] == pytest.approx((1.1 * 2.0) ** 0.5, rel=0.01)
    assert groups["faster"].ratio["lstm"] == pytest.approx((1.1 * 0.75) ** 0.5, rel=0.01)
    assert groups["faster"].ratio["rnn"] == pytest.approx(4.0, rel=0.01)


def test_a_run_without_peers_or_on_another_core_is_refused(tmp_path, capsys):
    alone = planted(tmp_path / "a", {("lstm/hoisted", 16, 64): 1000})
    assert command("peers", [str(alone), "-o", str(tmp_path / "out")]) == 2
    assert "of ours and of a peer" in capsys.readouterr().err
    other = planted(tmp_path / "b", TORCH)
    (other / "host.json").write_text(json.dumps({"cpu": {"measured_core": 2}}))
    assert command("peers", [str(alone), str(other), "-o", str(tmp_path / "out")]) == 2
    assert "not the same core" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_engines_meet_those_of_their_precision():
    samples = pd.DataFrame({"engine": ["packed", "packed-int8", "onednn", "onednn-int8"]})
    assert list(peer_ratios.of_one_precision(samples).engine) == ["packed", "onednn"]
    int8 = samples[samples.engine.str.endswith("int8")]
    assert list(peer_ratios.of_one_precision(int8).engine) == ["packed-int8", "onednn"]
    with pytest.raises(runs.RunError, match="several precisions"):
        peer_ratios.of_one_precision(pd.DataFrame({"engine": ["packed-bf16", "packed-int8"]}))


def test_one_round_gives_no_interval(tmp_path, capsys):
    folders = [planted(tmp_path / name, times, rounds=1) for name, times in (("a", OURS), ("b", TORCH))]
    assert command("peers", [*map(str, folders), "-o", str(tmp_path / "out")]) == 0
    assert "nan" not in capsys.readouterr().out
    runs.validate(tmp_path / "out" / "peers.csv", runs.README)
    for row in rows_of(tmp_path / "out" / "peers.csv"):
        assert row["ours_ns"] and row["torch_ratio"] and row["faster_peer"]
        assert row["torch_ci_low"] == row["faster_ci_high"] == ""


def test_runs_that_do_not_meet_make_no_figure(tmp_path, capsys):
    folders = [planted(tmp_path / "a", {("lstm/hoisted", 16, 64): 1000}),
               planted(tmp_path / "b", {("lstm/torch", 32, 64): 1000})]
    assert command("peers", [*map(str, folders), "-o", str(tmp_path / "out")]) == 0
    assert "figure skipped: no cell was timed by us and by a peer" in capsys.readouterr().err
    (row,) = rows_of(tmp_path / "out" / "peers.csv")
    assert row["seq_len"] == "16" and row["faster_peer"] == row["torch_ratio"] == ""


def test_make_peers_passes_its_variables_on():
    given = '-g "$GRID" -k "$GLOBS" --engine "$ENGINE"'
    words = {(): given, ("GRID=my/grid", "KERNELS=rnn/*", "CPU=1"): f'{given} --cpu "$CPU"'}
    for arguments, expected in words.items():
        made = subprocess.run(["make", "-n", "peers", *arguments], cwd=ROOT, capture_output=True,
                              text=True, check=False)
        assert expected in made.stdout, made.stderr


def test_onednn_is_built_only_where_its_header_is(tmp_path):
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "ONEDNN")}

    def found(compiler):
        made = subprocess.run(["make", "-s", "--eval", 'show:;@echo "[$(ONEDNN)]"', "show",
                               f"CC={compiler}"], cwd=ROOT, capture_output=True, text=True,
                              check=True, env=env)
        return made.stdout.strip()
    assert found("gcc -nostdinc") == "[]"
    (tmp_path / "dnnl.h").write_text("")
    assert found(f"gcc -nostdinc -I{tmp_path}") == "[found]"


# torch's side, without torch


def test_cells_with_a_window_are_left_out(capsys):
    kernels = [{"kernel": "decode/cached", "kind": "layer", "layer": "decode"}]
    plan = [dimensions.ABSENT | {"kernel": "decode/cached", "round": "0", "window": window} for window in ("0", "5")]
    cells, rounds = torch_run.planned_cells(plan, kernels, torch_layers.METHODS)
    assert cells == [("decode", *dimensions.ABSENT.values())] and rounds == 1
    assert "left out: 1 of 2 cells, which have a window" in capsys.readouterr().err
    with pytest.raises(runs.RunError, match="no cell is left"):
        torch_run.planned_cells(plan[1:], kernels, torch_layers.METHODS)


def test_every_round_visits_every_cell_in_its_own_order():
    cells = [("rnn", *(dimensions.ABSENT | {"seq_len": S, "hid_size": 64}).values()) for S in range(20)]
    plan = torch_run.make_plan(cells, 3, 1)
    assert [row["order"] for row in plan] == list(range(60))
    assert {row["kernel"] + row["engine"] for row in plan} == {"rnn/torchtorch"}
    rounds = [[tuple(row[name] for name in runs.DIMENSIONS) for row in plan if row["round"] == number]
              for number in range(3)]
    assert all(sorted(visits) == [cell[1:] for cell in cells] for visits in rounds)
    assert rounds[0] != rounds[1] != rounds[2]
    assert plan == torch_run.make_plan(cells, 3, 1) != torch_run.make_plan(cells, 3, 2)


def test_facts_of_torch_are_those_of_our_likest_kernel():
    made = {"layer": "rnn", "kind": "layer", "engine": "openblas"}
    kernels = [made | {"kernel": name, "engine": engine, "products": products, "parts": parts}
               for name, engine, products, parts in (
                   ("rnn/literal", "openblas", "step", "yes"), ("rnn/a", "packed", "sequence", "no"),
                   ("rnn/full", "openblas", "sequence", "yes"), ("rnn/b", "openblas", "sequence", "no"))]
    assert torch_run.likest(kernels, "rnn")["kernel"] == "rnn/b"
    assert torch_run.likest(kernels[:2], "rnn")["kernel"] == "rnn/literal"
    row, = torch_run.kernel_rows({"rnn": kernels[3]}, {"rnn": "torch.nn.RNN"})
    assert (row["kernel"], row["engine"], row["products"]) == ("rnn/torch", "torch", "sequence")


def test_costs_are_those_of_the_case_and_its_tensors():
    case = {"inputs": ["x", "h0"], "outputs": ["y"],
            "cost": {"multiply_adds": 8, "elementwise": 3, "exps": 1, "logs": 2}}
    arrays = {"x": np.zeros(4, np.float32), "h0": np.zeros(2, np.float32),
              "W": np.zeros((2, 2), np.float32), "y": np.zeros(4, np.float32)}
    assert torch_run.costs_of(case, arrays) == {
        "flops": 16, "elementwise_flops": 3, "exps": 1, "logs": 2, "parameters": 4, "bytes": 56}


# the lock


@pytest.fixture
def locks(tmp_path, monkeypatch):
    """A place of its own for locks; the file of core 0."""
    monkeypatch.setenv("SEQBENCH_LOCKS", str(tmp_path))
    return tmp_path / "seqbench-core-0.lock"


def test_the_lock_is_for_every_user(locks, tmp_path):
    mask = os.umask(0o077)
    try:
        held = torch_run.lock(0, tmp_path, 0)
    finally:
        os.umask(mask)
    assert locks.stat().st_mode & 0o777 == 0o666
    assert locks.read_text() == f"process {os.getpid()}, into {tmp_path}\n"
    with pytest.raises(runs.RunError, match=f"core 0 is measured by process {os.getpid()}, into"):
        torch_run.lock(0, tmp_path, 0)
    os.close(held)
    os.close(torch_run.lock(0, tmp_path, 0))


def test_a_lock_that_can_only_be_read_is_held_all_the_same(locks, tmp_path, monkeypatch):
    locks.write_text("")
    opened = os.open

    def readable(path, flags, *mode):  # as for another user; root may write everywhere
        if path == str(locks) and flags & os.O_ACCMODE != os.O_RDONLY:
            raise PermissionError(13, "Permission denied")
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", readable)
    held = torch_run.lock(0, tmp_path, 0)
    with pytest.raises(runs.RunError, match="core 0 is measured by another run"):
        torch_run.lock(0, tmp_path, 0)
    os.close(held)


def test_a_link_is_no_lock(locks, tmp_path):
    (tmp_path / "precious").write_text("kept")
    locks.symlink_to(tmp_path / "precious")
    with pytest.raises(runs.RunError, match="seqbench-core-0.lock: "):
        torch_run.lock(0, tmp_path, 0)
    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.parametrize("change, flags", [
    ({}, ""), ({"cpu_after": 2}, "migration"), ({"involuntary_switches": 1, "cpu_ns": 98e5}, "switch"),
    ({"involuntary_switches": 1}, ""), ({"steal_ticks": 1}, "steal"), ({"checksum": "b"}, "output"),
    ({"steal_ticks": "unavailable"}, "")])
def test_samples_of_torch_are_flagged_by_the_same_rules(change, flags):
    row = {"cpu_before": 3, "cpu_after": 3, "steal_ticks": 0, "involuntary_switches": 0,
           "wall_ns": 10e6, "cpu_ns": 10e6, "checksum": "a"} | change
    assert torch_run.flags_of(row, 3, "a") == flags


class Clockwork(torch_run.Visit):
    """A visit whose runs take a given time."""

    def __init__(self, run_ns, flags=()):
        self.run_ns, self.flags, self.checksum = run_ns, list(flags), None

    def sample(self, iterations):
        return {"iterations": iterations, "wall_ns": iterations * self.run_ns,
                "flags": self.flags.pop(0) if self.flags else ""}

    def warm_up(self):
        return self.run_ns


@pytest.mark.parametrize("run_ns, flags, count, iterations", [
    (1e3, [], 3, 11000), (20e6, [], 3, 1), (100e6, [], 1, 1),
    (1e3, ["", "switch"], 4, 11000),  # the first is that of the run that tells how long a run is
    (1e3, ["switch"] * 9, 5, 11000), (100e6, ["switch"] * 9, 3, 1)])
def test_batches_are_those_of_seqbench(run_ns, flags, count, iterations):
    rows = Clockwork(run_ns, flags).samples(3)
    assert [row["iterations"] for row in rows] == [iterations] * count


# torch itself


@pytest.fixture(scope="module")
def turns(tmp_path_factory):
    """Two rounds of ours and torch's on a tiny grid, as make peers makes them."""
    out = tmp_path_factory.mktemp("peers") / "out"
    made = subprocess.run(
        [ROOT / "scripts" / "turns", out, f"a={BUILD / 'seqbench'}", f"b={ROOT / 'scripts' / 'peer_torch.py'}",
         "-k", "rnn/hoisted,lstm/hoisted,gru/hoisted,transformer/tiled,decode/cached",
         "--engine", "openblas", "-S", "5,8", "-H", "12,16", "--rounds", "2", "--cpu", str(CORE)], capture_output=True, text=True,
        env={**os.environ, "SEQBENCH": str(BUILD / "seqbench")})
    assert made.returncode == 0, (out / "log").read_text()
    return out


@needs_torch
@pytest.mark.parametrize("name", ["samples.csv", "plan.csv", "kernels.csv", "checks.csv"])
def test_files_of_torch_are_as_the_dictionary_says(turns, name):
    runs.validate(turns / "b" / name, runs.README)


@needs_torch
def test_torch_times_the_same_cells_in_turns_with_ours(turns):
    ours, torch = (rows_of(turns / name / "samples.csv") for name in "ab")
    keys = ("layer", "seq_len", "hid_size", "heads", "round")
    assert {tuple(row[key] for key in keys) for row in ours} == {
        tuple(row[key] for key in keys) for row in torch}
    costs = ("flops", "elementwise_flops", *runs.EVALUATIONS, "parameters", "bytes")
    known = {tuple(row[key] for key in keys): [row[name] for name in costs] for row in ours}
    for row in torch:
        assert row["engine"] == "torch"
        assert [row[name] for name in costs] == known[tuple(row[key] for key in keys)]
        assert float(row["wall_ns"]) >= 10e6 and row["status"] == "ok" and row["nonfinite"] == "0"
        assert int(row["cpu_before"]) == int(row["cpu_after"]) == CORE
    runs.load_samples(turns / "b")
    started = sorted((row["started_utc"], name, row["round"]) for name, rows in
                     (("a", ours), ("b", torch)) for row in rows)
    turn = [key for key in dict.fromkeys((name, number) for _, name, number in started)]
    assert turn == [("a", "0"), ("b", "0"), ("b", "1"), ("a", "1")]


@needs_torch
def test_torch_is_checked_and_keeps_to_one_thread(turns):
    checks = rows_of(turns / "b" / "checks.csv")
    assert {row["kernel"] for row in checks} == {"rnn/torch", "lstm/torch", "gru/torch", "transformer/torch",
                                                 "decode/torch"}
    assert len(checks) == 5 * 4 and all(row["verdict"] == "PASS" for row in checks)
    host = hosts.load(turns / "b")
    assert host["run"]["engines"] == "openblas"
    assert host["libraries"]["torch_threads"] == 1 and host["cpu"]["measured_core"] == CORE


@needs_torch
def test_finished_run_of_torch_is_left_as_it_is(turns):
    before = (turns / "b" / "samples.csv").read_bytes()
    again = subprocess.run([ROOT / "scripts" / "peer_torch.py", "run", "--resume", turns / "b"],
                           capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (0, f"{turns / 'b'}\n")
    assert (turns / "b" / "samples.csv").read_bytes() == before


@needs_torch
def test_runs_in_turns_make_a_table(turns, tmp_path):
    for name in "ab":
        shutil.copytree(turns / name, tmp_path / name)
        path = tmp_path / name / "samples.csv"
        rows = rows_of(path)
        with open(path, "w", newline="") as file:  # whatever this machine was doing
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, "flags": ""} for row in rows)
    assert command("peers", [str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path)]) == 0
    table = rows_of(tmp_path / "peers.csv")
    assert len(table) == 5 * 4 and all(row["faster_peer"] == "torch" for row in table)


@needs_torch
def test_what_is_not_ours_is_not_timed(tmp_path, seqbench, capsys, monkeypatch):
    real = torch_run.dump

    def swapped(*arguments):
        case, t = real(*arguments)
        i, f, g, o = np.split(t["W"], 4)
        return case, t | {"W": np.concatenate([f, i, g, o])}

    monkeypatch.setattr(torch_run, "SEQBENCH", str(BUILD / "seqbench"))
    monkeypatch.setattr(torch_run, "dump", swapped)
    affinity = os.sched_getaffinity(0)
    try:
        assert command("peer_torch", ["run", "-k", "lstm/hoisted", "-S", "4", "-H", "8", "--cpu",
                                str(CORE), "-o", str(tmp_path / "run")]) == 2
    finally:
        os.sched_setaffinity(0, affinity)
    assert "its output is not ours" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@needs_torch
@pytest.mark.parametrize("batch, kv_heads", [(1, 0), (3, 0), (1, 2), (3, 1)])
def test_a_decoded_token_leaves_the_cache_as_it_is(seqbench, monkeypatch, batch, kv_heads):
    monkeypatch.setattr(torch_run, "SEQBENCH", str(BUILD / "seqbench"))
    sizes = dimensions.ABSENT | {"seq_len": 6, "hid_size": 16, "heads": 4, "batch": batch, "kv_heads": kv_heads}
    _, arrays = torch_run.dump("decode/cached", sizes, 1)
    for name in ("k_cache", "v_cache"):
        arrays[name][..., -1, :] = np.nan  # the new token's place is not read
    before = {name: arrays[name].copy() for name in ("k_cache", "v_cache")}
    assert torch_run.check("decode", sizes, arrays) < torch_run.BOUND
    for name, array in before.items():
        np.testing.assert_array_equal(arrays[name], array)


@needs_torch
@pytest.mark.parametrize("layer", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("batch, input_size", [(1, 0), (3, 0), (1, 5), (3, 1)])
def test_torch_begins_with_our_initial_state(seqbench, monkeypatch, layer, batch, input_size):
    monkeypatch.setattr(torch_run, "SEQBENCH", str(BUILD / "seqbench"))
    sizes = {"seq_len": 2, "hid_size": 8, "heads": 1, "batch": batch, "input": input_size}
    _, arrays = torch_run.dump(f"{layer}/hoisted", sizes, 1)
    assert torch_run.check(layer, sizes, arrays) < torch_run.BOUND
    assert torch_run.check(layer, sizes, arrays | {"h0": -arrays["h0"]}) > torch_run.BOUND


@needs_torch
@pytest.mark.parametrize("precision, layers", [
    ("bf16", ["gru", "lstm", "rnn", "transformer"]), ("int8", ["gru", "lstm", "transformer"])])
def test_narrow_modules_of_torch_meet_engines_of_their_precision(tmp_path, precision, layers):
    out = tmp_path / "out"
    made = subprocess.run(
        [ROOT / "scripts" / "turns", out, f"a={BUILD / 'seqbench'}", f"b={ROOT / 'scripts' / 'peer_torch.py'}",
         "-k", "rnn/registers,lstm/registers,gru/registers,transformer/online", "--engine", f"packed-{precision}",
         "-S", "5", "-H", "32", "--rounds", "2", "--cpu", str(CORE)], capture_output=True, text=True,
        env={**os.environ, "SEQBENCH": str(BUILD / "seqbench")})
    assert made.returncode == 0, (out / "log").read_text()
    for name in ("samples.csv", "kernels.csv", "checks.csv"):
        runs.validate(out / "b" / name, runs.README)
    checks = rows_of(out / "b" / "checks.csv")
    assert [row["kernel"] for row in checks] == [f"{layer}/torch_{precision}" for layer in layers]
    for row in checks:  # rounded, but not by much
        assert 1e-4 < float(row["error"]) < float(row["bound"])
    assert command("peers", [str(out / "a"), str(out / "b"), "-o", str(tmp_path / "table")]) == 0
    found = {row["layer"]: row for row in rows_of(tmp_path / "table" / "peers.csv")}
    assert all(found[layer]["ours_engine"] == f"packed-{precision}" and found[layer]["torch_ratio"] for layer in layers)


@needs_torch
@pytest.mark.parametrize("layer", ["rnn", "lstm", "gru"])
def test_cells_of_torch_take_their_state_along(seqbench, monkeypatch, layer):
    monkeypatch.setattr(torch_run, "SEQBENCH", str(BUILD / "seqbench"))
    sizes = {"seq_len": 5, "hid_size": 8, "heads": 1, "batch": 1, "input": 3}
    _, arrays = torch_run.dump(f"{layer}/hoisted", sizes, 1)
    assert torch_run.check(layer, sizes, arrays, torch_layers.Cell) < torch_run.BOUND
    torch_layers.use_torch()
    monkeypatch.setattr(torch_layers.Cell, "step", lambda cell, x: None)  # the state stays
    assert torch_run.check(layer, sizes, arrays, torch_layers.Cell) > torch_run.BOUND


@needs_torch
def test_calls_of_torch_are_timed_one_by_one(tmp_path, seqbench):
    def work(*words):
        done = subprocess.run([ROOT / "scripts" / "peer_torch.py", *words], capture_output=True, text=True,
                              env={**os.environ, "SEQBENCH": str(BUILD / "seqbench")})
        return done.returncode, done.stderr
    out = tmp_path / "run"
    words = ("-k", "lstm/hoisted,gru/joined,mingru/scan", "-H", "8,16", "--rounds", "2", "--calls", "60",
             "--input", "1", "--cpu", str(CORE))
    assert work("stream", *words, "--pause-after", "1", "-o", out)[0] == 0
    assert work("run", "--resume", out) == (0, "")
    for name in ("samples.csv", "calls.csv", "checks.csv"):
        runs.validate(out / name, runs.README)
    found = streams.streams([out])
    assert found[["kernel", "hid_size", "input", "calls", "rounds"]].to_numpy().tolist() == [
        [kernel, hid_size, 1, 60, 2] for kernel in ("gru/torch", "lstm/torch") for hid_size in (8, 16)]
    assert (found.p50_ns > 100).all()
    status, said = work("stream", *words, "-S", "2", "-o", tmp_path / "b")
    assert status == 2 and "one token per call" in said and not (tmp_path / "b").exists()


@needs_torch
def test_other_options_are_those_of_plan(tmp_path, seqbench, capsys, monkeypatch):
    monkeypatch.setattr(torch_run, "SEQBENCH", str(BUILD / "seqbench"))
    words = ["run", "-S", "4", "-H", "8", "--nonsense", "3"]
    assert command("peer_torch", [*words, "-o", str(tmp_path / "run")]) == 2
    assert "unknown option '--nonsense'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command("peer_torch", ["run", "--resume", str(tmp_path), "--nonsense"])


# layers that torch.nn has not


@needs_torch
@pytest.mark.parametrize("layer, kernel", [("mamba", "mamba/scan"), ("gated_deltanet", "gated_deltanet/chunked"),
                                           ("rwkv7", "rwkv7/recurrent")])
@pytest.mark.parametrize("batch", [1, 2])
def test_torch_by_hand_makes_our_outputs(monkeypatch, layer, kernel, batch):
    monkeypatch.setattr(torch_run, "SEQBENCH", str(BUILD / "seqbench"))
    sizes = dimensions.ABSENT | {"seq_len": 9, "hid_size": 24, "batch": batch,
                                 "heads": 1 if layer == "mamba" else 3}
    _, arrays = torch_run.dump(kernel, {name: size for name, size in sizes.items() if name != "heads" or size > 1}, 1)
    assert torch_run.check(layer, sizes, arrays) <= torch_run.BOUND
    arrays["y"] = arrays["y"] + 1e-3
    assert torch_run.check(layer, sizes, arrays) > torch_run.BOUND


@needs_torch
def test_layers_by_hand_are_timed_beside_ours(tmp_path):
    out = tmp_path / "out"
    made = subprocess.run(
        [ROOT / "scripts" / "turns", out, f"a={BUILD / 'seqbench'}", f"b={ROOT / 'scripts' / 'peer_torch.py'}",
         "-k", "mamba/scan,rwkv7/*", "--engine", "openblas", "-S", "3", "-H", "16", "--rounds", "2",
         "--cpu", str(CORE)], capture_output=True, text=True,
        env={**os.environ, "SEQBENCH": str(BUILD / "seqbench")})
    assert made.returncode == 0, (out / "log").read_text()
    assert {(row["kernel"], row["engine"]) for row in rows_of(out / "b" / "samples.csv")} == {
        ("mamba/torch_eager", "torch-eager"), ("rwkv7/torch_eager", "torch-eager")}


def test_torch_by_hand_stands_in_the_place_of_torch(tmp_path):
    a = planted(tmp_path / "a", {("mamba/scan", 16, 64): 1000})
    b = planted(tmp_path / "b", {("mamba/torch_eager", 16, 64): 9000})
    assert command("peers", [str(a), str(b), "-o", str(tmp_path / "out")]) == 0
    row, = rows_of(tmp_path / "out" / "peers.csv")
    assert (row["layer"], row["faster_peer"]) == ("mamba", "torch")
    assert float(row["torch_ratio"]) == pytest.approx(9.0, rel=0.01)
