"""Tests of scripts/compare.py and comparison.py: planted differences in, known verdicts out."""
import copy
import math
import random
import statistics
import subprocess

import numpy as np
import pandas as pd
import pytest

from test_scripts import README, ROOT, failed, sample, table, write_run

from conftest import command
from seqbench.figures import difference_map
from seqbench.read import runs
from seqbench.tables import differences
from seqbench.words import comparison, wording

ONE_PERCENT = (0.006, 0.008)  # noise of samples and of rounds: 1 % together


# ---- synthetic runs ----------------------------------------------------------------------------


def simulated(source, cases=300, rounds=3, noise=None, shared=0.0, disturbed=0.03, factor=1.0):
    """Cases x rounds of log times with 1 to 3 samples, layout luck, drift and disturbed rounds."""
    if noise is None:
        noise = (np.exp(source.uniform(np.log(0.005), np.log(0.03), (cases, 1))),
                 np.exp(source.uniform(np.log(0.005), np.log(0.02), (cases, 1))))
    spread = source.normal(0, 1, (cases, rounds)) / np.sqrt(source.integers(1, 4, (cases, 1)))
    logs = spread * noise[0] + source.normal(0, 1, (cases, rounds)) * noise[1]
    logs += source.normal(0, shared, rounds)
    logs += (source.random((cases, rounds)) < disturbed) * np.log(source.uniform(1.1, 1.5))
    return logs + np.log(factor)


def planted_rows(factors, seed=1, rounds=3, noise=0.01, extra=()):
    """Rows of a run: `factors` maps (kernel, SeqLen, HidSize) to a time in us."""
    source = random.Random(seed)
    return [sample(kernel, seq_len, hid_size, 1000 * us * math.exp(source.gauss(0, noise)),
                   round=round, number=number)
            for (kernel, seq_len, hid_size), us in factors.items()
            for round in range(rounds) for number in range(2)] + list(extra)


def grid_times(kernels=("lstm/hoisted", "rnn/literal", "lstm.gates"), **factors):
    """A time per case; a kernel in `factors` (with _ for / and .) takes that much longer."""
    return {(kernel, seq_len, hid_size):
            seq_len * hid_size / 100 * factors.get(kernel.replace("/", "_").replace(".", "_"), 1)
            for kernel in kernels for seq_len in (16, 32, 64, 128) for hid_size in (64, 128, 256)}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two runs: in the second lstm/hoisted takes 1.2 times as long, rnn/literal 0.9 times."""
    folder = tmp_path_factory.mktemp("pair")
    roof = [sample("roof/fma", 1, 1, 10, round=i, flops=2000) for i in range(3)]
    return (write_run(folder / "base", planted_rows(grid_times(), 1, extra=roof)),
            write_run(folder / "other", planted_rows(
                grid_times(lstm_hoisted=1.2, rnn_literal=0.9), 2, extra=roof)))


def compared(folder, *run_folders):
    """The rows of both files of a comparison, which are as the dictionary says."""
    assert command("compare", [*map(str, run_folders), "-o", str(folder)]) == 0
    for name in ("compare.csv", "compare_groups.csv"):
        runs.validate(folder / name, README)
    return table(folder / "compare.csv"), table(folder / "compare_groups.csv")


# ---- the oracle: plain loops, and no code in common --------------------------------------------


def digamma(x):
    """Derivative of log gamma, by recurrence and the asymptotic series."""
    low = 0.0
    while x < 20:
        low, x = low - 1 / x, x + 1
    return low + math.log(x) - 1 / (2 * x) - 1 / (12 * x ** 2) + 1 / (120 * x ** 4)


def trigamma(x):
    """Derivative of digamma."""
    low = 0.0
    while x < 20:
        low, x = low + 1 / x ** 2, x + 1
    return low + 1 / x + 1 / (2 * x ** 2) + 1 / (6 * x ** 3) - 1 / (30 * x ** 5)


def tail(t, df):
    """Two-sided p of Student's t, by Simpson's rule over the angle."""
    steps, end = 2000, math.atan(t / math.sqrt(df))
    heights = [math.cos(end + (math.pi / 2 - end) * i / steps) ** (df - 1)
               for i in range(steps + 1)]
    area = heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2])
    area *= (math.pi / 2 - end) / steps / 3
    return 2 * area * math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) \
        / math.sqrt(math.pi)


def bisected(function, low, high):
    """Where a falling function passes 0."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return low


