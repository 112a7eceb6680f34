"""Write one self-contained HTML report of one or several run folders."""
from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import jinja2
import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup

from seqbench.figures import FIGURES, layout, svg
from seqbench.figures.drawing import (PALETTE, STYLE, Drawing, Run, Skip, case_text, heat_panels,
                                      others_text, ratio_text)
from seqbench.page import tables
from seqbench.read import hosts, runs
from seqbench.tables import ratios
from seqbench.words import answer, wording

PAGE = Path(__file__).resolve().parent
MOST_BYTES = 5_000_000
FIRST_PANELS, FIRST_SENTENCES = 3, 3  # on the first screen


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

    def of(self, title: str, alt: str, draw) -> dict:
        """A figure: panels, legend and note; or only why it is not there."""
        try:
            drawing = draw()
        except Skip as reason:
            return {"title": title, "note": f"Not drawn: {reason}.", "panels": [], "key": []}
        panels = [(panel.title, self.markup(sheet, f"{panel.title}. {alt}"))
                  for panel, sheet in layout.each_alone(drawing)]
        key = [(name, self.markup(layout.swatch(look))) for name, look in drawing.looks.items()]
        note = drawing.note[0].upper() + drawing.note[1:] + "."
        return {"title": title, "note": note, "panels": panels, "key": key}


def by_engine(classes: list[str], make) -> list[dict]:
    """One for each class of engines; the page shows one of them."""
    return [{"engine": engine if len(classes) > 1 else "", "it": make(engine)}
            for engine in classes]


def figures_of(run: Run, pictures: Pictures) -> list[list[dict]]:
    """Every figure of a run, for each class of engines where that makes a difference."""
    def make(figure, engine: str) -> dict:
        return pictures.of(figure.title, figure.alt,
                           lambda: figure.draw(run.with_engine(engine)))

    classes = ratios.engine_classes(run.summary)
    return [by_engine(classes if figure.is_of_engines else classes[:1], partial(make, figure))
            for figure in FIGURES]


def pair_map(everything: list[Run], other: int, engine: str) -> Drawing:
    """Time of the first run over that of another: one heat map per layer."""
    best = tables.best_times([everything[0], everything[other]], engine)
    on = ["layer", "tokens", *ratios.CELL]
    cells = best[best.run == 0].merge(best[best.run == 1], on=on, suffixes=("", "_other"))
    if cells.empty:
        raise Skip("no layer was timed at the same size in both runs")
    cells["ratio"] = cells.median_ns / cells.median_ns_other
    cells["meets"] = ((cells.ci_low_ns <= cells.ci_high_ns_other)
                      & (cells.ci_low_ns_other <= cells.ci_high_ns))

    def text(row) -> str:
        return (f"{ratio_text(row.ratio)}x" + (", the intervals meet" if row.meets else "")
                + f"\nrun 1: {case_text(row)}\nrun {other + 1}: "
                f"{wording.duration(row.median_ns_other)}")

    groups = {layer: cells[cells.layer == layer]
              for layer in everything[0].in_order(cells.layer)}
    return Drawing(f"above 1, blue, run {other + 1} takes less time than run 1",
                   heat_panels(groups, text)[0])


# ---- words -------------------------------------------------------------------------------------


