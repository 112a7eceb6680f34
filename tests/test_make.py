"""Tests of the Makefile: names are data, nothing is built twice, bench says where its results are."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = os.environ.get("SEQBENCH_BUILD", "build")


# seqbench, but on a machine on which nothing disturbs a sample.
CALM = """#!/usr/bin/python3
import subprocess, sys
sys.path.insert(0, "{tests}")
import conftest
made = subprocess.run(["{seqbench}", *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
if sys.argv[1] == "run" and made.returncode == 0:
    conftest.call_undisturbed(made.stdout.strip())
print(made.stdout, end="")
sys.exit(made.returncode)
"""


@pytest.fixture
def house(tmp_path):
    """A folder that looks like the repository, with results of its own."""
    for name in ("Makefile", "scripts", "include", "kernels", "bench", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "README.md").symlink_to(ROOT / "results" / "README.md")
    return tmp_path


def make(house, *arguments, **environment):
    """`make` in that folder."""
    return subprocess.run(["make", "--no-print-directory", *arguments], cwd=house, text=True,
                          capture_output=True, env={**os.environ, **environment},
                          stdin=subprocess.DEVNULL, timeout=120)


@pytest.mark.parametrize("name", ["x';touch P;'", 'x";touch P;"', "x$(touch P)`touch P`"])
def test_the_name_of_a_folder_is_never_run(house, name):
    folder = house / "results" / name / "2099"
    folder.mkdir(parents=True)
    (folder / "samples.csv").write_text("kernel\n")
    for goal in ("plots", "report", "predict"):
        made = make(house, goal, "ROOFS=results")
        assert made.returncode != 0
        assert not list(house.rglob("P")), (goal, made.stdout, made.stderr)


def test_a_dry_run_lists_no_file_that_is_up_to_date(house):
    shutil.copytree(ROOT / BUILD, house / BUILD, symlinks=True,
                    ignore=shutil.ignore_patterns("*.d"))
    made = make(house, "-n", "all", f"BUILD={BUILD}")
    assert made.returncode == 0, made.stderr
    compiled = re.findall(r" -c -o (\S+)", made.stdout)
    assert compiled == [f"{BUILD}/bench/machine/host.o"]  # whose commit is unknown in that folder


@pytest.mark.parametrize("goal, words", [
    ("width", ["lanes1=build-lanes1/seqbench", "lanes4=build-lanes4/seqbench", "scripts/width.py"]),
    ("batch", ["build/seqbench run"])])
def test_width_and_batch_time_their_own_grids(house, goal, words):
    dry = make(house, "-n", goal, "BUILD_OF_ALL=build", "OUT=somewhere")
    assert dry.returncode == 0, dry.stderr
    assert all(word in dry.stdout for word in words)
    shown = make(house, "-n", "-p", goal).stdout
    assert re.search(rf"^{goal}: GRID = {goal}$", shown, re.M)


def test_chunks_are_builds_of_their_own(house):
    dry = make(house, "-n", "chunks", "BUILD_OF_ALL=build", "OUT=somewhere")
    assert dry.returncode == 0, dry.stderr
    assert all(f"chunk{n}=build-chunk{n}/seqbench" in dry.stdout for n in (16, 32, 64, 128))
    assert '-S "$S" -H "$H" --heads "$HEADS"' in dry.stdout and "scripts/chunks.py" in dry.stdout
    assert "-DSEQBENCH_CHUNK=32" in make(house, "-n", "V=1", "CHUNK=32", "all").stdout
    made = make(house, "-n", "CHUNK=10", "all")
    assert made.returncode == 2 and "CHUNK=10: chunks have 16 32 64 128 tokens" in made.stderr


def test_models_are_a_run_of_their_own_grid(house):
    dry = make(house, "-n", "models", "BUILD_OF_ALL=build", "OUT=somewhere")
    assert dry.returncode == 0, dry.stderr
    assert "scripts/models.py --grid > build/models.grid" in dry.stdout
    assert 'build/seqbench run -g "$GRID"' in dry.stdout and 'scripts/models.py "$dir"' in dry.stdout


@pytest.mark.parametrize("lists", ["HEADS=1,2", "BATCH=1,4"])
def test_width_refuses_lists_of_what_it_compares_at_one_of(house, lists):
    made = make(house, "-n", "width", lists)
    assert made.returncode == 2 and "width compares at one of HEADS and of BATCH" in made.stderr


def test_streams_of_peers_take_turns(house):
    dry = make(house, "-n", "stream-peers", "INPUT=1", "CPU=3", "OUT=somewhere", "have-deps=")
    assert 'scripts/turns --stream "$out" a=' in dry.stdout and '--input "$INPUT"' in dry.stdout
    assert 'scripts/stream.py "$out/a" "$out/b"' in dry.stdout


def test_bench_ends_with_where_its_results_are(house):
    dry = make(house, "-n", "bench", "OUT=somewhere").stdout
    last = [line for line in dry.splitlines() if "echo" in line][-2:]
    assert "$dir" in last[0] and last[1].strip() == 'echo "$dir/report.html"'


def test_bench_ends_with_the_page_that_it_has_written(house):
    """A whole tiny run, into a folder that is named; OUT is that folder and not the page."""
    program = house / "b" / "seqbench"
    program.parent.mkdir()
    program.write_text(CALM.format(tests=ROOT / "tests", seqbench=ROOT / BUILD / "seqbench"))
    program.chmod(0o755)
    (house / "tiny").write_text("S 4\nH 8\nrounds 2\nbudget 1\n")
    made = make(house, "-o", "all", "bench", "BUILD=b", "GRID=tiny", "OUT=here",
                "KERNELS=rnn/hoisted,transformer/tiled")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "here/report.html"
    page = (house / "here" / "report.html").read_text()
    assert "rnn" in page and "transformer" in page and not (house / "results" / "report.html").exists()
