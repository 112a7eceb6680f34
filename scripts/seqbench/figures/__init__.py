"""The figures of a run: each is a module of this package that has a FIGURE."""
from __future__ import annotations

import importlib
import pkgutil

from seqbench.figures.drawing import Figure

_modules = [importlib.import_module(f"{__name__}.{found.name}")
            for found in pkgutil.iter_modules(__path__) if found.name != "plot"]
FIGURES: list[Figure] = sorted((module.FIGURE for module in _modules if hasattr(module, "FIGURE")),
                               key=lambda figure: figure.place)