# 3: 1 - sqrt(3) / pi; 2 and 4: tables of order statistics
MEDIAN_VARIANCE = {2: 0.5, 3: 1 - math.sqrt(3) / math.pi, 4: 0.2982, 5: 0.2868}


def limited_by_hand(side_a, side_b):
    """Slow rounds brought down; a round that is missing stays None."""
    noises = []
    for case in zip(side_a, side_b):
        below = [y - statistics.median(known) for rounds in case
                 for known in [[y for y in rounds if y is not None]] for y in known
                 if y < statistics.median(known)]
        noises.append(math.sqrt(sum(d * d for d in below) / len(below)))
    usual = statistics.median(noises)
    result = []
    for side in (side_a, side_b):
        rows = []
        for rounds, noise in zip(side, noises):
            known = [y for y in rounds if y is not None]
            top = statistics.median(known) + 2.5 * max(noise, usual)
            rows.append([y if y is None or len(known) < 3 else min(y, top) for y in rounds])
        result.append(rows)
    return result


def without_mean(rounds):
    """Rounds less their mean."""
    mean = statistics.fmean(y for y in rounds if y is not None)
    return [None if y is None else y - mean for y in rounds]


def differences_by_hand(side_a, side_b):
    """(difference, standard error, df, p) of every case."""
    sides = limited_by_hand(side_a, side_b)
    effects = [[statistics.median(y for y in column if y is not None)
                for column in zip(*map(without_mean, side))] for side in sides]
    squares, freedom = [0.0] * len(side_a), [-2] * len(side_a)
    for side, effect in zip(sides, effects):
        for i, rounds in enumerate(side):
            rest = without_mean([None if y is None else y - e for y, e in zip(rounds, effect)])
            squares[i] += sum(y * y for y in rest if y is not None)
            freedom[i] += sum(y is not None for y in rest)
    variances = [max(square / df, 1e-8) for square, df in zip(squares, freedom)]
    logs = [math.log(v) - digamma(df / 2) + math.log(df / 2) for v, df in zip(variances, freedom)]
    excess = statistics.variance(logs) - statistics.fmean(trigamma(df / 2) for df in freedom)
    half = min(bisected(lambda x: trigamma(x) - excess, 1e-6, 1e6), 10,
               statistics.fmean(freedom) * (len(freedom) - 1) / 2)
    usual = math.exp(statistics.fmean(logs) + digamma(half) - math.log(half))
    shared = sum(e * e for effect in effects for e in without_mean(effect))
    shared_df = sum(map(len, effects)) - 2
    shared, shared_df = shared / shared_df, shared_df - (max(map(len, effects)) > 2)
    found = []
    for a, b, variance, df in zip(side_a, side_b, variances, freedom):
        known = [[y for y in rounds if y is not None] for rounds in (a, b)]
        value = statistics.median(known[1]) - statistics.median(known[0])
        own, own_df = (2 * half * usual + df * variance) / (2 * half + df), 2 * half + df
        weight = sum(MEDIAN_VARIANCE[len(rounds)] for rounds in known)
        error = math.sqrt(weight * (own + shared))
        df = (own + shared) ** 2 / (own ** 2 / own_df + shared ** 2 / shared_df)
        found.append((value, error, df, tail(abs(value) / error, df)))
    return found


@pytest.mark.parametrize("rounds_a, rounds_b, spread", [
    (2, 2, 1.0), (3, 3, 0.0), (3, 3, 1.0), (3, 5, 1.2), (4, 2, 0.6)])
