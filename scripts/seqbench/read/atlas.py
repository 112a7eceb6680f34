"""The entries of the atlas: one file per machine, of which every word has a form that is known."""
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seqbench.read import dimensions, hosts, runs

FOLDER = runs.README.parent / "atlas"
HOST, ROOF, LAYER, CROSSING = "host", "roof", "layer", "crossing"  # what a row is
LAYERS = ["lstm", "gru"]  # whose crossings are told
TIMED = [*LAYERS, runs.REFERENCE]
HID_SIZES = [256, 512, 1024]
ROOFS = ["fma", "read", "exp", "sigmoid", "tanh"]
OF_OPENBLAS = ["sgemm", "sgemv"]  # it has one width: roofs that a build of narrower vectors goes without
LEAST_ROUNDS = 3  # with good samples, of each case
LEAST_LENGTHS, SHORTEST, LONGEST = 4, 128, 4096  # SeqLens that all layers were timed at
VERDICTS = ["faster everywhere", "slower everywhere", "never slower", "never faster",
            "no difference", "crosses", "crosses back", "several crossings"]

# ---- facts of a machine ------------------------------------------------------------------------

# A name of a CPU is kept if each of its words is one of these: else it may be a name of anything.
CPU_WORD = (r"(?:AMD|Intel\(R\)|Genuine|Hygon|EPYC|Ryzen|Threadripper|Athlon|Opteron|PRO|Embedded|"
            r"Xeon\(R\)|Core\(TM\)|Pentium\(R\)|Celeron\(R\)|Atom\(TM\)|Ultra|Platinum|Gold|Silver|"
            r"Bronze|Max|CPU|Processor|with|Radeon|Vega|Graphics|Gen|1[0-9]th|@|[0-9]\.[0-9]{1,2}GHz|"
            r"[0-9]{1,3}-Core|[3579]|i[3579]-[0-9]{3,5}[A-Z]{0,2}[0-9]?|[EWDX][0-9]?-[0-9]{4,5}[A-Z]{0,2}|"
            r"v[2-9]|[0-9]{3}[A-Z]{0,2}|[0-9][0-9A-Z]{3,6}|Neoverse-[NVE][123]|Cortex-A[0-9]{2,3})")
VENDORS = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel", "HygonGenuine": "Hygon"}
MARCHES = (r"native|x86-64(?:-v[234])?|nehalem|westmere|sandybridge|ivybridge|haswell|broadwell|"
           r"skylake(?:-avx512)?|cascadelake|cooperlake|icelake-(?:client|server)|tigerlake|rocketlake|"
           r"alderlake|sapphirerapids|znver[1-5]|armv[89](?:\.[0-9])?-a")
CORES = ("(?i:prescott|core2|penryn|dunnington|nehalem|sandybridge|haswell|skylakex|cooperlake|"
         "sapphirerapids|atom|barcelona|bobcat|bulldozer|piledriver|steamroller|excavator|zen|"
         "armv8(?:sve)?|cortexa[0-9]{2}|neoverse[nv][12]|thunderx[0-9t]*|tsv110|emag8180|generic)")
VERSION = r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}"
BYTES = r"[1-9][0-9]{3,11}"


def text_at(group: str, key: str) -> Callable[[dict], str]:
    """What reads one value of host.json as text."""
    return lambda host: str(hosts.value(host, group, key))


def found_in(group: str, key: str, pattern: str) -> Callable[[dict], str]:
    """What reads the one part of a value that a pattern asks for."""
    def read(host: dict) -> str:
        match = re.search(pattern, str(hosts.value(host, group, key)))
        return match[1] if match else ""

    return read


def openblas_setting(name: str) -> Callable[[dict], str]:
    """What reads one environment variable that OpenBLAS was started with."""
    def read(host: dict) -> str:
        variables = hosts.value(host, "libraries", "blas_environment")
        return str(variables.get(name, "")) if isinstance(variables, dict) else ""

    return read


def cache_bytes(level: int) -> Callable[[dict], str]:
    """What reads the size of a cache."""
    def read(host: dict) -> str:
        caches = hosts.value(host, "cpu", "caches") or []
        return next((str(cache["bytes"]) for cache in caches if cache["level"] == level), "")

    return read


