"""Streams: histograms, quantiles, what is told of them, and runs that are killed or refused."""
import csv
import json
import os
import re
import subprocess
import time

import numpy as np
import pandas as pd
import pytest

from conftest import BUILD, command
from seqbench.read import dimensions, runs
from seqbench.tables import streams
from seqbench.words import streaming
from test_report import browser, cells_of, choose, show, text_of  # noqa: F401
from test_scripts import VIRTUAL, sample, write_run

CORE = max(os.sched_getaffinity(0))
STREAM = {**VIRTUAL, "run": {"conditions": "hot,20800ns"}}
SMALL = ["-k", "rnn.step,lstm/registers", "--engine", "packed", "-H", "8,16", "--conditions",
         "hot,20us", "--calls", "1000", "--rounds", "2", "--cpu", CORE]


def histogram_text(durations):
    """Durations below 2048 ns, whose bins are 1 ns wide, as calls.csv has them."""
    low, count = np.unique(durations, return_counts=True)
    return " ".join(f"{ns}:{n}" for ns, n in zip(low, count))


def calls_file(folder, lines):
    """calls.csv."""
    header = list(runs.schema(runs.README, "calls.csv"))
    with (folder / "calls.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *lines])


def stream_run(folder, durations_of, rounds=5, sizes=(8, 16), kernel="lstm/registers"):
    """A stream of some sizes under two conditions; durations_of(size, cache) draws its calls."""
    rows, lines, order = [], [], 0
    for number in range(rounds):
        for size in sizes:
            for index, cache in enumerate(("hot", "20800ns")):
                row = sample(kernel, 1, size, 1000, round=number, number=index, engine="packed")
                row[HEADER.index("cache")] = cache
                row[HEADER.index("order")] = order
                rows.append(row)
                lines += [[order, index, block, "25.0", histogram_text(durations_of(size, cache))]
                          for block in range(2)]
            order += 1
    write_run(folder, rows, STREAM)
    calls_file(folder, lines)
    return folder


HEADER = list(runs.schema(runs.README, "samples.csv"))


# ---- histograms --------------------------------------------------------------------------------


def test_bins_begin_where_seqbench_begins_them():
    made = streams.Histogram.of(np.array([7, 1, 2047, 2048, 2049, 2050, 4095, 4097, 1000000, 7]))
    assert made.text() == "1:1 7:2 2047:1 2048:2 2050:1 4094:1 4096:1 999936:1"


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_quantiles_are_those_of_the_sorted_durations(share):
    durations = np.random.default_rng(1).integers(100, 2000, 5003)
    found = streams.Histogram.parse(histogram_text(durations)).quantile(share)
    assert found == np.sort(durations)[int(share * len(durations))]


def test_a_merged_histogram_is_that_of_the_union():
    rng = np.random.default_rng(2)
    parts = [rng.integers(50 * i, 900 * i, 400 * i) for i in (1, 2)]
    merged = streams.Histogram.merged([streams.Histogram.parse(histogram_text(p)) for p in parts])
    union = streams.Histogram.parse(histogram_text(np.concatenate(parts)))
    assert merged.low.tolist() == union.low.tolist()
    assert merged.count.tolist() == union.count.tolist()
    assert merged.calls == 1200 and merged.above(899) == (parts[1] > 899).sum()


@pytest.mark.parametrize("text", ["", "5", "5:0", "5:1 5:2", "7:1 5:2", "-1:3", "5:1  6:1", "5:x"])
def test_what_is_no_histogram_is_refused(text, tmp_path):
    run = stream_run(tmp_path / "run", lambda size, cache: [100, 200], rounds=1, sizes=(8,))
    calls_file(run, [[0, 0, 0, "25.0", text or '"'], [0, 1, 0, "25.0", "5:1"]])
    with pytest.raises(runs.RunError, match="calls.csv: line 2: histogram|not of type"):
        streams.streams([run])


def test_interval_holds_the_quantile_and_grows_with_the_noise_between_blocks():
    rng = np.random.default_rng(3)
    def blocks(spread):
        return [streams.Histogram.parse(histogram_text(
            (rng.normal(1000 + spread * rng.normal(), 10, 500)).astype(int))) for _ in range(10)]
    widths = []
    for spread in (0, 50):
        several = blocks(spread)
        low, high = streams.interval(several, 0.5)
        assert low <= streams.Histogram.merged(several).quantile(0.5) <= high
        widths.append(high - low)
    assert widths[1] > 5 * widths[0]
    assert np.isnan(streams.interval(several[:1], 0.5)).all()


# ---- tables and words --------------------------------------------------------------------------


def planted(size, cache):
    """Steps of 10 ns per channel, a tenth of them 100 times as long where the cache is not hot."""
    calls = np.full(600, 10 * size)
    if cache != "hot":
        calls[::10] *= 12
    return calls


def test_stream_table_holds_what_was_planted(tmp_path, capsys):
    run = stream_run(tmp_path / "run", planted)
    assert command("stream", [str(run)]) == 0
    runs.validate(run / "stream.csv", runs.README)
    table = runs.load_derived(run, "stream.csv")
    assert table.calls.tolist() == [6000] * 4 and table.blocks.tolist() == [10] * 4
    hot, paced = table[table.condition == "hot"], table[table.condition == "paced"]
    assert hot.p50_ns.tolist() == hot.max_ns.tolist() == [80, 160] and hot.late.isna().all()
    assert paced.period_ns.tolist() == [20800] * 2 and paced.late.tolist() == [0, 0]
    assert paced.p50_ns.tolist() == [80, 160] and paced.p99_ns.tolist() == [960, 1920]
    assert re.search(r"^lstm +8 +0\.080 +0\.080 +0\.080 +0\.960$", capsys.readouterr().out, re.M)
    assert (run / "figures" / "stream.png").exists()


def test_quantiles_of_few_calls_are_left_empty(tmp_path):
    run = stream_run(tmp_path / "run", lambda size, cache: [100] * 9)
    table = streams.streams([run])
    assert table.p99_ns.isna().all() and table.p999_ns.isna().all() and (table.p50_ns == 100).all()


def test_broken_off_blocks_do_not_count_and_repeated_ones_count_once(tmp_path):
    run = stream_run(tmp_path / "run", lambda size, cache: [100, 100], rounds=1, sizes=(8,))
    calls_file(run, [[0, 0, 0, "25.0", "7:1"], [9, 0, 0, "25.0", "9:1"], [0, 0, 0, "25.0", "5:2"]])
    (row,) = streams.streams([run]).itertuples()
    assert (row.calls, row.p50_ns) == (2, 5)


def test_largest_size_stops_at_the_first_that_misses():
    rows = pd.DataFrame({"hid_size": [8, 16, 32, 64], "p999_ns": [5.0, 10.0, 40.0, 20.0]})
    assert streaming.largest(rows, 25) == "16"
    assert streaming.largest(rows, 50) == "64 (largest timed)"
    assert streaming.largest(rows, 1) == "none (8 is the smallest timed)"
    assert streaming.largest(rows.assign(p999_ns=np.nan), 1) == "-"


def test_chunks_pay_from_where_a_token_takes_less_at_every_size():
    rows = [{"layer": "lstm", "kernel": "lstm/x", "engine": "packed", "hid_size": h, "heads": 1,
             "batch": 1, **dict.fromkeys(dimensions.OPTIONAL, 0), "condition": "hot", "period_ns": np.nan, "seq_len": s, "p50_ns": ns}
            for h in (64, 128) for s, ns in ((1, 100), (4, 300), (8, 790 if h == 64 else 600), (16, 1280))]
    assert streaming.chunk_sentences(pd.DataFrame(rows)) == [
        "lstm: calls of 16 tokens or more take less time per token than single steps; with 16 a "
        "token takes 0.80 to 0.80 of a single step (HidSize 64 to 128)."]


def test_pause_is_told_of_the_longest_period():
    rows = [{"layer": "lstm", "kernel": "lstm/x", "engine": "packed", "seq_len": 1, "hid_size": 128,
             "heads": 1, "batch": 1, **dict.fromkeys(dimensions.OPTIONAL, 0), "condition": condition, "period_ns": period, "p50_ns": ns}
            for condition, period, ns in (("hot", np.nan, 5e3), ("paced", 1e7, 3e4),
                                          ("paced", 3.2e7, 4.9e4))]
    assert streaming.pause_sentences(pd.DataFrame(rows)) == [
        "A step of lstm with HidSize 128 takes 5.0 µs call after call, and 49 µs when it is called "
        "every 32 ms (medians)."]


def test_compare_tells_streams_apart_by_p50_and_p99(tmp_path, capsys):
    rng = np.random.default_rng(4)

    def drawn(factor, tail):
        def durations(size, cache):
            calls = rng.normal(800, 8, 600) * rng.normal(1, 0.002) * factor
            calls[::50] *= tail
            return calls.astype(int)
        return durations
    base, same, slower, tailed = (stream_run(tmp_path / name, drawn(*values)) for name, values in (
        ("base", (1, 1.5)), ("same", (1, 1.5)), ("slower", (1.1, 1.5)), ("tailed", (1, 1.8))))
    for other, p50, p99 in ((same, "no difference", "no difference"), (slower, "slower", "slower"),
                            (tailed, "no difference", "slower")):
        out = tmp_path / f"to-{other.name}"
        assert command("compare", [str(base), str(other), "-o", str(out)]) == 0
        table = runs.load_derived(out, "compare.csv")
        for quantile, verdict in (("p50", p50), ("p99", p99)):
            rows = table[table.cache.str.endswith(quantile)]
            assert len(rows) == 4 and set(rows.verdict) == {verdict}, (other.name, quantile)


def test_summarise_sends_a_stream_to_its_own_script(tmp_path, capsys):
    run = stream_run(tmp_path / "run", planted)
    assert command("summarise", [str(run)]) == 2
    assert "scripts/stream.py" in capsys.readouterr().err
    write_run(tmp_path / "other", [sample("lstm/x", 1, 8, 5)])
    assert command("stream", [str(tmp_path / "other")]) == 2
    assert "is no stream" in capsys.readouterr().err


@pytest.fixture
def stream_page(tmp_path):
    """The page of a stream with planted times."""
    run = stream_run(tmp_path / "run", planted)
    assert command("stream", [str(run)]) == 0
    assert command("report", [str(run)]) == 0
    return run / "report.html"


def test_page_of_a_stream_has_every_case(stream_page):
    text = stream_page.read_text(encoding="utf-8")
    assert text.count("<tr><td>lstm</td>") == 4 and "0.960" in text
    assert "http" not in text.replace("http-equiv", "")


def test_page_marks_what_meets_the_deadline_that_is_typed_in(browser, stream_page):
    """Paced steps of HidSize 8 and 16 take up to 0.96 and 1.92 us, hot ones 0.08 and 0.16."""
    show(browser, stream_page, 1280)
    for deadline, largest in (("1", ["16 (largest timed)", "8"]), ("0.1", ["8", "none"]),
                              ("2", ["16 (largest timed)"] * 2)):
        choose(browser, "deadline", deadline)
        assert [row[-1] for row in cells_of(browser, "#largest")] == largest
    choose(browser, "quantile", "0")
    choose(browser, "deadline", "0.1")
    assert [row[-1] for row in cells_of(browser, "#largest")] == ["8", "8"]
    choose(browser, "deadline", "soon")
    assert text_of(browser, "said") == "Type a time in µs, above 0." and not cells_of(browser, "#largest")


def test_a_stream_is_not_reported_beside_other_runs(stream_page, capsys):
    assert command("report", [str(stream_page.parent)] * 2) == 2
    assert "a stream has a page of its own" in capsys.readouterr().err


# ---- the program -------------------------------------------------------------------------------


def rows_of(path):
    """A CSV file as dicts."""
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def assert_whole(folder):
    """Every visit under every condition, with all its calls."""
    for name in ("samples.csv", "calls.csv", "kernels.csv"):
        runs.validate(folder / name, runs.README)
    samples = rows_of(folder / "samples.csv")
    assert sorted((row["order"], row["sample"]) for row in samples) == sorted(
        (row["order"], str(k)) for row in rows_of(folder / "plan.csv") for k in range(2))
    assert {row["cache"] for row in samples} == {"hot", "20000ns"}
    table = streams.streams([folder])
    assert table.calls.tolist() == [1000] * len(table)


def test_a_stream_goes_on_after_kill(tmp_path):
    folder = tmp_path / "run"
    arguments = list(map(str, [BUILD / "seqbench", "stream", *SMALL, "--calls", 4000, "-o", folder]))
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    calls = folder / "calls.csv"
    while process.poll() is None and not (calls.exists() and calls.read_text().count("\n") > 3):
        time.sleep(0.002)
    process.kill()
    process.communicate()
    with calls.open("a") as file:
        file.write("0,0,0,2")  # half a line
    again = subprocess.run([BUILD / "seqbench", "run", "--resume", folder, "--wait", "60"],
                           capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    table = streams.streams([folder])
    assert table.calls.tolist() == [4000] * len(table)


def test_a_stream_of_every_layer_with_a_state(tmp_path, seqbench):
    folder = tmp_path / "run"
    done = seqbench("stream", *SMALL, "-k", "*", "--engine", "all", "-S", "1,4", "-H", "8",
                    "--conditions", "hot,20us", "--calls", 100, "--keys", 6, "-o", folder)
    assert done.returncode == 0, done.stderr
    table = streams.streams([folder])
    assert {"rnn", "lstm", "gru", "mingru", "minlstm", "mamba", "decode", "gated_deltanet", "rwkv7", "mlstm",
            "slstm", "rglru", "ssru", "short_conv", "modern_decode"} == set(table.layer)
    assert set(table.seq_len[table.layer == "decode"]) == {6}
    assert set(table.seq_len[table.layer == "lstm"]) == {1, 4}
    host = json.loads((folder / "host.json").read_text())
    assert host["run"]["conditions"] == "hot,20000ns" and host["run"]["keys"] == 6


def test_a_planted_stall_shows_in_the_tail_and_not_in_the_median(tmp_path):
    found = {}
    for name, program in (("plain", BUILD / "seqbench"), ("stalled", BUILD / "tests" / "stalled")):
        folder = tmp_path / name
        made = subprocess.run(list(map(str, [program, "stream", *SMALL, "-k", "rnn.step", "-H", 64,
                                             "--conditions", "hot", "--calls", 20000, "-o", folder])),
                              capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        (found[name],) = streams.streams([folder]).itertuples()
    assert found["stalled"].p999_ns >= 200e3
    assert found["stalled"].p50_ns < 0.1 * 200e3 and found["stalled"].p99_ns < 0.5 * 200e3
    assert found["plain"].calls == found["stalled"].calls == 20000


def test_a_stream_takes_the_grid_that_it_is_given(tmp_path, seqbench):
    grid = tmp_path / "grid"
    grid.write_text("S 2\nH 8\nrounds 1\n", encoding="utf-8")
    done = seqbench("stream", "-g", grid, "-k", "rnn.step,rnn/registers", "--engine", "packed",
                    "--calls", 10, "--conditions", "hot", "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert [(row["kernel"], row["seq_len"]) for row in rows_of(tmp_path / "run" / "plan.csv")
            ] in ([("rnn/registers", "2"), ("rnn.step", "1")], [("rnn.step", "1"), ("rnn/registers", "2")])


@pytest.mark.parametrize("arguments, words", [
    (["--conditions", "warm"], "neither hot nor cold nor a period"),
    (["--conditions", "hot,hot"], "stands twice"), (["--calls", "x"], "--calls"),
    (["-k", "transformer/*"], "carries a state from call to call"),
    (["--conditions", ""], "the list is empty"), (["--keys", "0"], "--keys: at least 1"),
    (["--calls", "0"], "at least 1"), (["--seconds", "0"], "at least 1"),
    (["-g", "batch"], "a stream is of one sequence"),
    (["--batch", "2"], "unknown option '--batch'"), (["--cache", "cold"], "unknown option '--cache'")])
def test_what_a_stream_refuses(tmp_path, seqbench, arguments, words):
    done = seqbench("stream", *arguments, "-o", tmp_path / "run")
    assert done.returncode == 2 and words in done.stderr
    assert not (tmp_path / "run").exists()


def test_cold_calls_and_a_limit_of_time(tmp_path, seqbench):
    for name, arguments in (("cold", ["--conditions", "cold", "--calls", 4]),
                            ("long", ["--conditions", "hot", "--calls", 10**9, "--seconds", 1])):
        done = seqbench("stream", "-k", "rnn.step", "--engine", "packed", "-H", 8, "--rounds", 2,
                        "--wait", 60, "--timeout", 60, *arguments, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
    (cold,), (long,) = (streams.streams([tmp_path / name]).itertuples() for name in ("cold", "long"))
    assert (cold.condition, cold.calls) == ("cold", 4)
    assert long.calls < 10**9 and long.rounds == 2


def test_steps_longer_than_their_period_are_not_told_as_paced(tmp_path):
    rows = [{"layer": "lstm", "kernel": "lstm/x", "engine": "packed", "seq_len": 1, "hid_size": h,
             "heads": 1, "batch": 1, **dict.fromkeys(dimensions.OPTIONAL, 0), "condition": "paced", "period_ns": 20800.0, "p50_ns": ns,
             "p999_ns": ns} for h, ns in ((8, 1e3), (512, 9e4))]
    assert list(streaming.in_time(pd.DataFrame(rows)).hid_size) == [8]
    (line,) = streaming.deadline_rows(pd.DataFrame(rows))[1]
    assert line == ["lstm", "paced 20.8 µs", "8", "-", "-", "-"]


def test_real_time_scheduling_is_refused_without_the_right(tmp_path, seqbench):
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice", "prlimit", "--rtprio=0",
         BUILD / "seqbench", "stream", *map(str, SMALL), "--fifo", "-o", tmp_path / "run"],
        capture_output=True, text=True)
    assert done.returncode == 2 and "no right to real-time scheduling" in done.stderr
    assert not (tmp_path / "run").exists()