def test_differences_agree_with_plain_loops(rounds_a, rounds_b, spread):
    source = random.Random(rounds_a + 10 * rounds_b)
    sides = []
    for rounds in (rounds_a, rounds_b):
        effects = [source.gauss(0, 0.01) for _ in range(rounds)]
        sides.append([[source.gauss(3 + effect, 0.01 * math.exp(spread * math.sin(9 * case)))
                       + 0.3 * (source.random() < 0.1) for effect in effects]
                      for case in range(40)])
    for side in sides:
        if len(side[0]) > 2:
            side[7][1] = None
    found = differences.case_differences(*(np.array(side, dtype=float) for side in sides))
    for i, (value, error, df, p) in enumerate(differences_by_hand(*sides)):
        assert found.value[i] == pytest.approx(value)
        assert found.error[i] == pytest.approx(error, rel=0.02)
        assert found.df[i] == pytest.approx(df, rel=1e-4)
        exact = tail(abs(value) / found.error[i], df)
        assert found.p_value()[i] == pytest.approx(exact, rel=1e-3)
        low, high = (end[i] for end in found.interval())
        for end in (low, high):
            assert tail(abs(value - math.log(end)) / found.error[i], df) == pytest.approx(
                0.05, rel=1e-3)


def adjusted_by_hand(p_values):
    """Least level at which the step-up procedure rejects each, tried one level after another."""
    count, found = len(p_values), []
    levels = sorted(p * count / k for p in p_values for k in range(1, count + 1))
    for p in p_values:
        for level in [*levels, 1]:
            cut = max((k for k in range(1, count + 1)
                       if sorted(p_values)[k - 1] <= k / count * level * (1 + 1e-12)), default=0)
            if cut and p <= sorted(p_values)[cut - 1]:
                found.append(min(level, 1))
                break
    return found


@pytest.mark.parametrize("p_values", [
    [0.01, 0.04, 0.03, 0.005], [0.5], [0.2, 0.2, 0.01, 1.0], [1e-300, 0.9, 0.04, 0.04, 0.041]])
def test_adjustment_is_that_of_benjamini_and_hochberg(p_values):
    found = differences.adjusted(np.array(p_values))
    assert list(found) == pytest.approx(adjusted_by_hand(p_values))
    if p_values[0] == 0.01:
        assert list(found) == pytest.approx([0.02, 0.04, 0.04, 0.02])


@pytest.mark.parametrize("count, variance", [(1, 1.0), *MEDIAN_VARIANCE.items()])
def test_variance_of_a_median(count, variance):
    assert differences.variance_of_median(count) == pytest.approx(variance, rel=0.025)


def test_prior_finds_the_spread_of_the_noise():
    source = np.random.default_rng(3)
    df = np.full(4000, 4)
    true = 0.02 ** 2 * 6 / source.chisquare(6, 4000)
    variance, prior_df = differences.prior(true * source.chisquare(4, 4000) / 4, df)
    assert prior_df == pytest.approx(6, rel=0.15)
    assert variance == pytest.approx(0.02 ** 2, rel=0.05)
    alike, most = differences.prior(0.01 ** 2 * source.chisquare(4, 4000) / 4, df)
    assert (most, alike) == (pytest.approx(20), pytest.approx(0.01 ** 2, rel=0.05))


def test_few_cases_lend_each_other_little():
    assert differences.prior(np.array([4e-4]), np.array([4])) == (4e-4, 0)
    assert differences.prior(np.array([4e-4, 4e-4]), np.array([4, 4]))[1] == pytest.approx(4)


# ---- rates -------------------------------------------------------------------------------------


def called(a, b):
    """Which cases are called different, and the ends of the intervals."""
    found = differences.case_differences(a, b)
    return differences.adjusted(found.p_value()) <= 0.05, *found.interval(), found


@pytest.mark.parametrize("rounds, shared", [(2, 0), (3, 0), (3, 0.01), (5, 0)])
def test_the_same_thing_twice_is_hardly_ever_called_different(rounds, shared):
    source = np.random.default_rng(rounds)
    shares, covered, unadjusted = [], [], []
    for _ in range(30):
        different, low, high, found = called(*(simulated(source, rounds=rounds, shared=shared)
                                               for _ in "ab"))
        shares.append(different.mean())
        covered.append(((low <= 1) & (high >= 1)).mean())
        unadjusted.append((found.p_value() < 0.05).mean())
    assert np.mean(shares) < 0.005
    assert 0.92 < np.mean(covered) < 0.99
    assert np.mean(unadjusted) == pytest.approx(1 - np.mean(covered))


