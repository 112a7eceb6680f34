"""A run as an entry of the atlas, or the reason why it is none."""
from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import atlas, dimensions, hosts, runs
from seqbench.tables import crossover, medians, noise, ratios, streams

ENGINES = [runs.HEADLINE, "packed"]  # whose products may be the fastest; roofs have also none
FILES = ["samples.csv", "plan.csv", "kernels.csv", "checks.csv"]
SETTINGS = {"OPENBLAS_CORETYPE": "openblas_coretype", "OPENBLAS_L2_SIZE": "openblas_l2_size"}
EVIDENCE = ["cpu_before", "cpu_after", "involuntary_switches", "clock_ghz_before",
            "clock_ghz_after", "sentinel_ratio"]
PLACE = [*runs.KERNEL, *runs.DIMENSIONS]
KERNELS_DEF = runs.README.parents[1] / "kernels" / "kernels.def"
FACTS = ["products", "packing", "bytes_per_weight", "roof"]  # of a kernel, that a prediction needs


class Refused(runs.RunError):
    """Why a run is no entry of the atlas."""


# ---- what is needed ----------------------------------------------------------------------------


def case_text(case) -> str:
    """A case in words: lstm/registers (packed) S=64 H=512."""
    return f"{case.kernel} ({case.engine}) S={case.seq_len} H={case.hid_size}"


def others(cases: pd.DataFrame) -> str:
    """How many cases there are beside the first, which was told of."""
    count = len(cases) - 1
    return f", and so it is with {count} more case{'s' if count > 1 else ''}" if count else ""


