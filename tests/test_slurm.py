"""scripts/slurm on a cluster of one node, started here on loopback and stopped afterwards."""

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from conftest import BUILD, ROOT
from test_run import README, rows, runs, stops

SUBMIT = ROOT / "scripts" / "slurm" / "submit"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
# The core that a run would choose last, so that others are seldom waited for.
SHORT = ["--rounds", "2", "--budget", "0", "--cpu", str(min(os.sched_getaffinity(0)))]
TINY = ["-k", "rnn/hoisted,roof/empty", "-S", "4", "-H", "8", *SHORT]
SLOW = ["-k", "rnn/hoisted", "-S", "4:23:+1", "-H", "8", *SHORT]
SEARCHED = f"{os.environ['PATH']}:/usr/sbin"

SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,sched_min_interval=100000
MpiDefault=none
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Features=even,odd
PartitionName=main Nodes=ALL Default=YES
"""

# Instead of building, hands out what is built; notes the call of a report.
MAKE = """#!/bin/sh
for word; do
    case $word in
    BUILD=*) mkdir -p "${{word#BUILD=}}" && cp {build}/seqbench "${{word#BUILD=}}" && exit ;;
    report) printf '%s\\n' "$@" >>{calls} ;;
    esac
done
exec {make} "$@"
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class SlurmError(Exception):
    """A daemon has ended, or what is waited for does not come."""


class Cluster:
    """The daemons of a one-node Slurm, and its commands."""

    def __init__(self, folder):
        self.folder, self.calls, self.daemons = folder, folder / "calls", []
        host = socket.gethostname().split(".")[0]
        (folder / "slurm.conf").write_text(SLURM_CONF.format(
            folder=folder, host=host, user=getpass.getuser(), ports=free_ports(2),
            cpus=os.cpu_count()))
        (folder / "make").write_text(MAKE.format(build=BUILD, calls=self.calls,
                                                 make=shutil.which("make")))
        (folder / "make").chmod(0o755)
        self.env = {**os.environ, "PATH": f"{folder}:{SEARCHED}",
                    "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self):
        folder = self.folder
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        files = [f"--{name}={folder}/munge.{ending}" for name, ending in
                 [("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"),
                  ("log-file", "log"), ("seed-file", "seed")]]
        self.daemon("munged", "--foreground", "--force", *files)
        self.wait((folder / "munge.socket").exists, 10)
        self.daemon("slurmctld", "-D", "-i")
        self.daemon("slurmd", "-D")
        self.wait(lambda: "idle" in self.run("sinfo", "-h", "-o", "%T").stdout, 20)

    def daemon(self, *command):
        with open(self.folder / f"{command[0]}.out", "w") as out:
            self.daemons.append(subprocess.Popen(command, env=self.env, stdout=out, stderr=out))

    def clear(self):
        self.run("scancel", "--me")
        self.drain(20)

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.wait(10)

    def run(self, *command, **env):
        return subprocess.run(command, env={**self.env, **env}, capture_output=True, text=True)

    def submit(self, *arguments):
        return self.run(SUBMIT, *arguments)

    def wait(self, is_so, seconds):
        end = time.monotonic() + seconds
        while not is_so():
            ended = [daemon.args[0] for daemon in self.daemons if daemon.poll() is not None]
            if ended:
                said = (self.folder / f"{ended[0]}.out").read_text().strip()
                raise SlurmError(f"{ended[0]} ended: {said[-300:]}")
            if time.monotonic() > end:
                raise SlurmError(f"nothing happens in {seconds} s")
            time.sleep(0.1)

    def queue(self):
        return self.run("squeue", "-h", "-o", "%i %j %T").stdout.splitlines()

    def drain(self, seconds=400):
        self.wait(lambda: not self.queue(), seconds)

    def reports(self):
        """RUNS and OUT of each `make report` so far."""
        text = self.calls.read_text() if self.calls.exists() else ""
        return re.findall(r"report\nRUNS=(.*)\nOUT=(.*)\n", text)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=SEARCHED)]
    if lacking:
        pytest.skip(f"no {', '.join(lacking)} here; `make deps-slurm` installs Slurm")
    it = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        it.start()
    except SlurmError as error:
        it.stop()
        pytest.skip(f"Slurm does not start here: {error}")
    try:
        yield it
    finally:
        it.stop()


@pytest.fixture
def results(cluster, tmp_path):
    """A folder for results, with two node types that are both the one node."""
    cluster.calls.unlink(missing_ok=True)
    (tmp_path / "nodes").write_text("# name, request\neven Features=even\n\nodd  Features=odd")
    yield tmp_path
    cluster.clear()


def run_of(results, node_type):
    (samples,) = (results / node_type).glob("2*/samples.csv")
    return samples.parent


def rows_in(results):
    return sum(path.read_text().count("\n") - 1 for path in results.glob("*/2*/samples.csv"))


