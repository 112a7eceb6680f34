#!/usr/bin/python3
"""Write the answer of a run into the README, between its markers."""
from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import answer
import runs

BLOCK = re.compile(r"<!-- answer of (?P<run>\S+), written by `make docs` -->\n.*?"
                   r"<!-- end of the answer -->\n", re.DOTALL)
CLAIMS = "What the article states, line by line (the rules stand in results/README.md):"
FIGURES = {
    "relative": "Transformer time over the time of each layer, for every SeqLen and HidSize",
    "us_per_token": "Time per token over SeqLen, one panel per HidSize",
    "roofs": "GFLOP/s of each kernel under the measured roofs, and read bandwidth by working set",
    "roofline": "Time of each layer over the least that the roofs allow, over HidSize",
    "parts": "Shares of the parts of each layer over SeqLen",
}


def block(root: Path, run: str) -> str:
    """The generated part of the README for one run, named by its path from the README."""
    figures = [f"![{text}]({run}/figures/{name}.png)" for name, text in FIGURES.items()]
    words = answer.answer(root / run, markdown=True)
    return (f"<!-- answer of {run}, written by `make docs` -->\n" +
            "\n\n".join([figures[0], words, *figures[1:], CLAIMS, answer.claims_table(root / run)])
            + "\n<!-- end of the answer -->\n")


def renewed(readme: Path, run: str | None) -> str:
    """The README's text with its block made again, from another run if one is named."""
    text = runs.read_text(readme)
    found = BLOCK.findall(text)
    if len(found) != 1:
        raise runs.RunError(f"{readme}: {len(found)} blocks between the markers of an answer, not 1")
    return BLOCK.sub(lambda _: block(readme.parent, run or found[0]), text)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="docs.py", description=__doc__)
    parser.add_argument("readme", type=Path, metavar="README")
    parser.add_argument("run", nargs="?", metavar="RUN_DIR",
                        help="path of the run from the README's folder; the same run as before")
    options = parser.parse_args(arguments)
    return runs.exit_status("docs.py", lambda: runs.write_text(
        options.readme, renewed(options.readme, options.run)))


if __name__ == "__main__":
    sys.exit(main())