def compiler(host: dict) -> str:
    """Name and version: gcc 12.2.0."""
    line = str(hosts.value(host, "build", "compiler"))
    name = re.match(r"(?:[A-Za-z]+ )?(gcc|clang)\b", line)
    version = re.findall(rf"(?<![\w.]){VERSION}(?![\w.])", line)
    return f"{name[1]} {version[-1]}" if name and version else ""


def lanes(host: dict) -> str:
    """Floats in a vector; builds for the CPU itself did not always say."""
    said = hosts.value(host, "build", "lanes")
    if said is not None or FACTS["march"].read(host) != "native":
        return str(said)
    flags = str(hosts.value(host, "cpu", "flags")).split()
    return "16" if "avx512f" in flags else "8" if "avx" in flags else ""


@dataclass(frozen=True)
class Fact:
    """A fact of a machine: the one form that it has, and where it is read from."""
    form: str
    read: Callable[[dict], str]

    def holds(self, word: str) -> bool:
        """Whether a word has the form."""
        return re.fullmatch(self.form, word) is not None


# All that an entry tells of a machine. What has not the form of its fact is left out.
FACTS: dict[str, Fact] = {
    "cpu": Fact(rf"{CPU_WORD}(?: {CPU_WORD}){{0,9}}", text_at("cpu", "model")),
    "vendor": Fact("|".join(VENDORS), text_at("cpu", "vendor")),
    "family": Fact(r"[0-9]{1,3}", text_at("cpu", "family")),
    "model": Fact(r"[0-9]{1,3}", text_at("cpu", "model_number")),
    "architecture": Fact(r"x86_64|aarch64|riscv64|ppc64le|s390x", text_at("os", "architecture")),
    "virtual": Fact("True|False", text_at("machine", "virtual")),
    **{f"l{level}_bytes": Fact(BYTES, cache_bytes(level)) for level in (1, 2, 3, 4)},
    "compiler": Fact(rf"(?:gcc|clang) {VERSION}", compiler),
    "march": Fact(MARCHES, found_in("build", "flags", r"-march=(\S+)")),
    "lanes": Fact("1|4|8|16", lanes),
    "lanes_asked": Fact("1|4|8|16", found_in("build", "flags", r"-DSEQBENCH_LANES=(\S+)")),
    "commit": Fact(r"[0-9a-f]{40}", text_at("build", "commit")),
    "openblas": Fact(VERSION, found_in("libraries", "openblas_config", r"^OpenBLAS (\S+)")),
    "openblas_core": Fact(CORES, text_at("libraries", "openblas_corename")),
    "openblas_coretype": Fact(CORES, openblas_setting("OPENBLAS_CORETYPE")),
    "openblas_l2_size": Fact(r"[0-9]{1,7}|0x[0-9a-fA-F]{1,6}", openblas_setting("OPENBLAS_L2_SIZE")),
}


def facts_of(host: dict) -> dict[str, str]:
    """What may be told of a machine."""
    found = {name: fact.read(host) for name, fact in FACTS.items()}
    return {name: word for name, word in found.items() if FACTS[name].holds(word)}


def host_of(facts: dict[str, str]) -> dict:
    """The part of a host.json that facts make up."""
    caches = [{"level": level, "bytes": int(facts[f"l{level}_bytes"])} for level in (1, 2, 3, 4)
              if f"l{level}_bytes" in facts]
    model = facts.get("cpu") or VENDORS.get(facts.get("vendor", ""), "unknown CPU")
    return {"cpu": {"model": model, "family": facts.get("family"),
                    "model_number": facts.get("model"), "caches": caches}}


def restrictions(facts: dict[str, str]) -> dict[str, str]:
    """What kept a machine from its best, on purpose: piece of a file's name to words for a reader."""
    march, asked, core, size = (facts.get(name) for name in (
        "march", "lanes_asked", "openblas_coretype", "openblas_l2_size"))
    found = {}
    if march != "native":
        found[march or "other-march"] = f"built for {march or 'a named CPU'} (MARCH)"
    if asked:
        found[f"lanes{asked}"] = f"built for {asked} float{'s' * (asked != '1')} per vector (LANES)"
    if core:
        found[f"as-{core}"] = f"OpenBLAS told to be on {core} (OPENBLAS_CORETYPE)"
    if size:
        found[f"l2-{size}"] = f"OpenBLAS told that L2 has {size} KiB (OPENBLAS_L2_SIZE)"
    return found


