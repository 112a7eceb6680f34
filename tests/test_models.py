"""Named models: their table, the grid of their shapes, and what is made of a run of it."""

from __future__ import annotations

import csv

import pandas as pd
import pytest

from conftest import command
from seqbench.read import dimensions, runs
from seqbench.tables import models
from seqbench.words import models as words


def test_every_model_names_where_its_sizes_are_from():
    table = models.load()
    assert table.model.nunique() >= 14
    assert table.source.str.match(r"https://\S+$").all()
    assert (table.purpose.str.len() <= 60).all()
    assert (table.tokens_per_second >= 0).all()


def test_bad_tables_are_refused(tmp_path, monkeypatch):
    text = models.MODELS.read_text()
    first, second = text.splitlines()[1:3]
    monkeypatch.setattr(models, "MODELS", tmp_path / "models.csv")
    for bad, said in ((f"{text}{first}\n", "this part is there already"),
                      (text.replace(second, second.replace(",24,1,", ",24,5,")), "not a multiple of heads"),
                      (text.replace(",31,128,", ",x,128,"), "seq_len: 'x' is not of type dimension")):
        models.MODELS.write_text(bad)
        with pytest.raises(runs.RunError, match=said):
            models.load()


def test_the_grid_has_every_shape_and_its_alternatives(tmp_path, seqbench, capsys):
    assert command("models", ["--grid"]) == 0
    path = tmp_path / "grid"
    path.write_text(capsys.readouterr().out)
    process = seqbench("plan", "-g", path, "-k", "*/hoisted,*/scan,*/recurrent,*/tiled,*/cached,*/shifted",
                       "--engine", "openblas", "--rounds", 1)
    assert process.returncode == 0, process.stderr
    planned = {(row["kernel"].split("/")[0], *(int(row[name]) for name in models.SIZES))
               for row in csv.DictReader(process.stdout.splitlines())}
    for shape in models.load()[models.SHAPE].itertuples(index=False, name=None):
        assert shape in planned
    silero = dict(zip(models.SHAPE, ("lstm", 31, 128, 1, 0, 0, 0)))
    assert {row.layer for row in models.alternatives(pd.Series(silero)).itertuples()} == {"gru", "slstm", "ssru"}
    assert ("slstm", 31, 128, 2, 0, 0, 0) in planned  # with heads as it has by itself
    assert ("mamba", 1, 768, 1, 0, 0, 0) in planned  # beside one token of GPT-2


def test_a_layer_without_a_job_is_refused():
    with pytest.raises(runs.RunError, match="tcn: no layers of its job are known"):
        models.alternatives(pd.Series({"layer": "tcn", "seq_len": 1, "hid_size": 8}))


def timed(layer, engine, ns, parameters, **sizes):
    """A row of summary.csv."""
    absent = {size.column: size.absent for size in dimensions.ALL}
    return {**absent, "kind": "layer", "layer": layer, "kernel": f"{layer}/any", "engine": engine,
            "tokens": "all", "median_ns": ns, "ci_low_ns": 0.9 * ns, "ci_high_ns": 1.1 * ns,
            "parameters": parameters, **sizes}


@pytest.fixture
def table(monkeypatch, tmp_path):
    """models.csv of a run that has one model, its alternatives, and others in the way."""
    silero = {"seq_len": 31, "hid_size": 128}
    rows = [timed("lstm", "packed", 31000, 800, **silero), timed("lstm", "packed-int8", 15500, 800, **silero),
            timed("gru", "packed", 15500, 600, **silero), timed("ssru", "packed", 6200, 100, **silero),
            timed("gru", "openblas", 1, 600, **silero), timed("gru", "packed", 1, 600, **silero | {"input": 3}),
            timed("lstm", "packed", 1, 800, **silero | {"seq_len": 32})]
    monkeypatch.setattr(runs, "load_summary", lambda folder: pd.DataFrame(rows))
    return models.of_run(tmp_path)


def test_times_are_of_all_layers_and_one_token(table):
    row = table[table.engine == "packed"].iloc[0]
    assert (row.model, row.us_per_token, row.layers_us) == ("Silero VAD", 1.0, 1.0)
    assert row.low_us == pytest.approx(0.9)
    assert row.core_share == pytest.approx(31.25e-6)
    assert len(table) == 2


def test_an_alternative_has_as_many_parameters(table):
    row = table[table.engine == "packed"].iloc[0]
    assert row.alternative == "gru"  # 0.5 us of 600 against 1 us of 800; ssru: 0.2 us of 100
    assert row.alternative_times == pytest.approx(0.5 / 600 / (1 / 800))
    assert table[table.engine == "packed-int8"].iloc[0].alternative == ""


def test_a_run_without_such_shapes_is_refused(monkeypatch, tmp_path):
    rows = [timed("lstm", "packed", 1, 1, seq_len=5, hid_size=5)]
    monkeypatch.setattr(runs, "load_summary", lambda folder: pd.DataFrame(rows))
    with pytest.raises(runs.RunError, match="`make models` makes such a run"):
        models.of_run(tmp_path)


def test_words(table):
    told = words.sentences(table)
    assert told[0].startswith("Of 1 models that read or make a signal with a known frame rate, the layers of 1 keep up")
    assert "0.0031 % of it (Silero VAD)" in told[0]
    assert told[1] == "Time with float32 over time with int8: 2.0x (median 2.0x); above 1 int8 takes less."
    (line,) = words.lines_of(table)
    assert line[0].startswith("[Silero VAD](https://") and line[2:] == [
        "1 lstm, H=128", "31", "1.0", "-", "0.50", "0.0031 %", "gru 0.67x"]


def test_names_for_a_look_up_lie_within_the_sizes():
    sizes = pd.DataFrame({"seq_len": [30, 40], "hid_size": [100, 250]})
    assert [name for name, _, _ in models.names(sizes)] == ["Silero VAD, decoder LSTM",
                                                            "PyTorch word_language_model, LSTM 1-2"]
