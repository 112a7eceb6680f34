"""Write into pages what runs say: each generated section again, between its markers."""
from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seqbench.figures import FIGURES, streaming as stream_drawing, width
from seqbench.read import hosts, runs
from seqbench.tables import ratios
from seqbench.words import (answer, chunks, comparison, layers, libraries, machines, models, noise_floor,
                            parallel, peer_tables, precision, streaming, trust, wording)
from seqbench.words.phrases import LANGUAGES

SECTION = re.compile(r"<!-- (?P<what>\w+) of (?P<folder>\S+), written by `make docs` -->\n.*?"
                     r"<!-- end of the (?P=what) -->\n", re.DOTALL)
FRONT_FIGURE, SIZE_FIGURE = "fastest", "one_size"
AT_HID_SIZE = 384  # of the times on the front page, or the nearest that was timed


@dataclass(frozen=True)
class Source:
    """The runs that a section is made from, by their paths from the root of the project."""
    root: Path
    page: Path  # the page that the section stands in
    folders: list[str]

    @property
    def first(self) -> Path:
        """The run, or the first of several."""
        return self.root / self.folders[0]

    @property
    def every(self) -> list[Path]:
        """All of them."""
        return [self.root / folder for folder in self.folders]

    def link(self, folder: Path | str) -> str:
        """The path of a folder from the page."""
        return os.path.relpath(self.root / folder, self.page.parent)

    def figure(self, name: str) -> str:
        """A figure of the first run."""
        alt = next(figure.alt for figure in FIGURES if figure.name == name)
        return f"![{alt}]({self.link(self.first)}/figures/{name}.png)"


def bullets(lines: list[str]) -> str:
    """Sentences as a list."""
    return "\n".join(f"- {line}" for line in lines)


# ---- front pages -------------------------------------------------------------------------------


def front(source: Source, language: str = "en") -> str:
    """The one figure and three sentences."""
    phrases = LANGUAGES[language]
    words = answer.front(source.first, runs.load_summary(source.first), phrases)
    if len(source.every) > 1:  # a folder of `make width`
        words = [*words[:2], parallel.front(source.every[1], phrases)]
    return "\n\n".join([source.figure(FRONT_FIGURE), bullets(words)])


def front_zh(source: Source) -> str:
    """The same in Chinese."""
    return front(source, "zh")


def one_size(source: Source) -> str:
    """Every layer at one HidSize: a figure and a table."""
    told = answer.of_run(source.first)
    size = wording.nearest(told.at_equal_size.hid_size, AT_HID_SIZE)
    header, lines = answer.time_table(told, size, answer.table_lengths(told))
    table = header, [line for line in lines if line[0] in layers.FIRST]
    return "\n\n".join([source.figure(SIZE_FIGURE), wording.markdown_table(*table)])


def times(source: Source) -> str:
    """Every layer at that HidSize."""
    told = answer.of_run(source.first)
    size = wording.nearest(told.at_equal_size.hid_size, AT_HID_SIZE)
    return "\n\n".join([answer.times_title(size), wording.markdown_table(
        *answer.time_table(told, size, answer.table_lengths(told)))])


def example(source: Source) -> str:
    """What a run of a few sizes prints."""
    return f"```\n{answer.answer(source.first)}\n```"


# ---- pages -------------------------------------------------------------------------------------


def answer_section(source: Source) -> str:
    """The machine, the sentences, and the figure."""
    summary, host = runs.load_summary(source.first), hosts.load(source.first)
    machine = f"{answer.machine_sentence(host)} {answer.cache_sentence(host)}".strip()
    return "\n\n".join([machine, bullets(answer.sentences(source.first, summary)),
                        source.figure(FRONT_FIGURE)])


def crossings(source: Source) -> str:
    """Where each layer takes less time, through each lens that the run has."""
    told = answer.of_run(source.first)
    found = []
    for lens in (ratios.PARAMETER, ratios.LAYER, ratios.MIXER):
        rows = answer.crossing_rows(told, lens)
        if len(rows):
            header, lines = answer.crossing_table(rows, sorted(set(rows.hid_size)))
            found += [answer.LENS_TITLES[lens], wording.markdown_table(
                header[1:], [line[1:] for line in lines])]
    return "\n\n".join(found)


def width_figures(source: Source) -> str:
    """The figures of a folder of `make width`."""
    found = [("width", width.QUOTIENTS), ("width_crossings", width.CROSSINGS)]
    return "\n".join(f"![{alt}]({source.link(source.first)}/figures/{name}.png)"
                     for name, alt in found)


def stream_figure(source: Source) -> str:
    """The figure of a folder of `make stream`."""
    return f"![{stream_drawing.TITLE}]({source.link(source.first)}/figures/stream.png)"


