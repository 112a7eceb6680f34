"""Make a run folder from Google Benchmark JSON files, so that results made elsewhere fit in.

Each file is one process, so one round; a repetition in it is one sample.
A benchmark is named layer/variant/S:128/H:256, with /A:4 for heads and /B:8 for a
batch; --pattern reads other names.
Counters flops, elementwise_flops, exps, logs, sigmoids, tanhs, rsqrts, parameters, bytes,
streamed_bytes and resident_bytes hold the cost of one iteration. Without them the costs are those
of --costs, or 0: then times can be compared; GFLOP/s, bounds, predictions and operation counts say
nothing. Nor are kernels predicted whose engine is none of those below.
"""
from __future__ import annotations

import argparse
import csv
import datetime
import io
import json
import math
import re
import sys
from pathlib import Path

from seqbench.read import dimensions, earlier, hosts, objects, runs

MOST = 1e18  # a count of more digits is none
NEEDED = "SH"  # sizes that every name has
PATTERN = (r"(?P<layer>[^/:]+)/(?P<variant>[^/:]+)" +
           "".join(rf"(/{letter}:(?P<{letter}>\d+))" + ("" if letter in NEEDED else "?")
                   for letter in dimensions.LETTERS.values()))
# What Google Benchmark itself adds to a name.
SUFFIXES = re.compile(r"(/(min_time|min_warmup_time|iterations|repeats|threads):[^/]*"
                      r"|/(real_time|process_time|manual_time))*$")
UNITS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
COSTS = [*runs.COSTS, "resident_bytes"]
PACKING = earlier.PACKING  # by engine; of others it is not known
UNKNOWN = earlier.UNKNOWN
COUNTS = ["steal_ticks", "cycles", "instructions", "l2_misses", "last_level_misses"]


def read_benchmarks(path: Path) -> dict:
    """The content of one JSON file: a list of benchmarks, and a context."""
    content = objects.read_object(path)
    entries, context = content.get("benchmarks"), content.setdefault("context", {})
    if not isinstance(entries, list):
        raise runs.RunError(f"{path}: no list of benchmarks")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise runs.RunError(f"{path}: benchmark {number} is not an object")
    caches = context.get("caches", []) if isinstance(context, dict) else None
    if not isinstance(caches, list) or not all(isinstance(cache, dict) for cache in caches):
        raise runs.RunError(f"{path}: context: not an object with a list of caches, if any")
    return content


def case_of(path: Path, name: str, pattern: re.Pattern) -> dict:
    """Layer, variant and sizes from the name of a benchmark."""
    match = pattern.fullmatch(SUFFIXES.sub("", name))
    if not match:
        raise runs.RunError(f"{path}: {name!r} does not match the pattern {pattern.pattern}")
    found = match.groupdict()
    if not found["layer"] or not found["variant"]:
        raise runs.RunError(f"{path}: {name!r}: no layer or no variant by {pattern.pattern}")
    sizes = {column: found.get(letter) or str(dimensions.ABSENT[column])
             for column, letter in dimensions.LETTERS.items()}
    for column, size in sizes.items():
        if not runs.PATTERNS[runs.schema(runs.README, "samples.csv")[column]].fullmatch(size):
            raise runs.RunError(f"{path}: {name!r}: {column} {size} is not a number from 1 on")
    return {"kernel": f"{found['layer']}/{found['variant']}", "kind": "layer",
            "layer": found["layer"], "variant": found["variant"],
            **{column: int(size) for column, size in sizes.items()}}


def known_costs(run_dir: Path | None) -> dict[tuple, dict]:
    """Costs per layer and cell, from the samples of another run."""
    if run_dir is None:
        return {}
    path = run_dir / "samples.csv"
    cell = ["layer", *runs.DIMENSIONS]
    types = runs.schema(runs.README, "samples.csv")
    needed = [*cell, "kind", "status", *COSTS]
    samples = runs.read_columns(path, {name: types[name] for name in needed})
    samples = samples[(samples.kind == "layer") & (samples.status == "ok")].drop_duplicates(cell)
    return {tuple(row[name] for name in cell): {name: int(row[name]) for name in COSTS
                                                if not math.isnan(row[name])}
            for _, row in samples.iterrows()}


def costs_of(path: Path, entry: dict, case: dict, known: dict[tuple, dict]) -> dict[str, int]:
    """The costs of one iteration: counters, else those of the other run, else 0."""
    if "transcendentals" in entry:  # before they were counted by kind
        entry = {"exps": entry["transcendentals"], **entry}
    other = known.get((case["layer"], *(case[name] for name in runs.DIMENSIONS)), {})
    return {name: round(number_of(path, entry, name)) if name in entry else other.get(name, 0)
            for name in COSTS}


def number_of(path: Path, entry: dict, name: str) -> float:
    """A number of a benchmark's entry, from 0 on."""
    found = entry.get(name)
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    if not is_number or not 0 <= found < MOST:  # NaN is not either
        raise runs.RunError(f"{path}: {entry.get('name')!r}: {name} is {found!r}, not a number "
                            f"from 0 to {MOST:g}")
    return found


def time_of(path: Path, entry: dict, name: str, unit: float) -> float:
    """A time of all iterations in ns."""
    time = number_of(path, entry, name) * unit * number_of(path, entry, "iterations")
    if not 0 < time <= runs.LONGEST_NS:
        raise runs.RunError(f"{path}: {entry.get('name')!r}: {name} of all iterations is {time:g} "
                            f"ns, not above 0 and at most {runs.LONGEST_NS:g}")
    return time


