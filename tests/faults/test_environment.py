"""What surrounds a job: its input, links, closed streams, left-over variables, children of ranks."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dtrain.distributed.launch.hosts import Host, read_hostfile
from dtrain.distributed.launch.machine import Launcher
from dtrain.distributed.launch.standard_input import END_OF_INPUT, copy_until_end
from dtrain.distributed.launcher_variables import (
    launched_world_size,
    note_rank_process,
    parent_rank_process,
    refuse_other_launchers,
    without_rank_variables,
)
from dtrain.errors import LaunchError

from .conftest import LIMIT_S, environment

pytestmark = pytest.mark.slow

CHILDREN = """
import multiprocessing, os, subprocess, sys
from dtrain import distributed as d
RANK, SIZE = d.rank(), d.world_size()
def work(i): return d.rank(), d.world_size()
if __name__ == "__main__":
    results = []
    for how in ("spawn", "fork"):
        with multiprocessing.get_context(how).Pool(1) as pool:
            results += pool.map(work, [1])
    ask = "from dtrain import distributed as d; print(d.rank(), d.world_size())"
    child = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    assert "is no rank itself: a world of one" in child.stderr, child.stderr
    results.append(tuple(map(int, child.stdout.split())))
    assert results == [(0, 1)] * 3 and SIZE == 2, results
    d.barrier()
    print("children of", RANK, "were none", flush=True)
"""


def dtrain_run(folder, *words, **options):
    return subprocess.run(
        [sys.executable, "-m", "dtrain.cli", "run", *map(str, words)],
        cwd=folder, env=environment(), text=True, timeout=LIMIT_S, capture_output=True, **options,
    )  # fmt: skip


def test_a_process_that_a_rank_starts_is_a_world_of_one(tmp_path):
    (tmp_path / "children.py").write_text(CHILDREN)
    process = dtrain_run(tmp_path, "-n", 2, "children.py")
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("were none") == 2


def test_the_process_that_is_a_rank_is_noted(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setenv("DTRAIN_RANK_PROCESS", "")
    note_rank_process()
    assert (parent_rank_process(), launched_world_size()) == (None, 4)
    monkeypatch.setenv("DTRAIN_RANK_PROCESS", str(os.getppid()))
    assert (parent_rank_process(), launched_world_size()) == (os.getppid(), None)
    left = without_rank_variables({"PATH": "p", "PMIX_RANK": "1", **os.environ})
    assert "PATH" in left
    assert not {"PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "DTRAIN_RANK_PROCESS"} & set(left)


def test_a_left_over_variable_that_is_no_number_is_named(monkeypatch):
    monkeypatch.delenv("DTRAIN_RANK_PROCESS", raising=False)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "four")
    with pytest.raises(LaunchError, match=r"OMPI_COMM_WORLD_SIZE='four' is no number.*unset it"):
        launched_world_size()


@pytest.mark.parametrize(
    ("variables", "name"),
    [({}, "torchrun"), ({"ACCELERATE_MIXED_PRECISION": "no"}, "accelerate launch")],
)
def test_other_launchers_are_refused_by_name(monkeypatch, variables, name):
    for variable, value in {"RANK": "1", "MASTER_ADDR": "here", **variables}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("WORLD_SIZE", "1")
    refuse_other_launchers()
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setattr(sys, "argv", ["train.py", "--name", "a b"])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    command = "-n 3 train.py --name 'a b'`"
    with pytest.raises(LaunchError, match=f"^{name}.* rank 1 of 3.*`dtrain run {command}"):
        refuse_other_launchers()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="2.13.0+dtrain.0.1.0"))
    with pytest.raises(LaunchError, match=f"`dtrain run --as-torch {command}"):
        refuse_other_launchers()


@pytest.mark.parametrize(("given", "read"), [(None, ""), ("typed\n", "typed\n")])
def test_rank_0_reads_the_input_to_its_end(tmp_path, given, read):
    (tmp_path / "reads.py").write_text("import sys\nprint(repr(sys.stdin.read()))\n")
    source = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
    process = dtrain_run(tmp_path, "-n", 1, "reads.py", **source)
    assert (process.returncode, process.stdout) == (0, f"{read!r}\n"), process.stderr


@pytest.mark.parametrize(
    ("chunks", "copied"),
    [
        ([b"ab", b"c" + END_OF_INPUT + b"later"], b"abc"),
        ([b"a" + END_OF_INPUT[:5], END_OF_INPUT[5:]], b"a"),
        ([b"a" + END_OF_INPUT[:5], b"b"], b"a" + END_OF_INPUT[:5] + b"b"),
        ([END_OF_INPUT[:3]], END_OF_INPUT[:3]),
    ],
)
def test_the_mark_of_the_inputs_end_is_found_in_any_pieces(monkeypatch, chunks, copied):
    pieces, written = iter([*chunks, b""]), []
    monkeypatch.setattr(os, "read", lambda *_: next(pieces))
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data) or len(data))
    monkeypatch.setattr(os, "close", lambda _: None)
    copy_until_end(-1, -1)
    assert b"".join(written) == copied


def test_a_link_to_a_script_finds_the_modules_beside_the_script(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "sibling.py").write_text("VALUE = 41\n")
    (tmp_path / "project" / "train.py").write_text("from sibling import VALUE; print(VALUE)\n")
    (tmp_path / "link.py").symlink_to("project/train.py")
    process = dtrain_run(tmp_path, "-n", 1, "link.py")
    assert (process.returncode, process.stdout) == (0, "41\n"), process.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_job_runs_with_closed_streams_and_without_a_home(tmp_path, closed):
    (tmp_path / "writes.py").write_text(
        "import sys, dtrain\nprint('out'); print('err', file=sys.stderr)\n"
        "open('size', 'w').write(str(dtrain.distributed.world_size()))\n"
    )
    environ = {name: value for name, value in environment().items() if name != "HOME"}
    status = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m dtrain.cli run -n 1 writes.py {closed}'],
        cwd=tmp_path, env=environ, timeout=LIMIT_S, capture_output=True,
    ).returncode  # fmt: skip
    assert (status, (tmp_path / "size").read_text()) == (0, "1")


OPEN_MPI, MPICH = Launcher("/opt/mpirun", "openmpi", 5), Launcher("/opt/mpiexec", "mpich")


@pytest.mark.parametrize(
    ("launcher", "line"),
    [
        (OPEN_MPI, line)
        for line in ("a,b", "a 4", "slots=4", "a slots=x", "a slots=0", "a b slots=1")
    ]
    + [(MPICH, line) for line in ("a:x", "a 4", "a:0", "a,b", "a slots=4")],
)
def test_a_line_of_a_hostfile_that_names_no_host_is_refused(tmp_path, launcher, line):
    (tmp_path / "hosts").write_text(f"# hosts\n{line}\n")
    with pytest.raises(ValueError, match="hosts, line 2: "):
        read_hostfile(str(tmp_path / "hosts"), launcher)


def test_a_hostfile_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "hosts").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="cannot be read as text"):
        read_hostfile(str(tmp_path / "hosts"), OPEN_MPI)


def test_hostfiles_with_options_are_read(tmp_path):
    (tmp_path / "hosts").write_text("a slots = 2 max_slots=8  # small\nb\n")
    assert read_hostfile(str(tmp_path / "hosts"), OPEN_MPI) == [Host("a", 2), Host("b", None)]
    (tmp_path / "hosts").write_text("a:2 ifname=eth0\nb\n")
    assert read_hostfile(str(tmp_path / "hosts"), MPICH) == [Host("a", 2), Host("b", None)]
