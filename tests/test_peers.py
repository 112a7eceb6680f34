"""Our kernels beside other libraries: the table from planted samples, and programs that are peers."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import BUILD, ROOT, command
from seqbench.peers import ggml_layers, ggml_library, program, torch_layers
from seqbench.read import dimensions, hosts, runs
from seqbench.tables import peer_ratios, streams
from seqbench.words import peer_tables
from test_scripts import sample, write_run

HAS_TORCH = subprocess.run([sys.executable, "-c", "import torch"],
                           capture_output=True).returncode == 0
needs_torch = pytest.mark.skipif(not HAS_TORCH,
                                 reason="no torch: `make deps-peers` installs it")
PEERS = ROOT / "scripts" / "peers"
needs_onnxruntime = pytest.mark.skipif(
    not (shutil.which("node") and (PEERS / "node_modules").exists()),
    reason="no ONNX Runtime: `make deps-peers` installs it")
needs_ggml = pytest.mark.skipif(not ggml_library.FOLDER.exists(),
                                reason="no ggml: `make deps-peers` installs it on x86-64")
CORE = min(os.sched_getaffinity(0))  # the other tests that time use the last
ENGINES = {"panels": "packed", "onednn": "onednn", "torch": "torch", "torch_int8": "torch-int8",
           "narrow": "packed-int8", "torch_eager": "torch-eager", "ggml": "ggml"}  # of the others: openblas


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
TORCH = {("lstm/torch", 16, 64): 1100, ("lstm/torch", 32, 64): 1, ("lstm/torch", 128, 64): 16000,
         ("rnn/torch", 16, 64): 2000}


@pytest.fixture
def folders(tmp_path):
    return planted(tmp_path / "a", OURS), planted(tmp_path / "b", TORCH)


def test_cells_meet_the_fastest_of_ours(folders, tmp_path, capsys):
    assert command("peers", [*map(str, folders), "-o", str(tmp_path / "out")]) == 0
    runs.validate(tmp_path / "out" / "peers.csv", runs.README)
    rows = {(row["engine"], row["layer"], row["seq_len"]): row
            for row in rows_of(tmp_path / "out" / "peers.csv")}
    expected = {("onednn", "lstm", "16"): ("lstm/hoisted", 1.5, "ahead"),
                ("onednn", "lstm", "128"): ("lstm/panels", 0.75, "behind"),
                ("torch", "lstm", "16"): ("lstm/hoisted", 1.1, "ahead"),
                ("torch", "lstm", "128"): ("lstm/panels", 2.0, "ahead"),
                ("torch", "rnn", "16"): ("rnn/hoisted", 4.0, "ahead")}
    assert set(rows) == set(expected)  # lstm at 32 has no time of ours
    for key, (ours, ratio, verdict) in expected.items():
        row = rows[key]
        assert (row["peer"], row["ours"], row["verdict"]) == (key[0], ours, verdict)
        low, middle, high = (float(row[name]) for name in ("ci_low", "ratio", "ci_high"))
        assert middle == pytest.approx(ratio, rel=0.01) and low < middle < high < 1.02 * low
        assert float(row["ns"]) / float(row["ours_ns"]) == pytest.approx(ratio, rel=0.01)
    printed = capsys.readouterr().out
    assert "hoisted openblas" in printed and "panels packed" in printed
    for figure in ("peers.svg", "peers.png"):
        assert (tmp_path / "out" / "figures" / figure).stat().st_size > 1000


def test_the_fastest_peer_of_a_cell_is_told(folders):
    frame, _ = peer_ratios.peers(pd.concat([peer_ratios.load(folder) for folder in folders], ignore_index=True))
    best = peer_ratios.fastest_peers(frame)
    assert best[["engine", "layer", "seq_len"]].to_numpy().tolist() == [
        ["onednn", "lstm", 128], ["torch", "lstm", 16], ["torch", "rnn", 16]]
    assert peer_tables.behind_sentence(best) == (
        "Ours takes longer than the fastest peer in 1 of 3 cells: lstm at SeqLen 128, HidSize 64, BatchSize 1: "
        "onednn 0.75.")
    header, rows = peer_tables.layer_rows(frame)
    assert header[-3:] == ["ours ahead", "no difference", "behind"]
    assert {row[0]: [row[1], *row[-3:]] for row in rows} == {"lstm": ["2", "1", "0", "1"], "rnn": ["1", "1", "0", "0"]}


def test_each_engine_of_layers_written_by_hand_has_a_column(tmp_path):
    run = planted(tmp_path / "a", {
        ("rwkv7/hoisted", 16, 64): 1000, ("rwkv7/torch_eager", 16, 64): 9000, ("rwkv7/ggml", 16, 64): 3000,
        ("mamba/hoisted", 16, 64): 2000, ("mamba/torch_eager", 16, 64): 4000})
    assert command("peers", [str(run), "-o", str(run)]) == 0
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")]
                        for line in peer_tables.eager_section(run).splitlines()]
    eager, ggml = (header.index(f"{engine} / ours") for engine in ("torch-eager", "ggml"))
    assert {row[0]: (row[eager].split()[0], row[ggml].split()[0]) for row in rows} == {
        "rwkv7": ("9.0x", "3.0x"), "mamba": ("2.0x", "-")}


def test_geometric_means_are_those_of_the_cells(folders):
    samples = pd.concat([peer_ratios.load(folder) for folder in folders], ignore_index=True)
    _, groups = peer_ratios.peers(samples)
    of = {engine: rows.ratio for engine, rows in groups.groupby("engine")}
    assert of["onednn"]["lstm"] == pytest.approx((1.5 * 0.75) ** 0.5, rel=0.01)
    assert of["torch"]["lstm"] == pytest.approx((1.1 * 2.0) ** 0.5, rel=0.01)
    assert of["torch"]["rnn"] == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("low, high, verdict", [
    (1.01, 2, "ahead"), (0.5, 0.99, "behind"), (0.9, 1.1, "no difference"), (1, 1.5, "no difference"),
    (np.nan, np.nan, "no difference")])
def test_verdicts_are_by_the_interval(low, high, verdict):
    assert peer_ratios.verdict(low, high) == verdict


def test_a_run_without_peers_or_on_another_core_is_refused(tmp_path, capsys):
    alone = planted(tmp_path / "a", {("lstm/hoisted", 16, 64): 1000})
    assert command("peers", [str(alone), "-o", str(tmp_path / "out")]) == 2
    assert "of ours and of a peer" in capsys.readouterr().err
    apart = planted(tmp_path / "c", {("lstm/torch", 32, 64): 1000})
    assert command("peers", [str(alone), str(apart), "-o", str(tmp_path / "out")]) == 2
    assert "of ours and of a peer" in capsys.readouterr().err
    other = planted(tmp_path / "b", TORCH)
    (other / "host.json").write_text(json.dumps({"cpu": {"measured_core": 2}}))
    assert command("peers", [str(alone), str(other), "-o", str(tmp_path / "out")]) == 2
    assert "not the same core" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_engines_meet_those_that_store_weights_alike(tmp_path):
    run = planted(tmp_path / "a", {("lstm/hoisted", 16, 64): 1000, ("lstm/torch", 16, 64): 3000,
                                   ("lstm/narrow", 16, 64): 500, ("lstm/torch_int8", 16, 64): 1000,
                                   ("lstm/torch_eager", 16, 64): 9000})
    frame, _ = peer_ratios.peers(peer_ratios.load(run))
    assert [(row.peer, row.engine, row.ours_engine, round(row.ratio)) for row in frame.itertuples()] == [
        ("torch", "torch", "openblas", 3), ("torch", "torch-eager", "openblas", 9),
        ("torch", "torch-int8", "packed-int8", 2)]
    assert list(peer_ratios.fastest_peers(frame).engine) == ["torch", "torch-int8"]


def test_one_round_gives_no_interval(tmp_path, capsys):
    folders = [planted(tmp_path / name, times, rounds=1) for name, times in (("a", OURS), ("b", TORCH))]
    assert command("peers", [*map(str, folders), "-o", str(tmp_path / "out")]) == 0
    assert "nan" not in capsys.readouterr().out
    runs.validate(tmp_path / "out" / "peers.csv", runs.README)
    for row in rows_of(tmp_path / "out" / "peers.csv"):
        assert row["ours_ns"] and row["ratio"] and row["ci_low"] == row["ci_high"] == ""


def test_make_peers_passes_its_variables_on():
    for arguments, expected in {
            (): '--engine "$ENGINE" --peers scripts/peers/torch.py,scripts/peers/onnxruntime.js -o',
            ("GRID=my/grid", "KERNELS=rnn/*", "CPU=1", "PEERS=onednn"): '-g "$GRID" -k "$GLOBS" --engine "$ENGINE" --cpu "$CPU" -o',
            ("PEERS=eigen,onnxruntime",): '--peers scripts/peers/onnxruntime.js -o',
            ("PEERS=ggml",): '--peers scripts/peers/ggml.py -o'}.items():
        made = subprocess.run(["make", "-n", "peers", "have-deps=", *arguments], cwd=ROOT, capture_output=True,
                              text=True, check=False)
        assert expected in " ".join(made.stdout.split()), made.stderr



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



# programs


@pytest.fixture
def fake(tmp_path):
    """The path of tests/fake_peer.py with a fault."""
    def make(fault=""):
        path = tmp_path / f"peer-{fault}.py"
        if not path.exists():
            path.symlink_to(ROOT / "tests" / "fake_peer.py")
        return path
    return make


SMALL = ["-k", "rnn/*", "--engine", "openblas,torch-fake", "-S", "5,8", "-H", "12", "--rounds", "2"]
ONCE = ["--budget", "0"]  # no rounds but those


def test_a_program_is_checked_timed_and_written_down_as_a_kernel(seqbench, fake, tmp_path):
    out = tmp_path / "run"
    made = seqbench("run", *SMALL, *ONCE, "--peers", fake(), "--batch", "1,3", "-o", out)
    assert made.returncode == 0, made.stderr
    for name in ("samples.csv", "plan.csv", "kernels.csv", "checks.csv"):
        runs.validate(out / name, runs.README)
    rows = [row for row in rows_of(out / "samples.csv") if row["kernel"] == "rnn/torch_fake"]
    assert {(row["seq_len"], row["batch"], row["round"]) for row in rows} == {
        (S, B, R) for S in "58" for B in "13" for R in "01"}
    ours = {(row["seq_len"], row["batch"]): row["flops"] for row in rows_of(out / "samples.csv")
            if row["kernel"] == "rnn/hoisted"}
    for row in rows:
        assert row["engine"] == "torch-fake" and row["status"] == "ok" and float(row["wall_ns"]) >= 10e6
        assert [row[name] for name in ("voluntary_switches", "involuntary_switches", "minor_faults", "major_faults",
                                       "cycles")] == ["6", "7", "8", "9", "unavailable"]
        assert row["flops"] == ours[row["seq_len"], row["batch"]] and "output" not in row["flags"]
    (kernel,) = [row for row in rows_of(out / "kernels.csv") if row["engine"] == "torch-fake"]
    assert (kernel["packing"], kernel["bytes_per_weight"], kernel["method"]) == ("before", "4", "NumPy")
    assert hosts.load(out)["libraries"]["peers"] == [{"name": "Fake", "version": "1.2", "threads": 1}]
    checks = [row for row in rows_of(out / "checks.csv") if row["engine"] == "torch-fake"]
    assert len(checks) > 20 and all(row["verdict"] == "PASS" for row in checks)


def tensors_in_memory():
    """Folders that peers read from and write to."""
    return {*Path("/dev/shm").glob("seqbench-*"), *Path("/tmp").glob("seqbench-??????/*.npy")}


def test_a_run_with_a_program_goes_on(seqbench, fake, tmp_path):
    out = tmp_path / "run"
    assert seqbench("run", *SMALL, *ONCE, "--peers", fake(), "--pause-after", "1", "-o", out).returncode == 0
    made = seqbench("run", "--resume", out)
    assert made.returncode == 0, made.stderr
    assert {row["round"] for row in rows_of(out / "samples.csv") if row["engine"] == "torch-fake"} == {"0", "1"}


def test_what_is_not_the_layer_is_not_timed(seqbench, fake, tmp_path):
    made = seqbench("run", *SMALL, *ONCE, "--peers", fake("wrong"), "-o", tmp_path / "run")
    assert made.returncode == 1 and "1 of the kernels fail their check, nothing was timed" in made.stderr
    assert not (tmp_path / "run").exists()


def test_a_program_that_ends_costs_its_cases_only(seqbench, fake, tmp_path):
    out = tmp_path / "run"
    before = tensors_in_memory()
    made = seqbench("run", *SMALL, *ONCE, "--peers", fake("ends"), "-o", out)
    assert made.returncode == 0, made.stderr
    assert "rnn/torch_fake: its program has ended" in made.stderr
    status = {row["engine"]: row["status"] for row in rows_of(out / "samples.csv")}
    assert status == {"openblas": "ok", "torch-fake": "failed"}
    assert tensors_in_memory() == before


@pytest.mark.parametrize("fault, said", [
    ("about", "no library"), ("nothing", "it does not say what it is"),
    ("layer", "a kernel of layer 'perceptron' and engine 'torch-fake' is not known here"),
    ("engine", "engine 'a,b' is not known here"), ("method", "no method in one line without quotes"),
    ("weights", "weights or sizes are not words of this suite"),
    ("sizes", "weights or sizes are not words of this suite"), ("error", "rnn/torch_fake: no room for it"),
    ("silent", "it does not tell wall_ns"), ("short", "an output has another size than the layer says")])
def test_what_a_program_cannot_do_is_said(seqbench, fake, fault, said):
    made = seqbench("check", "-k", "rnn/torch_fake", "--peers", fake(fault))
    assert made.returncode != 0 and said in made.stderr


def test_a_program_that_is_not_there_is_named(seqbench, tmp_path):
    made = seqbench("list", "--peers", tmp_path / "none.py")
    assert made.returncode == 2
    assert made.stderr == f"seqbench: {tmp_path / 'none.py'}: cannot be started: No such file or directory\n"
    assert seqbench("list", "--peers", ",").returncode == 2


def test_sizes_that_a_program_does_not_take_are_left_out(seqbench, fake):
    words = ("plan", *SMALL, "--input", "4", "--peers")
    plan = [seqbench(*words, fake(fault)) for fault in ("", "input")]
    assert ["torch-fake" in made.stdout for made in plan] == [False, True]
    assert "the library has no such size here" in plan[0].stderr


def test_calls_of_a_program_are_streamed(seqbench, fake, tmp_path):
    out = tmp_path / "run"
    words = ("stream", *SMALL[:4], "-S", "1", "-H", "8", "--rounds", "2", "--calls", "60")
    made = seqbench(*words, "--peers", fake(), "--conditions", "hot", "-o", out)
    assert made.returncode == 0, made.stderr
    for name in ("samples.csv", "calls.csv"):
        runs.validate(out / name, runs.README)
    found = streams.streams([out]).set_index("engine").loc["torch-fake"]
    assert (found.calls, found["rounds"], found.clock_ns) == (60, 2, 17)
    assert 1000 <= found.p50_ns <= 1030
    made = seqbench(*words, "--peers", fake(), "--conditions", "hot,10ms", "-o", tmp_path / "other")
    assert made.returncode == 2 and "the condition hot only" in made.stderr


# PyTorch


def checked(seqbench, peer, globs):
    """kernel -> PASS or FAIL, and its error."""
    made = seqbench("check", "-k", globs, "--peers", peer)
    assert made.returncode in (0, 1), made.stderr
    lines = [line.split() for line in made.stdout.splitlines()]
    return {words[1]: (words[0], float(words[4])) for words in lines}


def changed(folder, layers, change, first=""):
    """A program with the layers of this module that does one thing at its start, and one to the tensors t of a layer."""
    peer = folder / "changed.py"
    peer.write_text(f"""#!/usr/bin/python3 -B
