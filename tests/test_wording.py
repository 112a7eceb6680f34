"""Tables and sentences for a reader, whatever the names in the files."""

import pandas as pd
import pytest

from conftest import command
from seqbench.read import dimensions, runs
from seqbench.words import wording
from test_scripts import sample, summarised


def test_columns_are_as_wide_as_their_cells():
    assert wording.text_table(["a", "time"], [["one", "1.0 "], ["x", "22.0*"]], 1).splitlines() == [
        "a     time", "one   1.0", "x    22.0*"]
    assert wording.text_table(["a", "time"], []) == "a  time"


def test_numbers_stay_as_they_are_written():
    assert wording.text_table(["a"], [["1.50"], ["007"], ["1e3"], ["-"]]).splitlines() == [
        "a", "1.50", "007", "1e3", "-"]


def test_wide_tables_are_cut_and_keep_their_first_columns():
    header = ["layer", "SeqLen", *(f"H {n}" for n in range(30))]
    pieces = wording.wrapped_table(header, [["lstm", "16", *["12345"] * 30]]).split("\n\n")
    assert len(pieces) == 3 and all(piece.startswith("layer  SeqLen  H ") for piece in pieces)
    assert max(len(line) for piece in pieces for line in piece.splitlines()) <= wording.WIDTH
    assert " ".join(pieces).count("12345") == 30


def test_markdown_cells_neither_end_nor_become_tags():
    assert wording.markdown_table(["a", "b"], [["x | y", "<img src=x>"], ["", "1\n2"]]).splitlines() == [
        "| a | b |", "| --- | --- |", "| x \\| y | &lt;img src=x> |", "|  | 1 2 |"]


@pytest.mark.parametrize("text, escaped", [
    ("S < 61, > 158", "S < 61, > 158"), ("<b>x</b>", "&lt;b>x&lt;/b>"), ("<!-- x -->", "&lt;!-- x -->"),
    ("<?php", "&lt;?php"), ("&lt;b>", "&lt;b>")])
def test_only_what_may_be_a_tag_is_escaped(text, escaped):
    assert wording.without_tags(text) == escaped == wording.without_tags(escaped)


@pytest.mark.parametrize("section", ["machines", "answer", "times"])
def test_sections_have_no_tags_of_files(tmp_path, capsys, section):
    rows = [sample(kernel, 16, 64, ns, parameters=7) for kernel, ns in (
        ("<img src=x onerror=y>/a", 10), ("lstm/hoisted", 20), ("transformer/tiled", 15))]
    run = summarised(tmp_path / "run", rows, {"cpu": {"model": "<b>7</b>"}})
    page = tmp_path / "README.md"
    page.write_text(f"<!-- {section} of run, written by `make docs` -->\n"
                    f"<!-- end of the {section} -->\n")
    assert command("docs", [str(tmp_path)]) == 0
    text = page.read_text()
    assert "<b>" not in text and "<img" not in text
    assert ("&lt;img src=x onerror=y>" if section == "times" else "&lt;b>7&lt;/b>") in text
    capsys.readouterr()
    assert command("answer", [str(run)]) == 0
    assert "<b>7</b>" in capsys.readouterr().out


def test_sizes_are_named_where_they_tell_cells_apart():
    small, two, four = ((H, A, 1, *[0] * len(dimensions.OPTIONAL)) for H, A in ((64, 1), (128, 2), (128, 4)))
    cells = pd.DataFrame([small, two, four], columns=runs.ACROSS)
    assert wording.size_labels(cells) == {small: "H 64 A 1", two: "H 128 A 2", four: "H 128 A 4"}
    assert wording.size_labels(cells[:2]) == {small: "H 64", two: "H 128"}
    assert wording.sizes_text({"seq_len": 1, "hid_size": 64, "heads": 1, "batch": 1}) == "S=1 H=64"
    assert wording.sizes_text({"heads": 4, "batch": 2}) == "A=4 B=2"
