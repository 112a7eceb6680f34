"""Engines of fewer bytes per weight: what is refused, errors against planted tables, words."""
import csv
import json

import numpy as np
import pandas as pd
import pytest

from conftest import command
from seqbench.read import runs
from seqbench.tables import precision, ratios, roofline
from seqbench.words import precision as words
from test_derived import MACHINE, frame, row
from test_scripts import sample, write_run

COLUMNS = list(runs.schema(runs.README, "accuracy.csv"))


def rows_of(process):
    assert process.returncode == 0, process.stderr
    return list(csv.DictReader(process.stdout.splitlines()))


# seqbench


def test_engines_are_described_in_host_json(seqbench):
    engines = json.loads(seqbench("host").stdout)["engines"]
    assert {"openblas", "packed", "packed-bf16", "packed-int8"} <= set(engines)
    for name, kind in (("packed-bf16", "bfloat16"), ("packed-int8", "int8")):
        assert kind in engines[name] and ("dot products" in engines[name]) != ("widened" in engines[name])


def test_kernels_tell_the_bytes_of_their_weights(seqbench):
    rows = {row["engine"]: row for row in rows_of(seqbench("list", "--csv", "-k", "lstm/hoisted"))}
    assert {name: rows[name]["bytes_per_weight"] for name in ("packed", "packed-bf16", "packed-int8")} == {
        "packed": "4", "packed-bf16": "2", "packed-int8": "1"}
    wide, half, quarter = (int(rows[name]["streamed_bytes_per_token"])
                           for name in ("packed", "packed-bf16", "packed-int8"))
    assert wide == 2 * half == 4 * quarter


def test_only_layers_that_are_shipped_so_are_sparse(seqbench):
    rows = rows_of(seqbench("list", "--csv", "--engine", "all"))
    sparse = {row["layer"] for row in rows if row["engine"].startswith("packed-sparse")}
    assert sparse in (set(), {"lstm", "gru", "minlstm"})  # none where vectors are short
    made = {row["variant"] for row in rows if row["engine"] == "packed-int8"}
    assert "registers" in made and not made & {"joined", "im2col", "literal"}


def test_blocks_that_do_not_fill_are_left_out_in_words(seqbench):
    names = [row["engine"] for row in rows_of(seqbench("list", "--csv", "-k", "lstm/registers"))]
    if "packed-sparse30" not in names:
        pytest.skip("no vectors of 8 floats")
    said = seqbench("plan", "-k", "lstm/registers", "--engine", "packed-sparse30", "-S", 2, "-H", "12,16")
    assert "lstm/registers S=2 H=12: left out: blocks of 8 x 4 do not fill it" in said.stderr
    assert {row["hid_size"] for row in csv.DictReader(said.stdout.splitlines())} == {"16"}


@pytest.fixture(scope="module")
def accuracy(seqbench):
    return rows_of(seqbench("accuracy", "-k", "lstm/registers,transformer/online,decode/cached", "--engine",
                            "packed,packed-bf16,packed-int8", "-S", 300, "-H", 64))


def test_errors_grow_with_fewer_bits(accuracy, tmp_path):
    first = {(row["kernel"], row["engine"]): float(row["rms"]) for row in accuracy
             if row["first_token"] == "1"}
    for kernel in ("lstm/registers", "transformer/online", "decode/cached"):
        float32, bf16, int8 = (first[kernel, engine] for engine in ("packed", "packed-bf16", "packed-int8"))
        assert float32 < 1e-5 < 1e-4 < bf16 < 1e-2 and bf16 < int8 < 5e-2
    with (tmp_path / "accuracy.csv").open("w") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(accuracy)
    runs.validate(tmp_path / "accuracy.csv", runs.README)


def test_windows_of_tokens_follow_one_another(accuracy):
    windows = [(row["first_token"], row["last_token"]) for row in accuracy
               if (row["kernel"], row["engine"]) == ("lstm/registers", "packed")]
    assert windows == [("1", "128"), ("129", "256"), ("257", "300")]
    assert [row["last_token"] for row in accuracy if row["kernel"] == "decode/cached"] == ["1"] * 3


def test_other_weights_have_other_errors(seqbench):
    one, other = (rows_of(seqbench("accuracy", "-k", "rnn/registers", "--engine", "packed-bf16", "-S", 4,
                                   "-H", 8, "--seed", seed))[0]["rms"] for seed in (1, 2))
    assert one != other


