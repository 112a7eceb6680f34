"""make install: what it puts where, and that it runs there without the checkout."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT, call_undisturbed

NAME = BUILD.relative_to(ROOT)
# Raises where Python opens a file of the checkout.
GUARD = f"""import sys
def guard(event, arguments):
    if event == "open" and str(arguments[0]).startswith({str(ROOT) + os.sep!r}):
        raise RuntimeError("the checkout is used: " + str(arguments[0]))
sys.addaudithook(guard)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The repository with a copy of what was built, so that make may build there."""
    folder = tmp_path_factory.mktemp("house")
    for path in ROOT.iterdir():
        if not path.name.startswith((".git", "build")):
            (folder / path.name).symlink_to(path)
    shutil.copytree(BUILD, folder / NAME, symlinks=True, ignore=shutil.ignore_patterns("*.d"))
    return folder


def make(house, goal, prefix, destdir=""):
    """`make` of a goal with that prefix."""
    made = subprocess.run(["make", "--no-print-directory", goal, f"BUILD={NAME}", f"PREFIX={prefix}",
                           f"DESTDIR={destdir}"], cwd=house, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=300)
    assert made.returncode == 0, made.stderr


def files(folder):
    """Names of all files and links below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")
                  if not path.is_dir() and "__pycache__" not in path.parts)


@pytest.fixture(scope="module")
def prefix(house, tmp_path_factory):
    """Installed below a folder whose name a shell would take apart, and run."""
    folder = tmp_path_factory.mktemp("to") / "a b';touch P;`touch P`'"
    make(house, "install", folder)
    return folder


def installed(prefix, tmp_path, *command):
    """A command of that prefix, called from a folder where nothing is; what it prints."""
    guard = tmp_path / "guard"
    guard.mkdir(exist_ok=True)
    (guard / "sitecustomize.py").write_text(GUARD)
    process = subprocess.run(list(map(str, command)), cwd=tmp_path, text=True,
                             capture_output=True, timeout=300, env={
                                 "PATH": f"{prefix / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path),
                                 "PYTHONPATH": str(guard), "LC_ALL": "C.UTF-8",
                                 "SEQBENCH_LOCKS": os.environ["SEQBENCH_LOCKS"]})
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_files_are_where_a_packager_expects_them(prefix, house):
    names = files(prefix)
    for name in ("bin/seqbench", "share/man/man1/seqbench.1", "share/doc/seqbench/LICENSE",
                 "share/bash-completion/completions/seqbench", "share/seqbench/results/README.md"):
        assert name in names
    assert {name.split("/")[0] for name in names} == {"bin", "share"}
    assert {"/".join(name.split("/")[:2]) for name in names if name.startswith("share/")} == {
        "share/bash-completion", "share/doc", "share/man", "share/seqbench"}
    assert not list(house.rglob("P")) and not list(prefix.parent.rglob("P"))


def test_modes_are_those_of_programs_and_files(prefix):
    for name in files(prefix):
        path = prefix / name
        is_program = path.resolve().parent.name in ("bin", "scripts") and path.suffix != ".csv"
        assert path.stat().st_mode & 0o777 == (0o755 if is_program else 0o644), name


def test_a_staged_install_holds_the_same_and_links_that_move(prefix, house, tmp_path):
    make(house, "install", "/opt/x", tmp_path)
    assert files(tmp_path / "opt" / "x") == files(prefix)
    for link in (tmp_path / "opt" / "x" / "bin").glob("seqbench-*"):
        assert not os.path.isabs(os.readlink(link)) and link.exists()


def test_uninstall_leaves_what_is_not_ours(house, tmp_path):
    make(house, "install", tmp_path / "usr")
    (tmp_path / "usr" / "bin" / "other").write_text("")
    make(house, "uninstall", tmp_path / "usr")
    assert files(tmp_path / "usr") == ["bin/other"]


def test_a_run_and_its_tables_need_no_checkout(prefix, tmp_path):
    run = installed(prefix, tmp_path, "seqbench", "run", "-k", "rnn/hoisted,transformer/tiled,roof/fma",
                    "-S", "4,8", "-H", "8", "--rounds", "2", "--budget", "0").strip()
    assert re.fullmatch(r"results/[a-z0-9-]+/\d{8}T\d{6}Z", run)
    call_undisturbed(tmp_path / run)
    for script in ("summarise", "plot", "report"):
        installed(prefix, tmp_path, f"seqbench-{script}", run)
    assert "Transformer block" in installed(prefix, tmp_path, "seqbench-answer", run)
    assert (tmp_path / run / "figures" / "us_per_token.svg").exists()
    page = (tmp_path / run / "report.html").read_text()
    assert "transformer" in page and str(ROOT) not in page
    shutil.copytree(tmp_path / run, tmp_path / "again")
    assert "no difference" in installed(prefix, tmp_path, "seqbench-compare", run, "again")


def test_use_of_the_checkout_would_be_seen(prefix, tmp_path):
    with pytest.raises(AssertionError, match="the checkout is used"):
        installed(prefix, tmp_path, ROOT / "scripts" / "report.py", "--help")


def test_a_stream_and_its_page_need_no_checkout(prefix, tmp_path):
    installed(prefix, tmp_path, "seqbench", "stream", "-k", "rnn/registers", "-S", "1", "-H", "8",
              "--rounds", "2", "--calls", "200", "--conditions", "hot", "-o", "s")
    installed(prefix, tmp_path, "seqbench-stream", "s", "-o", "s")
    assert (tmp_path / "s" / "stream.csv").exists()


def test_the_man_page_names_the_installed_commands(prefix):
    told = re.findall(r"^\\fB(seqbench\\-\w+)\\fR", (prefix / "share/man/man1/seqbench.1").read_text(), re.M)
    assert sorted(name.replace("\\-", "-") for name in told) == sorted(
        path.name for path in (prefix / "bin").iterdir() if path.name != "seqbench")


def test_bash_loads_the_completion(prefix, tmp_path):
    script = 'source "$1"; complete -p seqbench'
    assert "_seqbench" in installed(prefix, tmp_path, "bash", "-c", script, "bash",
                                    prefix / "share" / "bash-completion" / "completions" / "seqbench")
