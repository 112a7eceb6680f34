"""What a derived table is: its name, what it is made from, and what makes it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Unknown(Exception):
    """Why a table cannot be made of this run, for a person to read."""


@dataclass(frozen=True)
class Made:
    """Something that is made of a run; a table if its name ends in .csv."""
    name: str
    needs: list[str]  # names of what the maker is given, in order
    make: Callable