def slug(text: str) -> str:
    """Text as a piece of the name of a file."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def file_name(facts: dict[str, str]) -> str:
    """The name of an entry: CPU, libraries, and what it was restricted to."""
    cpu = re.sub(r"\b(family|model)\b", "", hosts.machine_name(host_of(facts)))
    libraries = ["openblas", facts.get("openblas", "other"), facts.get("openblas_core", "other")]
    return f"{slug(' '.join([cpu, *libraries, *restrictions(facts)]))}.csv"


def missing(facts: dict[str, str], cases: pd.DataFrame) -> str:
    """What some cases lack of an entry; empty where nothing."""
    roofs = set(cases.variant[cases.kind == "roof"])
    for roof in ROOFS + ([] if "lanes_asked" in facts else OF_OPENBLAS):
        if roof not in roofs:
            return f"roof/{roof} was not timed"
    layers = cases[cases.kind == "layer"]
    for size in HID_SIZES:
        lengths = [set(layers.seq_len[(layers.layer == layer) & (layers.hid_size == size)])
                   for layer in TIMED]
        for layer, found in zip(TIMED, lengths):
            if not found:
                return f"no {layer} was timed at HidSize {size}, batch 1"
        common = set.intersection(*lengths)
        if len(common) < LEAST_LENGTHS or min(common) > SHORTEST or max(common) < LONGEST:
            return (f"at HidSize {size} the layers {', '.join(TIMED)} do not have {LEAST_LENGTHS} SeqLens in "
                    f"common, from {SHORTEST} or less to {LONGEST} or more")
    return ""


# ---- a file ------------------------------------------------------------------------------------

SIZES = ["seq_len", "hid_size", "heads"]
FLOAT = 4  # bytes of a weight
COUNTS = ["rounds", "samples", "disturbed"]
# The words that stand in rows which are not of the host; an empty one is none.
WORDS = {"engine": r"|none|openblas|packed", "unit": r"|ns|steps", "products": r"|sequence|step|none",
         "packing": r"|call|before|none", "roof": r"|fma"}
NAMES = {ROOF: f"roof/(?:{'|'.join(ROOFS + OF_OPENBLAS)})",
         LAYER: rf"({'|'.join(TIMED)})/[a-z][a-z0-9_]{{0,15}}",
         CROSSING: "|".join(LAYERS)}


@dataclass(frozen=True)
class Entry:
    """A machine of the atlas."""
    path: Path
    facts: dict[str, str]
    cases: pd.DataFrame  # roofs and layers, as summary.csv has them with the facts of kernels.csv
    crossings: pd.DataFrame  # by layer and HidSize

    @property
    def host(self) -> dict:
        """The part of its host.json that is known."""
        return host_of(self.facts)

    @property
    def name(self) -> str:
        """The CPU."""
        return hosts.machine_name(self.host)

    @property
    def lengths(self) -> list[int]:
        """The SeqLens that were timed."""
        layers = self.cases[self.cases.kind == LAYER]
        return sorted(set(layers.seq_len))


def summary_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of roofs and layers in the form of a summary with its facts."""
    names = rows.name.str.partition("/")
    sizes = rows[SIZES].fillna(1).astype("int64")
    others = {name: size for name, size in dimensions.ABSENT.items() if name not in SIZES}
    return rows.drop(columns=[*SIZES, "record", "word", "unit"]).assign(
        **sizes, **others, kernel=rows.name, kind=rows.record, layer=names[0], variant=names[2],
        cache="hot", tokens="all", batches="one by one", job="none", median_ns=rows.value,
        ci_low_ns=rows.ci_low, ci_high_ns=rows.ci_high, gflops=rows.flops / rows.value)


def checked_facts(path: Path, rows: pd.DataFrame) -> dict[str, str]:
    """The facts of an entry, each of its form."""
    for row in rows.itertuples():
        if row.name not in FACTS:
            raise runs.RunError(f"{path}: line {row.Index}: no fact is called '{row.name}'")
        if not FACTS[row.name].holds(row.word):
            raise runs.RunError(f"{path}: line {row.Index}: {row.name}: '{row.word}' has not the form "
                                "of that fact")
    runs.refuse(path, rows.name.duplicated(), "this fact is there already")
    facts = dict(zip(rows.name, rows.word))
    if "commit" not in facts:
        raise runs.RunError(f"{path}: no commit")
    if path.name != file_name(facts):
        raise runs.RunError(f"{path}: by its facts the file is called {file_name(facts)}")
    return facts