@pytest.mark.parametrize("factor", [1.05, 1 / 1.05])
def test_five_percent_at_one_percent_noise_are_found(factor):
    source = np.random.default_rng(5)
    power, covered, width = [], [], []
    for _ in range(30):
        a = simulated(source, noise=ONE_PERCENT)
        b = simulated(source, noise=ONE_PERCENT, factor=factor)
        different, low, high, found = called(a, b)
        power.append((different & ((found.value > 0) == (factor > 1))).mean())
        covered.append(((low <= factor) & (factor <= high)).mean())
        width.append(np.median(high / low - 1))
    assert np.mean(power) >= 0.95
    assert 0.94 <= np.mean(covered) < 0.99
    assert np.mean(width) < 0.05


def test_differences_of_a_few_cases_are_told_from_the_rest():
    source = np.random.default_rng(6)
    slow = np.arange(300) < 30
    rates = []
    for _ in range(30):
        a, b = simulated(source, noise=ONE_PERCENT), simulated(source, noise=ONE_PERCENT)
        b[slow] += np.log(1.05)
        different = called(a, b)[0]
        rates.append([different[slow].mean(), different[~slow].sum() / max(different.sum(), 1)])
    power, false = np.mean(rates, axis=0)
    assert power > 0.85 and false < 0.05


def test_drift_between_rounds_is_not_averaged_away_over_cases():
    source = np.random.default_rng(7)
    lumps = []
    for _ in range(200):
        sides = [simulated(source, cases=60, noise=(0.001, 0.001), shared=0.01) for _ in "ab"]
        lumps.append(called(*sides)[0].any())
    assert np.mean(lumps) < 0.09


def test_interval_of_a_group_covers_what_its_cases_share():
    source = np.random.default_rng(8)
    for rounds in (2, 3):
        covered = []
        for _ in range(200):
            sides = [simulated(source, cases=40, rounds=rounds, shared=0.01) for _ in "ab"]
            value = (np.median(sides[1], axis=1) - np.median(sides[0], axis=1)).mean()
            (low,), (high,) = differences.group_difference(*sides, value).interval()
            covered.append(low <= 1 <= high)
        assert 0.91 <= np.mean(covered) < 1


def test_disturbed_rounds_of_some_cases_do_not_widen_the_interval_of_a_group():
    source = np.random.default_rng(10)
    widths = []
    for _ in range(100):
        (low,), (high,) = differences.group_difference(
            *(simulated(source, cases=60) for _ in "ab"), 0).interval()
        widths.append(high / low - 1)
    assert np.median(widths) < 0.022


def test_a_round_that_was_disturbed_as_a_whole_does_not_hide_a_difference():
    source = np.random.default_rng(9)
    power = []
    for _ in range(20):
        a = simulated(source, noise=ONE_PERCENT)
        b = simulated(source, noise=ONE_PERCENT, factor=1.1)
        b[:, 0] += 0.4
        different, low, high, _ = called(a, b)
        power.append((different & (low < 1.1) & (1.1 < high)).mean())
    assert np.mean(power) > 0.85


# ---- compare.csv -------------------------------------------------------------------------------


def test_planted_differences_are_called_and_nothing_else(pair, tmp_path):
    cases, groups = compared(tmp_path / "out", *pair)
    assert len(cases) == 37
    expected = {"lstm/hoisted": (1.2, "slower"), "rnn/literal": (0.9, "faster"),
                "lstm.gates": (1, "no difference"), "roof/fma": (1, "no difference")}
    for row in cases:
        ratio, verdict = expected[row["kernel"]]
        assert (row["verdict"], row["reason"]) == (verdict, "")
        assert (row["rounds_a"], row["rounds_b"]) == ("3", "3")
        assert float(row["time_ratio"]) == pytest.approx(ratio, rel=0.05)
        assert float(row["time_ratio"]) == pytest.approx(
            float(row["median_b_ns"]) / float(row["median_a_ns"]), rel=1e-5)
        assert float(row["ci_low"]) < float(row["time_ratio"]) < float(row["ci_high"])
        assert (float(row["p_adjusted"]) <= 0.05) == (verdict != "no difference")
    order = [(row["kind"], row["kernel"], int(row["seq_len"]), int(row["hid_size"]))
             for row in cases]
    assert order == sorted(order)
    words = ["faster", "slower", "no_difference", "not_comparable"]
    assert [(row["group"], row["cases"], *(row[word] for word in words)) for row in groups] == [
        ("lstm", "12", "0", "12", "0", "0"), ("lstm parts", "12", "0", "0", "12", "0"),
        ("rnn", "12", "12", "0", "0", "0"), ("roofs", "1", "0", "0", "1", "0"),
        ("all cases", "37", "12", "12", "13", "0")]


