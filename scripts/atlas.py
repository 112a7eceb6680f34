#!/usr/bin/python3
"""Draw the atlas of CPUs from the files of results/atlas: ATLAS.md, atlas/index.html and a figure."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.figures import atlas as drawing
from seqbench.figures import plot
from seqbench.page import atlas as page
from seqbench.read import atlas, runs
from seqbench.tables import atlas as tables
from seqbench.words import atlas as words


def draw(folder: Path) -> None:
    """Read the entries of a folder; write its page, its figure, and ATLAS.md beside it."""
    entries, table = tables.load(folder)
    runs.write_text(folder.parent / "ATLAS.md", words.markdown(entries, table))
    runs.write_text(folder / page.INDEX, page.page(entries, table))
    plot.write_one("atlas", lambda: drawing.draw(table), drawing.TITLE, words.count(entries), folder)
    print(f"{folder.parent / 'ATLAS.md'}, {folder / page.INDEX}: {len(entries)} machines")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="atlas.py", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", default=atlas.FOLDER,
                        help="where the entries are (results/atlas)")
    options = parser.parse_args(arguments)
    return runs.exit_status("atlas.py", lambda: draw(options.folder))


if __name__ == "__main__":
    sys.exit(main())
