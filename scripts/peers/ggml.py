#!/usr/bin/python3 -B
"""Layers of ggml, in one thread: its operations for recurrent layers, and a step of a GPT block."""
from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # not this folder, as in torch.py

from seqbench.peers import ggml_layers, program  # noqa: E402  # behind the path

if __name__ == "__main__":
    program.serve(ggml_layers.about, ggml_layers.load)