def test_a_group_is_a_layer_its_step_its_parts_or_the_roofs():
    frame = pd.DataFrame({"layer": ["lstm", "lstm", "lstm", "roof"],
                          "kind": ["layer", "step", "part", "roof"]})
    assert list(differences.group_names(frame)) == ["lstm", "lstm step", "lstm parts", "roofs"]


def test_groups_hold_geometric_means_and_the_noise_floor(pair, tmp_path):
    cases, groups = compared(tmp_path / "out", *pair)
    for group, chosen in (("rnn", [row for row in cases if row["layer"] == "rnn"]),
                          ("all cases", cases)):
        (row,) = [row for row in groups if row["group"] == group]
        mean = statistics.geometric_mean(float(case["time_ratio"]) for case in chosen)
        assert float(row["time_ratio"]) == pytest.approx(mean, rel=1e-5)
        assert float(row["ci_low"]) < mean < float(row["ci_high"])
        widths = sorted(float(case["ci_high"]) / float(case["ci_low"]) - 1 for case in chosen)
        assert float(row["width_median"]) == pytest.approx(statistics.median(widths), rel=1e-4)
        assert float(row["width_p90"]) == pytest.approx(
            statistics.quantiles(widths, n=10, method="inclusive")[-1], rel=1e-4)
        share = sum(case["verdict"] in ("faster", "slower") for case in chosen) / len(chosen)
        assert float(row["different_share"]) == pytest.approx(share)


def test_medians_are_over_rounds_of_medians_of_good_samples(tmp_path):
    times = {0: [100.0, 120.0, 500.0], 1: [110.0], 2: [900.0, 700.0]}
    rows = [sample("lstm/hoisted", 16, 64, ns, round=round, number=i)
            for round, group in times.items() for i, ns in enumerate(group)]
    rows.append(failed("lstm/hoisted", 16, 64, round=1, number=1))
    doubled = [sample("lstm/hoisted", 16, 64, 220, round=round) for round in range(4)]
    ((row,), _) = compared(tmp_path / "out", write_run(tmp_path / "a", rows),
                           write_run(tmp_path / "b", doubled))
    assert float(row["median_a_ns"]) == pytest.approx(120)
    assert float(row["time_ratio"]) == pytest.approx(220 / 120, rel=1e-6)
    assert (row["rounds_a"], row["rounds_b"]) == ("3", "4")


def test_identical_times_are_no_difference_and_small_shifts_of_exact_times_are_one(tmp_path):
    a, b = ([sample("lstm/hoisted", size, 64, 1000 * factor, round=round)
             for size in (16, 32) for round in range(3)] for factor in (1, 1.01))
    a, b = write_run(tmp_path / "a", a), write_run(tmp_path / "b", b)
    assert {row["verdict"] for row in compared(tmp_path / "out", a, b)[0]} == {"slower"}
    (tmp_path / "b" / "samples.csv").write_bytes((tmp_path / "a" / "samples.csv").read_bytes())
    assert {row["verdict"] for row in compared(tmp_path / "out", a, b)[0]} == {"no difference"}


