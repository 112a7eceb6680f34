"""The page of the atlas in words: what it shows, how much that is, its rules, its tables."""
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import atlas, runs
from seqbench.tables import crossover
from seqbench.tables import atlas as tables
from seqbench.words import machines, wording

TITLE = "An atlas of CPUs"
FEW = 10  # CPUs below which nothing can be said of a law
LAW = "S* = 3 HidSize (ratio - 1)"
LEAD = ("For whoever chooses a sequence layer for one CPU core: from which SeqLen on, S*, an LSTM or a GRU "
        "takes less time than a Transformer block of equal model size, on every machine that was shared.")
MAKE = "make bench KERNELS=atlas H=" + ",".join(map(str, atlas.HID_SIZES))
HOW = (f"To add yours: `{MAKE}` on a quiet machine, then `make share`, then a pull request with the one file "
       "that it names.")
RULES = [
    "One file for each CPU with its libraries, written by `make share RUN=dir`, never by hand.",
    f"The run has {wording.listing(atlas.TIMED)} at HidSize "
    f"{wording.listing(list(map(str, atlas.HID_SIZES)))}, batch 1, at {atlas.LEAST_LENGTHS} SeqLens or more, "
    f"from {atlas.SHORTEST} or less to "
    f"{atlas.LONGEST} or more.",
    f"It has the roofs {wording.listing(atlas.ROOFS + atlas.OF_OPENBLAS)}; "
    f"{wording.listing(atlas.OF_OPENBLAS)} are OpenBLAS's, and a build with `LANES` goes without.",
    "The kernels are those of a commit without changes, and each passed its check against a reference.",
    f"Every case has good samples in {atlas.LEAST_ROUNDS} rounds or more; a run that was broken off is none.",
    "No case has more disturbed samples than good ones, and every sample tells what disturbed it.",
    "The engines are openblas and packed, in float32; of each layer the fastest kernel counts.",
    "The file tells of a machine what results/README.md lists: no names of hosts or people, no paths, "
    "no times.",
    "What was restricted on purpose (`MARCH`, `LANES`, `OPENBLAS_CORETYPE`) has a file and a label of its own.",
    "A newer run of the same CPU and libraries takes the place of the older; a file is checked whenever the "
    "page is drawn."]
WORDS = {crossover.ALWAYS: "all from {first}", crossover.NOT_SLOWER: "never slower from {first}",
         crossover.NEVER: "none to {last}", crossover.NOT_FASTER: "none to {last}",
         crossover.NONE: "no difference to {last}", crossover.SEVERAL: "several crossings to {last}"}


# ---- share -------------------------------------------------------------------------------------


def how_to_propose(path: Path, what: str) -> str:
    """What is said when a run has become an entry."""
    place = os.path.relpath(path)
    return "\n".join([
        f"{place}: {what}.",
        f"All that it tells of this machine are its rows `host`: grep ^host {place}",
        "To propose it: a pull request with this one file, as after",
        f"    git checkout -b atlas && git add {place} && git commit -m 'Add a CPU to the atlas'",
        "The pages are drawn from it by `make atlas`; automation does that once it is in."])


# ---- cells -------------------------------------------------------------------------------------


def place_text(verdict: str, place: float, first: int, last: int) -> str:
    """S*: 1700; none to 4096."""
    if np.isfinite(place):
        return f"below {wording.two(place)}" if verdict == crossover.BACK else wording.two(place)
    return WORDS[verdict].format(first=first, last=last)


def measured_text(row) -> str:
    """S* with its interval: 1700 (1600 to 1800)."""
    words = place_text(row.verdict, row.place, row.shortest, row.longest)
    if not np.isfinite(row.place):
        return words
    low = wording.two(row.low) if np.isfinite(row.low) else f"< {row.shortest}"
    high = wording.two(row.high) if np.isfinite(row.high) else f"> {row.longest}"
    return f"{words} ({low} to {high})"


def predicted_text(row) -> str:
    """S* from the roofs."""
    return place_text(row.predicted_verdict, row.predicted, row.shortest, row.longest)


def error_text(row) -> str:
    """Predicted over measured S*; a dash where one of them is none."""
    return wording.two(row.error) if np.isfinite(row.error) else "-"


def library(entry: atlas.Entry) -> str:
    """OpenBLAS with its version and the CPU it has kernels for."""
    version, core = (entry.facts.get(name, "unknown") for name in ("openblas", "openblas_core"))
    return f"OpenBLAS {version} {core}"


def kind(entry: atlas.Entry) -> str:
    """What sets a machine apart from others of its CPU."""
    return "; ".join(atlas.restrictions(entry.facts).values()) or "-"


def label(entry: atlas.Entry) -> str:
    """A machine in one line."""
    limits = kind(entry)
    return entry.name if limits == "-" else f"{entry.name}, restricted: {limits}"


def cache_text(entry: atlas.Entry) -> str:
    """The sizes of the data caches, from the smallest."""
    return ", ".join(runs.bytes_text(cache["bytes"]) for cache in entry.host["cpu"]["caches"])


def virtual_text(entry: atlas.Entry) -> str:
    """Whether it is a virtual machine."""
    return {"True": "yes", "False": "no"}.get(entry.facts.get("virtual", ""), "unknown")


def heading(layer: str, hid_size: int) -> str:
    """A column."""
    return f"{layer} H {hid_size}"


# ---- sentences ---------------------------------------------------------------------------------


