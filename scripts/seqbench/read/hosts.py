"""host.json: the machine, the build and the options of a run."""
from __future__ import annotations

import json
import re
from pathlib import Path

from seqbench.read import runs


def load(run_dir: Path) -> dict:
    """host.json."""
    path = run_dir / "host.json"
    try:
        host = json.loads(runs.read_text(path))
    except json.JSONDecodeError as error:
        raise runs.RunError(f"{path}: line {error.lineno}: {error.msg}") from error
    if not isinstance(host, dict):
        raise runs.RunError(f"{path}: not an object")
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
    return f"{machine_name(host)}, march {march[1] if march else 'unknown'}, OpenBLAS {core}"