def test_what_cannot_be_compared_says_why(tmp_path, capsys):
    in_a, in_b = ([sample("rnn/literal", 16, 64, ns + i, round=i) for i in range(3)]
                  for ns in (100, 200))
    a = [*in_a, sample("lstm/new", 16, 64, 5), sample("lstm/short", 16, 64, 5),
         failed("lstm/broken", 16, 64)]
    b = [*in_b, *(sample("lstm/short", 16, 64, 5, round=i) for i in range(2)),
         *(sample("lstm/broken", 16, 64, 5, round=0, number=i) for i in range(2)),
         *(sample(f"lstm/old{i}", 16, 64, 5) for i in range(6))]
    cases, groups = compared(tmp_path / "out", write_run(tmp_path / "a", a),
                             write_run(tmp_path / "b", b))
    reasons = {row["kernel"]: row["reason"] for row in cases if row["verdict"] == "not comparable"}
    assert reasons == {"lstm/new": "only in A", "lstm/short": "A has only 1 round",
                       "lstm/broken": "A has no good sample; B has only 1 round",
                       **{f"lstm/old{i}": "only in B" for i in range(6)}}
    by_kernel = {row["kernel"]: row for row in cases}
    assert by_kernel["rnn/literal"]["verdict"] == "slower"
    assert groups[-1]["different_share"] == "1"
    assert by_kernel["lstm/short"]["time_ratio"] == "1"
    assert by_kernel["lstm/short"]["p_adjusted"] == by_kernel["lstm/new"]["time_ratio"] == ""
    assert (groups[0]["not_comparable"], groups[0]["time_ratio"]) == ("9", "")
    flat = " ".join(capsys.readouterr().out.split())
    assert "Not comparable, only in A: 1 (lstm/new S=16 H=64)" in flat
    assert "only in B: 6 (lstm/old0 S=16 H=64, lstm/old1 S=16 H=64, lstm/old2 S=16 H=64, " \
        "lstm/old3 S=16 H=64, ...)" in flat
    assert "Called different: 1 of 1 compared cases (100.0 %)." in flat


def test_a_round_that_only_some_cases_have_spoils_nothing(tmp_path):
    rows = planted_rows(grid_times(("lstm/hoisted", "rnn/literal")))
    more = [sample("rnn/literal", 16, 64, 10_000, round=3), sample("lstm/once", 1, 1, 9, round=4)]
    cases, groups = compared(tmp_path / "out", write_run(tmp_path / "a", rows + more),
                             write_run(tmp_path / "b", rows))
    assert [row["verdict"] for row in cases].count("no difference") == 24
    assert all(row["ci_low"] for row in [*cases, *groups] if row.get("reason") != "only in A")


def test_a_run_in_which_everything_failed_is_not_comparable(tmp_path, capsys):
    a = write_run(tmp_path / "a", [failed("lstm/hoisted", 16, 64)])
    b = write_run(tmp_path / "b", [sample("lstm/hoisted", 16, 64, 5, round=i) for i in range(2)])
    ((row,), _) = compared(tmp_path / "out", a, b)
    assert (row["verdict"], row["reason"]) == ("not comparable", "A has no good sample")
    text = capsys.readouterr()
    assert "No case can be compared." in text.out
    assert "figure skipped: no layer or part can be compared" in text.err


# ---- report ------------------------------------------------------------------------------------


def test_report_is_short_and_narrow(tmp_path, capsys):
    kernels = [f"lstm/variant{i}" for i in range(5)]
    a = write_run(tmp_path / "a", planted_rows(grid_times(kernels), 1))
    b = write_run(tmp_path / "b", planted_rows(grid_times(kernels, lstm_variant0=3.5), 2))
    rest = {f"lstm_variant{i}": 1.5 for i in range(1, 5)}
    c = write_run(tmp_path / "c", planted_rows(grid_times(kernels, lstm_variant0=3.5, **rest), 2))
    compared(tmp_path / "b-out", a, b)
    text = capsys.readouterr().out
    assert text.count(" slower\n") == 12 and "more in compare.csv" not in text
    compared(tmp_path / "c-out", a, c)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= wording.WIDTH
    assert text.count(" slower\n") == 40 and "... and 20 more in compare.csv" in text
    listed = text.split("Cases called different:\n")[1].splitlines()[1:13]
    assert all(line.startswith("lstm/variant0 ") for line in listed)
    assert "The runs differ as a whole." in text
    assert (tmp_path / "c-out" / "report.txt").read_text(encoding="utf-8") in text