import sys
sys.path[0] = {str(ROOT / 'scripts')!r}
import numpy as np
from seqbench.peers import {layers} as layers, program
{first}
def load(request, t):
    {change}
    return layers.load(request, t)
program.serve(layers.about, load)
""")
    peer.chmod(0o755)
    return peer


@needs_torch
def test_every_layer_of_torch_is_the_layer(seqbench):
    found = checked(seqbench, PEERS / "torch.py", "*/torch*")
    assert set(found) == {f"{layer}/torch{weights}" for layer, weights in (
        *((layer, "") for layer in torch_layers.METHODS), *((layer, "_eager") for layer in ("mamba", "gated_deltanet", "rwkv7")),
        *((layer, f"_{weights}") for weights, methods in torch_layers.NARROW_METHODS.items() for layer in methods))}
    assert {verdict for verdict, _ in found.values()} == {"PASS"}
    for kernel, (_, error) in found.items():  # what is rounded differs, but not by much
        assert (error > 1e-4) == kernel.endswith(("bf16", "int8"))


@needs_torch
@pytest.mark.parametrize("layer, change", [
    ("lstm", "t['W'] = np.concatenate([np.split(t['W'], 4)[i] for i in (1, 0, 2, 3)])"),
    ("gru", "t['bn'] = 0 * t['bn']"), ("rnn", "t['h0'] = -t['h0']"), ("transformer", "t['b1'] = t['b1'] + 0.1"),
    ("decode", "t['k_cache'][..., 0, :] = 0"), ("mamba", "t['Dskip'] = -t['Dskip']")])
def test_a_layer_of_torch_that_is_another_fails(seqbench, tmp_path, layer, change):
    peer = changed(tmp_path, "torch_layers", change)
    engine = "torch_eager" if layer == "mamba" else "torch"
    assert checked(seqbench, peer, f"{layer}/{engine}")[f"{layer}/{engine}"][0] == "FAIL"


def tensors_of(seqbench, folder, kernel, *sizes):
    """Inputs, parameters and outputs of a case of ours."""
    assert seqbench("dump", "-k", kernel, *sizes, "-o", folder).returncode == 0
    return {path.stem: np.load(path) for path in folder.glob("*.npy")}


def request_of(layer, stream=False, **sizes):
    """What seqbench asks for."""
    return {"layer": layer, "engine": "torch", "sizes": dimensions.ABSENT | {"heads": 1, "batch": 1} | sizes,
            "flush_to_zero": True, "stream": stream}


@needs_torch
def test_a_decoded_token_leaves_the_cache_as_it_is(seqbench, tmp_path):
    t = tensors_of(seqbench, tmp_path / "case", "decode/cached", "-S", 6, "-H", 16, "--heads", 4, "--kv-heads", 2)
    for name in ("k_cache", "v_cache"):
        t[name][..., -1, :] = np.nan  # the new token's place is not read
    before = {name: t[name].copy() for name in ("k_cache", "v_cache")}
    case = torch_layers.load(request_of("decode", seq_len=6, hid_size=16, heads=4, kv_heads=2), t)
    case.run()
    np.testing.assert_allclose(case.outputs()["y"].ravel(), t["y"].ravel(), atol=1e-5)
    for name, array in before.items():
        np.testing.assert_array_equal(t[name], array)


@needs_torch
@pytest.mark.parametrize("layer", ["rnn", "lstm", "gru"])
def test_cells_of_torch_take_their_state_along(seqbench, tmp_path, layer):
    t = tensors_of(seqbench, tmp_path / "case", f"{layer}/hoisted", "-S", 5, "-H", 8, "--input", 3)
    cell = torch_layers.load(request_of(layer, stream=True, seq_len=1, hid_size=8, input=3), t | {"x": t["x"][:1]})
    for number in range(5):
        cell.step(t["x"][number][None, None])
        np.testing.assert_allclose(cell.outputs()["y"].ravel(), t["y"][number], atol=1e-5)
    cell.run()  # begins anew
    np.testing.assert_allclose(cell.outputs()["y"].ravel(), t["y"][0], atol=1e-5)


@needs_torch
def test_calls_of_torch_are_streamed(seqbench, tmp_path):
    out = tmp_path / "run"
    made = seqbench("stream", "-k", "lstm/torch,gru/torch", "--engine", "torch", "--peers", PEERS / "torch.py", "-S", "1",
                    "-H", "8", "--input", "1", "--rounds", "2", "--calls", "60", "--conditions", "hot", "-o", out)
    assert made.returncode == 0, made.stderr
    found = streams.streams([out])
    assert found[["kernel", "calls"]].to_numpy().tolist() == [["gru/torch", 60], ["lstm/torch", 60]]
    assert (found.p50_ns > 100).all()


def test_a_stream_ends_when_its_time_is_over():
    class Sleepy:
        calls = 0

        def step(self, x):
            self.calls += 1
            assert x.shape == (1, 1, 3)

    case = Sleepy()
    answer, durations = program.time_calls(case, (1, 1, 3), 1000, 0)
    assert len(durations) == 2 and case.calls == 2 + program.WARM_UP_CALLS
    assert answer["wall_ns"] > 0 and answer["clock_ns"] >= 0


# ONNX Runtime


@needs_onnxruntime
def test_every_layer_of_onnxruntime_is_the_layer(seqbench):
    found = checked(seqbench, PEERS / "onnxruntime.js", "*/onnxruntime*,roof/empty_onnx*")
    assert set(found) == {"rnn/onnxruntime", "lstm/onnxruntime", "gru/onnxruntime", "roof/empty_onnxruntime_identity",
                          "lstm/onnxruntime_int8", "transformer/onnxruntime_int8",
                          *(f"transformer/onnxruntime_{name}" for name in ("operators", "attention", "multi_head", "fused"))}
    assert {verdict for verdict, _ in found.values()} == {"PASS"}
    for kernel, (_, error) in found.items():
        assert (error > 1e-4) == kernel.endswith("int8")


@needs_onnxruntime
@pytest.mark.parametrize("kernel, was, becomes", [
    ("lstm/onnxruntime", "lstm: [0, 3, 1, 2]", "lstm: [0, 1, 2, 3]"),
    ("gru/onnxruntime", "linear_before_reset: 1", "linear_before_reset: 0"),
    ("rnn/onnxruntime", "data : room(value))]));", "data.map((one) => -one) : room(value))]));"),
    ("transformer/onnxruntime_operators", "Math.sqrt(A / H)", "(A / H)"),
    ("lstm/onnxruntime_int8", "scales[r] = largest / 127", "scales[r] = largest / 254"),
    ("transformer/onnxruntime_fused", "epsilon: {float: 1e-5}", "epsilon: {float: 1e-2}")])
def test_a_layer_of_onnxruntime_that_is_another_fails(seqbench, tmp_path, kernel, was, becomes):
    text = (PEERS / "onnxruntime.js").read_text()
    assert was in text
    peer = tmp_path / "changed.js"
    peer.write_text(text.replace(was, becomes))
    peer.chmod(0o755)
    (tmp_path / "node_modules").symlink_to(PEERS / "node_modules")
    assert checked(seqbench, peer, kernel)[kernel][0] == "FAIL"


@needs_onnxruntime
def test_calls_of_onnxruntime_are_streamed(seqbench, tmp_path):
    out = tmp_path / "run"
    made = seqbench("stream", "-k", "*/onnxruntime", "--engine", "onnxruntime", "--peers", PEERS / "onnxruntime.js", "-S", "1",
                    "-H", "8", "--input", "1", "--rounds", "2", "--calls", "60", "--conditions", "hot", "-o", out)
    assert made.returncode == 0, made.stderr
    assert sorted(streams.streams([out]).kernel) == ["gru/onnxruntime", "lstm/onnxruntime", "rnn/onnxruntime"]


@pytest.mark.parametrize("folder, least", [(".", 6), ("ggml", 1)])
def test_packages_are_pinned_with_checksums_and_name_no_host(folder, least):
    text = (PEERS / folder / "package-lock.json").read_text()
    packages = [entry for name, entry in json.loads(text)["packages"].items() if name]
    assert len(packages) >= least and all(entry["integrity"].startswith("sha512-") for entry in packages)
    assert '"resolved"' not in text


def test_onnxruntime_that_is_not_installed_is_named(seqbench, tmp_path):
    if not shutil.which("node"):
        pytest.skip("no node: `make deps-peers` installs it")
    (tmp_path / "alone.js").write_text((PEERS / "onnxruntime.js").read_text())
    (tmp_path / "alone.js").chmod(0o755)
    made = seqbench("list", "--peers", tmp_path / "alone.js", env={"NODE_PATH": ""})
    assert made.returncode == 2 and "`make deps-peers` installs ONNX Runtime" in made.stderr


# ggml


@needs_ggml
def test_every_layer_of_ggml_is_the_layer(seqbench):
    found = checked(seqbench, PEERS / "ggml.py", "*/ggml*,roof/empty_ggml*")
    assert set(found) == {"rwkv7/ggml", "gated_deltanet/ggml", "decode/ggml_products", "decode/ggml_flash", "mamba/ggml",
                          "roof/empty_ggml_neg"}
    assert {verdict for verdict, _ in found.values()} == {"PASS"}


@needs_ggml
@pytest.mark.parametrize("kernel, change", [
    ("rwkv7/ggml", "t['S0'] = t['S0'].swapaxes(-1, -2)"), ("rwkv7/ggml", "t['x_before'] = -t['x_before']"),
    ("gated_deltanet/ggml", "t['window'][..., 0, :] = 0"), ("gated_deltanet/ggml", "t['A_log'] = t['A_log'] + 0.01"),
    ("decode/ggml_products", "t['v_cache'][..., 0, :] = 0"), ("decode/ggml_flash", "t['k_cache'][..., 0, :] = 0"),
    ("decode/ggml_flash", "t['b1'] = t['b1'] + 0.001"), ("mamba/ggml", "t['Dskip'] = -t['Dskip']")])
def test_a_layer_of_ggml_that_is_another_fails(seqbench, tmp_path, kernel, change):
    assert checked(seqbench, changed(tmp_path, "ggml_layers", change), kernel)[kernel][0] == "FAIL"


@needs_ggml
@pytest.mark.parametrize("variant", ["products", "flash"])
def test_a_token_decoded_by_ggml_again_is_the_same(seqbench, tmp_path, variant):
    t = tensors_of(seqbench, tmp_path / "case", "decode/cached", "-S", 6, "-H", 16, "--heads", 4, "--kv-heads", 2)
    for name in ("k_cache", "v_cache"):
        t[name][..., -1, :] = np.nan  # the new token's place is written before it is read
    request = request_of("decode", seq_len=6, hid_size=16, heads=4, kv_heads=2) | {"variant": variant}
    case = ggml_layers.load(request, t)
    for _ in range(2):
        case.run()
        for name, array in case.outputs().items():
            np.testing.assert_allclose(array.ravel(), t[name].ravel(), atol=1e-5)


@needs_ggml
@pytest.mark.parametrize("kernel, state", [("rwkv7/recurrent", "S_last"), ("gated_deltanet/recurrent", "S_last"),
                                           ("mamba/scan", "h_last")])
def test_layers_of_ggml_take_their_state_along(seqbench, tmp_path, kernel, state):
    t = tensors_of(seqbench, tmp_path / "case", kernel, "-S", 6, "-H", 12, "--heads", 2)
    request = request_of(kernel.split("/")[0], stream=True, seq_len=1, hid_size=12, heads=2)
    case = ggml_layers.load(request, t | {"x": t["x"][:1]})
    for number in range(6):
        case.step(t["x"][number][None, None])
        np.testing.assert_allclose(case.outputs()["y"], t["y"][number], atol=2e-5)
    np.testing.assert_allclose(case.outputs()[state].ravel(), t[state].ravel(), atol=2e-5)
    for _ in range(2):  # begins anew
        case.run()
        np.testing.assert_allclose(case.outputs()["y"], t["y"][0], atol=2e-5)


@needs_ggml
def test_calls_of_ggml_are_streamed_where_it_has_states(seqbench, tmp_path):
    words = ("--engine", "ggml", "--peers", PEERS / "ggml.py", "-S", "1", "-H", "64", "--rounds", "2", "--calls", "60",
             "--conditions", "hot", "-o", tmp_path / "run")
    made = seqbench("stream", "-k", "rwkv7/ggml,gated_deltanet/ggml,mamba/ggml", *words)
    assert made.returncode == 0, made.stderr
    found = streams.streams([tmp_path / "run"])
    assert sorted(found.kernel) == ["gated_deltanet/ggml", "mamba/ggml", "rwkv7/ggml"] and set(found.calls) == {60}
    made = seqbench("stream", "-k", "decode/ggml_flash", *words[:-1], tmp_path / "other")
    assert made.returncode != 0 and "it has no stream" in made.stderr


@needs_ggml
def test_ggml_starts_no_thread_and_gives_memory_back():
    script = """
