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
    assert "seqbench stream" in dry.stdout and "--peers scripts/peers/torch.py" in dry.stdout and '--input "$INPUT"' in dry.stdout
    assert 'scripts/stream.py "$out" -o "$out"' in dry.stdout


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


def test_blis_is_a_build_of_its_own(house):
    dry = make(house, "-n", "V=1", "BLAS=blis", "BUILD_OF_ALL=build-blis", "all").stdout
    assert "scripts/deps missing use blis" in dry
    compiled = re.findall(r" -c -o (\S+)", dry)
    assert "build-blis/kernels/engines/blis.o" in compiled and "-DSEQBENCH_BLIS" in dry
    link, = [line for line in dry.splitlines() if " -o build-blis/seqbench " in line]
    assert 0 < link.index("/libopenblas.so ") < link.index("/libblis.so ")  # whose cblas_* are called
    without = make(house, "-n", "V=1", "BLAS=", "all").stdout
    assert "blis" not in without.replace(str(house), "")
    shown = make(house, "-n", "-p", "BLAS=blis", "LANES=1", "SAN=", "CHUNK=", "all").stdout
    assert re.search(r"^BUILD := build-blis-lanes1$", shown, re.M)
    made = make(house, "-n", "BLAS=mkl", "all")
    assert made.returncode == 2 and "BLAS=mkl: the BLAS that can be built in beside OpenBLAS is blis" in made.stderr


@pytest.mark.parametrize("groups, goal", [(["use"], "deps"), (["use", "blis"], "deps-blis"), (["peers"], "deps-peers")])
def test_what_is_missing_is_named_with_the_goal_that_installs_it(groups, goal):
    done = subprocess.run([ROOT / "scripts" / "deps", "missing", *groups], text=True, capture_output=True,
                          env={**os.environ, "BLAS_INCLUDE": "/no", "CC": "/no/cc", "CXX": "/no/c++", "PYTHON": "/no/python"})
    assert done.returncode == 2 and f"run 'make {goal}' to install them" in done.stderr
    assert ("libblis-serial-dev" in done.stderr) == ("blis" in groups)


@pytest.fixture
def prefix(tmp_path):
    """Another OpenBLAS, as its own `make install` lays it out: a copy of Debian's."""
    multiarch = subprocess.run(["gcc", "-print-multiarch"], text=True, capture_output=True).stdout.strip()
    folder = tmp_path / "prefix"
    shutil.copytree(f"/usr/include/{multiarch}/openblas-serial", folder / "include")
    (folder / "lib").mkdir()
    for name in ("libopenblas.so", "libopenblas.so.0"):
        shutil.copy(f"/usr/lib/{multiarch}/openblas-serial/{name}", folder / "lib" / name)
    return folder


def test_another_openblas_is_built_with_and_called(house, prefix):
    """By the commands of make, one file compiled and the program linked; the other files are of this build."""
    shutil.copytree(ROOT / BUILD, house / BUILD, symlinks=True, ignore=shutil.ignore_patterns("*.d"))
    program, engine = f"{BUILD}/seqbench", f"{BUILD}/kernels/engines/openblas"
    dry = make(house, "-n", "V=1", f"BUILD={BUILD}", f"OPENBLAS={prefix}", "all").stdout
    for target in (f"{engine}.o", program):
        (house / target).unlink()
        commands = [line for line in dry.splitlines() if f" -o {target} " in line]
        assert len(commands) == 1
        subprocess.run(commands[0], shell=True, check=True, cwd=house)
    assert f"{prefix}/include/cblas.h" in (house / f"{engine}.d").read_text()
    loaded = subprocess.run(["ldd", house / program], text=True, capture_output=True).stdout
    assert f"{prefix}/lib/libopenblas.so.0 " in loaded
    checked = subprocess.run([house / program, "check", "-k", "rnn/hoisted", "--engine", "openblas"],
                             text=True, capture_output=True)
    assert checked.returncode == 0 and "PASS rnn/hoisted" in checked.stdout


def test_another_openblas_is_told_in_the_build(house, prefix):
    make(house, "-n", "all", "BUILD=build", f"OPENBLAS={prefix}")
    assert f'SEQBENCH_BLAS_DIR "{prefix}/lib"' in (house / "build/gen/build_flags.h").read_text()
    made = make(house, "all", f"OPENBLAS={house}/nowhere")
    assert made.returncode == 2 and f"there is no cblas.h in {house}/nowhere/include" in made.stderr
