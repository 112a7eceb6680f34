#!/usr/bin/python3
"""Make of a run the one file that the atlas of CPUs takes, without names, paths and times of day."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.read import runs
from seqbench.tables import sharing
from seqbench.words import atlas


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="share.py", description=__doc__)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("-o", dest="out", type=Path, metavar="FILE",
                        help="a file in results/atlas, named after the CPU and the libraries")
    options = parser.parse_args(arguments)
    return runs.exit_status("share.py", lambda: print(atlas.how_to_propose(
        *sharing.write(options.run_dir, options.out))))


if __name__ == "__main__":
    sys.exit(main())
