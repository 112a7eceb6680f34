"""BLIS beside OpenBLAS: the ratios of a run with both engines, and the section made of them."""

from __future__ import annotations

import pytest

from conftest import command
from seqbench.read import runs
from seqbench.tables import libraries
from test_scripts import sample, summarised

# Times by kernel and engine in ns, at SeqLen 16 and 64.
TIMES = {("lstm/hoisted", "openblas"): (100, 100), ("lstm/hoisted", "blis"): (260, 450),
         ("lstm/joined", "openblas"): (400, 900), ("lstm/joined", "blis"): (200, 900),
         ("lstm/fused", "openblas"): (10, 10), ("lstm/registers", "packed"): (1, 1),  # without blis
         ("transformer/full", "openblas"): (80, 80), ("transformer/full", "blis"): (40, 40)}


def host(kernels="skx", **environment):
    """host.json of a build with BLIS; kernels None: without."""
    blis = {"blis": "0.9.0", "blis_kernels": kernels} if kernels else {"blis": "not built in"}
    return {"cpu": {"model": "Planted CPU 3000"}, "libraries": {
        "openblas_config": "OpenBLAS 0.3.21 NO_LAPACKE", "openblas_corename": "Zen",
        "blas_environment": environment, **blis}}


def run_of(folder, times, machine):
    """A run with these times."""
    return summarised(folder, [sample(kernel, seq_len, 64, ns, engine=engine) for (kernel, engine), pair in times.items()
                               for seq_len, ns in zip((16, 64), pair)], machine)


def test_each_engine_has_its_fastest_variant_of_those_that_both_have(tmp_path):
    table = libraries.time_ratios(runs.load_summary(run_of(tmp_path / "run", TIMES, host())), "blis", "openblas")
    assert [(row.layer, row.seq_len, row.ratio) for row in table.itertuples()] == [
        ("lstm", 16, 2.0), ("lstm", 64, 4.5), ("transformer", 16, 0.5), ("transformer", 64, 0.5)]


PAGE = "# A\n\n<!-- blas of {}, written by `make docs` -->\nold\n<!-- end of the blas -->\n"
MEANS = ("On Planted CPU 3000 layers over BLIS 0.9.0 take 1.2 times (0.50 to 4.5) as long as over OpenBLAS 0.3.21 "
         "(geometric mean and range of 4 cells): lstm 3.0 times and transformer 0.50 times.")


def test_the_section_has_an_item_for_each_run(tmp_path):
    run_of(tmp_path / "one", TIMES, host("generic", OMP_NUM_THREADS="1"))
    run_of(tmp_path / "two", TIMES, host(BLIS_ARCH_TYPE="0", OPENBLAS_CORETYPE="Zen"))
    (tmp_path / "README.md").write_text(PAGE.format("one+two"))
    assert command("docs", [str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text().splitlines()[3:-1] == [
        f"- {MEANS} BLIS used its kernels for generic (its own choice), OpenBLAS its kernels for Zen (its own choice).",
        f"- {MEANS} BLIS used its kernels for skx (as BLIS_ARCH_TYPE=0 asks), OpenBLAS its kernels for Zen "
        "(as OPENBLAS_CORETYPE=Zen asks)."]


@pytest.mark.parametrize("times, machine, words", [
    (TIMES, host(None), "run/host.json: built without BLIS"),
    ({key: pair for key, pair in TIMES.items() if key[1] != "blis"}, host(),
     "run/summary.csv: no layer was timed with both engines blis and openblas"),
    ({("lstm/fused", "openblas"): (1, 1), ("lstm/hoisted", "blis"): (1, 1)}, host(), "no layer was timed with both")])
def test_runs_that_say_nothing_of_both(tmp_path, capsys, times, machine, words):
    run_of(tmp_path / "run", times, machine)
    (tmp_path / "README.md").write_text(PAGE.format("run"))
    assert command("docs", [str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert words in said and "make bench BLAS=blis ENGINE=openblas,blis" in said
    assert (tmp_path / "README.md").read_text() == PAGE.format("run")
