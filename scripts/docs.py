#!/usr/bin/python3
"""Write into the README what runs say: each generated section again, between its markers."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.read import runs
from seqbench.words import sections


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="docs.py", description=__doc__)
    parser.add_argument("readme", type=Path, metavar="README")
    parser.add_argument("folders", nargs="*", metavar="SECTION=FOLDER",
                        help="path from the README's folder; the same as before where not named")
    options = parser.parse_args(arguments)

    def work() -> None:
        folders = dict(pair.partition("=")[::2] for pair in options.folders)
        runs.write_text(options.readme, sections.renewed(options.readme, folders))

    return runs.exit_status("docs.py", work)


if __name__ == "__main__":
    sys.exit(main())
