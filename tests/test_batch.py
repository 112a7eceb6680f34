"""Several sequences at once, held against an oracle that knows of one."""

from __future__ import annotations

import csv
import json
import re
import subprocess

import numpy as np
import pytest

from conftest import BUILD, ROOT
from oracle import LAYERS

VECTORS = ROOT / "tests" / "vectors"
KERNELS = list(csv.DictReader(subprocess.run([BUILD / "seqbench", "list", "--csv"], text=True,
                                             capture_output=True, check=True).stdout.splitlines()))
ONE_ONLY = "it takes one sequence only"

# S, H, heads, B: small; one token; several heads; beyond a tile of 64 tokens, in groups of 2 and 1;
# more sequences than vector lanes; one token each of more than one group of 96
SHAPES = [(7, 12, 2, 3), (1, 12, 2, 3), (33, 16, 4, 3), (70, 16, 4, 3), (3, 20, 2, 17),
          (1, 16, 4, 100)]
HID_SIZES = {"mamba2": {12: 32, 16: 64, 20: 96}}  # 2 H is cut into heads of 64


def takes_batches(layer, S):
    """Kernels of a layer with their engines: (those that take batches, those that do not)."""
    kernels = [row for row in KERNELS if row["layer"] == layer and row["bytes_per_weight"] == "4"
               and (row["kind"] == "layer" or row["kind"] == "step" and S == 1)]
    does, does_not = (sorted((row["kernel"], row["engine"]) for row in kernels
                             if (row["batches"] == "no") is no) for no in (False, True))
    return does, does_not


def load(folder):
    """The description of a case folder, and its tensors in double precision."""
    tensors = {path.stem: np.load(path).astype("f8") for path in folder.glob("*.npy")}
    return json.loads((folder / "case.json").read_text()), tensors


def dumped(seqbench, folder, layer, shape, *others):
    """A folder that dump wrote."""
    S, H, heads, B = shape
    does, _ = takes_batches(layer, S)
    process = seqbench("dump", "-k", does[0][0], "--engine", does[0][1], "-S", S, "-H", H,
                       "--heads", heads, "--batch", B, *others, "-o", folder)
    assert process.returncode == 0, process.stderr
    return folder


def answered(folder):
    """The folder with the oracle's outputs in the place of the program's."""
    case, tensors = load(folder)
    shapes = {name: tensors.pop(name).shape for name in case["outputs"]}
    window = {"window": case["window"]} if case["window"] else {}
    sequences = []
    for b in range(case["batch"]):
        own = {name: a[b] if name in case["inputs"] else a for name, a in tensors.items()}
        sequences.append(LAYERS[case["layer"]](own, case["heads"], **window))
    for name, shape in shapes.items():
        (folder / f"{name}.npy").unlink()
        array = np.array([outputs[name] for outputs in sequences], "f4")
        assert array.shape == shape
        np.save(folder / f"{name}.npy", array)
    assert set(sequences[0]) == set(shapes)
    return folder


# the oracle


@pytest.mark.parametrize("folder", sorted(path.name for path in VECTORS.iterdir()
                                          if path.name.split("_S")[0] in LAYERS))
def test_oracle_agrees_with_outside_vectors(folder):
    case, tensors = load(VECTORS / folder)
    wanted = {name: tensors.pop(name) for name in case["outputs"]}
    found = LAYERS[case["layer"]](tensors, case["heads"])
    for name, want in wanted.items():
        assert found[name].shape == want.shape
        assert np.max(np.abs(found[name] - want) / np.maximum(1.0, np.abs(want))) <= 1e-5


def test_layers_without_outside_vectors():
    """No vectors are public: mamba2 has its convolution and its scan of mamba here; modern_decode is the
    last token of modern."""
    outside = {path.name.split("_S")[0] for path in VECTORS.glob("*_S7_H12_A2")}
    assert set(LAYERS) - outside == {"mamba2", "modern_decode"}


def test_every_layer_that_takes_batches_has_an_oracle():
    assert {row["layer"] for row in KERNELS if row["batches"] != "no"} == set(LAYERS)


# batches


