#!/usr/bin/python3 -B
"""Layers of PyTorch, in one thread: torch.nn, its narrow modules, and layers written by hand."""
from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # not this folder: its torch is this file

from seqbench.peers import program, torch_layers  # noqa: E402  # behind the path

if __name__ == "__main__":
    program.serve(torch_layers.about, torch_layers.load)