import os
import numpy as np
from seqbench.peers import ggml_library
before, pages = len(os.listdir("/proc/self/task")), []
for number in range(9):
    graph = ggml_library.Graph()
    graph.compute(graph.neg(graph.give({"x": np.ones(1 << 22, np.float32)})["x"]))
    graph.place()
    graph.run()
    with open("/proc/self/statm") as file:
        pages.append(int(file.read().split()[1]))
print(len(os.listdir("/proc/self/task")) - before, (pages[-1] - pages[0]) * os.sysconf("SC_PAGE_SIZE") < 1 << 27)
"""
    made = subprocess.run([sys.executable, "-c", script], cwd=ROOT / "scripts", capture_output=True, text=True, check=True)
    assert made.stdout == "0 True\n"  # eight graphs that stay have 1 << 28 bytes


@needs_ggml
def test_subnormal_numbers_are_zero_where_that_is_asked_for():
    small, results = np.full(4, 1000, np.uint32).view(np.float32), []
    for on in (True, False):
        ggml_library.flush_to_zero(on)
        results.append((small * np.float32(2)).max())
    assert results[0] == 0 < results[1]


@pytest.mark.parametrize("first, said", [
    ("machine = lambda: 'x86_64'; layers.ggml_library.FOLDER /= 'none'", "`make deps-peers` installs it"),
    ("machine = lambda: 'aarch64'", "the package of ggml is for x86-64, and this is aarch64")])
def test_ggml_that_cannot_be_there_is_named(seqbench, tmp_path, first, said):
    made = seqbench("list", "--peers", changed(tmp_path, "ggml_layers", "pass", f"layers.ggml_library.platform.{first}"))
    assert made.returncode == 2 and said in made.stderr and made.stderr.count("\n") == 1


@needs_ggml
def test_a_run_with_ggml_makes_a_table(seqbench, tmp_path):
    out = tmp_path / "run"
    made = seqbench("run", "-k", "rwkv7/*,roof/empty*", "--engine", "openblas,ggml", "--peers", PEERS / "ggml.py", "-S", "5",
                    "-H", "16", "--rounds", "2", "--budget", "0", "--cpu", CORE, "-o", out)
    assert made.returncode == 0, made.stderr
    unflag(out / "samples.csv")
    assert command("summarise", [str(out)]) == 0
    assert command("peers", [str(out), "-o", str(out)]) == 0
    assert {(row["peer"], row["layer"]) for row in rows_of(out / "peers.csv")} == {("ggml", "rwkv7")}
    assert "A call of ggml with nothing in it takes" in peer_tables.section(out)


# all of them


def unflag(path):
    """Samples as if nothing had disturbed them, whatever this machine was doing."""
    rows = rows_of(path)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "flags": ""} for row in rows)


@needs_torch
@needs_onnxruntime
def test_a_run_with_all_makes_a_table(seqbench, tmp_path, capsys):
    out = tmp_path / "run"
    peers = f"{PEERS / 'torch.py'},{PEERS / 'onnxruntime.js'}"
    made = seqbench("run", "-k", "rnn/hoisted,lstm/hoisted,transformer/tiled,*/torch,*/onnxruntime*,roof/empty*,!decode/*", "--engine",
                    "openblas,torch,onnxruntime", "--peers", peers, "-S", "5", "-H", "16", "--rounds", "2", "--budget", "0",
                    "--cpu", CORE, "-o", out)
    assert made.returncode == 0, made.stderr
    unflag(out / "samples.csv")
    assert command("summarise", [str(out)]) == 0
    assert command("peers", [str(out), "-o", str(out)]) == 0
    table = rows_of(out / "peers.csv")
    assert {(row["peer"], row["layer"]) for row in table} == {
        (peer, layer) for peer in ("torch", "onnxruntime") for layer in ("rnn", "lstm", "transformer")}
    page = peer_tables.section(out)
    assert "A call of ONNX Runtime with nothing in it takes" in page and "PyTorch" in page and "ONNX Runtime 1." in page
