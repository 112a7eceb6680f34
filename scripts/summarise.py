#!/usr/bin/python3
"""Derive summary.csv and crossover.csv from the samples of a run folder."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import runs


def summarise(run_dir: Path) -> None:
    """Write both files of one run."""
    until = runs.host_value(runs.load_host(run_dir), "run", "until") or runs.UNTIL
    summary = runs.summarise(runs.load_samples(run_dir), until)
    runs.write_text(run_dir / "summary.csv", runs.csv_text(summary))
    runs.write_text(run_dir / "crossover.csv", runs.csv_text(runs.crossover(summary)))


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="summarise.py", description=__doc__)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    run_dir = parser.parse_args(arguments).run_dir
    return runs.exit_status("summarise.py", lambda: summarise(run_dir))


if __name__ == "__main__":
    sys.exit(main())
