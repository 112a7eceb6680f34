#!/usr/bin/python3
"""Derive every table of a run folder, or of several, from its samples."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.read import runs
from seqbench.tables import derived


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="summarise.py", description=__doc__)
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR")
    run_dirs = parser.parse_args(arguments).run_dirs

    def work() -> None:
        for run_dir in run_dirs:
            derived.summarise(run_dir)

    return runs.exit_status("summarise.py", work)


if __name__ == "__main__":
    sys.exit(main())
