"""Fixtures: the same body of a test on ranks that are threads, or under mpirun."""

import io
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

import dtrain
from dtrain import distributed
from dtrain.as_torch import serve_torch
from dtrain.distributed.launcher_variables import launched_world_size

ROOT = Path(__file__).parent.parent

# A shell's background job ignores SIGINT, and so would what the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


class _Quiet:
    """Under mpirun every rank runs pytest: the others than rank 0 speak only when they fail."""

    def __init__(self, config):
        self._reporter = config.pluginmanager.getplugin("terminalreporter")
        self._screen, self._reporter._tw._file = self._reporter._tw._file, io.StringIO()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        text, self._reporter._tw._file = self._reporter._tw._file.getvalue(), self._screen
        if "failed" in text or "error" in text:
            self._screen.write(f"rank {distributed.rank()}:\n{text}")
            self._screen.flush()


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if launched_world_size() and distributed.rank():
        config.pluginmanager.register(_Quiet(config))


#: of the two processes of tests/run.sh, one begins with the kernels, which it compiles for both; the
#: other with what starts processes
FIRST = (
    "test_kernels.py", "test_launch.py", "test_world.py", "test_data_workers.py",
    "test_launch_options.py", "test_job.py", "test_readme.py",
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(FIRST)))


@pytest.fixture(autouse=True)
def fresh_seed():
    """Each test begins as a program does."""
    dtrain.manual_seed(0)


@pytest.fixture
def run_python(tmp_path):
    """Runs a program in a process of its own, with a time limit; gives the finished process."""

    def run(*argv, timeout_s=300, **environ):
        env = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
        return subprocess.run(
            [sys.executable, *map(str, argv)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=tmp_path,
            env=env,
        )

    return run


@pytest.fixture
def served_torch(monkeypatch):
    """`import torch` gives dtrain in this test; PyTorch itself, where imported, is put aside."""
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in _torch_modules():
        del sys.modules[name]
    without = types.SimpleNamespace(meta_path=list(sys.meta_path))
    serve_torch()
    yield without
    for name in _torch_modules():
        del sys.modules[name]
    sys.modules.update({name: module for name, module in before.items() if _is_torch(name)})


def _torch_modules():
    return [name for name in sys.modules if _is_torch(name)]


def _is_torch(name):
    return name.partition(".")[0] in ("torch", "torchvision")
