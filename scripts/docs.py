#!/usr/bin/python3
"""Write into README and pages what runs say: each generated section, between its markers."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqbench.read import runs
from seqbench.words import sections


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="docs.py", description=__doc__)
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of README and results/")
    parser.add_argument("folders", nargs="*", metavar="SECTION=FOLDER",
                        help="path from ROOT; the same as before where not named")
    options = parser.parse_args(arguments)
    folders = dict(pair.partition("=")[::2] for pair in options.folders)
    return runs.exit_status("docs.py", lambda: sections.renew(options.root, folders))


if __name__ == "__main__":
    sys.exit(main())
