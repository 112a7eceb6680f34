#!/usr/bin/python3
"""Print which layer is faster at which size, from the summary of a run folder."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.read import runs
from seqbench.words import answer


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="answer.py", description=__doc__)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    options = parser.parse_args(arguments)
    return runs.exit_status("answer.py", lambda: print(answer.answer(options.run_dir)))


if __name__ == "__main__":
    sys.exit(main())
