"""The answer of a run: a few sentences and two tables, each made from intervals."""
from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import hosts, runs
from seqbench.tables import claims, prediction, ratios
from seqbench.tables.ratios import FASTER, LAYER, MIXER, PARAMETER
from seqbench.words import parallel, wording
from seqbench.words.phrases import EN

ARTICLE = ["lstm", "rnn"]  # the layers that the sentences speak of where they were timed
AT_HID_SIZE, AT_CHAT = 512, 64  # what the sentences tell of, or the nearest that was timed
AT_LENGTHS = (64, 512, 2048)  # of the table of times
LEAST_LENGTHS = 3  # of fewer SeqLens no crossing is told
MOST_SIZES = 4  # HidSizes in a table for a terminal
LENS_TITLES = {
    PARAMETER: "Models of equal size (lens parameter): as many layers as have the parameters of "
               "one block.",
    LAYER: "One layer against one block, as the article counts (lens layer).",
    MIXER: "A layer in the place of causal attention (lens mixer)."}
WHERE = ("SeqLen S at which a layer takes less time than what it is set against, with the 95 % "
         "interval of the crossing:")


def some_sizes(values, most: int = MOST_SIZES) -> list[int]:
    """At most so many of the values, spread evenly, the last included."""
    values = sorted(set(values))
    step = -(-len(values) // most)
    return [int(value) for value in values[::-1][::step][::-1]]


# ---- what is told ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What the sentences and tables of one run are made from."""
    run_dir: Path
    summary: pd.DataFrame
    phrases: dict[str, str]

    @cached_property
    def engines(self) -> str:
        """The class in which every layer is at its best."""
        return ratios.best_class(self.summary)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """ratios.csv of that class."""
        found = runs.least_batch(runs.load_derived(self.run_dir, "ratios.csv"))
        return found[found.engines == self.engines]

    @cached_property
    def crossings(self) -> pd.DataFrame:
        """crossover.csv of that class."""
        found = runs.least_batch(runs.load_derived(self.run_dir, "crossover.csv"))
        return found[found.engines == self.engines]

    @cached_property
    def at_equal_size(self) -> pd.DataFrame:
        """The cells of lens parameter; of lens layer where parameters were not counted."""
        return self.seen(PARAMETER) if len(self.seen(PARAMETER)) else self.seen(LAYER)

    @cached_property
    def layers(self) -> list[str]:
        """Those of the article, else the first ones."""
        timed = list(dict.fromkeys(self.at_equal_size.layer))
        return [name for name in ARTICLE if name in timed] or timed[:2]

    def seen(self, lens: str) -> pd.DataFrame:
        """The cells of one lens."""
        return ratios.through(self.cells, lens)

    def name(self, layer: str) -> str:
        """A layer in words."""
        return self.phrases.get(layer, layer)

    def say(self, key: str, layer: str, other: str = runs.REFERENCE, number: str = "",
            **sizes: int) -> str:
        """A sentence about one layer and another."""
        return self.phrases[key].format(a=self.name(layer), b=self.name(other), x=number,
                                        **{"s": "", "h": "", **sizes})

    @cached_property
    def hid_size(self) -> int:
        """The HidSize that the sentences tell of."""
        return wording.nearest(self.at_equal_size.hid_size, AT_HID_SIZE)

    @cached_property
    def best_at(self) -> pd.DataFrame:
        """The fastest kernel of each layer over whole sequences in each cell."""
        rows = ratios.whole_sequences(self.summary)
        return ratios.fastest(ratios.of_engine(rows, self.engines), ["layer"])


def of_run(run_dir: Path, summary: pd.DataFrame | None = None, phrases: dict | None = None
           ) -> Told:
    """What is told of a run, in English unless said otherwise."""
    summary = runs.load_summary(run_dir) if summary is None else summary
    return Told(run_dir, runs.least_batch(summary), phrases or EN)


# ---- sentences ---------------------------------------------------------------------------------


def precision_of(host: dict) -> str:
    """Of the weights that the sentences are about: float32 where an engine keeps them so."""
    asked = hosts.value(host, "run", "engines")
    names = pd.Series(asked.split(",") if isinstance(asked, str) and asked else ["all"])
    return "float32" if not runs.is_narrow(names).all() else f"weights as of {', '.join(names)}"


def machine_sentence(host: dict) -> str:
    """Where the numbers come from."""
    remark = {True: ", a virtual machine", False: ""}
    virtual = remark.get(hosts.value(host, "machine", "virtual"),
                         ", which may be a virtual machine")
    asked = hosts.value(host, "run", "batch")
    batch = min(asked) if isinstance(asked, list) and asked else 1
    return (f"Measured on {hosts.setup_name(host)}{virtual}; one core, batch {batch}, "
            f"{precision_of(host)}.")


def cache_sentence(host: dict) -> str:
    """Sizes of the data caches that the measured core can use."""
    caches = hosts.value(host, "cpu", "caches")
    if not isinstance(caches, list) or not caches:
        return ""
    words = [f"L{cache['level']} {runs.bytes_text(cache['bytes'])}" for cache in caches]
    return f"Its caches: {', '.join(words)}."


def crossing_of(told: Told, layer: str, hid_size: int):
    """The row of crossover.csv that a sentence speaks of; with the fewest heads."""
    rows = told.crossings[(told.crossings.lens == told.at_equal_size.lens.iloc[0])
                          & (told.crossings.layer == layer)
                          & (told.crossings.hid_size == hid_size)]
    return next(rows.itertuples(), None)


def crossing_sentence(told: Told, layer: str) -> str:
    """From which SeqLen on, at one HidSize."""
    row = crossing_of(told, layer, told.hid_size)
    number = wording.two(float(row.crossings.split()[-1])) if row.crossings else ""
    return told.say(row.verdict, layer, number=number, h=told.hid_size)


def trend_sentence(told: Told, layer: str) -> str:
    """How that SeqLen moves with HidSize, where the intervals tell it."""
    here = crossing_of(told, layer, told.hid_size)
    last = crossing_of(told, layer, told.at_equal_size.hid_size.max())
    if last is None or last.hid_size == told.hid_size or not (
            here.verdict == last.verdict == "crosses"):
        return ""
    key = ("later" if last.crossing_low > here.crossing_high else
           "sooner" if last.crossing_high < here.crossing_low else "")
    number = wording.two(last.faster_from_seq_len)
    return told.say(key, layer, number=number, h=last.hid_size) if key else ""


def cell_sentence(told: Told, layer: str, seq_len: int) -> str:
    """A layer and the reference in one cell."""
    cells = told.at_equal_size
    cell = next(cells[(cells.layer == layer) & (cells.seq_len == seq_len)
                      & (cells.hid_size == told.hid_size)].itertuples(), None)
    if cell is None:
        return ""
    key = {"faster": "faster", "slower": "slower"}.get(cell.verdict, "same")
    number = wording.ratio_text(max(cell.ratio, 1 / cell.ratio))
    return told.say(key, layer, number=number, s=seq_len, h=told.hid_size)


def least_sentence(told: Told, seq_len: int) -> str:
    """Which layer takes the least time in one cell."""
    cells = told.at_equal_size
    cells = cells[(cells.seq_len == seq_len) & (cells.hid_size == told.hid_size)]
    reference = pd.DataFrame([{"layer": runs.REFERENCE, "ratio": 1, "ci_low": 1, "ci_high": 1}])
    ranked = pd.concat([cells[list(reference)], reference]).sort_values("ratio", ascending=False)
    first, second = ranked.iloc[0], ranked.iloc[1]
    best = told.best_at
    at = best[(best.seq_len == seq_len) & (best.hid_size == told.hid_size)
              & (best.layer == first.layer)]
    if not first.ci_low > second.ci_high:
        return told.say("tie", first.layer, second.layer, s=seq_len, h=told.hid_size)
    return told.say("least", first.layer, number=wording.two(at.us_per_token.min()), s=seq_len,
                    h=told.hid_size)


def layer_sentence(told: Told, layer: str) -> str:
    """What the article's way of counting says, and what it leaves out."""
    cells = told.seen(LAYER)
    cells = cells[cells.layer == layer]
    parameters = told.summary.dropna(subset="parameters").groupby(["layer", "hid_size"]).parameters
    known = parameters.max()
    sizes = [(layer, told.hid_size), (runs.REFERENCE, told.hid_size)]
    if cells.empty or not all(known.get(size, 0) > 0 for size in sizes):
        return ""
    share = 100 * known[sizes[0]] / known[sizes[1]]
    key = "layer always" if (cells.verdict == FASTER).all() else "layer not always"
    return told.say(key, layer, number=wording.two(share))


def price_sentence(told: Told, layer: str) -> str:
    """Why equal operations are not equal times."""
    row = crossing_of(told, layer, told.hid_size)
    if row is None or not row.operation_price > 1:
        return ""
    return told.say("price", layer, number=wording.two(row.operation_price), h=told.hid_size)


def equal_size_sentences(told: Told) -> list[str]:
    """Models of equal size: from where on, how that moves, and two lengths."""
    lengths = sorted(set(told.at_equal_size.seq_len))
    if len(lengths) < LEAST_LENGTHS:
        found = [least_sentence(told, seq_len) for seq_len in lengths]
    else:
        layer = told.layers[0]
        found = [crossing_sentence(told, layer), trend_sentence(told, layer),
                 cell_sentence(told, layer, wording.nearest(lengths, AT_CHAT)),
                 cell_sentence(told, layer, lengths[-1])]
    return [sentence for sentence in found if sentence]


def layer_sentences(told: Told) -> list[str]:
    """Layer for layer, and why counting does not tell times."""
    found = [layer_sentence(told, told.layers[-1]), price_sentence(told, told.layers[0])]
    return [sentence for sentence in found if sentence]


def is_told(told: Told) -> bool:
    """Whether there is something to tell."""
    return len(told.at_equal_size) > 0


def sentences(run_dir: Path, summary: pd.DataFrame, phrases: dict | None = None) -> list[str]:
    """The answer, at most six sentences."""
    told = of_run(run_dir, summary, phrases)
    if not is_told(told):
        return [told.say("nothing", "", runs.REFERENCE)]
    return equal_size_sentences(told) + layer_sentences(told)


def front(run_dir: Path, summary: pd.DataFrame, phrases: dict | None = None) -> list[str]:
    """The three of them that a reader with one minute needs."""
    told = of_run(run_dir, summary, phrases)
    if not is_told(told):
        return sentences(run_dir, summary, phrases)
    return (equal_size_sentences(told)[:2] + layer_sentences(told)[:1])[:3]


# ---- the roofs ---------------------------------------------------------------------------------


def roof_sentence(summary: pd.DataFrame) -> str:
    """Why equal operations are not equal times: the roofs of matrix products."""
    gemm = summary[summary.kernel == "roof/sgemm"].gflops.max()
    gemv = summary[summary.kernel == "roof/sgemv"].dropna(subset="gflops")
    if gemv.empty or not np.isfinite(gemm):
        return ""
    least = gemv.loc[gemv.gflops.idxmin()]
    return (f"A product of two matrices (OpenBLAS sgemm) makes up to "
            f"{wording.two(gemm / least.gflops)} times as many operations per second as a product "
            f"of a matrix and a vector (sgemv; {runs.bytes_text(least.bytes)} of matrix).")


def prediction_sentence(predicted: pd.DataFrame, summary: pd.DataFrame) -> str:
    """How near the roofs alone come to what was measured."""
    error = predicted.error[predicted.kind == "layer"].abs()
    if error.isna().all():
        return ""
    told = prediction.predicted_correctly(summary, predicted)
    return (f"From the speed of products, reads and activations alone the time of a layer is "
            f"predicted with a median error of {error.median():.0%}"
            f"{'; ' + told if told else ''}.")


def roof_sentences(run_dir: Path, summary: pd.DataFrame) -> list[str]:
    """What the roofs alone tell of a run; nothing where it has none."""
    found = [roof_sentence(summary)]
    if (run_dir / "predict.csv").exists():
        predicted = runs.load_derived(run_dir, "predict.csv")
        if list(predicted.median_ns) == list(summary.median_ns[summary.kind != "roof"]):
            found.append(prediction_sentence(predicted, summary))
    return [sentence for sentence in found if sentence]


# ---- tables ------------------------------------------------------------------------------------


def crossing_rows(told: Told, lens: str) -> pd.DataFrame:
    """The rows of crossover.csv of one lens; of layer for layer, the article's."""
    rows = told.crossings[told.crossings.lens == lens]
    return rows[rows.layer.isin(told.layers)] if lens == LAYER else rows


def crossing_table(rows: pd.DataFrame, sizes: list[int]) -> tuple[list[str], list[list[str]]]:
    """Per lens and layer where it takes less time, a column for each of some HidSizes."""
    rows = rows[rows.hid_size.isin(sizes)]
    labels = wording.size_labels(rows)
    lines = []
    for (lens, layer), group in rows.groupby(["lens", "layer"], sort=False):
        words = {wording.size_of(row): wording.with_interval(row) for row in group.itertuples()}
        lines.append([lens, layer, *(words.get(key, "-") for key in labels)])
    return ["lens", "layer", *labels.values()], lines


def time_table(told: Told, hid_size: int, lengths: list[int]) -> tuple[list[str], list[list[str]]]:
    """µs per token of each layer at one HidSize, with the ratio at equal model size."""
    best = told.best_at[told.best_at.hid_size == hid_size]
    cells = told.at_equal_size[told.at_equal_size.hid_size == hid_size]
    lines = []
    for layer in dict.fromkeys(told.summary.layer):
        rows = best[best.layer == layer]
        if rows.empty:
            continue
        line = [layer, f"{rows.parameters.max() / 1e6:.2g} M" if rows.parameters.max() > 0 else "-"]
        for seq_len in lengths:
            own = rows[rows.seq_len == seq_len].us_per_token
            ratio = cells[(cells.layer == layer) & (cells.seq_len == seq_len)].ratio
            line += [wording.two(own.min()) if len(own) else "-",
                     wording.times(ratio.iloc[0]) if len(ratio)
                     else "1" if layer == runs.REFERENCE and len(own) else "-"]
        lines.append(line)
    header = ["layer", "parameters"]
    for seq_len in lengths:
        header += [f"S={seq_len}: µs", "block / it"]
    return header, lines


def table_lengths(told: Told) -> list[int]:
    """The SeqLens of the table of times."""
    timed = sorted(set(told.at_equal_size.seq_len))
    if len(timed) < LEAST_LENGTHS:
        return timed
    return sorted({wording.nearest(timed, seq_len) for seq_len in AT_LENGTHS})


def times_title(hid_size: int) -> str:
    """What the table of times shows."""
    return (f"Time per token of a layer at HidSize {hid_size} in µs, and the block's time over it at "
            "equal model size:")


def claims_table(run_dirs: list[Path]) -> str:
    """What the article states, line by line, as markdown; later runs fill up the first."""
    tables = [runs.load_derived(run_dir, "claims.csv") for run_dir in run_dirs]
    every = claims.filled_up(tables)
    every = every[every.hid_size.isna()]
    rows = []
    for (statement, lens), group in every.groupby(["statement", "lens"], sort=False):
        # What decides: the first that does not hold, else the last.
        open_ = group[group.verdict != claims.HOLDS]
        row = group.iloc[-1] if open_.empty else open_.iloc[0]
        number = ("-" if np.isnan(row.measured) else
                  f"{row.measure} {wording.two(row.measured)}")
        rows.append([statement, "equal size" if lens == PARAMETER else "layer", row.verdict,
                     number, row.why])
    return wording.markdown_table(["the article", "lens", "verdict", "what decides", "why"], rows)


# ---- output ------------------------------------------------------------------------------------


def bullets(lines: list[str]) -> list[str]:
    """Sentences for a terminal, one bullet each."""
    return [textwrap.fill(line, wording.WIDTH, initial_indent="- ", subsequent_indent="  ")
            for line in lines]


def answer(run_dir: Path) -> str:
    """The answer of one run for a terminal, at most thirty lines for the layers of the article."""
    summary = runs.load_summary(run_dir)
    told = of_run(run_dir, summary)
    machine = textwrap.fill(machine_sentence(hosts.load(run_dir)), wording.WIDTH)
    if not is_told(told):
        return "\n".join([machine, *sentences(run_dir, told.summary)])
    batched = [] if summary.batch.nunique() == 1 else ["", parallel.batch_text(run_dir)]
    lens = told.at_equal_size.lens.iloc[0]
    lines = [told.phrases["question"], machine, "", LENS_TITLES[lens],
             *bullets(equal_size_sentences(told))]
    if told.at_equal_size.seq_len.nunique() >= LEAST_LENGTHS:
        if found := layer_sentences(told):
            lines += [LENS_TITLES[LAYER], *bullets(found)]
        rows = pd.concat([crossing_rows(told, name) for name in dict.fromkeys([lens, LAYER])])
        sizes = some_sizes(rows.hid_size)
        lines += ["", WHERE, wording.wrapped_table(*crossing_table(rows, sizes))]
    lines += ["", times_title(told.hid_size), wording.wrapped_table(
        *time_table(told, told.hid_size, table_lengths(told)), kept=1, numbers_from=1)]
    return "\n".join(lines + batched)
