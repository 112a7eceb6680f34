"""The page of all layers, from planted tables."""

import csv
import subprocess

import pandas as pd
import pytest

from conftest import BUILD, ROOT
from seqbench.read import runs
from seqbench.words import layers, sections

KERNELS = pd.DataFrame(
    [("rnn/literal", "layer", "rnn", "all", 1048576, 0.5, 512.0, "h = tanh(a | b)"),
     ("rnn/hoisted", "layer", "rnn", "all", 999, 0.1, 512.0, "h"),
     ("transformer/full", "layer", "transformer", "all", 8388608, 0.0, float("nan"), "y"),
     ("decode/cached", "layer", "decode", "one", 8388608, 0.3, 1048576.0, "y"),
     ("rnn.step", "step", "rnn", "all", 5, 0.5, 512.0, "s")],
    columns=["kernel", "kind", "layer", "tokens", "operations_per_token", "sequential_share",
             "state_floats", "equation"]).assign(job="recurrent layer", parameters=2 * 512 ** 2,
                                                 source="Elman")
SUMMARY = pd.DataFrame(
    [("rnn/literal", "layer", "rnn", "literal", 512, 512, 9, 4000.0, 4.0),
     ("rnn/hoisted", "layer", "rnn", "hoisted", 512, 512, 9, 2000.0, 2.0),
     ("transformer/full", "layer", "transformer", "full", 512, 512, 9, 8000.0, 8.0),
     ("decode/cached", "layer", "decode", "cached", 512, 512, 9, 300.0, 0.3),
     ("decode/cached", "layer", "decode", "cached", 16, 512, 9, 150.0, 0.15),
     ("rnn.step", "step", "rnn", "step", 1, 512, 9, 10.0, 0.01)],
    columns=["kernel", "kind", "layer", "variant", "seq_len", "hid_size", "samples", "median_ns",
             "us_per_token"])
ROOFLINE = pd.DataFrame(
    [("rnn", "layer", 512, 256, 100.0, 0.5), ("rnn", "layer", 512, 256, 80.0, 0.75),
     ("rnn", "layer", 512, 512, 80.0, 0.8), ("rnn", "layer", 16, 512, 1.0, 0.1)],
    columns=["layer", "kind", "seq_len", "hid_size", "median_ns", "share"])


def test_table_has_the_fastest_variant_and_its_share_of_the_roof():
    lines = layers.table(KERNELS, SUMMARY, ROOFLINE).splitlines()
    assert len(lines) == 2 + 3
    assert lines[2] == ("| rnn | recurrent layer | h = tanh(a \\| b) | 2.0 H² | 1.0 M | 50% | 2 KiB "
                        "| hoisted | 2.0 | 75%, 80% | Elman |")
    assert "| whole sequence |" in lines[3]


def test_decoded_token_over_a_step():
    lines = layers.decode(SUMMARY).splitlines()
    assert lines[0] == "| layer | µs per step | decode / it, 16 tokens | decode / it, 512 tokens |"
    assert lines[2] == "| rnn | 0.010 | 15x | 30x |"


def test_the_block_of_today_goes_before_gpt():
    modern = SUMMARY[SUMMARY.layer == "decode"].assign(layer="modern_decode", median_ns=200.0)
    lines = layers.decode(pd.concat([SUMMARY, modern])).splitlines()
    assert "modern_decode / it, 512 tokens" in lines[0] and lines[2] == "| rnn | 0.010 | 20x | 20x |"


def test_forms_of_a_layer_with_a_state():
    rows = [("supra", "recurrent", 16, 100.0), ("supra", "chunked", 16, 150.0),
            ("supra", "chunked", 16, 120.0), ("supra", "recurrent", 512, 100.0),
            ("ttt", "primal", 64, 100.0), ("ttt", "dual", 64, 50.0), ("rnn", "hoisted", 16, 1.0)]
    table = pd.DataFrame([{"kind": "layer", "layer": layer, "variant": variant, "seq_len": seq_len,
                           "hid_size": 512, "samples": 1, "median_ns": ns}
                          for layer, variant, seq_len, ns in rows])
    lines = layers.forms(table).splitlines()
    assert lines[2:] == ["| supra | chunked / recurrent | 1.2x | - | - | - |",
                         "| ttt | dual / primal | - | 0.50x | - | - |"]


def test_engines_are_named_where_a_kernel_has_several_and_peers_are_left_out():
    summary = pd.concat([SUMMARY.assign(engine="openblas")] + [
        SUMMARY[SUMMARY.kernel == "rnn/hoisted"].assign(engine=engine, median_ns=ns)
        for engine, ns in (("packed", 1000.0), ("torch", 1.0))], ignore_index=True)
    summary = summary[summary.kernel != "rnn/literal"]
    found = layers.timed_at(layers.ours(summary), "rnn", 512, 512)
    assert (found.kernel, found.median_ns) == ("rnn/hoisted packed", 1000.0)
    assert "| hoisted packed |" in layers.table(KERNELS, layers.ours(summary), ROOFLINE)
    step = SUMMARY[SUMMARY.kind == "step"].assign(engine="packed", median_ns=5.0)
    words = layers.decode(pd.concat([layers.ours(summary), step], ignore_index=True))
    assert words.count("| rnn |") == 1 and "60x" in words


def test_no_share_where_there_is_no_roof():
    assert layers.roof_shares(ROOFLINE.assign(share=float("nan")), "rnn") == "-, -"


def test_layers_of_the_page_are_those_of_the_registry():
    """A layer that is added, or an equation that changes, needs `make docs` with a new run."""
    listed = subprocess.run([BUILD / "seqbench", "list", "--csv"], capture_output=True, text=True)
    now = {row["layer"]: row["equation"] for row in csv.DictReader(listed.stdout.splitlines())
           if row["kind"] == "layer"}
    page = (ROOT / "results" / "LAYERS.md").read_text()
    found = [match for match in sections.SECTION.finditer(page)
             if match["what"] == "layers"]
    if not found:
        pytest.fail("LAYERS.md has no section `layers`")
    kernels = runs.load_kernels(ROOT / found[0]["folder"]).reset_index()
    then = layers.registered(kernels).set_index("layer").equation.to_dict()
    assert now == then