def test_report_names_what_differs_between_the_runs(tmp_path, capsys):
    host = {"cpu": {"model": "Planted CPU 3000", "measured_core": 1},
            "build": {"compiler": "gcc 12", "flags": "-std=gnu11 -O3 -march=native -g -Wall -x -y",
                      "version": "1.0.0", "commit": "aaa", "dirty": False},
            "libraries": {"openblas_config": "OpenBLAS 0.3.21", "blas_environment": {}},
            "run": {"grid": "quick", "seq_len": [16, 32], "seed": "1", "flush_to_zero": True}}
    other = copy.deepcopy(host)
    other["cpu"] = {"model": "Another CPU", "family": "26", "model_number": "2",
                    "measured_core": 0}
    other["build"] |= {"compiler": "clang 14", "version": "1.1.0", "commit": "bbb", "dirty": True,
                       "flags": host["build"]["flags"].replace("-O3", "-O2 -fast")}
    other["libraries"] = {"openblas_config": "OpenBLAS 0.3.29",
                          "blas_environment": {"OPENBLAS_CORETYPE": "Zen"}}
    other["run"] = {"grid": "full", "seq_len": [16, 64], "flush_to_zero": False}
    rows = planted_rows(grid_times())
    a, b = write_run(tmp_path / "a", rows, host), write_run(tmp_path / "b", rows, other)
    compared(tmp_path / "out", a, b)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == [f"A: {a}", f"B: {b}", "Differs between the runs:"]
    assert lines[3:lines.index("")] == [
        "CPU: A Planted CPU 3000; B Another CPU", "CPU family: A unknown; B 26",
        "CPU model number: A unknown; B 2", "core: A 1; B 0",
        "compiler: A gcc 12; B clang 14",
        "flags: A -O3; B -O2 -fast", "version: A 1.0.0; B 1.1.0", "commit: A aaa; B bbb", "uncommitted changes: A no; B yes",
        "BLAS: A OpenBLAS 0.3.21; B OpenBLAS 0.3.29",
        "BLAS environment: A none; B OPENBLAS_CORETYPE=Zen", "grid: A quick; B full",
        "SeqLen: A 16 32; B 16 64", "seed: A 1; B unknown", "flush to zero: A yes; B no"]
    write_run(b, rows, host)
    compared(tmp_path / "out", a, b)
    text = capsys.readouterr().out
    assert "Differs between the runs:\n  nothing that host.json tells\n" in text
    assert "No case is called different." in text and "differ as a whole" not in text


# ---- files -------------------------------------------------------------------------------------


def contents(folder):
    """Every file below a folder."""
    return {file.relative_to(folder): file.read_bytes()
            for file in folder.rglob("*") if file.is_file()}


def test_reruns_are_identical_and_runs_are_left_alone(pair, tmp_path):
    before = [contents(run) for run in pair]
    compared(tmp_path / "out", *pair)
    first = contents(tmp_path / "out")
    assert sorted(map(str, first)) == ["compare.csv", "compare_groups.csv", "figures/compare.png",
                                       "figures/compare.svg", "report.txt"]
    compared(tmp_path / "out", *pair)
    assert contents(tmp_path / "out") == first
    assert [contents(run) for run in pair] == before


def test_several_runs_are_compared_with_the_first(pair, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    third = write_run(tmp_path / "third", planted_rows(grid_times(), 3))
    assert command("compare", [str(pair[0]), str(pair[1]), "third"]) == 0
    results = tmp_path / "results" / "compare"
    assert sorted(path.name for path in results.iterdir()) == ["base-vs-other", "base-vs-third"]
    (row,) = [row for row in table(results / "base-vs-third" / "compare_groups.csv")
              if row["group"] == "all cases"]
    assert (row["faster"], row["slower"]) == ("0", "0")
    assert command("compare", [str(pair[0]), str(pair[1]), str(third), "-o", "out"]) == 2
    assert "out: two comparisons would be written there" in capsys.readouterr().err


def test_other_folders_are_not_written_to(pair, tmp_path, capsys):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "todo.txt").write_text("keep", encoding="utf-8")
    (tmp_path / "file").write_text("keep", encoding="utf-8")
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "compare.csv").write_text("mine\n", encoding="utf-8")
    before = contents(tmp_path)
    for folder in (notes, pair[0], tmp_path / "file", odd):
        assert command("compare", [*map(str, pair), "-o", str(folder)]) == 2
        assert capsys.readouterr().err == (
            f"compare.py: {folder}: exists and is not a comparison: left alone\n")
    assert contents(tmp_path) == before
    (tmp_path / "empty").mkdir()
    compared(tmp_path / "empty", *pair)


