"""A whole run on a tiny grid, from the command line to the figures, and runs that must end early."""

import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from conftest import BUILD, ROOT
from seqbench.read import runs

README = ROOT / "results" / "README.md"
CORE = max(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def run_dir(seqbench, tmp_path_factory):
    """Every kernel but the large roofs, two rounds."""
    path = tmp_path_factory.mktemp("results") / "deep" / "run"
    process = seqbench("run", "-k", "rnn*,lstm*,transformer*,roof/empty,roof/fma", "-S", "4,9",
                       "-H", "8,16", "--heads", "2", "--rounds", 2, "--seed", 11, "--cpu", CORE, "--budget", 0,
                       "-o", path)
    assert process.returncode == 0, process.stderr
    assert process.stdout == f"{path}\n"
    assert re.search(r"^seqbench: core \d+, .* rounds of .* cases, about \d+:\d\d, into ", process.stderr, re.M)
    assert "inside timed kernels" in process.stderr.splitlines()[-1]
    return path


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_run_writes_its_files(run_dir):
    assert sorted(path.name for path in run_dir.iterdir()) == [
        "checks.csv", "host.json", "kernels.csv", "plan.csv", "samples.csv", "topology.xml"]


@pytest.mark.parametrize("name", ["samples.csv", "plan.csv", "kernels.csv", "checks.csv"])
def test_files_are_as_the_dictionary_says(run_dir, name):
    runs.validate(run_dir / name, README)


def test_every_planned_visit_has_samples_in_order(run_dir):
    plan = rows(run_dir / "plan.csv")
    samples = rows(run_dir / "samples.csv")
    keys = ["order", "round", "kernel", "engine", *runs.DIMENSIONS]
    visited = []
    for row in samples:
        key = [row[name] for name in keys]
        if not visited or visited[-1] != key:
            visited.append(key)
    assert visited == [[row[name] for name in keys] for row in plan]
    cells = {(row["kernel"], row["engine"]): set() for row in rows(run_dir / "kernels.csv")}
    for row in plan:
        cells[row["kernel"], row["engine"]].add((row["seq_len"], row["hid_size"]))
    assert len(plan) == 2 * sum(map(len, cells.values()))
    grid = {(seq_len, hid_size) for seq_len in "49" for hid_size in ("8", "16")}
    assert cells["lstm/fused", "openblas"] == cells["lstm/fused", "packed"] == grid
    assert cells["transformer.softmax", "none"] == grid
    assert cells["rnn.step", "packed"] == {("1", "8"), ("1", "16")}
    assert all(cells.values())
    identities = {tuple(row[name] for name in keys + ["sample"]) for row in samples}
    assert len(identities) == len(samples)


def test_samples_are_long_enough_and_stay_on_their_core(run_dir):
    for row in rows(run_dir / "samples.csv"):
        assert row["status"] == "ok" and row["error"] == ""
        assert float(row["wall_ns"]) >= 10e6
        assert int(row["iterations"]) >= 1
        assert int(row["cpu_before"]) == int(row["cpu_after"]) == CORE


def test_every_timed_kernel_was_checked(run_dir):
    checks = rows(run_dir / "checks.csv")
    timed = {row["kernel"] for row in rows(run_dir / "samples.csv")}
    assert {row["kernel"] for row in checks} == timed
    assert all(row["verdict"] == "PASS" and float(row["error"]) <= float(row["bound"])
               for row in checks)


def test_host_json_tells_how_the_run_was_made(run_dir):
    host = json.loads((run_dir / "host.json").read_text())
    assert set(host) == {"cpu", "machine", "os", "build", "libraries", "engines", "run"}
    run = host["run"]
    assert (run["seed"], run["rounds"], run["flush_to_zero"]) == ("11", 2, True)
    assert (run["seq_len"], run["hid_size"], run["heads"]) == ([4, 9], [8, 16], [2])
    assert host["cpu"]["measured_core"] == CORE


def test_topology_is_xml_without_names_or_serials(run_dir):
    text = (run_dir / "topology.xml").read_text()
    tree = xml.etree.ElementTree.fromstring(text)
    names = {info.get("name") for info in tree.iter("info")}
    assert names and not {name for name in names
                          if "Serial" in name or "Host" in name or "UUID" in name or "DMI" in name}
    assert f'"{os.uname().nodename}"' not in text


def without_flags(run_dir, folder):
    """A copy whose samples count as undisturbed, whatever this machine was doing."""
    shutil.copytree(run_dir, folder)
    kept = rows(folder / "samples.csv")
    with open(folder / "samples.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, kept[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "flags": ""} for row in kept)
    return folder


def test_scripts_follow_the_run(run_dir, tmp_path):
    folder = without_flags(run_dir, tmp_path / "run")
    for script in ("summarise.py", "plot.py", "answer.py"):
        process = subprocess.run([sys.executable, "-B", ROOT / "scripts" / script, folder],
                                 capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
    for name in ("summary.csv", "crossover.csv", "roofline.csv", "fit.csv", "claims.csv"):
        runs.validate(folder / name, README)
    assert "lstm" in process.stdout and "transformer" in process.stdout
    for figure in ("us_per_token", "relative", "roofs", "roofline", "parts"):
        assert (folder / "figures" / f"{figure}.svg").stat().st_size > 1000
        assert (folder / "figures" / f"{figure}.png").stat().st_size > 1000


def test_no_ftz_is_recorded(seqbench, tmp_path):
    assert seqbench("run", "-k", "roof/empty", "--rounds", 1, "--budget", 0, "--no-ftz",
                    "-o", tmp_path / "run").returncode == 0
    assert json.loads((tmp_path / "run" / "host.json").read_text())["run"]["flush_to_zero"] is False


def test_folder_is_named_after_cpu_and_time(seqbench, tmp_path):
    process = seqbench("run", "-k", "roof/empty", "--rounds", 1, "--budget", 0, cwd=tmp_path)
    folder = pathlib.Path(process.stdout.strip())
    assert folder.parts[0] == "results" and len(folder.parts) == 3
    cpu = json.loads((tmp_path / folder / "host.json").read_text())["cpu"]
    words = re.findall("[a-z0-9]+", cpu["model"].lower().replace("unknown", "unknown cpu"))
    if not re.search("[0-9]", cpu["model"]) and cpu["family"] != "unknown":
        words += [cpu["family"], cpu["model_number"]]
    assert folder.parts[1] == "-".join(words)
    assert (tmp_path / folder / "samples.csv").exists()


# runs that must not start, or must stop


def stops(process, *words, status=2):
    assert process.returncode == status, process
    last = process.stderr.splitlines()[-1]
    assert last.startswith("seqbench: ") and all(word in last for word in words), process.stderr
    assert process.stdout == ""


def test_folder_that_exists_is_left_alone(seqbench, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("precious")
    stops(seqbench("run", "-k", "roof/empty", "-o", tmp_path / "run"), "exists already")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine"]


def test_folder_that_cannot_be_made(seqbench, tmp_path):
    (tmp_path / "file").write_text("")
    stops(seqbench("run", "-k", "roof/empty", "-o", tmp_path / "file" / "run"), "Not a directory")
    stops(seqbench("run", "-k", "roof/empty", "-o", "/proc/run"), "/proc/run")
    stops(seqbench("run", "-k", "roof/empty", "-o", ""), "the name is empty")


def limited_run(kib, *arguments):
    """A file size limit stands for the full disk."""
    return subprocess.run(["bash", "-c", f'ulimit -f {kib}; exec "$@"', "bash", BUILD / "seqbench",
                           "run", *map(str, arguments)], capture_output=True, text=True)


def test_disk_full_before_the_first_sample_leaves_nothing(tmp_path):
    stops(limited_run(2, "-k", "rnn/*", "-S", "4", "-H", "8", "-o", tmp_path / "run"),
          "host.json", "File too large")
    assert list(tmp_path.iterdir()) == []


def test_disk_full_during_the_run_keeps_whole_rows(tmp_path):
    stops(limited_run(16, "-k", "rnn/*", "-S", "4:13:+1", "-H", "4", "--rounds", 2, "--budget", 0,
                      "-o", tmp_path / "run"),
          "samples.csv: cannot write the next row: File too large")
    runs.validate(tmp_path / "run" / "samples.csv", README)
    assert len(rows(tmp_path / "run" / "samples.csv")) > 10




@pytest.mark.parametrize("command, duration", [
    (["run", "-k", "roof/empty", "--budget", "600"], ", about 0:01, at most 10:00, into "),
    (["run", "-k", "roof/empty", "--budget", "0"], ", about 0:01, into "),
    (["stream", "-k", "rnn/registers", "-S", "1", "-H", "8", "--calls", "9", "--conditions", "hot",
      "--budget", "120"], " cases, at most 2:00, into ")])
def test_run_says_how_long_it_will_take(seqbench, tmp_path, command, duration):
    process = seqbench(*command, "--rounds", 2, "--pause-after", 1, "-o", tmp_path / "run")
    assert process.returncode == 0, process.stderr
    assert duration in process.stderr.splitlines()[0]
