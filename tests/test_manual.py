"""The man page and bash's completion: both tell what the commands themselves say."""

import re
import shutil
import subprocess

import pytest

from conftest import BUILD
from test_cli import COMMANDS, KERNELS, refused, said


def flags_of(seqbench, command):
    """The options in the help of a command."""
    return re.findall(r"^  (-\S+?),?(?= |$)", said(seqbench(command, "--help")), re.MULTILINE)


# the man page


@pytest.fixture(scope="module")
def page(seqbench, tmp_path_factory):
    """The roff, and it as a reader sees it."""
    path = tmp_path_factory.mktemp("man") / "seqbench.1"
    path.write_text(said(seqbench("man")))
    return path


@pytest.mark.parametrize("judge, flags", [
    ("mandoc", ["-Tlint", "-Wwarning"]), ("groff", ["-man", "-ww", "-Tutf8", "-z"])])
def test_man_page_has_no_fault_that_a_formatter_knows(page, judge, flags):
    if not shutil.which(judge):
        pytest.skip(f"no {judge}: `make deps-dev` installs it")
    judged = subprocess.run([judge, *flags, page], capture_output=True, text=True)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


def test_man_page_names_every_command_and_option(seqbench, page):
    text = page.read_text()
    version = said(seqbench("--version")).split()[1].rstrip(",")
    assert re.match(rf'\.TH SEQBENCH 1 \S+ "seqbench {re.escape(version)}" ', text)
    options = [(flag.replace("\\-", "-"), takers.split(", ")) for flag, takers in re.findall(
        r"^\.TP\n\\fB(\S+?)\\fR.*\n.*\nOf ([a-z, ]+)\.$", text, re.MULTILINE)]
    names = re.search(r"^\.SH COMMANDS\n(.*?)^\.SH", text, re.MULTILINE | re.DOTALL)[1]
    assert tuple(re.findall(r"^\\fB([a-z]+)\\fR", names, re.MULTILINE)) == COMMANDS
    for command in COMMANDS:
        told = [flag for flag, takers in options if command in takers]
        assert told == flags_of(seqbench, command)[:-1], command  # -h stands apart
    assert "deadline" not in text  # an option of rounds, which no person starts


def test_man_page_can_be_copied_from(page):
    """A bare hyphen or quote of roff may become a typographic one, which no shell knows."""
    _, *lines = page.read_text().splitlines()
    for line in lines:
        assert not re.search(r"(?<!\\)-|'", line), line
    if shutil.which("groff"):
        seen = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", page], capture_output=True,
                              text=True, check=True).stdout
        for words in ("--conditions", "'lstm/*,rnn.step,!*/full'", 'seqbench-report "$run"',
                      "-k 'lstm/*,transformer/*' -S 64,512"):
            assert words in seen, words


# completion


def complete(*words, cwd=None):
    """What bash offers for the last of the words behind the program."""
    line = [BUILD / "seqbench", *words]
    script = ('eval "$("$1" completion)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_seqbench "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"; '
              '((${#COMPREPLY[@]} == 0)) || printf "%s\\n" "${COMPREPLY[@]}"')
    process = subprocess.run(["bash", "--norc", "-c", script, "bash", *map(str, line)], text=True,
                             capture_output=True, cwd=cwd, timeout=60)
    assert (process.returncode, process.stderr) == (0, ""), process.stderr
    return process.stdout.splitlines()


def test_completion_offers_commands():
    assert complete("") == [*COMMANDS, "help", "--help", "--version"]
    assert complete("pl") == complete("help", "pl") == ["plan"]
    assert complete("fly") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_completion_offers_the_options_of_a_command(seqbench, command):
    assert complete(command, "-") == [*flags_of(seqbench, command), "--help"]
    assert complete(command, "fly", "--") == [
        flag for flag in complete(command, "-") if flag.startswith("--")]


def test_completion_offers_kernels_and_goes_on_with_lists():
    names = sorted({row["kernel"] for row in KERNELS})
    lstm = [name for name in names if name.startswith("lstm/")]
    assert sorted(complete("run", "-k", "")) == names
    assert sorted(complete("list", "-k", "lstm/")) == lstm
    assert sorted(complete("check", "-k", "gru/*,lstm/")) == [f"gru/*,{name}" for name in lstm]
    assert sorted(complete("dump", "-k", "*,!lstm/")) == [f"*,!{name}" for name in lstm]


@pytest.mark.parametrize("words", [["--engine", "packed-b"], ["--engine", "=", "packed-b"]])
def test_completion_offers_engines(words):
    assert complete("run", *words) == ["packed-bf16"]


def test_completion_offers_all_engines_where_that_is_a_word():
    engines = {row["engine"] for row in KERNELS}
    for words in (["--engine", ""], ["--engine", "="]):
        assert set(complete("plan", *words)) == engines | {"all"}
    assert set(complete("dump", "--engine", "")) == engines


def test_completion_offers_every_built_in_grid(seqbench, tmp_path):
    offered = [set(complete(command, "-g", "", cwd=tmp_path)) for command in ("run", "stream", "accuracy")]
    process = seqbench("plan", "-g", "no/such/grid")
    refused(process, "is neither")
    known = re.search(r"is neither (.*) nor a file", process.stderr)[1].split(", ")
    assert set.union(*offered) == set(known) and sum(map(len, offered)) == len(known)
    for command, grids in zip(("run", "stream", "accuracy"), offered):
        assert all(grid in said(seqbench(command, "--help")) for grid in grids)


def test_completion_offers_files_and_folders(tmp_path):
    (tmp_path / "my.grid").write_text("")
    (tmp_path / "my folder").mkdir()
    assert complete("run", "-g", "my.", cwd=tmp_path) == ["my.grid"]
    assert complete("run", "-k", "x", "-o", "m", cwd=tmp_path) == ["my folder"]
    assert complete("verify", "/us", cwd=tmp_path) == ["/usr"]


@pytest.mark.parametrize("words", [["--rounds", ""], ["-S", ""], ["--budget", "1"]])
def test_completion_offers_nothing_for_numbers(words):
    assert complete("run", *words) == []


def test_completion_offers_words_of_an_option():
    assert complete("run", "--cache", "") == ["hot", "cold"]
    assert complete("run", "--cache", "c") == ["cold"]