def test_each_node_type_is_timed_and_one_report_made(cluster, results):
    submitted = cluster.submit(results, *TINY)
    assert submitted.returncode == 0, submitted.stderr
    report = cluster.run("squeue", "-h", "-n", "seqbench-report", "-o", "%E").stdout
    assert report.startswith("afterany:"), report
    cluster.drain()
    for node_type in ("even", "odd"):
        folder = run_of(results, node_type)
        assert set(runs.load_samples(folder).kernel) == {"rnn/hoisted", "roof/empty"}
        runs.validate(folder / "summary.csv", README)
        log = (results / node_type / "log").read_text()
        assert f"seqbench: {node_type}: node " in log and "2 rounds of 3 cases" in log
    folders = f"{run_of(results, 'even')} {run_of(results, 'odd')}"
    assert cluster.reports() == [(folders, f"{results}/report.html")]
    page = (results / "report.html").read_text(encoding="utf-8")
    for node_type in ("even", "odd"):
        assert f"{node_type}/{run_of(results, node_type).name}: " in page


def test_cancelled_task_is_gone_on_with_when_submitted_again(cluster, results):
    assert cluster.submit(results, *SLOW).returncode == 0
    cluster.wait(lambda: rows_in(results) > 5 or not cluster.queue(), 400)
    (samples,) = results.glob("*/2*/samples.csv")
    cut, other = samples.parts[-3], {"even": "odd", "odd": "even"}[samples.parts[-3]]
    assert cluster.run("scancel", "--me", "--name", f"seqbench-{cut}").returncode == 0
    again = cluster.submit(results)
    assert f"seqbench: {other}: in the queue" in again.stderr
    cluster.drain()
    before, whole = samples.read_text(), (run_of(results, other) / "samples.csv").read_bytes()
    assert cluster.reports()[0][0] == str(run_of(results, other))
    assert f"seqbench: {cut}: not finished, left out" in (results / "report.log").read_text()
    assert cluster.submit(results).returncode == 0
    cluster.drain()
    assert samples.read_text().startswith(before[:before.rindex("\n") + 1])
    assert {row["order"] for row in rows(samples)} == {
        row["order"] for row in rows(samples.with_name("plan.csv"))}
    assert (run_of(results, other) / "samples.csv").read_bytes() == whole
    assert cluster.reports()[-1][0] == f"{run_of(results, 'even')} {run_of(results, 'odd')}"
    done = cluster.submit(results)
    assert done.returncode == 0 and "nothing is missing" in done.stderr
    assert not cluster.queue()


def test_run_takes_the_core_that_slurm_granted(cluster, tmp_path):
    out = tmp_path / "out"
    job = cluster.run("sbatch", "--wait", "-n1", "-c1", "-o", out, "--wrap",
                      f"{BUILD}/seqbench host; grep Cpus_allowed_list /proc/self/status")
    assert job.returncode == 0, job.stderr
    host, granted = out.read_text().split("Cpus_allowed_list:")
    assert json.loads(host)["cpu"]["measured_core"] == int(granted)


@pytest.mark.parametrize("fields", ["Features=none", "Partition=none", "Fetures=odd"])
def test_what_slurm_refuses_leaves_nothing_in_the_queue(cluster, results, fields):
    (results / "nodes").write_text(f"even Features=even\nodd {fields}\n")
    stops(cluster.submit(results, *TINY), f"odd: Slurm refuses '{fields}'")
    assert not cluster.queue()


def test_results_are_of_one_set_of_options(cluster, results):
    (results / "options").write_text("-S\n4\n")
    stops(cluster.submit(results, "-S", "8"), "begun with other options: -S 4")


@pytest.mark.parametrize("nodes, said", [
    ("a\nb\na\n", "there twice: a"), ("../a\n", "'../a' is no name of a folder")])
def test_names_of_node_types_are_folders(cluster, results, nodes, said):
    (results / "nodes").write_text(nodes)
    stops(cluster.submit(results), said)


def with_sinfo(folder, text, *arguments):
    """submit, where sinfo is this script."""
    (folder / "sinfo").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "sinfo").chmod(0o755)
    return subprocess.run([SUBMIT, *arguments], capture_output=True, text=True,
                          env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})


def test_node_types_are_read_from_slurm(tmp_path):
    listed = """a,b|2:8:1|main|n[1-2]
a|2:8:1|main|n3
a,b|2:8:1|long|n[1-2,4]
(null)|1:4:2|main|n5"""
    types = with_sinfo(tmp_path, f"echo '{listed}'", "-l")
    assert types.stdout.splitlines() == [
        "a-b-2x8x1 Partition=main ExcNodeList=n3,n5",
        "a-2x8x1 Partition=main ExcNodeList=n[1-2],n[1-2,4],n5",
        "nodes-1x4x2 Partition=main ExcNodeList=n[1-2],n3,n[1-2,4]"]


def test_nothing_is_written_down_when_slurm_does_not_answer(tmp_path):
    assert with_sinfo(tmp_path, "exit 1", tmp_path / "results").returncode == 1
    assert not list((tmp_path / "results").iterdir())
