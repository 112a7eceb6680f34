"""host.json: the machine, the build and the options of a run."""
from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

from seqbench.read import objects, runs


def is_number(found) -> bool:
    """A number that can be reckoned with."""
    return isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found)


def is_cache(found) -> bool:
    """A cache with its level and its size."""
    return isinstance(found, dict) and all(is_number(found.get(key)) and found[key] > 0
                                           for key in ("level", "bytes"))


# What scripts reckon with: a test, and what it asks for. A value that is not there is unknown.
WANTED: dict[tuple[str, str], tuple[Callable, str]] = {
    ("cpu", "caches"): (lambda found: isinstance(found, list) and all(map(is_cache, found)),
                        "a list of caches with level and bytes"),
    ("cpu", "measured_core"): (is_number, "the number of a core"),
    ("machine", "virtual"): (lambda found: isinstance(found, (bool, str)), "true or false"),
    ("run", "until"): (lambda found: is_number(found) and found > 0, "a number above 0"),
}


def load(run_dir: Path) -> dict:
    """host.json, checked."""
    path = run_dir / "host.json"
    host = objects.read_object(path)
    for (group, key), (is_wanted, words) in WANTED.items():
        found = value(host, group, key)
        if found is not None and not is_wanted(found):
            raise runs.RunError(f"{path}: {group}: {key}: not {words}")
    return host


def value(host: dict, group: str, key: str):
    """One value of host.json; None when it is not there."""
    values = host.get(group)
    return values.get(key) if isinstance(values, dict) else None


def machine_name(host: dict) -> str:
    """The CPU's name; with family and model where it has no number of its own."""
    name = str(value(host, "cpu", "model") or "unknown CPU").strip()
    family, model = (value(host, "cpu", key) for key in ("family", "model_number"))
    if family and model and not re.search(r"\d", name):
        name += f" (family {family}, model {model})"
    return name


def setup_name(host: dict) -> str:
    """The CPU, and what the code and the products were built for."""
    march = re.search(r"-march=(\S+)", str(value(host, "build", "flags")))
    core = value(host, "libraries", "openblas_corename") or "unknown"
    blis = value(host, "libraries", "blis_kernels")
    return (f"{machine_name(host)}, march {march[1] if march else 'unknown'}, OpenBLAS {core}"
            + (f", BLIS {blis}" if blis else ""))
