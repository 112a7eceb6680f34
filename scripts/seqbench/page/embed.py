"""What stands in a page: its template, and data."""
from __future__ import annotations

import json
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from seqbench.read import runs

PAGE = Path(__file__).resolve().parent


def template(name: str) -> jinja2.Template:
    """A template of this package; what it asks for and is not given is an error."""
    loader = jinja2.FileSystemLoader(PAGE)
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True,
                              undefined=jinja2.StrictUndefined).get_template(name)


def piece(*names: str) -> Markup:
    """Style sheets or scripts of this package, one after the other."""
    return Markup("".join(runs.read_text(PAGE / name) for name in names))


def rounded(value: float) -> float | int | None:
    """A number as JSON takes it, with four digits."""
    if not np.isfinite(value):
        return None
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def embedded(data: object) -> Markup:
    """JSON that may stand in a script element: nothing in it ends the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