def headline(ratios: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """The answer in two sentences."""
    best = ratios.fastest(ratios.of_engine(ratios.whole_sequences(summary),
                                                 runs.HEADLINE), ["tokens"])
    if ratios.empty or best.empty:
        return [f"No layer was timed beside the layer {runs.REFERENCE}."]
    cells = best.loc[best.groupby(["seq_len", "hid_size"]).median_ns.idxmin()]
    counts = cells.layer.value_counts()
    first = ", ".join(f"{layer} in {count} of {len(cells)} cells"
                      for layer, count in sorted(counts.items(), key=lambda x: (-x[1], x[0])))
    wins = [(int((group.ratio > 1).sum()), len(group), layer)
            for layer, group in ratios.groupby("layer")]
    words = wording.listing([f"{layer} in {won} of {total}"
                             for won, total, layer in sorted(wins, key=lambda x: (-x[0], x[2]))])
    return [f"Fastest over whole sequences: {first}.",
            f"Less time than the Transformer block takes: {words} cells."]


def words_of(run: Run) -> list[str]:
    """The answer."""
    cells = ratios.relative(run.summary)
    cells["textbook"] = 1 + cells.seq_len / cells.hid_size
    return [*headline(cells, run.summary), *answer.sentences(run.summary, cells, run.host),
            *answer.roof_sentences(run.folder, run.summary)]


def label_of(run_dir: Path, host: dict) -> str:
    """Folder, CPU and what the code was built for."""
    return f"{'/'.join(run_dir.resolve().parts[-2:])}: {hosts.setup_name(host)}"


# ---- the page ----------------------------------------------------------------------------------


def rounded(value: float) -> float | int | None:
    """A number as JSON takes it, with four digits."""
    if not np.isfinite(value):
        return None
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def looked_up(run: Run) -> dict:
    """What the look-up ranks: the timed layers, one list per column."""
    rows = run.summary[run.summary.kind == "layer"]
    kernels = list(dict.fromkeys(zip(rows.kernel, rows.layer, rows.engine, rows.tokens)))
    places = {key: i for i, key in enumerate(kernels)}
    numbers = {"s": rows.seq_len, "h": rows.hid_size, "ns": rows.median_ns,
               "low": rows.ci_low_ns, "high": rows.ci_high_ns, "token": rows.us_per_token * 1000}
    return {"kernels": kernels,
            "k": [places[key] for key in zip(rows.kernel, rows.layer, rows.engine, rows.tokens)],
            "others": [others_text(row) for row in rows.itertuples()],
            "unstable": [int(word != "stable") for word in rows.stability],
            **{name: [rounded(value) for value in values] for name, values in numbers.items()}}


def embedded(data: object) -> Markup:
    """JSON that may stand in a script element: nothing in it ends the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def view_of(run: Run, pictures: Pictures) -> dict:
    """All that the page shows of one run."""
    first, *others = figures_of(run, pictures)
    return {"label": label_of(run.folder, run.host), "words": words_of(run), "first": first,
            "figures": others, "tables": tables.derived(run), "evidence": tables.evidence(run)}


def side_by_side(everything: list[Run], classes: list[str], pictures: Pictures) -> dict:
    """Several runs against the first."""
    def pairs(engine: str) -> list[dict]:
        return [pictures.of(f"Time of run 1 / time of run {other + 1}",
                            "Ratio of the times of two runs, for every SeqLen and HidSize",
                            lambda: pair_map(everything, other, engine))
                for other in range(1, len(everything))]

    def tables_for(engine: str) -> list:
        return [tables.crossovers_of(everything, engine), tables.wins(everything, engine)]

    return {"roofs": tables.roofs_of(everything), "tables": by_engine(classes, tables_for),
            "pairs": by_engine(classes, pairs)}


def page(run_dirs: list[Path]) -> str:
    """The whole page."""
    everything, pictures = [Run.load(run_dir) for run_dir in run_dirs], Pictures()
    classes = max((ratios.engine_classes(run.summary) for run in everything), key=len)
    loader = jinja2.FileSystemLoader(PAGE)
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True,
                                  lstrip_blocks=True, undefined=jinja2.StrictUndefined
                                  ).get_template("page.html")
    with matplotlib.rc_context(STYLE):
        views = [view_of(run, pictures) for run in everything]
        beside = side_by_side(everything, classes, pictures) if len(everything) > 1 else None
    return template.render(
        runs=views, classes=classes, beside=beside, palette=PALETTE, pictures=pictures.style(),
        first_panels=FIRST_PANELS, first_sentences=FIRST_SENTENCES,
        style=Markup(runs.read_text(PAGE / "style.css")),
        script=Markup(runs.read_text(PAGE / "page.js")),
        data=embedded({"headline": runs.HEADLINE, "runs": [looked_up(run) for run in everything]}))


def report(run_dirs: list[Path], out: Path | None) -> None:
    """Write the report: by default into the one run, or beside the run folders."""
    if out is None:
        folder = run_dirs[0] if len(run_dirs) == 1 else runs.README.parent
        out = folder / "report.html"
    text = page(run_dirs)
    size = len(text.encode("utf-8"))
    if size > MOST_BYTES:
        raise runs.RunError(f"{out}: would have {size} bytes, more than {MOST_BYTES}: "
                            f"report fewer runs at once")
    runs.write_text(out, text)
    print(f"{out}: {len(run_dirs)} run{'s' if len(run_dirs) > 1 else ''}, {size / 1e6:.2f} MB")
