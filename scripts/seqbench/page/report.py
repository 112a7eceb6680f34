"""Write one self-contained HTML report of one or several run folders."""
from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib
from markupsafe import Markup

from seqbench.figures import FIGURES, layout, svg
from seqbench.figures.drawing import (NAMES, PALETTE, STYLE, Drawing, Figure, Run, Skip,
                                      case_text, heat_looks, heat_panels, layer_hues, shade_of)
from seqbench.page import embed, stream, tables
from seqbench.read import hosts, runs
from seqbench.tables import models, ratios
from seqbench.words import answer, wording

MOST_BYTES = 5_000_000
FIRST_PANELS = 2  # on the first screen
SIZE_WANTED = {"s": 50, "h": 384}  # what the look-up shows first
LENSES = {ratios.PARAMETER: "models of equal size",
          ratios.LAYER: "layer for layer, as the article counts",
          ratios.MIXER: "in the place of attention"}


# ---- figures -----------------------------------------------------------------------------------


class Pictures:
    """Figures as markup: each panel by itself, with ids that no other picture has.

    Styles that repeat, and almost all do, stand once in `classes`.
    """

    def __init__(self) -> None:
        self.count = 0
        self.classes: dict[str, str] = {}

    def markup(self, sheet, label: str = "") -> Markup:
        """One picture."""
        def as_class(match: re.Match) -> str:
            return f'class="{self.classes.setdefault(match[1], f"s{len(self.classes)}")}"'

        self.count += 1
        text = svg.markup(sheet, label, f"p{self.count}-", is_themed=True)
        return Markup(re.sub(r'style="([^"]*)"', as_class, text))

    def style(self) -> Markup:
        """The classes as CSS."""
        return Markup("\n".join(f".{name}{{{style}}}" for style, name in self.classes.items()))

    def of(self, title: str, alt: str, draw, most: int | None = None, lens: str = "") -> dict:
        """A figure: panels, at most so many, legend and note; or only why it is not there."""
        it = {"title": title, "lens": lens}
        try:
            drawing = draw()
        except Skip as reason:
            return it | {"note": f"Not drawn: {reason}.", "panels": [], "key": [], "is_wide": False}
        drawing = replace(drawing, panels=drawing.panels[:most])
        panels = [(panel.title, self.markup(sheet, f"{panel.title}. {alt}".removeprefix(". ")))
                  for panel, sheet in layout.each_alone(drawing)]
        key = [(name, self.markup(layout.swatch(look))) for name, look in drawing.looks.items()]
        note = drawing.note[0].upper() + drawing.note[1:] + "."
        return it | {"note": note, "panels": panels, "key": key,
                     "is_wide": drawing.alone != Drawing.alone}


def by_engine(classes: list[str], make) -> list[dict]:
    """One for each class of engines; the page shows one of them."""
    return [{"engine": engine if len(classes) > 1 else "", "it": make(engine)}
            for engine in classes]


def figures_of(run: Run, classes: list[str], pictures: Pictures, figures: list[Figure],
               most: int | None = None) -> list[list[dict]]:
    """Some figures of a run, for each class of engines where that makes a difference."""
    def make(figure: Figure, engine: str) -> dict:
        return pictures.of(figure.title, figure.alt, lambda: figure.draw(run.with_engine(engine)),
                           most, figure.lens)

    return [by_engine(classes if figure.is_of_engines else classes[:1], partial(make, figure))
            for figure in figures]


def first_figures(lenses: list[str]) -> list[Figure]:
    """The first figure of each lens."""
    return [next(figure for figure in FIGURES if figure.lens == lens) for lens in lenses]


def pair_map(everything: list[Run], other: int, engine: str) -> Drawing:
    """Time of the first run over that of another: one heat map per layer."""
    best = tables.best_times([everything[0], everything[other]], engine)
    on = ["layer", "tokens", *ratios.CELL]
    cells = best[best.run == 0].merge(best[best.run == 1], on=on, suffixes=("", "_other"))
    if cells.empty:
        raise Skip("no layer was timed at the same size in both runs")
    cells["ratio"] = cells.median_ns / cells.median_ns_other
    cells["is_same"] = ((cells.ci_low_ns <= cells.ci_high_ns_other)
                        & (cells.ci_low_ns_other <= cells.ci_high_ns))

    def text(row) -> str:
        return (f"{wording.times(row.ratio)}{', no difference' if row.is_same else ''}\n"
                f"run 1: {case_text(row)}\n"
                f"run {other + 1}: {wording.duration(row.median_ns_other)}")

    groups = {layer: cells[cells.layer == layer]
              for layer in everything[0].in_order(cells.layer)}
    return Drawing(f"above 1 run {other + 1} takes less time than run 1",
                   heat_panels(groups, text, shade_of(cells))[0],
                   heat_looks(f"run {other + 1} takes less time", "it takes more"))


# ---- words -------------------------------------------------------------------------------------


def words_of(run: Run) -> tuple[list[str], list[str]]:
    """The answer: what stands on the first screen, and the rest."""
    missing = [why for name in ("ratios.csv", "crossover.csv")
               if (why := tables.load(run, name)[1])]
    front = missing or answer.front(run.folder, run.summary)
    told = [] if missing else answer.sentences(run.folder, run.summary)
    rest = [*(line for line in told if line not in front),
            *answer.roof_sentences(run.folder, run.summary), answer.cache_sentence(run.host)]
    return front, [line for line in rest if line]