def assert_batch_is_its_sequences(seqbench, folder, layer, shape, *others):
    """Every kernel of the layer that takes batches makes what the oracle says."""
    S, _, _, B = shape
    answered(dumped(seqbench, folder, layer, shape, *others))
    case, tensors = load(folder)
    assert case["batch"] == B
    for name in case["inputs"]:  # no two sequences are the same
        assert len(np.unique(tensors[name].reshape(B, -1), axis=0)) == B
    process = seqbench("verify", folder)
    assert process.returncode == 0, process.stdout + process.stderr
    *lines, counts = process.stdout.splitlines()
    does, does_not = takes_batches(layer, S)
    assert all(line.startswith("PASS ") for line in lines), process.stdout
    verified = {tuple(line.split()[1:3]) for line in lines}
    assert verified >= set(does) and not verified & set(does_not), process.stdout
    assert counts == f"{len(lines)} passed, 0 failed"


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("shape", SHAPES, ids="S{0[0]}-H{0[1]}-A{0[2]}-B{0[3]}".format)
def test_batch_is_its_sequences(seqbench, tmp_path, layer, shape):
    S, H, heads, B = shape
    H = HID_SIZES.get(layer, {}).get(H, H)
    assert_batch_is_its_sequences(seqbench, tmp_path / "case", layer, (S, H, heads, B))


# shared heads of keys; a window of one key, within a tile and beyond some; both
@pytest.mark.parametrize("layer", ["gpt", "decode", "modern", "modern_decode"])
@pytest.mark.parametrize("kv_heads, window", [(2, None), (1, None), (None, 1), (None, 30), (4, 5),
                                              (1, 66)])
def test_shared_heads_and_windows(seqbench, tmp_path, layer, kv_heads, window):
    others = [*(["--kv-heads", kv_heads] if kv_heads else []), *(["--window", window] if window else [])]
    assert_batch_is_its_sequences(seqbench, tmp_path / "case", layer, (170, 24, 4, 2), *others)


@pytest.mark.parametrize("layer", ["modern", "modern_decode"])
def test_ffn_of_another_size(seqbench, tmp_path, layer):
    assert_batch_is_its_sequences(seqbench, tmp_path / "case", layer, (9, 24, 4, 2), "--ffn-size", 37)


def outputs(folder):
    """The bytes of what dump wrote, parameters too."""
    return {path.name: path.read_bytes() for path in folder.glob("*.npy")}


@pytest.mark.parametrize("kernel", ["gpt/full", "gpt/tiled", "gpt/online", "decode/cached", "modern/tiled",
                                    "modern/online", "modern_decode/cached"])
@pytest.mark.parametrize("others", [["--window", 70], ["--window", 1000], ["--kv-heads", 4],
                                    ["--kv-heads", 4, "--window", 71]])
def test_what_makes_no_difference_makes_the_same_bits(seqbench, tmp_path, kernel, others):
    if kernel.startswith("modern"):  # a quarter of the heads, and 8/3 of HidSize up to a whole 32
        others = ["--ffn-size", 64, *(1 if word == 4 else word for word in others)]
    sizes = ["-S", 70, "-H", 24, "--heads", 4, "--engine", "packed"]
    for name, added in (("plain", []), ("given", others)):
        assert seqbench("dump", "-k", kernel, *sizes, *added, "-o", tmp_path / name).returncode == 0
    assert outputs(tmp_path / "plain") == outputs(tmp_path / "given")