def check_words(path: Path, table: pd.DataFrame) -> None:
    """Raise RunError where a row holds a word that no row of its kind has."""
    is_host = table.record == HOST
    runs.refuse(path, ~table.record.isin([HOST, *NAMES]), "no such record")
    for column, form in WORDS.items():
        known = table[column].map(lambda word, form=form: re.fullmatch(form, word) is not None)
        runs.refuse(path, ~known, f"{column} is none that is known")
    for record, form in NAMES.items():
        known = table.name.map(lambda word, form=form: re.fullmatch(form, word) is not None)
        runs.refuse(path, (table.record == record) & ~known, f"no {record} has this name")
    verdict = table.word.where(table.record == CROSSING, "")
    runs.refuse(path, ~verdict.isin(["", *VERDICTS]) | (verdict == "") & (table.record == CROSSING),
                "no such verdict")
    runs.refuse(path, ~is_host & (table.record != CROSSING) & (table.word != ""), "word is not empty")


def load(path: Path) -> Entry:
    """An entry, checked: its words, its facts, its name."""
    table = runs.read_columns(path, runs.schema(runs.README, "atlas.csv"), exact=True)
    check_words(path, table)
    timed = table[table.record.isin([ROOF, LAYER])]
    runs.refuse(path, ~(timed.value > 0) | ~(timed.ci_low <= timed.value) | ~(timed.value <= timed.ci_high),
                "value is not above 0 and within its interval")
    runs.refuse(path, timed.ci_high > runs.LONGEST_NS, f"ci_high is above {runs.LONGEST_NS:g}")
    runs.refuse(path, ~(timed[SIZES] >= 1).all(axis=1), "a size is not at least 1")
    runs.refuse(path, timed.duplicated(["name", "engine", *SIZES]), "this case is there already")
    runs.refuse(path, ~(timed.disturbed <= timed.samples), "more samples are disturbed than good")
    runs.refuse(path, ~(timed.rounds >= LEAST_ROUNDS), f"fewer than {LEAST_ROUNDS} rounds")
    runs.refuse(path, ~(timed[[*runs.COSTS, "bytes_per_weight"]] >= 0).all(axis=1), "a cost is not known")
    of_layer = timed[timed.record == LAYER]
    known = (of_layer.parameters > 0) & (of_layer.bytes_per_weight == FLOAT) & (
        of_layer[["engine", "products", "packing", "roof"]] != "").all(axis=1)
    runs.refuse(path, ~known, "a layer's parameters or products are not known, or not of float32")
    crossings = table[table.record == CROSSING]
    has_place = crossings.word.isin(["crosses", "crosses back"])
    runs.refuse(path, crossings.value.notna() != has_place, "value and verdict do not go together")
    runs.refuse(path, (crossings.ci_low > crossings.value) | (crossings.value > crossings.ci_high),
                "value is not within its interval")
    wanted = [(layer, size) for layer in LAYERS for size in HID_SIZES]
    if sorted(zip(crossings.name, crossings.hid_size)) != sorted(wanted):
        raise runs.RunError(f"{path}: not one crossing of each of {', '.join(LAYERS)} at HidSize "
                            f"{', '.join(map(str, HID_SIZES))}")
    facts, cases = checked_facts(path, table[table.record == HOST]), summary_of(timed)
    if why := missing(facts, cases):
        raise runs.RunError(f"{path}: {why}")
    return Entry(path, facts, cases.reset_index(drop=True),
                 crossings.astype({"hid_size": "int64"}).reset_index(drop=True))


def load_all(folder: Path) -> list[Entry]:
    """Every entry of a folder, by CPU; of a CPU first those that nothing restricted, then by lanes."""
    entries = [load(path) for path in sorted(folder.glob("*.csv"))]
    if not entries:
        raise runs.RunError(f"{folder}: no entries: `make share RUN=dir` writes one")
    return sorted(entries, key=lambda entry: (entry.name, bool(restrictions(entry.facts)),
                                              int(entry.facts.get("lanes", 0))))
