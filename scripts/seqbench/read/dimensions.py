"""The sizes of a case, as include/dims.def lists them: the one place that knows their names."""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).resolve().parents[3] / "include" / "dims.def"
OR_0 = "dimension or 0"  # the type of a column of OPTIONAL
LINE = re.compile(r'^DIMENSION\((\w+), (\w+), "([\w-]+)", (\d)', re.MULTILINE)


@dataclass(frozen=True)
class Dimension:
    """A size: its letter in tables, its column, its name in case.json and in options."""
    letter: str
    column: str
    name: str
    absent: int  # the size of a layer without it; 0: only some layers have it, and 0 is not given

    @property
    def option(self) -> str:
        """-S, --heads"""
        return f"-{self.name}" if len(self.name) == 1 else f"--{self.name}"


ALL = [Dimension(field[0], column, name, int(absent))
       for field, column, name, absent in LINE.findall(TABLE.read_text(encoding="utf-8"))]
COLUMNS = [dimension.column for dimension in ALL]
ABSENT = {dimension.column: dimension.absent for dimension in ALL}
OPTIONAL = [dimension.column for dimension in ALL if dimension.absent == 0]
LETTERS = {dimension.column: dimension.letter for dimension in ALL}
OPTIONS = {dimension.column: dimension.option for dimension in ALL}