@pytest.mark.parametrize("layer", ["gpt", "decode"])
@pytest.mark.parametrize("window", [[], ["--window", 9]])
def test_shared_heads_are_heads_that_are_the_same(seqbench, tmp_path, layer, window):
    """A layer whose heads have keys of their own, the same in a group, makes the same outputs."""
    shape, heads, shared = (40, 24, 6, 2), 6, 3
    few = dumped(seqbench, tmp_path / "few", layer, shape, "--kv-heads", heads // shared, *window)
    full = dumped(seqbench, tmp_path / "full", layer, shape, *window)

    def repeated(array, axis, size=4):
        parts = np.split(array, array.shape[axis] // size, axis)
        return np.concatenate([part for part in parts for _ in range(shared)], axis)

    _, tensors = load(few)
    for name, array in tensors.items():
        if name in ("Wqkv", "bqkv"):
            q, kv = np.split(array, [24])
            array = np.concatenate([q, repeated(kv, 0)])
        elif name in ("k_cache", "v_cache"):
            array = repeated(array, 1, 1)
        elif name in ("k_new", "v_new"):
            array = repeated(array, 1)
        assert array.shape == np.load(full / f"{name}.npy").shape
        np.save(full / f"{name}.npy", array.astype("f4"))
    process = seqbench("verify", full)
    assert process.returncode == 0, process.stdout + process.stderr


def test_heads_that_do_not_share_evenly_are_refused(seqbench, tmp_path):
    sizes = ["-S", 4, "-H", 24, "--heads", 6]
    said = "the number of heads is not divisible by that of key and value heads"
    process = seqbench("dump", "-k", "gpt/tiled", *sizes, "--kv-heads", 4, "-o", tmp_path / "case")
    assert process.returncode == 2 and said in process.stderr
    process = seqbench("plan", "-k", "gpt/tiled", "--engine", "packed", *sizes, "--kv-heads", "4,3", "--rounds", 1)
    assert said in process.stderr
    assert [row["kv_heads"] for row in csv.DictReader(process.stdout.splitlines())] == ["3"]
    folder = dumped(seqbench, tmp_path / "case", "gpt", (4, 24, 6, 1))
    text = (folder / "case.json").read_text()
    (folder / "case.json").write_text(re.sub(r'"kv-heads":\s*0', '"kv-heads": 5', text))
    process = seqbench("verify", folder)
    assert process.returncode == 2 and said in process.stderr


def test_layers_without_a_window_take_none(seqbench, tmp_path):
    folder = dumped(seqbench, tmp_path / "case", "transformer", (4, 24, 6, 1), "--kv-heads", 2, "--window", 2)
    case, _ = load(folder)
    assert (case["heads"], case["kv-heads"], case["window"]) == (6, 0, 0)


@pytest.mark.parametrize("name", ["y", "c_last"])
def test_exchanged_sequences_are_noticed(seqbench, tmp_path, name):
    folder = answered(dumped(seqbench, tmp_path / "case", "lstm", (7, 12, 2, 3)))
    array = np.load(folder / f"{name}.npy")
    np.save(folder / f"{name}.npy", array[[1, 0, 2]])
    process = seqbench("verify", folder)
    assert process.returncode == 1, process.stdout + process.stderr
    does, _ = takes_batches("lstm", 7)
    *lines, counts = process.stdout.splitlines()
    assert all(line.startswith("FAIL ") and f" in {name} of " in line for line in lines)
    assert counts == f"0 passed, {len(does)} failed"


@pytest.mark.parametrize("name, got, wanted", [("x", "[7,12]", "[3,7,12]"),
                                               ("h0", "[12]", "[3,12]"),
                                               ("y", "[7,12]", "[3,7,12]")])
def test_tensor_of_one_sequence_is_refused(seqbench, tmp_path, name, got, wanted):
    folder = dumped(seqbench, tmp_path / "case", "lstm", (7, 12, 2, 3))
    np.save(folder / f"{name}.npy", np.load(folder / f"{name}.npy")[0])
    process = seqbench("verify", folder)
    assert process.returncode == 2 and process.stdout == ""
    assert f"{name}.npy: its shape is {got}, it must be {wanted}" in process.stderr


# kernels that take one sequence only


def test_list_marks_kernels_of_one_sequence(seqbench):
    """The mark closes the second line of a kernel."""
    lines = seqbench("list").stdout.splitlines()
    marked = [re.split(r"\s+", first)[:2] for first, second in zip(lines[::2], lines[1::2])
              if second.endswith("(one sequence only)")]
    assert marked == [[row["kernel"], row["engine"]] for row in KERNELS if row["batches"] == "no"]


def test_plan_leaves_out_what_takes_no_batch(seqbench):
    process = seqbench("plan", "-k", "rnn/literal,rnn/hoisted", "--engine", "openblas",
                       "-S", 4, "-H", 8, "--batch", "1,2")
    assert process.returncode == 0, process.stderr
    rows = {(row["kernel"], row["batch"]) for row in csv.DictReader(process.stdout.splitlines())}
    assert rows == {("rnn/literal", "1"), ("rnn/hoisted", "1"), ("rnn/hoisted", "2")}
    assert process.stderr.splitlines() == [
        f"seqbench: rnn/literal S=4 H=8 batch=2: left out: {ONE_ONLY}"]


def test_dump_refuses_what_takes_no_batch(seqbench, tmp_path):
    process = seqbench("dump", "-k", "rnn/literal", "-S", 4, "-H", 8, "--batch", 2,
                       "-o", tmp_path / "case")
    assert process.returncode == 2 and process.stdout == ""
    assert ONE_ONLY in process.stderr
    assert not (tmp_path / "case").exists()