# roofs and tables


def test_weights_are_multiplied_at_the_peak_of_their_engine():
    machine = MACHINE.__class__(**{**MACHINE.__dict__, "dots": {"dot_int8": 4 * MACHINE.fma}})
    table = frame([row("transformer/a", 64, 64, 1, flops=3000, parameters=20),
                   row("transformer/a", 64, 64, 1, flops=3000, parameters=20, engine="packed-int8")])
    table["roof"] = ["fma", "dot_int8"]
    numbers = table.astype(dict.fromkeys(runs.COSTS, float))
    walked = pd.Series([0.0, 0.0])
    wide, narrow = roofline.products_ns(numbers, walked, machine, machine.fma)
    assert wide == pytest.approx(3000 / machine.fma)
    assert narrow == pytest.approx((440 + 2560 / 4) / machine.fma)  # 2 * 20 * 64 with weights
    bounds = roofline.bounds(table, machine)
    assert bounds.gemm_ns.tolist() == pytest.approx([wide, narrow])


def planted(folder):
    """Blocks and LSTMs of three precisions: int8 takes a quarter of the time."""
    rows = []
    for number in range(3):
        for engine, share in (("packed", 1), ("packed-bf16", 0.5), ("packed-int8", 0.25)):
            for s in (16, 1024):
                rows += [sample("lstm/registers", s, 64, 100 * s * share, round=number, engine=engine,
                                parameters=8 * 64 * 64),
                         sample("transformer/online", s, 64, 1000 * s, round=number, engine=engine,
                                parameters=12 * 64 * 64)]
        rows.append(sample("roof/fma", 4096, 1, 1000, round=number, engine="none", flops=100000))
    run = write_run(folder, rows)
    assert command("summarise", [str(run)]) == 0
    return run


def test_gains_are_over_float32_of_the_same_panels(tmp_path):
    gains = precision.gains(runs.load_derived(planted(tmp_path / "run"), "roofline.csv"))
    lstm = gains[(gains.layer == "lstm") & (gains.seq_len == 16)].set_index("engine").gain
    assert lstm.to_dict() == pytest.approx({"packed-bf16": 2.0, "packed-int8": 4.0})
    assert set(gains[gains.layer == "transformer"].gain.round(6)) == {1.0}


def test_any_engine_means_any_of_float32(tmp_path):
    summary = runs.load_summary(planted(tmp_path / "run"))
    assert set(ratios.of_engine(summary, ratios.ANY).engine) == {"packed", "none"}
    assert ratios.engine_classes(summary) == ["openblas", "packed", "packed-bf16", "packed-int8", "any"]


def test_page_tells_gains_and_errors(tmp_path):
    run = planted(tmp_path / "run")
    assert "| lstm | int8 | 4.0x" in words.gain_section(run)
    assert "| lstm | bfloat16 |" in words.crossing_section(run)
    rows = [{**dict.fromkeys(COLUMNS, 1), "kernel": "lstm/registers", "engine": engine, "hid_size": 64,
             "input": 0, "first_token": first, "last_token": last, "rms": rms, "largest": 1}
            for engine, rms in (("packed-bf16", 0.001), ("packed-int8", 0.02))
            for first, last in ((1, 128), (129, 256))]
    for name in ("accuracy.csv", "accuracy_long.csv"):
        pd.DataFrame(rows)[COLUMNS].to_csv(run / name, index=False)
    assert "| lstm | int8 | 2 % |" in words.accuracy_section(run)
    assert "| lstm | bfloat16 | 0.1 % | 0.1 % |" in words.growth_section(run)
    assert command("plot", [str(run)]) == 0
    assert {"precision.png", "precision_crossings.png"} <= {
        path.name for path in (run / "figures").iterdir()}
    for name in ("precision", "precision_crossings"):
        assert "int8" in (run / "figures" / f"{name}.svg").read_text()


def test_a_run_of_float32_has_no_gains(tmp_path):
    run = write_run(tmp_path / "run", [sample("lstm/registers", 16, 64, 100, engine="packed")])
    assert command("summarise", [str(run)]) == 0
    with pytest.raises(runs.RunError, match="of fewer bytes per weight"):
        words.gain_section(run)
    assert not np.any(runs.is_narrow(runs.load_summary(run).engine))
