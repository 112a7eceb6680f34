#!/usr/bin/python3
"""Layers of named models: the grid of their shapes, or what a run of it says of them."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.read import runs
from seqbench.tables import models
from seqbench.words import models as words


def write(run_dir: Path) -> None:
    """models.csv beside the run, and a table."""
    runs.write_text(run_dir / "models.csv", runs.csv_text(models.of_run(run_dir)))
    print(words.text(run_dir))


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="models.py", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--grid", action="store_true",
                      help="print a grid of the shapes of scripts/models.csv and of their alternatives")
    what.add_argument("run_dir", type=Path, nargs="?", metavar="RUN_DIR",
                      help="a summarised run of that grid")
    options = parser.parse_args(arguments)
    return runs.exit_status("models.py", lambda: print(models.grid(), end="") if options.grid
                            else write(options.run_dir))


if __name__ == "__main__":
    sys.exit(main())