@pytest.mark.parametrize("change, message", [
    (lambda a, b: (a, a / ".." / a.name), "the same run is given twice"),
    (lambda a, b: (a, b / "nowhere"), "No such file"),
])
def test_bad_folders_are_refused(pair, tmp_path, capsys, change, message):
    assert command("compare", [*map(str, change(*pair)), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("compare.py: ") and message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments, words", [
    (["compare", "A=results/x"], "compare needs A=run-folder B=run-folder"),
    (["compare", "A=x", "B=y", "RUNS=z"], 'scripts/compare.py "$A" "$B" z'),
    (["compare", "A=x", "B=y", "OUT=out"], 'scripts/compare.py "$A" "$B"  -o "$OUT"'),
    (["aa", "GRID=quick", "KERNELS=rnn/*", "OUT=out"], '-g "$GRID"'),
    (["predict", "CPU=3", "OUT=out"], '--cpu "$CPU"'),
    (["predict", "ROOFS=x", "RUN=y"], 'roofs=${ROOFS:-'),
])
def test_make_passes_its_variables_on(arguments, words):
    result = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True,
                            check=False)
    assert words in result.stdout + result.stderr


def test_newest_run_is_none_of_roofs(tmp_path):
    for name in ("cpu/20240101T000000Z", "cpu/20240102T000000Z", "roofs/20250101T000000Z"):
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "samples.csv").touch()
    shown = subprocess.run(["make", "-s", "-f", ROOT / "Makefile", "--eval", "show:;@echo $(RUN)",
                            "show"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout == "results/cpu/20240102T000000Z/samples.csv\n"


# ---- figure ------------------------------------------------------------------------------------


def test_figure_shows_the_ratio_where_it_is_called(pair, tmp_path):
    cases, _ = compared(tmp_path / "out", *pair)
    text = (tmp_path / "out" / "figures" / "compare.svg").read_text(encoding="utf-8")
    called_ratios = [f"{float(row['time_ratio']):.2f}" for row in cases
                     if row["verdict"] in ("faster", "slower")]
    for ratio in called_ratios:
        assert text.count(f">{ratio}<") == called_ratios.count(ratio)
    for word in ("lstm/hoisted", "rnn/literal", "lstm.gates", "A: base  ·  B: other",
                 "called different"):
        assert word in text
    assert "roof/fma" not in text
    assert (tmp_path / "out" / "figures" / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_of_too_many_kernels_those_that_differ_most_are_drawn(pair):
    frame = differences.compare(*map(runs.load_samples, pair))[0]
    layer = frame[frame.kernel == "lstm/hoisted"]
    many = [layer.assign(kernel=f"lstm/v{i:02}", verdict="slower" if i == 44 else "no difference")
            for i in range(45)]
    many = pd.concat(many, ignore_index=True)
    kernels = difference_map.chosen_kernels(many)
    assert kernels == [f"lstm/v{i:02}" for i in [*range(39), 44]]
    drawing = difference_map.draw(many)
    assert len(drawing.panels) == 40 and "40 of 45 kernels" in drawing.note


def test_section_speaks_of_layers_and_counts_all_cases(tmp_path):
    pd.DataFrame(
        [("lstm", 4, 1, 2, 1, 0, 1.5, 1.25, 1.75, 0.75, 0.1, 0.2),
         ("lstm parts", 2, 0, 2, 0, 0, 9.0, 8.0, 10.0, 1.0, 0.1, 0.2),
         ("rnn", 1, 0, 0, 0, 1, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan),
         ("tcn", 2, 2, 0, 0, 0, 0.5, 0.4, 0.6, 1.0, 0.1, 0.2),
         ("all cases", 9, 3, 4, 1, 1, 2.0, 1.9, 2.1, 0.9, 0.1, 0.2)],
        columns=list(runs.schema(README, "compare_groups.csv"))).to_csv(
            tmp_path / "compare_groups.csv", index=False)
    assert comparison.section(tmp_path, "some/where") == (
        "Time over that of the base, with its 95 % interval: 1.500x for lstm (1.250 to 1.750) and "
        "0.500x for tcn (0.400 to 0.600). Of [9 cases](some/where/report.txt) 4 are slower, "
        "3 faster, 1 not different, 1 not comparable.")