def sample_of(path: Path, entry: dict, case: dict, known: dict[tuple, dict]) -> dict:
    """The fields of a sample that a benchmark's entry fills."""
    if entry.get("error_occurred"):
        return {**case, "status": "failed", "error": entry.get("error_message") or "unknown"}
    if entry.get("threads", 1) != 1:
        raise runs.RunError(f"{path}: {entry.get('name')!r} ran on {entry['threads']!r} threads")
    unit = UNITS.get(str(entry.get("time_unit", "ns")))
    if unit is None:
        raise runs.RunError(f"{path}: {entry.get('name')!r}: time_unit is {entry['time_unit']!r}, "
                            f"none of {', '.join(UNITS)}")
    wall, cpu = (time_of(path, entry, name, unit) for name in ("real_time", "cpu_time"))
    return {**case, "iterations": int(entry["iterations"]), "wall_ns": wall, "cpu_ns": cpu,
            **dict.fromkeys(COUNTS, "unavailable"), **costs_of(path, entry, case, known),
            "status": "ok"}


def samples_of(paths: list[Path], pattern: re.Pattern, engine: str,
               known: dict[tuple, dict]) -> list[dict]:
    """All samples, in the order of the files."""
    samples, seen = [], {}
    for number, path in enumerate(paths):
        for entry in read_benchmarks(path)["benchmarks"]:
            if entry.get("run_type", "iteration") != "iteration":
                continue
            case = case_of(path, str(entry.get("run_name") or entry.get("name")), pattern)
            key = (number, *case.values())
            seen[key] = seen.get(key, -1) + 1
            samples.append({**sample_of(path, entry, case, known), "engine": engine,
                            "round": number, "cache": "hot", "sample": seen[key],
                            "order": len(samples)})
    if not samples:
        raise runs.RunError(f"{paths[0]}: no benchmarks")
    return samples


def kernel_rows(samples: list[dict], tokens: str) -> list[dict]:
    """kernels.csv: what little is known."""
    rows = {}
    for sample in samples:
        made = 1 if tokens == "one" else sample["seq_len"]
        work = (sample.get("flops", 0) + sample.get("elementwise_flops", 0)) // made
        engine = sample["engine"]
        rows.setdefault(sample["kernel"], {
            **{name: sample[name] for name in ("kernel", "kind", "layer", "variant", "engine")},
            "tokens": tokens, "job": UNKNOWN, "per_block": 1,
            "products": "step" if tokens == "one" else "sequence", "batches": UNKNOWN,
            "parts": "no",
            "packing": PACKING.get(engine, UNKNOWN), "bytes_per_weight": 4, "roof": "fma",
            "operations_per_token": work, "sequential_share": 0, "equation": "unknown",
            "method": "imported"})
    return list(rows.values())


def utc_of(date: str) -> str:
    """The date of a Google Benchmark context in UTC."""
    try:
        moment = datetime.datetime.fromisoformat(date).astimezone(datetime.timezone.utc)
    except (TypeError, ValueError):
        return "unknown"
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def host_of(contexts: list[dict], paths: list[Path], cpu: str) -> dict:
    """host.json: what the context tells of the machine."""
    first = contexts[0]
    for path, context in zip(paths, contexts):
        for name in ("host_name", "num_cpus"):
            if context.get(name) != first.get(name):
                raise runs.RunError(f"{path}: {name} is not that of {paths[0]}")
    caches = [{"level": cache.get("level"), "bytes": cache.get("size"),
               "shared_by_cores": cache.get("num_sharing")}
              for cache in first.get("caches", []) if cache.get("type") != "Instruction"]
    if not all(map(hosts.is_cache, caches)):
        raise runs.RunError(f"{paths[0]}: context: caches: not all have a level and a size")
    return {"cpu": {"model": cpu, "logical_cores": first.get("num_cpus"), "caches": caches},
            "libraries": {"google_benchmark": first.get("library_version", "unknown")},
            "run": {"started_utc": utc_of(first.get("date")), "rounds": len(paths),
                    "imported_from": [path.name for path in paths]}}


def csv_text(name: str, rows: list[dict]) -> str:
    """Rows as a CSV file with the columns of the data dictionary; what is not there stays empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(runs.schema(runs.README, name)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def import_files(options: argparse.Namespace) -> None:
    """Write the run folder."""
    try:
        pattern = re.compile(options.pattern)
    except re.error as error:
        raise runs.RunError(f"--pattern: {error}") from error
    if missing := {"layer", "variant", *NEEDED} - set(pattern.groupindex):
        raise runs.RunError(f"--pattern: no group named {min(missing)}")
    if options.out.exists() and any(options.out.iterdir()):
        raise runs.RunError(f"{options.out}: not empty: a run is never changed")
    contexts = [read_benchmarks(path)["context"] for path in options.files]
    host = host_of(contexts, options.files, options.cpu)
    if options.engine not in PACKING:
        print(f"import: engine '{options.engine}' is none of {', '.join(PACKING)}: when it packs "
              "weights is not known, so its times are not predicted", file=sys.stderr)
    samples = samples_of(options.files, pattern, options.engine, known_costs(options.costs))
    kernels = kernel_rows(samples, options.tokens)
    files = {"samples.csv": csv_text("samples.csv", samples),
             "kernels.csv": csv_text("kernels.csv", kernels),
             "host.json": json.dumps(host, indent=1) + "\n"}
    runs.make_folder(options.out)
    for name, text in files.items():
        runs.write_text(options.out / name, text)
    print(f"{options.out}: {len(samples)} samples; next: make csv RUN={options.out}")
