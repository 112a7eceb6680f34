"""Runs that are killed, interrupted, crashed into or blocked: no sample is lost or made twice."""

import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from conftest import BUILD, ROOT
from test_run import README, rows, runs, stops

CORE = max(os.sched_getaffinity(0))

# A BLAS whose sgemv of H = 22, a size that no check uses, does what the test wants.
FAULTY_BLAS = """
#include <signal.h>
#include <unistd.h>
void cblas_sgemv(int order, int trans, int m, int n, float alpha, const float *a, int lda,
                 const float *x, int incx, float beta, float *y, int incy)
{
    (void)order; (void)trans; (void)incx; (void)incy;
    if (m == 22)
        FAULT;
    for (int i = 0; i < m; i++) {
        float sum = 0.0f;
        for (int k = 0; k < n; k++)
            sum += a[i * lda + k] * x[k];
        y[i] = alpha * sum + (beta == 0.0f ? 0.0f : beta * y[i]);
    }
}
"""


@pytest.fixture(scope="module")
def preload(tmp_path_factory):
    """Environment that puts a library made from this source before the BLAS."""

    def build(source):
        folder = tmp_path_factory.mktemp("preload")
        (folder / "blas.c").write_text(source)
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", folder / "blas.so",
                        folder / "blas.c"], check=True)
        return {"LD_PRELOAD": str(folder / "blas.so"),
                "ASAN_OPTIONS": "verify_asan_link_order=0"}

    return build


