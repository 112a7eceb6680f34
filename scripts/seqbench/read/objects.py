"""Read a JSON file that holds one object, as host.json does."""
from __future__ import annotations

import json
from pathlib import Path

from seqbench.read import runs


def read_object(path: Path) -> dict:
    """The object; what is no JSON, or none that can be read, is said in a line."""
    text = runs.read_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise runs.RunError(f"{path}: line {error.lineno}: {error.msg}") from error
    except (RecursionError, ValueError) as error:  # nested, or a number of more digits, than known
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise runs.RunError(f"{path}: {reason}") from error
    if not isinstance(content, dict):
        raise runs.RunError(f"{path}: not an object")
    return content
