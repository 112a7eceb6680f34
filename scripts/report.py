#!/usr/bin/python3
"""Write one self-contained HTML report of one or several run folders."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.page import report
from seqbench.read import runs


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="report.py", description=__doc__)
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE",
                        help="default: report.html in the run; of several runs, in results/")
    options = parser.parse_args(arguments)
    return runs.exit_status("report.py", lambda: report.report(options.run_dirs, options.out))


if __name__ == "__main__":
    sys.exit(main())