def entries_text(number: int) -> str:
    """1 entry, 5 entries."""
    return f"{number} {'entry' if number == 1 else 'entries'}"


def count(entries: list[atlas.Entry]) -> str:
    """How little, or how much, there is."""
    cpus = len({entry.name for entry in entries})
    limited = sum(bool(atlas.restrictions(entry.facts)) for entry in entries)
    return (f"{entries_text(len(entries))} of {cpus} CPU{'s' if cpus > 1 else ''}, "
            f"{limited or 'none'} of them restricted on purpose")


def caution(entries: list[atlas.Entry]) -> str:
    """The count, and what so few do not tell."""
    cpus = len({entry.name for entry in entries})
    return f"It holds {count(entries)}." + (
        f" So few CPUs prove no law: with fewer than {FEW} the figure shows how one would be tested, and "
        "where it already fails." if cpus < FEW else "")


def law_sentences(table: pd.DataFrame) -> list[str]:
    """What one law says, beside what was measured."""
    lines = ["If nothing but products took time, at one rate for many rows and another for one row, then "
             f"{LAW} for both layers. The ratio is taken of OpenBLAS's roofs (sgemm over sgemv) and of the "
             "suite's own (fma over read), each at the size of the matrix that a step reads again."]
    for x in (tables.BLAS, tables.OWN):
        rows = table[table[x].notna()]
        inside = rows[rows.place.notna() & (rows.verdict == crossover.CROSSES)]
        if inside.empty:
            continue
        shares = tables.by_law(inside.hid_size, inside[x]) / inside.place
        low, high, middle = map(wording.two, (shares.min(), shares.max(), shares.median()))
        lines.append(f"With {x}, the law's S* is {low} to {high} times the measured one, median {middle}, in "
                     f"{len(inside)} cells of {entries_text(inside.file.nunique())}; "
                     f"{len(rows) - len(inside)} more have no S* within the grid.")
    lines.append("Near a ratio of 1 the law gives nearly 0, and what it leaves out decides: softmax, gates, "
                 "norms.")
    return lines


def prediction_sentence(table: pd.DataFrame) -> str:
    """How far predictions are off."""
    known = table[table.error.notna()]
    if known.empty:
        return f"In none of {len(table)} cells did both the prediction and the clock find an S*."
    low, high, middle = map(wording.two, (known.error.min(), known.error.max(), known.error.median()))
    return (f"Predicted from its own roofs alone, S* is {low} to {high} times that measured, median "
            f"{middle}, in the {len(known)} of {len(table)} cells in which both lie "
            "within the grid. A build with `LANES` "
            "has no roofs of OpenBLAS: its products of many rows are taken to run at the rate of roof/fma.")


# ---- tables ------------------------------------------------------------------------------------


def cells_of(table: pd.DataFrame, entry: atlas.Entry) -> list:
    """The rows of an entry, in the order of the columns."""
    rows = table[table.file == entry.path.stem].set_index(["layer", "hid_size"], drop=False)
    return [rows.loc[(layer, size)] for layer in atlas.LAYERS for size in atlas.HID_SIZES]


def columns() -> list[str]:
    """A column for each layer and HidSize."""
    return [heading(layer, size) for layer in atlas.LAYERS for size in atlas.HID_SIZES]


def crossing_table(entries: list[atlas.Entry], table: pd.DataFrame, names: dict[str, str], form) -> str:
    """A row for each machine, a column for each layer and HidSize."""
    return wording.markdown_table(["machine", *columns()],
                                  [[names[entry.path.stem], *map(form, cells_of(table, entry))]
                                   for entry in entries])


def markdown(entries: list[atlas.Entry], table: pd.DataFrame) -> str:
    """results/ATLAS.md."""
    names = {entry.path.stem: f"{i}" for i, entry in enumerate(entries, start=1)}
    roofs = machines.roof_table({names[entry.path.stem]: tables.roofs(entry) for entry in entries})
    facts = [[names[entry.path.stem], f"[{entry.name}](atlas/{entry.path.name})", kind(entry), library(entry),
              entry.facts.get("compiler", "unknown"), entry.facts.get("lanes", "unknown"), cache_text(entry),
              virtual_text(entry)] for entry in entries]
    head = ["machine", "CPU", "restricted", "libraries", "compiler", "lanes", "caches", "virtual"]
    return "\n\n".join([
        f"# {TITLE}", LEAD, caution(entries), HOW,
        "The same as one page with one table that sorts by a click: [atlas/index.html](atlas/index.html). Both "
        "are written by `make atlas` from the files in [atlas](atlas), as every number here is.",
        "![S* over the advantage of many rows, for each machine](atlas/figures/atlas.png)",
        "\n\n".join(law_sentences(table)),
        "## S* of each machine", "SeqLen from which on a layer takes less time than a Transformer block of "
        "equal size, with its 95 % interval:", crossing_table(entries, table, names, measured_text),
        "The same, predicted from the machine's roofs alone:",
        crossing_table(entries, table, names, predicted_text),
        "Predicted over measured:", crossing_table(entries, table, names, error_text),
        prediction_sentence(table),
        "## The machines", wording.markdown_table(head, facts), roofs,
        "## Rules of entry", "\n".join(f"{i}. {rule}" for i, rule in enumerate(RULES, start=1)),
        "A CPU of [Other CPUs](MACHINES.md) that is not here has no run yet that follows them."]) + "\n"
