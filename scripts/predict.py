#!/usr/bin/python3
"""Predict every case and every crossover of a run from the roofs alone, and what other roofs do."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.read import runs
from seqbench.tables import prediction
from seqbench.words import predicted


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="predict.py", description=__doc__)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="summarised run")
    parser.add_argument("--roofs", type=Path, metavar="ROOFS_DIR",
                        help="summarised run whose roofs are taken; RUN_DIR")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR",
                        help="where the tables are written; ROOFS_DIR")
    parser.add_argument("--barrier", type=float, metavar="NS", default=prediction.BARRIER_NS,
                        help="what a step waits for the other cores, where there are several "
                             "(%(default)s)")
    options = parser.parse_args(arguments)
    if not 0 <= options.barrier < runs.LONGEST_NS:
        parser.error(f"--barrier: {options.barrier:g} is not a time in ns")
    return runs.exit_status("predict.py", lambda: print(predicted.report(
        options.run_dir, options.roofs or options.run_dir, options.out, options.barrier)))


if __name__ == "__main__":
    sys.exit(main())
