#!/usr/bin/python3
"""Write trust.csv: how often the intervals of a run hold the truth, and those of two runs."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.read import runs
from seqbench.tables import trust


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="trust.py", description=__doc__)
    parser.add_argument("run_dir", type=Path, metavar="RUN")
    parser.add_argument("other", type=Path, metavar="OTHER",
                        help="a run of the same cases on the same machine, made at another time")
    parser.add_argument("-o", dest="out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    return runs.exit_status("trust.py", lambda: print(trust.write(
        options.run_dir, options.other, options.out).to_string(index=False)))


if __name__ == "__main__":
    sys.exit(main())
