"""The figures of a run: modules of this package have them as FIGURES."""
from __future__ import annotations

import importlib
import pkgutil

from seqbench.figures.drawing import Figure

_modules = [importlib.import_module(f"{__name__}.{found.name}")
            for found in pkgutil.iter_modules(__path__) if found.name != "plot"]
FIGURES: list[Figure] = sorted((figure for module in _modules
                                for figure in getattr(module, "FIGURES", [])),
                               key=lambda figure: figure.place)