def start(folder, *arguments):
    return subprocess.Popen([BUILD / "seqbench", "run", "-k", "rnn/literal,lstm.update", "-S",
                             "4:18:+1", "-H", "8", "--rounds", "2", "--samples", "3",
                             "--budget", "0", "--wait", "60",
                             "-o", folder, *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def resume(folder, **kwargs):
    return subprocess.run([BUILD / "seqbench", "run", "--resume", folder, "--wait", "60"],
                          capture_output=True, text=True, **kwargs)


def wait_for_rows(process, folder, count):
    samples = folder / "samples.csv"
    while process.poll() is None and not (
            samples.exists() and samples.read_text().count("\n") > count):
        time.sleep(0.005)


def assert_complete(folder):
    """Every visit of the plan has its clean samples, or as many as were allowed; none twice."""
    for name in ("samples.csv", "plan.csv", "checks.csv"):
        runs.validate(folder / name, README)
    visits = {}
    for row in rows(folder / "samples.csv"):
        visits.setdefault(row["order"], []).append(row)
    plan = rows(folder / "plan.csv")
    assert set(visits) == {row["order"] for row in plan}
    for visit in visits.values():
        assert [int(row["sample"]) for row in visit] == list(range(len(visit)))
        clean = sum(row["flags"] == "" for row in visit)
        assert (clean == 3 and visit[-1]["flags"] == "") or len(visit) == 5


def test_killed_runs_go_on_where_they_were(tmp_path):
    """kill -9 of the run at random rows, again and again; its round dies with it."""
    folder = tmp_path / "run"
    at = random.Random(7)
    process, rows_seen = start(folder), 0
    for _ in range(4):
        rows_seen += at.randrange(4, 20)
        wait_for_rows(process, folder, rows_seen)
        process.kill()
        process.communicate()
        process = subprocess.Popen(
            [BUILD / "seqbench", "run", "--resume", folder, "--wait", "60"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out == f"{folder}\n"
    assert_complete(folder)


def test_half_a_line_is_cut_off_and_its_sample_taken_again(tmp_path):
    folder = tmp_path / "run"
    process = start(folder)
    wait_for_rows(process, folder, 9)
    process.kill()
    process.communicate()
    samples = folder / "samples.csv"
    text = samples.read_text()
    samples.write_text(text[:-60])
    assert resume(folder).returncode == 0
    assert_complete(folder)


def test_finished_run_is_left_as_it_is(tmp_path):
    folder = tmp_path / "run"
    start(folder, "-S", "4").communicate()
    before = (folder / "samples.csv").read_bytes()
    assert resume(folder).returncode == 0
    assert (folder / "samples.csv").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_run_says_how_to_go_on(tmp_path, number):
    folder = tmp_path / "run"
    process = start(folder)
    wait_for_rows(process, folder, 5)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 128 + number and out == ""
    assert err.splitlines()[-1].startswith("seqbench: interrupted; ")
    assert f"seqbench run --resume {folder}" in err.splitlines()[-1]
    assert resume(folder).returncode == 0
    assert_complete(folder)


def test_hangup_is_ignored_under_nohup(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(["nohup", BUILD / "seqbench", "run", "-k", "rnn/literal", "-S",
                                "4:18:+1", "-H", "8", "--rounds", "2", "--samples", "3",
                                "--budget", "0", "-o",
                                folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    wait_for_rows(process, folder, 5)
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate()
    assert process.returncode == 0 and out == f"{folder}\n", err


def test_full_disk_can_be_gone_on_with(tmp_path):
    folder = tmp_path / "run"
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 16; exec "$@"', "bash", BUILD / "seqbench", "run", "-k",
         "rnn/literal", "-S", "4:18:+1", "-H", "8", "--rounds", "2", "--samples", "3",
         "--budget", "0", "-o", folder],
        capture_output=True, text=True)
    assert limited.returncode == 2 and "File too large" in limited.stderr
    assert resume(folder).returncode == 0
    assert_complete(folder)


@pytest.mark.parametrize("key, value, word", [
    ("binary", "0123456789abcdef", "program"), ("openblas_config", "ATLAS", "BLAS"),
    ("openblas_corename", "Prescott", "BLAS core type"), ("model", "Z80", "CPU"),
    ("family", "99", "CPU family"), ("model_number", "x", "CPU model number")])
def test_resume_refuses_another_build_or_machine(tmp_path, key, value, word):
    folder = tmp_path / "run"
    start(folder, "-S", "4").communicate()
    host = json.loads((folder / "host.json").read_text())
    for group in ("run", "libraries", "cpu"):
        if key in host[group]:
            host[group][key] = value
    (folder / "host.json").write_text(json.dumps(host))
    stops(resume(folder), f"the {word} is another: it was {value}")


def test_resume_refuses_other_kernels_of_blis(tmp_path):
    folder = tmp_path / "run"
    start(folder, "-S", "4").communicate()
    host = json.loads((folder / "host.json").read_text())
    now = host["libraries"].get("blis_kernels")
    host["libraries"]["blis_kernels"] = "penryn"
    (folder / "host.json").write_text(json.dumps(host))
    stops(resume(folder), f"the kernel set of BLIS is another: it was penryn, it is {now or 'unknown'}")


def test_resume_refuses_what_is_no_run(seqbench, tmp_path):
    stops(resume(tmp_path), "host.json", "is it the folder of a run?")
    (tmp_path / "host.json").write_text("{")
    stops(resume(tmp_path), "host.json: not JSON")
    stops(seqbench("run", "--resume", tmp_path, "-k", "rnn/*"), "--resume: the run's options")


def finished(folder):
    """A small run, complete."""
    start(folder, "-S", "4", "-k", "rnn/literal").communicate()
    return folder


def test_resume_refuses_a_broken_plan(tmp_path):
    plan = finished(tmp_path / "run") / "plan.csv"
    header, first, *rest = plan.read_text().splitlines(keepends=True)
    plan.write_text(header)
    stops(resume(tmp_path / "run"), "plan.csv: a plan without a visit")
    plan.write_text(header + first.replace("rnn/literal", "rnn/none") + "".join(rest))
    stops(resume(tmp_path / "run"), "plan.csv:2: not a line of a plan")
    plan.write_text(header + first + "x\n")
    stops(resume(tmp_path / "run"), "plan.csv:3: not a line of a plan")
    plan.write_text("x\n" + first)
    stops(resume(tmp_path / "run"), "plan.csv:1: not a line of a plan")


def test_resume_reads_a_regular_plan_only(tmp_path):
    """A pipe that nobody writes to would be waited for."""
    plan = finished(tmp_path / "run") / "plan.csv"
    plan.unlink()
    os.mkfifo(plan)
    stops(resume(tmp_path / "run", timeout=10), "plan.csv: it is no regular file")
    plan.unlink()
    plan.mkdir()
    stops(resume(tmp_path / "run"), "plan.csv: it is a directory")


@pytest.mark.parametrize("key, text, words", [
    ("until", "NaN", ["not JSON"]), ("until", "1e999", ['"until"', "'inf' is not a number"]),
    ("until", "null", ['"until" is missing']), ("until", "-1", ['"until"', "above 0"]),
    ("samples", "1e300", ['"samples"', "not a whole number"]), ("samples", "2.5", ['"samples"']),
    ("cache", '"warm"', ['"cache"', "neither hot nor cold"]),
    ("seed", '"-1"', ['"seed"', "not a whole number"]), ("seed", "{}", ['"seed" is missing']),
    ("flush_to_zero", '"perhaps"', ["neither true nor false"]),
    ("seq_len", "[4, 0]", ['"seq_len"', "0 is outside"]), ("seq_len", '["4"]', ['"seq_len"']),
    ("rounds", "[" * 3000 + "]" * 3000, ["not JSON, or nested too deep"])])
def test_resume_refuses_settings_that_no_run_has(tmp_path, key, text, words):
    host = finished(tmp_path / "run") / "host.json"
    described = json.loads(host.read_text())
    described["run"][key] = "HERE"
    host.write_text(json.dumps(described).replace('"HERE"', text))
    stops(resume(tmp_path / "run"), "host.json: ", *words)


@pytest.mark.parametrize("change, words", [
    (lambda text: text + text.splitlines(keepends=True)[1], "there already"),
    (lambda text: text.replace(",ok,", ",perhaps,", 1), ":2: not a row of samples")])
def test_resume_refuses_broken_samples(tmp_path, change, words):
    samples = finished(tmp_path / "run") / "samples.csv"
    samples.write_text(change(samples.read_text()))
    stops(resume(tmp_path / "run"), "samples.csv:", words)


def test_settings_of_a_run_come_back_in_every_round(tmp_path):
    """Rounds read host.json; they are given no options."""
    folder = tmp_path / "run"
    run = subprocess.run([BUILD / "seqbench", "run", "-k", "rnn/literal", "-S", "4", "-H", "8",
                          "--rounds", "2", "--budget", "0", "--samples", "1", "--cache", "cold",
                          "--seed", "7", "--cpu", str(CORE), "-o", folder, "--pause-after", "1"],
                         capture_output=True, text=True)
    assert run.returncode == 0 and "paused" in run.stderr, run.stderr
    assert resume(folder).returncode == 0
    timed = rows(folder / "samples.csv")
    assert {(row["cache"], row["cpu_after"]) for row in timed} == {("cold", str(CORE))}
    assert {row["round"] for row in timed} == {"0", "1"}
    assert sum(row["flags"] == "" for row in timed) <= 2


def test_failed_rows_are_no_baseline(tmp_path):
    """26 failed rows and no good one: clock and sentinel are measured anew."""
    folder = tmp_path / "run"
    start(folder, "-S", "4:33:+1", "--pause-after", "1").communicate()
    samples = folder / "samples.csv"
    header, *lines = samples.read_text().splitlines()
    names = header.split(",")
    identity = names.index("order") + 1
    failed = [",".join(line.split(",")[:identity]) + "," * (len(names) - identity - 1)
              + "failed,\"x\"" for line in lines
              if line.split(",")[names.index("sample")] == "0"][:26]
    samples.write_text("\n".join([header, *failed]) + "\n")
    assert resume(folder).returncode == 0
    good = [row for row in rows(samples) if row["status"] == "ok"]
    assert good and all(0.1 < float(row["sentinel_ratio"]) < 10 for row in good)
    runs.validate(samples, README)


def faulty_run(folder, env, *arguments):
    return subprocess.run([BUILD / "seqbench", "run", "-k", "rnn/literal", "-S", "4,6,8", "-H",
                           "16,22", "--rounds", "2", "--budget", "0", "-o", folder, *arguments],
                          capture_output=True, text=True, env={**os.environ, **env})


@pytest.mark.parametrize("fault, arguments, said", [
    ("raise(SIGKILL)", [], "ended by signal 9 (Killed)"),
    ("pause()", ["--timeout", "1"], "no end after 1 s")])
def test_kernel_that_crashes_or_hangs_costs_its_own_case(tmp_path, preload, fault, arguments, said):
    folder = tmp_path / "run"
    run = faulty_run(folder, preload(FAULTY_BLAS.replace("FAULT", fault)), *arguments)
    assert run.returncode == 0, run.stderr
    assert said in run.stderr and "goes on without it" in run.stderr
    runs.validate(folder / "samples.csv", README)
    bad = [row for row in rows(folder / "samples.csv") if row["status"] == "failed"]
    assert sorted((row["seq_len"], row["hid_size"]) for row in bad) == [
        ("4", "22"), ("6", "22"), ("8", "22")]  # once each, not again in round 2
    assert {row["error"] for row in bad} == {said}
    good = {(row["round"], row["seq_len"]) for row in rows(folder / "samples.csv")
            if row["hid_size"] == "16"}
    assert good == {(round, seq_len) for round in "01" for seq_len in "468"}


def test_run_in_which_all_cases_crash_fails(tmp_path, preload):
    run = faulty_run(tmp_path / "run", preload(FAULTY_BLAS.replace("FAULT", "raise(SIGKILL)")),
                     "-H", "22")
    stops(run, "no case could be timed", status=1)


def test_kernel_that_fails_its_check_is_not_timed(tmp_path, preload):
    source = FAULTY_BLAS.replace("FAULT", "return").replace("alpha * sum", "alpha * sum + 0.001f")
    stops(faulty_run(tmp_path / "run", preload(source)), "1 of the kernels fail their check",
          status=1)
    assert not (tmp_path / "run").exists()


def test_subnormals_are_flushed_while_sampling(tmp_path, preload):
    """The BLAS is called with FTZ and DAZ set in MXCSR, unless --no-ftz asks otherwise."""
    if os.uname().machine != "x86_64":
        pytest.skip("reads MXCSR")
    source = FAULTY_BLAS.replace("FAULT", """{
        static int told;
        unsigned mxcsr = __builtin_ia32_stmxcsr();
        if (!told++ && write(2, mxcsr & 0x8040 ? "flush\\n" : "keep\\n", 6) < 0)
            _exit(1);
    }""")
    env = preload(source)
    assert "flush\n" in faulty_run(tmp_path / "a", env, "-H", "22", "-S", "4").stderr
    assert "keep\n" in faulty_run(tmp_path / "b", env, "-H", "22", "-S", "4", "--no-ftz").stderr


def test_two_runs_on_one_core(tmp_path):
    first = start(tmp_path / "first", "--cpu", str(CORE))
    wait_for_rows(first, tmp_path / "first", 1)
    second = subprocess.run([BUILD / "seqbench", "run", "-k", "roof/empty", "--cpu", str(CORE),
                             "--budget", "0", "-o", tmp_path / "second"],
                            capture_output=True, text=True)
    stops(second, f"core {CORE} is measured by process {first.pid}, into {tmp_path / 'first'}",
          "--wait")
    assert not (tmp_path / "second").exists()
    third = subprocess.run([BUILD / "seqbench", "run", "-k", "roof/empty", "--cpu", str(CORE),
                            "--budget", "0", "--wait", "60", "-o", tmp_path / "third"],
                           capture_output=True, text=True)
    assert third.returncode == 0 and first.wait() == 0


def run_with_lock(path, *before):
    """A run as someone may be who did not make the lock; its status and what it says."""
    run = subprocess.run([*before, BUILD / "seqbench", "run", "-k", "roof/empty", "--rounds", "1",
                          "--cpu", str(CORE), "--budget", "0", "-o", path / "run"],
                         capture_output=True, text=True,
                         env={**os.environ, "SEQBENCH_LOCKS": str(path)})
    return run.returncode, run.stderr


def test_lock_is_for_every_user(tmp_path):
    lock = tmp_path / f"seqbench-core-{CORE}.lock"
    assert run_with_lock(tmp_path, "sh", "-c", 'umask 077; exec "$@"', "sh")[0] == 0
    assert lock.stat().st_mode & 0o777 == 0o666


def test_lock_of_another_user_that_can_only_be_read(tmp_path):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv, to become somebody else")
    world = pathlib.Path(tempfile.mkdtemp(prefix="seqbench-lock-"))
    try:
        world.chmod(0o1777)
        lock = world / f"seqbench-core-{CORE}.lock"
        lock.touch(0o644)
        lock.chmod(0o644)
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        readable = subprocess.run([*nobody, BUILD / "seqbench", "--version"], capture_output=True)
        if readable.returncode != 0:
            pytest.skip("nobody cannot start build/seqbench")
        status, said = run_with_lock(world, *nobody)
        assert status == 0, said
        with open(lock, "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            shutil.rmtree(world / "run")
            status, said = run_with_lock(world, *nobody)
        assert status == 2 and f"core {CORE} is measured by another run" in said
    finally:
        shutil.rmtree(world)


def test_google_benchmark_is_not_steered_from_outside(tmp_path):
    env = {"BENCHMARK_REPETITIONS": "3", "BENCHMARK_FILTER": "zzz", "BENCHMARK_LIST_TESTS": "true"}
    run = faulty_run(tmp_path / "run", env)
    assert run.returncode == 0
    assert all(row["status"] == "ok" for row in rows(tmp_path / "run" / "samples.csv"))


def test_cold_caches_are_one_iteration_each(tmp_path):
    folder = tmp_path / "run"
    run = subprocess.run([BUILD / "seqbench", "run", "-k", "rnn/literal", "-S", "4", "-H", "8",
                          "--rounds", "2", "--budget", "0", "--cache", "cold", "-o", folder],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert {(row["cache"], row["iterations"]) for row in rows(folder / "samples.csv")} == {
        ("cold", "1")}


def test_unstable_cases_are_visited_again_until_the_budget_ends(tmp_path):
    """No interval is within a millionth, so rounds are added until a second is over."""
    folder = tmp_path / "run"
    run = subprocess.run([BUILD / "seqbench", "run", "-k", "rnn/literal", "-S", "4", "-H", "8",
                          "--rounds", "2", "--budget", "1", "--until", "0.000001", "-o", folder],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert max(int(row["round"]) for row in rows(folder / "plan.csv")) > 1
    assert "of 1 cases 1 unstable" in run.stderr
    assert "seqbench: 2/2 round 2  " in run.stderr  # and not 3/3, 4/4, ...
    assert run.stderr.count(" left  rnn/literal") == 1


def test_budget_cuts_planned_rounds_but_the_first(tmp_path):
    folder = tmp_path / "run"
    run = subprocess.run([BUILD / "seqbench", "run", "-k", "rnn/literal", "-S", "4:33:+1", "-H",
                          "8", "--rounds", "50", "--budget", "1", "-o", folder],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    visited = {(row["round"], row["seq_len"]) for row in rows(folder / "samples.csv")}
    assert {seq_len for round, seq_len in visited if round == "0"} == set(map(str, range(4, 34)))
    assert len(visited) < 30 * 50


def test_turns_end_when_one_of_the_runs_cannot_go_on(tmp_path):
    first_round_only = tmp_path / "b"
    first_round_only.write_text(f'#!/bin/sh\n[ "$2" != --resume ] && exec {BUILD}/seqbench "$@"\n'
                                'echo no more >&2\nexit 3\n')
    first_round_only.chmod(0o755)
    turns = subprocess.run([ROOT / "scripts" / "turns", tmp_path / "out", f"a={BUILD / 'seqbench'}",
                            f"b={first_round_only}", "-k", "roof/empty", "--rounds", "2"],
                           capture_output=True, text=True, timeout=60)
    assert turns.returncode == 3
    assert (tmp_path / "out" / "log").read_text().endswith("no more\n")


def test_two_runs_can_take_turns(tmp_path):
    out = tmp_path / "out"
    options = ["-k", "rnn/literal", "-S", "4,5", "-H", "8", "--rounds", "3", "--samples", "3"]
    turns = subprocess.run([ROOT / "scripts" / "turns", out, f"a={BUILD / 'seqbench'}",
                            f"b={BUILD / 'seqbench'}", *options], capture_output=True, text=True)
    assert turns.returncode == 0, turns.stderr
    started = sorted((row["started_utc"], run, row["round"]) for run in "ab"
                     for row in rows(out / run / "samples.csv"))
    turn = []
    for _, run, round in started:
        if turn[-1:] != [(run, round)]:
            turn.append((run, round))
    assert turn == [("a", "0"), ("b", "0"), ("b", "1"), ("a", "1"), ("a", "2"), ("b", "2")]
    for run in "ab":
        assert_complete(out / run)