def figures(source: Source) -> str:
    """All figures of the run but those of the front page, and what the roofs tell."""
    names = [figure.name for figure in FIGURES if figure.name not in (FRONT_FIGURE, SIZE_FIGURE)
             and (source.first / "figures" / f"{figure.name}.png").exists()]
    words = answer.roof_sentences(source.first, runs.load_summary(source.first))
    return "\n\n".join([bullets(words), "\n".join(source.figure(name) for name in names)])


SECTIONS: dict[str, Callable[[Source], str]] = {
    "front": front, "front_zh": front_zh, "one_size": one_size, "example": example,
    "sizes": lambda source: layers.first_section(source.first),
    "trusted": lambda source: trust.front(source.first),
    "answer": answer_section, "crossings": crossings, "figures": figures,
    "claims": lambda source: answer.claims_table(source.every),
    "times": times, "layers": lambda source: layers.section(source.first),
    "chunks": lambda source: chunks.text(runs.load_derived(source.first, "chunks.csv")),
    "mixers_figure": lambda source: source.figure("mixers"),
    "forms": lambda source: layers.forms_section(source.first),
    "decode": lambda source: layers.decode_section(source.first),
    "peers": lambda source: peer_tables.section(source.first),
    "peers_in_bf16": lambda source: peer_tables.section(source.first),
    "peers_in_int8": lambda source: peer_tables.section(source.first),
    "peers_eager": lambda source: peer_tables.eager_section(source.first),
    "peers_of_batches": lambda source: peer_tables.batch_section(source.first),
    "noise": lambda source: noise_floor.section(source.first, source.link),
    "trust": lambda source: trust.section(source.first),
    "machines": lambda source: machines.section(source.root, source.folders, source.link),
    "parallel": lambda source: parallel.section(*source.every),
    "width": lambda source: parallel.width_section(source.first),
    "width_figures": width_figures,
    "width_shares": lambda source: parallel.width_shares(source.first),
    "batch": lambda source: parallel.batch_section(source.first),
    "batch_figure": lambda source: source.figure("batch"),
    "cores_figure": lambda source: source.figure("cores"),
    "cores": lambda source: parallel.cores_section(source.first),
    "expected": lambda source: parallel.expected_section(*source.every),
    "precision_answer": lambda source: precision.answer_section(source.first),
    "precision": lambda source: precision.gain_section(source.first),
    "precision_shares": lambda source: precision.share_section(source.first),
    "precision_crossings": lambda source: precision.crossing_section(source.first),
    "precision_figures": lambda source: "\n".join(
        map(source.figure, ("precision", "precision_crossings"))),
    "accuracy": lambda source: precision.accuracy_section(source.first),
    "accuracy_growth": lambda source: precision.growth_section(source.first),
    "blas": lambda source: bullets([libraries.sentences(folder) for folder in source.every]),
    "models": lambda source: models.section(source.first),
    "models_differ": lambda source: models.differences(),
    "streaming": lambda source: streaming.section(source.first),
    "stream_figure": stream_figure,
    "stream_times": lambda source: streaming.times_section(source.first),
    "stream_peers": lambda source: streaming.peers_section(source.first),
    "stream_peers_audio": lambda source: streaming.peers_section(source.first),
    "stream_chunks": lambda source: streaming.chunks_section(source.first),
    "compare": lambda source: comparison.section(source.first, source.link(source.first)),
}


def section(root: Path, page: Path, what: str, folder: str) -> str:
    """A section with its markers."""
    if what not in SECTIONS:
        raise runs.RunError(f"{page}: no section is called '{what}', but {', '.join(SECTIONS)}")
    text = SECTIONS[what](Source(root, page, folder.split("+")))
    return (f"<!-- {what} of {folder}, written by `make docs` -->\n"
            f"{wording.without_tags(text)}\n<!-- end of the {what} -->\n")


def names_in(page: Path) -> list[str]:
    """The sections of a page."""
    return [match["what"] for match in SECTION.finditer(runs.read_text(page))]


def renewed(root: Path, page: Path, folders: dict[str, str]) -> str:
    """A page's text with its sections made again, from other folders where they are named."""
    return SECTION.sub(lambda match: section(root, page, match["what"],
                                             folders.get(match["what"], match["folder"])),
                       runs.read_text(page))


def renew(root: Path, folders: dict[str, str]) -> None:
    """Every page of the project that has sections."""
    root = root.resolve()
    pages = [page for page in sorted([*root.glob("*.md"), *root.glob("results/*.md")])
             if names_in(page)]
    known = {name for page in pages for name in names_in(page)}
    if missing := sorted(set(folders) - known):
        raise runs.RunError(f"{root}: no page has a section '{missing[0]}', "
                            f"only {', '.join(sorted(known))}")
    for page in pages:
        runs.write_text(page, renewed(root, page, folders))