def is_needed(table: pd.DataFrame) -> pd.Series:
    """The rows of some cases that an entry is made of, whatever variant will be the fastest."""
    names = table.kernel.str.partition("/")
    plain = (table.batch == 1) & (table[dimensions.OPTIONAL] == 0).all(axis=1)
    if "cache" in table:
        plain &= table.cache == "hot"
    as_wide = table.heads == (table.hid_size // 64).where(names[0] == runs.REFERENCE, 1)
    of_layer = (names[0].isin(atlas.TIMED) & (names[1] == "/") & table.hid_size.isin(atlas.HID_SIZES)
                & table.engine.isin(ENGINES) & as_wide)
    of_roof = (names[0] == "roof") & names[2].isin(atlas.ROOFS + atlas.OF_OPENBLAS)
    return plain & (of_layer | of_roof)


# ---- what is refused ---------------------------------------------------------------------------


def read_files(run_dir: Path) -> dict[str, pd.DataFrame]:
    """The files that seqbench wrote, every column of them by the dictionary."""
    if streams.is_stream(run_dir):
        raise Refused(f"{run_dir}: not shared: a stream, whose layers were timed call by call")
    return {name: runs.read_columns(run_dir / name, runs.schema(runs.README, name)) for name in FILES}


def refuse_build(run_dir: Path, host: dict, facts: dict[str, str]) -> None:
    """Kernels that nobody else can build."""
    dirty = hosts.value(host, "build", "dirty")
    if dirty is not False:
        what = "had changes that are in no commit" if dirty else "does not say whether it had changes"
        raise Refused(f"{run_dir}: not shared: the source that it was built from {what} "
                      "(host.json: build: dirty)")
    variables = hosts.value(host, "libraries", "blas_environment") or {}
    told = {variable for variable, fact in SETTINGS.items() if fact in facts}
    if any(name.startswith("OPENBLAS_") and name not in told for name in variables):
        raise Refused(f"{run_dir}: not shared: OpenBLAS was started with a setting (host.json: "
                      "blas_environment) that the atlas has no label for")
    if "commit" not in facts:
        raise Refused(f"{run_dir}: not shared: host.json names no commit that it was built from")


def refuse_checks(run_dir: Path, checks: pd.DataFrame, used: pd.DataFrame) -> None:
    """Kernels that compute something else, or that were not looked at."""
    bad = checks[checks.verdict != "PASS"]
    for row in bad.head(1).itertuples():
        raise Refused(f"{run_dir}: not shared: {case_text(row)} fails its check against the reference"
                      f"{others(bad)}")
    seen = set(zip(checks.kernel, checks.engine))
    for row in used.itertuples():
        if (row.kernel, row.engine) not in seen:
            raise Refused(f"{run_dir}: not shared: {row.kernel} ({row.engine}) was not checked against "
                          "its reference")


def refuse_names(run_dir: Path, kernels: pd.Series) -> None:
    """Kernels that only this machine has: their names could tell anything."""
    known = set(re.findall(r"^\w+\((\w+)\)", runs.read_text(KERNELS_DEF), re.MULTILINE))
    for kernel in kernels:
        if kernel.replace("/", "_") not in known:
            raise Refused(f"{run_dir}: not shared: a kernel of it is not in kernels/kernels.def")


def refuse_broken_off(run_dir: Path, plan: pd.DataFrame, samples: pd.DataFrame) -> None:
    """A run that ended before every case had its rounds."""
    visits = samples.groupby(PLACE)["round"].nunique()
    planned = plan[PLACE].drop_duplicates()
    count = visits.reindex(pd.MultiIndex.from_frame(planned), fill_value=0).to_numpy()
    few = planned[count < atlas.LEAST_ROUNDS]
    for row in few.head(1).itertuples():
        raise Refused(f"{run_dir}: not shared: broken off: {len(few)} of {len(planned)} cases that it needs "
                      f"have fewer than {atlas.LEAST_ROUNDS} rounds, as {case_text(row)}; "
                      "`build/seqbench run --resume` goes on with a run")


def refuse_no_evidence(run_dir: Path, samples: pd.DataFrame) -> None:
    """Samples that do not tell what disturbed them."""
    for column in EVIDENCE:
        if samples[column].isna().any():
            raise Refused(f"{run_dir}: not shared: samples do not tell what disturbed them "
                          f"({column} is empty)")


def refuse_disturbed(run_dir: Path, needed: pd.DataFrame, used: pd.DataFrame) -> None:
    """A run in which a median would be of the smaller part of the samples."""
    bad = pd.concat([used[used.disturbed > used.samples], needed[needed.samples == 0]])
    for row in bad.head(1).itertuples():
        raise Refused(f"{run_dir}: not shared: disturbed: of {row.samples + row.disturbed} samples of "
                      f"{case_text(row)} {row.disturbed} have a flag"
                      f"{others(bad)}; time it again on a quiet machine")
    few = used[used.rounds < atlas.LEAST_ROUNDS]
    for row in few.head(1).itertuples():
        raise Refused(f"{run_dir}: not shared: {case_text(row)} has good samples in {row.rounds} rounds, "
                      f"not in {atlas.LEAST_ROUNDS}{others(few)}")


# ---- the entry ---------------------------------------------------------------------------------


def used_cases(needed: pd.DataFrame) -> pd.DataFrame:
    """The roofs, and the fastest variant of each layer at each size."""
    roofs, layers = needed[needed.kind == "roof"], ratios.fastest(needed)
    order = {name: place for place, name in enumerate(atlas.TIMED)}
    layers = layers.assign(place=layers.layer.map(order)).sort_values(["place", "hid_size", "seq_len"])
    return pd.concat([roofs.sort_values(["variant", *runs.DIMENSIONS]), layers.drop(columns="place")])


def crossings_of(needed: pd.DataFrame, noises: pd.DataFrame) -> pd.DataFrame:
    """Rows of crossover.csv at equal model size, every layer at its best."""
    own = ratios.own_noise(noises)
    pairs = ratios.through(ratios.ratios(needed, own), ratios.PARAMETER, ratios.best_class(needed))
    found = crossover.crossover(pairs, ratios.drawn_from(own))
    return found[found.layer.isin(atlas.LAYERS)]


def host_rows(facts: dict[str, str]) -> list[dict]:
    """What may be told of the machine."""
    return [{"record": atlas.HOST, "name": name, "word": word} for name, word in facts.items()]


def case_rows(used: pd.DataFrame) -> list[dict]:
    """Medians with intervals, and what a prediction needs of their kernels."""
    names = {"kernel": "name", "median_ns": "value", "ci_low_ns": "ci_low", "ci_high_ns": "ci_high"}
    table = used.rename(columns=names).assign(
        record=used.kind.map({"roof": atlas.ROOF, "layer": atlas.LAYER}), unit="ns")
    kept = ["record", *names.values(), "engine", *atlas.SIZES, "unit", *atlas.COUNTS, *FACTS, *runs.COSTS]
    return table[kept].to_dict("records")


def crossing_rows(found: pd.DataFrame) -> list[dict]:
    """From which SeqLen on each layer takes less time."""
    rows = []
    for row in found.sort_values(["layer", "hid_size"], ascending=[False, True]).itertuples():
        crosses = row.verdict in (crossover.CROSSES, crossover.BACK)
        place = float(row.crossings.split()[-1]) if crosses else np.nan
        ends = (row.crossing_low, row.crossing_high) if crosses else (np.nan, np.nan)
        low, high = (end if np.isfinite(end) else np.nan for end in ends)
        rows.append({"record": atlas.CROSSING, "name": row.layer, "hid_size": row.hid_size,
                     "heads": row.heads, "word": row.verdict, "value": place, "ci_low": low,
                     "ci_high": high, "unit": "steps"})
    return rows


def entry_of(run_dir: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """The facts and the rows of the entry that a run makes; Refused with the reason if none."""
    files, host = read_files(run_dir), hosts.load(run_dir)
    facts = atlas.facts_of(host)
    refuse_build(run_dir, host, facts)
    loaded = runs.samples_with_tokens(run_dir)
    noises = noise.noise_table(loaded)
    summary = medians.summarise(loaded, noises)
    summary = runs.with_facts(run_dir / "samples.csv", summary, runs.FACTS)
    needed = summary[is_needed(summary)].astype(dict.fromkeys(runs.COSTS, float))
    if why := atlas.missing(facts, needed):
        raise Refused(f"{run_dir}: not shared: {why}")
    refuse_names(run_dir, needed.kernel)
    plan, samples = files["plan.csv"], files["samples.csv"]
    samples = samples[is_needed(samples) & (samples.status == "ok")]
    refuse_broken_off(run_dir, plan[is_needed(plan)], samples)
    refuse_no_evidence(run_dir, samples)
    used = used_cases(needed)
    refuse_checks(run_dir, files["checks.csv"], used)
    refuse_disturbed(run_dir, needed, used)
    rows = [*host_rows(facts), *case_rows(used), *crossing_rows(crossings_of(needed, noises))]
    table = pd.DataFrame(rows, columns=list(runs.schema(runs.README, "atlas.csv")))
    whole = [*atlas.SIZES, *atlas.COUNTS, *runs.COSTS]
    return facts, table.astype(dict.fromkeys(whole, "Int64"))


def refuse_invalid(run_dir: Path, name: str, text: str) -> None:
    """An entry that the atlas would not read, and so any word that is not on its lists."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        runs.write_text(path, text)
        try:
            atlas.load(path)
        except runs.RunError as error:
            raise Refused(f"{run_dir}: not shared: its entry would not be read: "
                          f"{str(error).removeprefix(f'{path}: ')}") from None


def write(run_dir: Path, out: Path | None) -> tuple[Path, str]:
    """Write the entry of a run, if it can be read, and say what became of a file that was there."""
    facts, table = entry_of(run_dir)
    text = runs.csv_text(table)
    refuse_invalid(run_dir, atlas.file_name(facts), text)
    path = out or atlas.FOLDER / atlas.file_name(facts)
    there = runs.read_text(path) if path.exists() else None
    runs.make_folder(path.parent)
    runs.write_text(path, text)
    return path, ("written" if there is None else "as it was" if there == text
                  else "written in place of an older entry of this CPU and these libraries")
