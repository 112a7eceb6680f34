"""Write into the README what runs say: each generated section again, between its markers."""
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from seqbench.figures import FIGURES
from seqbench.read import runs
from seqbench.words import (answer, comparison, layers, machines, noise_floor, peer_tables,
                            wording)

SECTION = re.compile(r"<!-- (?P<what>\w+) of (?P<folder>\S+), written by `make docs` -->\n.*?"
                     r"<!-- end of the (?P=what) -->\n", re.DOTALL)
CLAIMS = "What the article states, line by line (the rules stand in results/README.md):"


def answer_section(root: Path, folder: str) -> str:
    """The answer, its figures and the claims; further runs, after a +, fill up the claims."""
    folder, *more = folder.split("+")
    figures = [f"![{figure.alt}]({folder}/figures/{figure.name}.png)" for figure in FIGURES]
    words = answer.answer(root / folder, markdown=True)
    return "\n\n".join([figures[0], words, "\n".join(figures[1:]), CLAIMS,
                        answer.claims_table([root / folder, *(root / name for name in more)])])


def layers_section(root: Path, folder: str) -> str:
    """All layers, from a run of every kernel."""
    return layers.section(root / folder)


def peers_section(root: Path, folder: str) -> str:
    """Ours beside the libraries, from what `make peers` wrote."""
    return peer_tables.section(root / folder)


def noise_section(root: Path, folder: str) -> str:
    """How far the numbers can be trusted."""
    return noise_floor.section(root, root / folder)


def machines_section(root: Path, folder: str) -> str:
    """Several machines side by side, from a run of each, with a + between."""
    return machines.section(root, folder.split("+"))


def compare_section(root: Path, folder: str) -> str:
    """Two runs side by side, from what `make compare` wrote."""
    return comparison.section(root / folder, folder)


SECTIONS: dict[str, Callable[[Path, str], str]] = {
    "answer": answer_section, "layers": layers_section, "peers": peers_section,
    "noise": noise_section, "machines": machines_section, "compare": compare_section}


def section(root: Path, what: str, folder: str) -> str:
    """A section with its markers; the folder is named by its path from the README."""
    if what not in SECTIONS:
        raise runs.RunError(f"README: no section is called '{what}', but {', '.join(SECTIONS)}")
    return (f"<!-- {what} of {folder}, written by `make docs` -->\n"
            f"{wording.without_tags(SECTIONS[what](root, folder))}\n<!-- end of the {what} -->\n")


def renewed(readme: Path, folders: dict[str, str]) -> str:
    """The README's text with its sections made again, from other folders where they are named."""
    text = runs.read_text(readme)
    found = [match["what"] for match in SECTION.finditer(text)]
    for what in folders:
        if found.count(what) != 1:
            raise runs.RunError(f"{readme}: {found.count(what)} sections '{what}', not 1")
    if not found:
        raise runs.RunError(f"{readme}: no section between markers")
    return SECTION.sub(lambda match: section(readme.parent, match["what"],
                                             folders.get(match["what"], match["folder"])), text)
