#!/usr/bin/python3
"""Set runs side by side that differ in the length of chunks: chunks.csv and a table."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.read import runs
from seqbench.tables import chunks
from seqbench.words import chunks as words


def compare(folders: list[Path], output: Path) -> None:
    """Read the runs, write chunks.csv, print the answer."""
    table = chunks.chunks(folders)
    runs.make_folder(output)
    runs.write_text(output / "chunks.csv", runs.csv_text(table))
    print(words.text(table))
    print(f"written to {output}")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="chunks.py", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_DIR",
                        help="runs of builds by `make CHUNK=n`, with their derived tables")
    parser.add_argument("-o", dest="output", type=Path, metavar="DIR", required=True)
    options = parser.parse_args(arguments)
    return runs.exit_status("chunks.py", lambda: compare(options.folders, options.output))


if __name__ == "__main__":
    sys.exit(main())
