"""`dtrain doctor` says what is there, whatever is missing, and what to change."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest

from dtrain.distributed import doctor
from dtrain.distributed.doctor import (
    MachineReport,
    RanksReport,
    find_rank_problems,
    inspect_machine,
)
from dtrain.distributed.doctor.software import describe_blas_limit
from dtrain.distributed.launch import Launcher

from .processes import launcher_in

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
GOOD = MachineReport(
    host="a",
    launcher=Launcher("/bin/mpirun", "openmpi", 5),
    no_launcher="",
    mpi={"vendor": "Open MPI", "path": "/lib/libmpi.so"},
    numba={"version": "0.60"},
    cuda={"problem": "ModuleNotFoundError: No module named 'cupy'"},
    gpu_files=0,
    cores=4,
    busy=0.1,
    memory=1 << 34,
    shared_memory=(8 << 30, 8 << 30),
    clock="tsc",
    software={},
    threads={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
)
LIKE = {"Python": "3.12.1", "numpy": "2.1"}
FAST = {"ranks": [0, 1], "latency_s": 1e-6, "bytes_per_s": 1e9, "clock_offset_s": 0.001}
TWO = RanksReport(
    hosts=("a", "b"), nodes=(0, 1), cores=(1, 1), software=(LIKE, LIKE), pairs=(FAST,)
)


needs_mpi = pytest.mark.skipif(not launcher_in(os.environ), reason="no MPI launcher")


@pytest.fixture
def doctor_with(run_python, tmp_path):
    """`dtrain doctor`, with Python files in place of packages."""

    def run(*options, files=(), **environ):
        (tmp_path / "first").mkdir(exist_ok=True)
        for name, text in files:
            (tmp_path / "first" / name).write_text(text)
        path = f"{tmp_path / 'first'}{os.pathsep}{ROOT}"
        return run_python("-m", "dtrain.cli", "doctor", *options, PYTHONPATH=path, **environ)

    return run


def hiding(*packages):
    """A file that makes imports of these packages fail."""
    lines = [f"sys.modules[{name!r}] = None" for name in packages]
    return [("sitecustomize.py", "\n".join(["import sys", *lines]))]


def rows(process):
    """The first line of each row, by its title."""
    lines = process.stdout.partition("\n\n")[0].splitlines()
    return {line[:10].strip(): line[10:] for line in reversed(lines)}


def test_it_says_what_is_there(doctor_with):
    process = doctor_with()
    found = rows(process)
    version = ".".join(map(str, sys.version_info[:3]))
    assert found["software"].startswith(f"Python {version}, dtrain ")
    assert "/dev/shm" in found["memory"]
    assert process.stderr == ""
    assert "\x1b" not in process.stdout  # not a terminal


@needs_mpi
def test_ranks_find_each_other(doctor_with):
    process = doctor_with("-n", 2)
    assert process.returncode == 0, process.stdout
    assert "ranks     " in process.stdout
    assert " us, " in process.stdout.partition("within    ")[2]


@pytest.mark.parametrize("hidden", [["numba"], ["cupy"], ["mpi4py"], ["mpi4py", "numba", "cupy"]])
def test_it_works_without_packages(doctor_with, hidden):
    process = doctor_with(files=hiding(*hidden))
    titles = {"numba": "Numba", "cupy": "GPUs", "mpi4py": "MPI"}
    for name in hidden:
        assert f"import of {name} halted" in rows(process)[titles[name]]
    assert process.stderr == ""
    assert process.returncode == ("mpi4py" in hidden and bool(launcher_in(os.environ)))


def test_without_an_mpi_library_it_says_what_to_install(doctor_with):
    process = doctor_with(MPI4PY_LIBMPI="/nowhere/libmpi.so")
    assert "RuntimeError: cannot load MPI library" in process.stdout
    assert "do:  pip install 'dtrain[mpi]'" in process.stdout
    assert process.stderr == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os; os.abort()", "ends the process, status -6"),
        ("raise ValueError('it broke')", "ValueError: it broke"),
        ("import time; time.sleep(600)", "hangs: no answer in 5 s"),
    ],
)
def test_a_broken_library_does_not_break_it(tmp_path, monkeypatch, text, message):
    (tmp_path / "numba.py").write_text(text)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    monkeypatch.setenv("PYTHONPATH", path)
    limit_s = 5 if "hangs" in message else 120  # on a busy machine a probe takes seconds to start
    monkeypatch.setitem(doctor.inspect_machine.__globals__, "_PROBE_LIMIT_S", limit_s)
    assert message in inspect_machine().numba["problem"]


@needs_mpi
def test_ranks_that_cannot_start_are_a_problem(doctor_with):
    process = doctor_with("--hosts", "nowhere.invalid:2")
    assert process.returncode == 1
    assert "PROBLEM: the ranks did not run" in process.stdout
    assert "do:  try `mpirun -n N hostname`" in process.stdout
    assert "-n must be >= 1, got 0" in doctor_with("-n", 0).stdout


def test_nothing_is_said_of_a_good_machine():
    assert doctor.find_machine_problems(GOOD) == []
    assert find_rank_problems(TWO) == []


@pytest.mark.parametrize(
    ("coretype", "used", "flags", "limit"),
    [
        (None, {"Haswell"}, {"avx2", "avx512bw"}, None),
        ("Haswell", {"Haswell"}, {"avx2"}, None),
        ("SkylakeX", {"SkylakeX"}, {"avx2", "avx512bw"}, None),
        ("Haswell", {"Haswell"}, {"avx2", "avx512bw"}, "avx512bw"),
        ("Nehalem", {"Nehalem"}, {"avx2"}, "avx2"),
        ("Nehalem", {"Nehalem"}, {"sse2"}, None),
    ],
)
def test_an_environment_that_keeps_the_blas_back_is_noticed(coretype, used, flags, limit):
    found = describe_blas_limit(coretype, used, flags)
    assert found == (
        limit
        and f"OPENBLAS_CORETYPE={coretype} keeps products of matrices from this "
        f"processor's {limit} instructions"
    )


@pytest.mark.parametrize(
    ("changed", "found", "fatal"),
    [
        ({"launcher": None, "no_launcher": "no mpirun"}, "no mpirun", False),
        ({"mpi": {"problem": "RuntimeError"}}, "mpi4py: RuntimeError", True),
        (
            {"mpi": {"vendor": "MPICH", "path": "/lib/m.so"}},
            "/bin/mpirun is openmpi's, but mpi4py loads MPICH",
            True,
        ),
        ({"shared_memory": (60 << 20, 64 << 20)}, "/dev/shm has 60 MiB free of 64", False),
        ({"shared_memory": None}, "no /dev/shm", False),
        ({"numba": {"problem": "gone"}}, "Numba: gone", False),
        ({"busy": 0.75}, "the cores were 75% busy over the last minute", False),
        ({"blas_limit": "OPENBLAS_CORETYPE=Haswell"}, "OPENBLAS_CORETYPE=Haswell", False),
        ({"gpu_files": 2}, "2 GPUs, but ModuleNotFoundError", False),
        (
            {"threads": {"OMP_NUM_THREADS": "1", "A": "2"}},
            "disagree: OMP_NUM_THREADS=1, A=2",
            False,
        ),
    ],
)
def test_what_is_wrong_with_a_machine_is_said(changed, found, fatal):
    (problem,) = doctor.find_machine_problems(dataclasses.replace(GOOD, **changed))
    assert found in problem.found
    assert problem.fatal == fatal


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"software": (LIKE, LIKE | {"numpy": "2.0"})}, "numpy: a has 2.1, b has 2.0"),
        ({"hosts": ("a", "a"), "nodes": (0, 0)}, "a: 2 ranks on 1 cores"),
        ({"hosts": ("a", "a"), "cores": (2, 2)}, "a: its ranks are 2 groups that do not share"),
        ({"pairs": (FAST | {"bytes_per_s": 12e6},)}, "a - b: 12 MB/s"),
        ({"pairs": (FAST | {"clock_offset_s": -3.5},)}, "b's clock is -3.500 s from a's"),
    ],
)
def test_what_is_wrong_with_ranks_is_said(changed, found):
    (problem,) = find_rank_problems(dataclasses.replace(TWO, **changed))
    assert found in problem.found
