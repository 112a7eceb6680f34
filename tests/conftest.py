"""pytest runs the C tests too: each cmocka test is an item. Closes with one line of counts."""

import csv
import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("SEQBENCH_BUILD", "build")
sys.path.insert(0, str(ROOT / "scripts"))


def load_command(name):
    """The module of a command in scripts/."""
    path = ROOT / "scripts" / (name if name == "import" else f"{name}.py")
    loader = importlib.machinery.SourceFileLoader(f"command_{name}", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module  # dataclasses look their own module up
    loader.exec_module(module)
    return module


def command(name, arguments):
    """Run a command of scripts/ here; its status."""
    return load_command(name).main(arguments)


def call_undisturbed(folder):
    """Take the flags off a run's samples: on a busy machine every one may have some."""
    path = pathlib.Path(folder) / "samples.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "flags": ""} for row in rows)


def pytest_configure():
    """Tests assert on no time: they need not wait for what else is timed on this machine."""
    os.environ["SEQBENCH_LOCKS"] = tempfile.mkdtemp(prefix="seqbench-locks-")


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".c" and file_path.name.startswith("test_"):
        return CTestFile.from_parent(parent, path=file_path)
    return None


class CTestFile(pytest.File):
    """A cmocka program; it runs once, and its TAP lines become items."""

    def collect(self):
        program = BUILD / "tests" / self.path.stem
        run = subprocess.run([program], capture_output=True, text=True, timeout=300,
                             env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
        lines = run.stdout.splitlines()
        results = [line for line in lines if line.startswith(("ok ", "not ok "))]
        output = run.stdout + run.stderr
        for line in results:
            yield CTest.from_parent(self, name=line.split(" - ", 1)[-1].split(" #")[0],
                                    line=line, output=output)
        planned = [int(line[3:]) for line in lines if line.startswith("1..")]
        ended = planned == [len(results)] and (run.returncode == 0 or "not ok" in run.stdout)
        yield CTest.from_parent(self, name="ran to its end", output=output,
                                line="ok" if ended else f"not ok: status {run.returncode}")


class CTest(pytest.Item):
    def __init__(self, line, output, **kwargs):
        super().__init__(**kwargs)
        self.line, self.output = line, output

    def runtest(self):
        if "# SKIP" in self.line:
            pytest.skip(self.line)
        if not self.line.startswith("ok"):
            raise AssertionError(self.line)

    def repr_failure(self, excinfo):
        return f"{excinfo.value}\n{self.output}"

    def reportinfo(self):
        return self.path, 0, f"{self.path.stem}: {self.name}"


def pytest_unconfigure(config):
    shutil.rmtree(os.environ["SEQBENCH_LOCKS"])
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not reporter:
        return
    counts = {name: len(reporter.stats.get(name, [])) for name in
              ("passed", "failed", "error", "skipped")}
    print(f"{counts['passed']} passed, {counts['failed'] + counts['error']} failed, "
          f"{counts['skipped']} skipped")


@pytest.fixture(scope="session")
def seqbench():
    """Runs build/seqbench with arguments; returns the finished process."""

    def run(*arguments, cwd=ROOT, env=None, timeout=300, **kwargs):
        return subprocess.run([BUILD / "seqbench", *map(str, arguments)], cwd=cwd, text=True,
                              capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
                              env={**os.environ, **(env or {})}, **kwargs)

    return run