def label_of(run_dir: Path, host: dict) -> str:
    """Folder, CPU and what the code was built for."""
    return f"{'/'.join(run_dir.resolve().parts[-2:])}: {hosts.setup_name(host)}"


# ---- the page ----------------------------------------------------------------------------------


def looked_up(run: Run, classes: list[str]) -> dict:
    """What the look-up ranks: the fastest case of each layer, engine and size, one list per column.

    Times are per token, in ns.
    """
    rows = ratios.fastest(ratios.whole_sequences(runs.least_batch(run.summary)),
                          ["layer", "engine"])
    rows = rows.sort_values("median_ns").drop_duplicates(["layer", "engine", "seq_len", "hid_size"])
    rows = rows.sort_values(["kernel", "engine", "hid_size", "seq_len"])
    facts = ["kernel", "layer", "engine", "job"]
    kernels = list(dict.fromkeys(rows[facts].itertuples(index=False, name=None)))
    places = {key: i for i, key in enumerate(kernels)}
    tokens = rows.seq_len * rows.batch
    numbers = {"s": rows.seq_len, "h": rows.hid_size, "ns": rows.median_ns / tokens,
               "low": rows.ci_low_ns / tokens, "high": rows.ci_high_ns / tokens}
    return {"kernels": kernels, "hues": layer_hues(run.in_order(rows.layer)),
            "classes": {name: run.with_engine(name).engine for name in classes},
            "parameters": [int(count) if count > 0 else None for count in rows.parameters],
            "k": [places[key] for key in rows[facts].itertuples(index=False, name=None)],
            **{name: [embed.rounded(value) for value in values] for name, values in numbers.items()}}


def lenses_of(everything: list[Run]) -> list[str]:
    """The lenses through which some run has ratios; where none has any, the first two."""
    found = [tables.load(run, "ratios.csv")[0] for run in everything]
    seen = {lens for table in found for lens in table.get("lens", [])}
    return [lens for lens in LENSES if lens in seen] or list(LENSES)[:2]


def view_of(run: Run, classes: list[str], lenses: list[str], pictures: Pictures) -> dict:
    """All that the page shows of one run."""
    front, more = words_of(run)
    others = [figure for figure in FIGURES[1:] if figure.lens in ("", *lenses)]
    return {"label": label_of(run.folder, run.host), "words": front, "more": more,
            "machine": answer.machine_sentence(run.host),
            "first": figures_of(run, classes, pictures, first_figures(lenses), FIRST_PANELS),
            "figures": figures_of(run, classes, pictures, others),
            "tables": tables.derived(run), "evidence": tables.evidence(run)}


def side_by_side(everything: list[Run], classes: list[str], lenses: list[str],
                 pictures: Pictures) -> dict:
    """Several runs against the first."""
    def pairs(engine: str) -> list[dict]:
        return [pictures.of(f"Time of run 1 / time of run {other + 1}",
                            "Ratio of the times of two runs, for every SeqLen and HidSize",
                            lambda: pair_map(everything, other, engine))
                for other in range(1, len(everything))]

    def tables_for(engine: str) -> list:
        return [*(tables.crossovers_of(everything, engine, lens) for lens in lenses),
                tables.wins(everything, engine)]

    return {"roofs": tables.roofs_of(everything), "tables": by_engine(classes, tables_for),
            "pairs": by_engine(classes, pairs)}


def page(run_dirs: list[Path]) -> str:
    """The whole page."""
    everything, pictures = [Run.load(run_dir) for run_dir in run_dirs], Pictures()
    classes = max((ratios.engine_classes(run.summary) for run in everything), key=len)[::-1]
    lenses = lenses_of(everything)
    with matplotlib.rc_context(STYLE):
        views = [view_of(run, classes, lenses, pictures) for run in everything]
        beside = (side_by_side(everything, classes, lenses, pictures)
                  if len(everything) > 1 else None)
    return embed.template("page.html").render(
        runs=views, beside=beside, palette=PALETTE, size=SIZE_WANTED,
        models=models.names(everything[0].summary),
        classes=[(name, "all engines of float32" if name == ratios.ANY else name) for name in classes],
        lenses=[(lens, LENSES[lens]) for lens in lenses], pictures=pictures.style(),
        style=embed.piece("style.css"),
        script=embed.piece("sort.js", "page.js"),
        data=embed.embedded({"engine": classes[0], "any": ratios.ANY, "lens": lenses[0],
                       "names": NAMES, "references": {
                           lens: ratios.LENSES[lens].reference for lens in LENSES},
                       "runs": [looked_up(run, classes) for run in everything]}))


def report(run_dirs: list[Path], out: Path | None) -> None:
    """Write the report: by default into the one run, or beside the run folders."""
    if out is None:
        folder = run_dirs[0] if len(run_dirs) == 1 else runs.README.parent
        out = folder / "report.html"
    is_stream = [stream.is_of(folder) for folder in run_dirs]
    if any(is_stream) and len(run_dirs) > 1:
        raise runs.RunError(f"{run_dirs[is_stream.index(True)]}: a stream has a page of its own")
    text = stream.page(run_dirs[0]) if is_stream[0] else page(run_dirs)
    size = len(text.encode("utf-8"))
    if size > MOST_BYTES:
        raise runs.RunError(f"{out}: would have {size} bytes, more than {MOST_BYTES}: "
                            f"report fewer runs at once")
    runs.write_text(out, text)
    print(f"{out}: {len(run_dirs)} run{'s' if len(run_dirs) > 1 else ''}, {size / 1e6:.2f} MB")
