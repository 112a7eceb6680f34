#!/usr/bin/python3
"""Sum up the calls of a stream, or of several that are parts of one: stream.csv and a figure."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.figures import plot, streaming as figure
from seqbench.read import hosts, runs
from seqbench.tables import streams
from seqbench.words import streaming


def sum_up(folders: list[Path], output: Path) -> None:
    """Read the runs, write stream.csv and the figure, print the tables."""
    table = streams.streams(folders)
    runs.make_folder(output)
    runs.write_text(output / "stream.csv", runs.csv_text(table))
    print(streaming.text(table))
    plot.write_one("stream", lambda: figure.draw(table), figure.TITLE,
                   hosts.machine_name(hosts.load(folders[0])), output)
    print(f"written to {output}")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="stream.py", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_DIR",
                        help="runs of `seqbench stream`")
    parser.add_argument("-o", dest="output", type=Path, metavar="DIR",
                        help="where to write (RUN_DIR, of several the first)")
    options = parser.parse_args(arguments)
    return runs.exit_status("stream.py", lambda: sum_up(
        options.folders, options.output or options.folders[0]))


if __name__ == "__main__":
    sys.exit(main())
