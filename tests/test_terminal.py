"""What a person at a terminal sees: progress on one line, and no escape codes anywhere."""

import os
import pty
import re
import subprocess
import termios

import pytest

from conftest import BUILD, ROOT

TINY = ["run", "-k", "rnn/hoisted,roof/empty", "-S", "4,5", "-H", "8", "--rounds", "2", "--budget", "0"]
STEP = re.compile(r"\d+/10 round [12]  \d+\.\d cases/s  \d+:\d\d left  (\S+ ){2}S=")


def on_terminal(arguments, columns=80, **environment):
    """What a program writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    process = subprocess.Popen(list(map(str, arguments)), stdin=theirs, stdout=theirs, stderr=theirs,
                               env={**os.environ, **environment})
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # nobody holds the other end any more
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0, written
    return written.decode()


@pytest.mark.parametrize("columns", [30, 80, 200])
def test_progress_renews_one_line_of_the_terminal(tmp_path, columns):
    text = on_terminal([BUILD / "seqbench", *TINY, "-o", tmp_path / "run"], columns)
    renewed = [line for line in re.split(r"\r\n|\r", text) if re.match(r"\d+/10 round", line)]
    assert renewed and {len(line) for line in renewed} == {columns - 1}
    whole = renewed[-1].rstrip()
    assert whole.startswith("10/10 round 2  ")
    assert STEP.match(whole) or columns < 80


def test_progress_elsewhere_is_a_line_now_and_then(seqbench, tmp_path):
    process = seqbench(*TINY, "-o", tmp_path / "run")
    assert process.returncode == 0, process.stderr
    lines = [line for line in process.stderr.splitlines() if "cases/s" in line]
    assert len(lines) == 1 and STEP.match(lines[0].removeprefix("seqbench: ")), process.stderr
    assert "\r" not in process.stderr


@pytest.mark.parametrize("arguments", [
    TINY, ["--help"], ["list", "-k", "rnn/*"], ["check", "-k", "rnn/literal"], ["doctor"]],
    ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {}], ids=["NO_COLOR", "colours allowed"])
def test_nothing_is_coloured(tmp_path, arguments, environment):
    """So NO_COLOR has nothing to turn off."""
    where = ["-o", tmp_path / "run"] if arguments is TINY else []
    text = on_terminal([BUILD / "seqbench", *arguments, *where], TERM="xterm-256color", **environment)
    assert text and "\x1b" not in text


@pytest.mark.parametrize("script", ["answer.py", "summarise.py"])
def test_scripts_colour_nothing(script):
    run = ROOT / "results" / "amd-epyc-25-17" / "h384"
    arguments = [run] if script == "answer.py" else ["--help"]
    text = on_terminal(["/usr/bin/python3", "-B", ROOT / "scripts" / script, *arguments],
                       TERM="xterm-256color", NO_COLOR="1")
    assert text and "\x1b" not in text
