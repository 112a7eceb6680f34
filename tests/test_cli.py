"""The program from outside: listing, checking, case folders, bad input."""

import csv
import json
import os
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest

from conftest import BUILD, ROOT
from seqbench.read import dimensions

VECTORS = ROOT / "tests" / "vectors"
LIBRARIES = json.loads(subprocess.run([BUILD / "seqbench", "host"], capture_output=True,
                                      check=True).stdout)["libraries"]
HAS_ONEDNN, HAS_EIGEN, HAS_BLIS = (LIBRARIES[name] != "not built in" for name in ("onednn", "eigen", "blis"))
EIGEN_SIZES = {8, 16, 24, 32, 40, 64, 128}
KERNELS = list(csv.DictReader(subprocess.run(
    [BUILD / "seqbench", "list", "--csv"], capture_output=True, text=True,
    check=True).stdout.splitlines()))
HAS = {row["kernel"] for row in KERNELS}
LISTED = ("ALGORITHM(", *["OF_ONEDNN("] * HAS_ONEDNN, *["OF_EIGEN("] * HAS_EIGEN,
          *["OF_DOTS_BF16("] * ("roof/fma_bf16" in HAS), *["OF_DOTS_INT8("] * ("roof/dot_int8" in HAS))
NAMES = [line.split("(")[1].split(")")[0]
         for line in (ROOT / "kernels" / "kernels.def").read_text().splitlines()
         if line.startswith(LISTED)]
NAMES = [name for name in NAMES if not name.endswith(("_onednn_bf16", "_onednn_int8"))
         or name.replace("_", "/", 1) in HAS]  # oneDNN has them on some CPUs
WHOLE = [row["kernel"].replace("/", "_") for row in KERNELS
         if row["kind"] == "layer" and row["bytes_per_weight"] == "4"]


def variants(layer):
    """How many variants of a layer this build has; Eigen's do not take the sizes of the vectors."""
    return sum(name.startswith(f"{layer}_") and not name.endswith("_eigen") for name in WHOLE)


def refused(process, *words):
    """Exit status 2, one line on stderr that starts with the program's name, nothing on stdout."""
    assert process.returncode == 2, process
    lines = process.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("seqbench: "), process.stderr
    for word in words:
        assert word in lines[0], process.stderr
    assert process.stdout == ""


# list, check, verify


