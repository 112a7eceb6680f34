#!/usr/bin/python3
"""Set runs side by side that differ in the width of vectors: width.csv, a table and figures."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.figures import plot, width
from seqbench.read import hosts, runs
from seqbench.tables import widths
from seqbench.words import parallel


def compare(folders: list[Path], output: Path) -> None:
    """Read the runs, write width.csv and the figures, print the answer."""
    table = widths.widths(folders)
    runs.make_folder(output)
    runs.write_text(output / "width.csv", runs.csv_text(table))
    print(parallel.width_text(table))
    caption = hosts.machine_name(hosts.load(folders[0]))
    plot.write_one("width", lambda: width.draw_quotients(table), width.QUOTIENTS, caption, output)
    crossings = widths.crossings(folders)
    plot.write_one("width_crossings", lambda: width.draw_crossings(crossings), width.CROSSINGS,
                   caption, output)
    print(f"written to {output}")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="width.py", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_DIR",
                        help="runs of builds by `make LANES=n`, with their derived tables")
    parser.add_argument("-o", dest="output", type=Path, metavar="DIR", required=True)
    options = parser.parse_args(arguments)
    return runs.exit_status("width.py", lambda: compare(options.folders, options.output))


if __name__ == "__main__":
    sys.exit(main())
