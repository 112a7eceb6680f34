#!/usr/bin/python3
"""Draw the figures of a run folder, from its summary, into RUN_DIR/figures."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.figures import plot
from seqbench.read import runs


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="plot.py", description=__doc__)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("--variants", choices=["fastest", "all"], default="fastest",
                        help="of each layer, in the figures of times and roofs")
    options = parser.parse_args(arguments)
    return runs.exit_status("plot.py",
                            lambda: plot.plot(options.run_dir, options.variants == "all"))


if __name__ == "__main__":
    sys.exit(main())