def test_list_has_every_line_of_kernels_def(seqbench):
    rows = list(csv.DictReader(seqbench("list", "--csv").stdout.splitlines()))
    symbols = [row["kernel"].replace("/", "_").replace(".", "_") for row in rows]
    assert list(dict.fromkeys(symbols)) == NAMES
    assert len({(row["kernel"], row["engine"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["kernel"] in (f"{row['layer']}/{row['variant']}",
                                 f"{row['layer']}.{row['variant']}")
        assert row["kind"] in ("layer", "step", "part", "roof") and row["equation"] and row["method"]
    text = seqbench("list").stdout
    assert all(row["kernel"] in text and row["equation"] in text for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_check(seqbench, name):
    kernels = {row["kernel"].replace("/", "_").replace(".", "_"): row["kernel"]
               for row in csv.DictReader(seqbench("list", "--csv").stdout.splitlines())}
    process = seqbench("check", "-k", kernels[name])
    assert process.returncode == 0, process.stdout + process.stderr
    lines = [line.split()[:2] for line in process.stdout.splitlines()]
    assert lines and all(line == ["PASS", kernels[name]] for line in lines)


@pytest.mark.parametrize("folder", sorted(path.name for path in VECTORS.iterdir()))
def test_verify_outside_vectors(seqbench, folder):
    process = seqbench("verify", VECTORS / folder)
    assert process.returncode == 0, process.stdout + process.stderr
    *lines, counts = process.stdout.splitlines()
    variants = [row["kernel"] for row in csv.DictReader(seqbench("list", "--csv").stdout.splitlines())
                if row["kernel"].startswith(folder.split("_S")[0] + "/") and row["bytes_per_weight"] == "4"
                and (row["engine"] != "eigen" or int(re.search("_H([0-9]+)", folder)[1]) in EIGEN_SIZES)]
    assert variants and [line.split()[:2] for line in lines] == [["PASS", name] for name in variants]
    assert all(float(line.split("error ")[1].split()[0]) <= 1e-5 for line in lines)
    assert counts == f"{len(lines)} passed, 0 failed"


def copy_of(tmp_path, folder="lstm_S7_H12_A2"):
    return pathlib.Path(shutil.copytree(VECTORS / folder, tmp_path / folder))


def test_verify_fails_on_a_wrong_output(seqbench, tmp_path):
    folder = copy_of(tmp_path)
    y = np.load(folder / "y.npy")
    y[-1, -1] += 2e-5
    np.save(folder / "y.npy", y)
    process = seqbench("verify", folder)
    assert process.returncode == 1
    assert process.stdout.splitlines()[-1] == f"0 passed, {variants('lstm')} failed"


def test_verify_notices_swapped_gates(seqbench, tmp_path):
    folder = copy_of(tmp_path)
    for name in "WUb":
        stacked = np.load(folder / f"{name}.npy")
        i, f, g, o = np.split(stacked, 4)
        np.save(folder / f"{name}.npy", np.concatenate([f, i, g, o]))
    assert seqbench("verify", folder).returncode == 1


def test_verify_refuses_heads_that_do_not_divide(seqbench, tmp_path):
    folder = copy_of(tmp_path, "transformer_S7_H12_A2")
    describe(heads=5)(folder)
    refused(seqbench("verify", folder), "H=12 is not divisible by heads=5")
    describe(heads=None)(folder)
    refused(seqbench("verify", folder), '"heads" is missing or not a number')


def test_verify_refuses_unknown_layers(seqbench, tmp_path):
    folder = copy_of(tmp_path)
    case = json.loads((folder / "case.json").read_text())
    (folder / "case.json").write_text(json.dumps({"layer": "hopfield", "size": case["H"]}))
    refused(seqbench("verify", folder, VECTORS / "rnn_S7_H12_A2"), "case.json",
            "'hopfield' is no layer")


def test_verify_refuses_a_shape_that_the_layer_cannot_have(seqbench, tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "case.json").write_text(json.dumps({"layer": "supra", "S": 7, "H": 12, "heads": 3}))
    refused(seqbench("verify", folder), "supra cannot have this shape", "power of two")


@pytest.mark.parametrize("name", ["U.npy", "case.json"])
def test_verify_reads_regular_files_only(seqbench, tmp_path, name):
    """A pipe that nobody writes to would be waited for, /dev/zero has no end."""
    folder = copy_of(tmp_path)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(seqbench("verify", folder, timeout=10), name, "no regular file")
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    refused(seqbench("verify", folder, timeout=10), name, "no regular file")
    (folder / name).unlink()
    (folder / name).mkdir()
    refused(seqbench("verify", folder, timeout=10), name, "it is a directory")


def test_grid_is_a_regular_file(seqbench, tmp_path):
    os.mkfifo(tmp_path / "grid")
    refused(seqbench("plan", "-g", tmp_path / "grid", timeout=10), "no regular file")
    refused(seqbench("plan", "-g", "/dev/zero", timeout=10), "no regular file")


def truncate(folder):
    data = (folder / "U.npy").read_bytes()
    (folder / "U.npy").write_bytes(data[:-4])


def save(name, change):
    def breaks(folder):
        np.save(folder / name, change(np.load(folder / name)))
    return breaks


def describe(**changes):
    def breaks(folder):
        case = {**json.loads((folder / "case.json").read_text()), **changes}
        (folder / "case.json").write_text(
            json.dumps({key: value for key, value in case.items() if value is not None}))
    return breaks


@pytest.mark.parametrize("breaks, words", [
    (lambda f: (f / "U.npy").unlink(), ["U.npy", "No such file"]),
    (lambda f: (f / "y.npy").unlink(), ["y.npy", "No such file"]),
    (lambda f: (f / "case.json").unlink(), ["case.json", "No such file"]),
    (truncate, ["U.npy", "2300 bytes of data where its shape needs 2304"]),
    (lambda f: (f / "U.npy").write_bytes(b""), ["U.npy", "not a .npy file"]),
    (save("U.npy", lambda a: a.T[:5]), ["U.npy", "shape is [5,48], it must be [48,12]"]),
    (save("b.npy", lambda a: a[:, None]), ["b.npy", "shape is [48,1], it must be [48]"]),
    (save("W.npy", lambda a: a.astype("f8")), ["W.npy", "type is '<f8', it must", "float32"]),
    (save("W.npy", lambda a: a.astype([("re", "f4")])), ["W.npy", "type is [('re'"]),
    (save("W.npy", lambda a: a.astype(">f4")), ["W.npy", "'>f4'", "little-endian float32"]),
    (save("x.npy", np.asfortranarray), ["x.npy", "C order"]),
    (lambda f: (f / "case.json").write_text("{"), ["case.json", "not JSON"]),
    (lambda f: (f / "case.json").write_text("[]"), ["case.json", '"layer" is missing']),
    (describe(layer=None), ['"layer" is missing']),
    (describe(layer=3), ['"layer" is missing or not a name']),
    (describe(S=None), ['"S" is missing or not a number']),
    (describe(S=0), ['"S" is 0', "from 1 to"]),
    (describe(S=-7), ['"S" is -7', "from 1 to"]),
    (describe(S=7.5), ['"S" is 7.5', "whole number"]),
    (describe(H=1e30), ['"H" is 1e+30', "from 1 to"]),
        (describe(S=8), ["x.npy", "shape is [7,12], it must be [8,12]"]),
])
def test_verify_refuses_broken_folders(seqbench, tmp_path, breaks, words):
    folder = copy_of(tmp_path)
    breaks(folder)
    refused(seqbench("verify", folder), *words)


# dump


def numpy_lstm(t):
    """Written here from the equations, gate order i, f, g, o."""
    sigmoid = lambda a: 1 / (1 + np.exp(-a))
    t = {name: array.astype("f8") for name, array in t.items()}
    h, c = t["h0"], t["c0"]
    ys = []
    for x in t["x"]:
        i, f, g, o = np.split(t["W"] @ x + t["U"] @ h + t["b"], 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        ys.append(h)
    return np.array(ys), c


def test_dump_can_be_checked_elsewhere(seqbench, tmp_path):
    folder = tmp_path / "case"
    assert seqbench("dump", "-k", "lstm/fused", "-S", 9, "-H", 20, "--seed", 3,
                    "-o", folder).returncode == 0
    tensors = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    y, c_last = numpy_lstm(tensors)
    np.testing.assert_allclose(tensors["y"], y, atol=1e-6)
    np.testing.assert_allclose(tensors["c_last"], c_last, atol=1e-6)
    case = json.loads((folder / "case.json").read_text())
    assert set(case["cost"]) == {"multiply_adds", "elementwise", "exps", "logs", "sigmoids", "tanhs",
                                 "rsqrts"}
    assert (case["layer"], case["S"], case["H"], case["heads"]) == ("lstm", 9, 20, 1)
    assert case["inputs"] == ["x", "h0", "c0"] and case["outputs"] == ["y", "c_last"]
    assert seqbench("verify", folder).returncode == 0


def test_dump_of_every_kernel_verifies(seqbench, tmp_path):
    for row in csv.DictReader(seqbench("list", "--csv").stdout.splitlines()):
        if row["bytes_per_weight"] != "4":
            continue  # what it makes is not what its layer says
        folder = tmp_path / f'{row["kernel"].replace("/", "-")}-{row["engine"]}'
        made = seqbench("dump", "-k", row["kernel"], "--engine", row["engine"],
                        "-S", 1 if row["kind"] == "step" else 5, "-H", 64, "-o", folder)
        assert made.returncode == 0, made.stderr
        assert seqbench("verify", folder).returncode == 0, row["kernel"]


def test_dump_seeds_differ(seqbench, tmp_path):
    for seed in (1, 2):
        seqbench("dump", "-k", "rnn/literal", "-S", 3, "-H", 4, "--seed", seed,
                 "-o", tmp_path / str(seed))
    assert not np.array_equal(np.load(tmp_path / "1" / "W.npy"), np.load(tmp_path / "2" / "W.npy"))


def test_dump_refuses(seqbench, tmp_path):
    new = tmp_path / "new"
    shape = ["-S", 3, "-H", 64]
    refused(seqbench("dump", "-k", "lstm/none", *shape, "-o", new), "'lstm/none' is no kernel")
    refused(seqbench("dump", "-k", "lstm/*", *shape, "-o", new), "'lstm/*' is no kernel")
    refused(seqbench("dump", "-k", "lstm/fused", *shape), "-o DIR is missing")
    refused(seqbench("dump", "-k", "lstm/fused", "-S", 3, "-o", new), "-H LIST is missing")
    refused(seqbench("dump", "-k", "lstm/fused", "-S", "3,4", "-H", 64, "-o", new),
            "dump: sizes of S: one, not 2")
    refused(seqbench("dump", "-k", "transformer/full", *shape, "--heads", 5, "-o", new),
            "H=64", "heads=5", "not divisible")
    refused(seqbench("dump", "-k", "transformer/full", "-S", 1048576, "-H", 32768, "-o", new),
            "MiB of memory", "are available")
    assert not new.exists()
    refused(seqbench("dump", "-k", "lstm/fused", *shape, "-o", tmp_path), str(tmp_path),
            "File exists")


def test_dump_on_a_full_disk_leaves_nothing(tmp_path):
    process = subprocess.run(["bash", "-c", 'trap "" XFSZ; ulimit -f 8; exec "$@"', "bash",
                              BUILD / "seqbench", "dump", "-k", "lstm/fused", "-S", "8", "-H", "64",
                              "-o", tmp_path / "new"], text=True, capture_output=True)
    refused(process, "npy", "File too large")
    assert not (tmp_path / "new").exists()


# plan, host


def test_plan_is_reproducible(seqbench):
    one = seqbench("plan", "-g", "quick", "--seed", 7).stdout
    assert one == seqbench("plan", "-g", "quick", "--seed", 7).stdout
    assert one != seqbench("plan", "-g", "quick", "--seed", 8).stdout
    assert one.splitlines()[0] == ",".join(["order", "round", "kernel", "engine", *dimensions.COLUMNS])


def test_plan_follows_options(seqbench):
    rows = list(csv.DictReader(seqbench(
        "plan", "-k", "lstm/f*,transformer/tiled", "-S", "16:64:x2", "-H", "64,96",
        "--heads", "2,4", "--rounds", 2).stdout.splitlines()))
    assert len(rows) == 2 * 2 * (3 * 2 + 3 * 2 * 2)  # rounds, engines, cells
    assert {row["heads"] for row in rows if row["kernel"] == "transformer/tiled"} == {"2", "4"}
    assert {row["heads"] for row in rows if row["kernel"] == "lstm/fused"} == {"1"}
    assert {row["input"] for row in rows} == {"0"}


def test_only_layers_with_an_input_size_take_one(seqbench):
    rows = csv.DictReader(seqbench("plan", "-k", "rnn/hoisted,lstm/joined,gru/registers,mingru/scan", "-S", 4,
                                   "-H", 8, "--input", "1,3", "--rounds", 1).stdout.splitlines())
    sizes = sorted((row["kernel"].split("/")[0], row["input"]) for row in rows if row["engine"] == "packed")
    assert sizes == [("gru", "1"), ("gru", "3"), ("lstm", "1"), ("lstm", "3"), ("mingru", "0"),
                     ("rnn", "1"), ("rnn", "3")]


def test_host_is_json_without_names(seqbench):
    process = seqbench("host", env={"OPENBLAS_VERBOSE": "0", "OMP_NUM_THREADS": "1"})
    host = json.loads(process.stdout)
    assert host["libraries"]["openblas_parallel"] == 0
    assert host["libraries"]["blas_environment"]["OMP_NUM_THREADS"] == "1"
    assert "-march=" in host["build"]["flags"]
    assert host["cpu"]["model"] and host["cpu"]["caches"]
    assert f'"{os.uname().nodename}"' not in process.stdout


def test_onednn_is_told_to_use_one_thread(seqbench):
    if not HAS_ONEDNN:
        pytest.skip("built without oneDNN: `make deps-peers` installs it")
    libraries = json.loads(seqbench("host", env={"OMP_NUM_THREADS": "4"}).stdout)["libraries"]
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", libraries["onednn"])
    assert libraries["onednn_runtime"] in ("omp", "seq") and libraries["onednn_threads"] == 1


def of_blis():
    """Tests of the engine that BLAS=blis builds in."""
    if not HAS_BLIS:
        pytest.skip("built without BLIS: `make deps-blis`, then BLAS=blis")


@pytest.mark.parametrize("engine, library, calls", [
    ("openblas", "libopenblas", {"cblas_sgemm", "cblas_sgemv"}),
    ("blis", "libblis", {"bli_sgemm", "bli_sgemv"}), ("packed", None, set())])
def test_an_engine_calls_its_own_library(seqbench, tmp_path, engine, library, calls):
    """By the dynamic linker's word: both libraries have functions named cblas_*."""
    if engine == "blis":
        of_blis()
    assert seqbench("check", "-k", "rnn/hoisted", "--engine", engine, env={
        "LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": str(tmp_path / "log")}).returncode == 0
    log = "".join(path.read_text() for path in tmp_path.iterdir())
    bound = re.findall(r"binding file \S+/seqbench \[0\] to \S+/(\w+)\S* \[0\]: normal symbol "
                       r"`((?:cblas|bli)_s\w+)'", log)
    assert set(bound) == {(library, call) for call in calls}


def test_blis_is_where_openblas_is(seqbench):
    of_blis()
    by_engine = {name: {row["kernel"] for row in KERNELS if row["engine"] == name}
                 for name in ("openblas", "blis", "packed")}
    assert by_engine["openblas"] & by_engine["packed"] <= by_engine["blis"] <= by_engine["openblas"]


def test_the_kernels_of_blis_are_those_that_are_asked_for(seqbench):
    of_blis()
    host = json.loads(seqbench("host", env={"BLIS_ARCH_TYPE": "25"}).stdout)
    assert host["libraries"]["blis_kernels"] == "generic"  # number 25 of BLIS 0.9
    assert host["libraries"]["blas_environment"]["BLIS_ARCH_TYPE"] == "25"
    version = host["libraries"]["blis"]
    assert f"BLIS: {version}, kernels for " in seqbench("--version").stdout
    assert host["engines"]["blis"].startswith("float32")


def test_multi_threaded_blis_is_refused(seqbench, tmp_path):
    of_blis()
    process = seqbench("run", "-o", tmp_path / "out", env=preload(
        tmp_path, "long bli_info_get_enable_threading(void) { return 1; }\n"))
    refused(process, "is multi-threaded", "BLAS=blis")
    assert not (tmp_path / "out").exists()


def test_plan_of_the_grid_for_peers(seqbench):
    rows = list(csv.DictReader(seqbench("plan", "-g", "peers", "-k", "rnn/literal").stdout.splitlines()))
    assert {row["seq_len"] for row in rows} == {"16", "128", "1024"} and len(rows) == 3 * 5 * 7


# bad input of plan and run


@pytest.mark.parametrize("arguments, words", [
    ([], ["which command"]),
    (["fly"], ["unknown command 'fly'"]),
    (["--fly"], ["unknown option '--fly'"]),
    (["help", "fly"], ["unknown command 'fly'"]),
    (["plan", "--fast"], ["unknown option '--fast'"]),
    (["plan", "-o", "x"], ["unknown option '-o'"]),
    (["plan", "extra"], ["unexpected 'extra'"]),
    (["plan", "-S"], ["'-S' needs a value"]),
    (["plan", "-S", "0"], ["-S: 0 is outside 1..1048576"]),
    (["plan", "-S", "-5"], ["-S: '-5' is not a size"]),
    (["plan", "-S", "ten"], ["-S: 'ten' is not a size"]),
    (["plan", "-S", ""], ["-S: '' is not a size"]),
    (["plan", "-H", "99999999999999999999"], ["-H: '99999999999999999999' is outside 1..32768"]),
    (["plan", "-H", "64:512"], ["-H: '64:512' is not a size"]),
    (["plan", "-H", "64", "--heads", "5"], ["H=64", "not divisible by heads=5"]),
    (["plan", "--heads", "0"], ["--heads: 0 is outside"]),
    (["plan", "--rounds", "0"], ["--rounds: '0' is not a whole number from 1"]),
    (["plan", "--seed", "-1"], ["--seed: '-1' is not a whole number"]),
    (["plan", "--seed", "1e3"], ["--seed: '1e3' is not a whole number"]),
    (["plan", "-k", "absent/*"], ["'absent/*' matches no kernel"]),
    (["plan", "-k", "lstm/*,none"], ["'none' matches no kernel"]),
    (["plan", "-k", ""], ["kernels: the list is empty"]),
    (["plan", "-g", "huge"], ["precision, accuracy, accuracy-long, full nor a file"]),
    (["plan", "--cpu", "x"], ["--cpu: 'x' is not a whole number"]),
    (["plan", "--cpu", "9999"], ["cannot pin to core 9999", "no such core", "allowed: "]),
    (["check", "-k", "nothing"], ["'nothing' matches no kernel"]),
    (["verify"], ["which folder"]),
    (["run", "-S", "1048576", "-H", "32768", "-k", "transformer/full"],
     ["transformer/full S=1048576 H=32768 heads=512", "MiB of memory", "are available"]),
])
def test_bad_input_is_refused(seqbench, tmp_path, arguments, words):
    refused(seqbench(*arguments, cwd=tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


def test_malformed_grid_line_is_named(seqbench, tmp_path):
    grid = tmp_path / "my.grid"
    grid.write_text("S 16,32\nH 64\nheads none\n")
    refused(seqbench("plan", "-g", grid), f"{grid}:3: heads: 'none' is not a size")
    grid.write_bytes(b"S 16\nH 64\0\n")
    refused(seqbench("plan", "-g", grid), str(grid), "not a text file")
    refused(seqbench("plan", "-g", tmp_path), str(tmp_path), "directory")


def test_core_that_is_not_allowed(seqbench):
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        pytest.skip("needs two cores")
    only = {allowed[0]}
    process = seqbench("plan", "--cpu", allowed[1],
                       preexec_fn=lambda: os.sched_setaffinity(0, only))
    refused(process, f"cannot pin to core {allowed[1]}: not allowed; allowed: {allowed[0]}")


def preload(folder, source):
    """The environment in which a function of a library is this one."""
    (folder / "blas.c").write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "blas.so", folder / "blas.c"], check=True)
    return {"LD_PRELOAD": str(folder / "blas.so"), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def test_multi_threaded_blas_is_refused(seqbench, tmp_path):
    process = seqbench("run", "-o", tmp_path / "out",
                       env=preload(tmp_path, "int openblas_get_parallel(void) { return 1; }\n"))
    refused(process, "the BLAS is multi-threaded", "OPENBLAS=")
    assert not (tmp_path / "out").exists()


def test_foreign_topology_is_refused(seqbench, tmp_path):
    xml = tmp_path / "other.xml"
    xml.write_text('<?xml version="1.0"?>\n<topology version="2.0">\n'
                   '<object type="Machine" os_index="0" cpuset="0x1" complete_cpuset="0x1" '
                   'allowed_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" '
                   'allowed_nodeset="0x1" gp_index="1">\n'
                   '<object type="NUMANode" os_index="0" cpuset="0x1" complete_cpuset="0x1" '
                   'nodeset="0x1" complete_nodeset="0x1" gp_index="2" local_memory="1"/>\n'
                   '<object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" '
                   'nodeset="0x1" complete_nodeset="0x1" gp_index="3"/>\n</object>\n</topology>\n')
    refused(seqbench("plan", env={"HWLOC_XMLFILE": str(xml)}), "another machine's topology")


# help and version

COMMANDS = ("run", "stream", "plan", "list", "check", "verify", "accuracy", "dump", "host", "doctor",
            "man", "completion")


def said(process):
    """Exit status 0 and nothing on stderr; what stdout says."""
    assert process.returncode == 0 and process.stderr == "", process.stderr
    return process.stdout


def test_help_names_every_command(seqbench):
    text = said(seqbench("--help"))
    assert text == said(seqbench("-h")) == said(seqbench("help"))
    assert re.findall(r"^  ([a-z]+)\b", text, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_its_options(seqbench, command):
    text = said(seqbench(command, "--help"))
    assert text == said(seqbench(command, "-h")) == said(seqbench("help", command))
    assert all(len(line) <= 100 for line in text.splitlines())
    flags = re.findall(r"^  (-\S+)", text, re.MULTILINE)
    assert flags[-1] == "-h," and len(set(flags)) == len(flags)
    for flag in flags[:-1]:  # each is known to the command
        assert said(seqbench(command, flag, "1", "-h")) == text
    refused(seqbench(command, "--fly"), f"{command}: unknown option '--fly'")


def test_help_has_the_defaults(seqbench):
    text = said(seqbench("run", "--help"))
    for line in ("--seed N           of inputs and order (1)", "--until REL", "(0.02)", "(600)",
                 "-g NAME|FILE       grid: quick, default, peers, width, batch, precision, full or a file (default)"):
        assert line in text


def test_version_names_the_build(seqbench):
    text = said(seqbench("--version"))
    for word in ("compiler: ", "BLAS: OpenBLAS", "Google Benchmark: "):
        assert word in text
    build = json.loads(seqbench("host").stdout)["build"]
    assert text.startswith(f"seqbench {build['version']}, commit {build['commit']}")
    assert build["compiler"] in text


# the version, said once


CITED = dict(line.split(": ", 1) for line in (ROOT / "CITATION.cff").read_text().splitlines()
             if line.startswith(("version: ", "date-released: ")))
RELEASES = re.findall(r"^## \[?([0-9.]+)\]? - ([0-9-]+)$(.*?)(?=^## |\Z)",
                      (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE | re.DOTALL)


def test_version_is_that_of_the_citation_and_of_the_newest_release(seqbench):
    assert json.loads(seqbench("host").stdout)["build"]["version"] == CITED["version"]
    assert (CITED["version"], CITED["date-released"]) == RELEASES[0][:2]


def test_releases_are_in_order_and_say_what_changes_numbers():
    versions = [tuple(map(int, version.split("."))) for version, _, _ in RELEASES]
    dates = [date for _, date, _ in RELEASES]
    assert versions == sorted(set(versions), reverse=True) and dates == sorted(dates, reverse=True)
    for version, _, text in RELEASES:
        numbers = re.findall(r"^### Numbers\n\n(\S.*)", text, re.MULTILINE)
        assert len(numbers) == 1, version
        assert version.endswith(".0") or numbers[0] == "None.", version  # a patch changes none


def test_options_can_be_written_as_elsewhere(seqbench):
    plain = said(seqbench("plan", "-k", "rnn/literal", "-S", 4, "-H", 8, "--rounds", 2))
    assert plain == said(seqbench("plan", "-krnn/literal", "-S4", "-H8", "--rounds=2"))
    refused(seqbench("list", "--csv=1"), "option '--csv' takes no value")
    refused(seqbench("plan", "-x"), "unknown option '-x'")


# doctor


def findings(process):
    """Level by item; the lines have the form that people and make read."""
    assert process.returncode == 0 and process.stderr == "", process.stderr
    found = {}
    for line in process.stdout.splitlines():
        level, item, text = line[:4].strip(), line[6:20].strip(), line[21:]
        assert level in ("ok", "warn", "info") and line[4:6] == "  " and line[20] == " " and text
        found[item] = level
    return found


def test_doctor_looks_at_everything(seqbench):
    found = findings(seqbench("doctor"))
    assert len(found) == 16
    assert {"governor", "power supply", "clock", "SMT sibling", "cgroup quota", "OpenBLAS"} <= set(found)
    assert found["OpenBLAS"] == found["ASLR"] == "ok"


def test_doctor_warns(seqbench):
    """Of what this process brings along itself, and of the core that was asked for."""
    cpu = sorted(os.sched_getaffinity(0))[0]
    process = subprocess.run(["setarch", "-R", BUILD / "seqbench", "doctor", "--warnings",
                              "--cpu", str(cpu)], capture_output=True, text=True, timeout=60,
                             env={**os.environ, "OPENBLAS_CORETYPE": "Prescott"})
    if "personality" in process.stderr:
        pytest.skip(process.stderr)
    found = findings(process)
    assert set(found.values()) == {"warn"} and "ASLR" in found
    if " avx2 " in pathlib.Path("/proc/cpuinfo").read_text():
        assert "Prescott" in process.stdout


def test_doctor_refuses_what_it_cannot_look_at(seqbench):
    refused(seqbench("doctor", "--cpu", 65535), "cannot pin to core 65535")
    refused(seqbench("doctor", "--cpu", "x"), "--cpu: 'x' is not a whole number")
    refused(seqbench("doctor", "--seed", "1"), "unknown option '--seed'")


def test_kernels_can_be_taken_out_again(seqbench):
    process = seqbench("plan", "-k", "rnn/*,!*/registers,!no/such", "-S", "4", "-H", "8",
                       "--rounds", 1)
    assert process.returncode == 0, process.stderr
    kernels = {line.split(",")[2] for line in process.stdout.splitlines()[1:]}
    assert {"rnn/literal", "rnn/hoisted"} <= kernels and "rnn/registers" not in kernels


def test_kernel_that_is_copied_to_add_one_shares_no_name_but_its_descriptor():
    """Else the copy would not link."""
    source = re.search(r"Copy `(kernels/\S+)\.c`", (ROOT / "CONTRIBUTING.md").read_text())[1]
    symbols = subprocess.run(["nm", "-g", "--defined-only", "--format=posix",
                              BUILD / f"{source}.o"], capture_output=True, text=True, check=True)
    names = [line.split()[0] for line in symbols.stdout.splitlines()]
    assert [name for name in names if not name.startswith("__")] == [
        source.removeprefix("kernels/").replace("/", "_")]
