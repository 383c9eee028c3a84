"""Options of `dtrain run` about variables, networks, output, and those that launchers take."""

import re
import sys
from dataclasses import replace

import pytest

from dtrain.distributed import launch
from dtrain.distributed.launch import JobSpec
from dtrain.distributed.launch.output import output_variables
from dtrain.distributed.launch.variables import read_variables

from .test_launch import MPICH, OPEN_MPI_4, SRUN, dtrain_run, machine, needs_mpi


@pytest.fixture
def plan(tmp_path):
    """`launch.plan` of two ranks of a script that exists."""
    script = tmp_path / "train.py"
    script.touch()

    def plan(on=None, **options):
        return launch.plan(JobSpec(2, str(script), **options), on or machine())

    return plan


# --- variables ------------------------------------------------------------------------------------


def test_variables_come_from_options_and_files(tmp_path):
    path = tmp_path / "variables"
    path.write_text("# of the job\n\nA=1\nB = 2 = 3 \n  C\n".replace("B ", "B"))
    found = read_variables(["A=one", "D="], [path], {"C": "x y", "E": "unused"})
    assert found == {"A": "one", "B": " 2 = 3", "C": "x y", "D": ""}


@pytest.mark.parametrize(
    ("given", "text", "message"),
    [
        (["A"], "", "-x A: A is not set here; give A=VALUE"),
        (["A B=1"], "", "-x A B=1: expected NAME=VALUE or NAME, got 'A B=1'"),
        ([], "A=1\n=2", "variables, line 2: expected NAME=VALUE or NAME, got '=2'"),
        ([], "\nA", "variables, line 2: A is not set here"),
    ],
)
def test_variables_without_a_name_or_value_are_refused(tmp_path, given, text, message):
    path = tmp_path / "variables"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_variables(given, [path], {})
    with pytest.raises(FileNotFoundError, match="--env-file: no such file"):
        read_variables([], [tmp_path / "none"], {})


def test_the_users_variables_reach_other_hosts(plan):
    here = machine(HF_HOME="/data", WANDB_MODE="offline", CUDA_VISIBLE_DEVICES="1", OTHER="x")
    made = plan(here, hosts="a,b", environ={"LEVEL": "3"})
    exported = {made.argv[i + 1] for i, word in enumerate(made.argv) if word == "-x"}
    assert {"HF_HOME", "WANDB_MODE", "CUDA_VISIBLE_DEVICES", "LEVEL"} <= exported
    assert "OTHER" not in exported
    assert made.env["LEVEL"] == "3"


# --- networks, and options of the launcher --------------------------------------------------------


def test_the_port_of_ssh_and_the_network_under_each_launcher(plan):
    options = {"hosts": "a,b", "ssh_port": 2222, "interface": "eth1"}
    five, four, mpich = (plan(machine(kind) if kind else None, **options)
                         for kind in (None, OPEN_MPI_4, MPICH))  # fmt: skip
    assert five.env["PRTE_MCA_plm_ssh_args"] == four.env["OMPI_MCA_plm_rsh_args"] == "-p 2222"
    assert five.env["OMPI_MCA_btl_tcp_if_include"] == five.env["PRTE_MCA_prte_if_include"] == "eth1"
    assert four.env["OMPI_MCA_oob_tcp_if_include"] == four.env["NCCL_SOCKET_IFNAME"] == "eth1"
    assert mpich.env["HYDRA_LAUNCHER_EXTRA_ARGS"] == "-p 2222"
    assert " -iface eth1 " in f"{mpich}"
    assert "NCCL_SOCKET_IFNAME" not in plan(hosts="a,b", interface="10.0.0.0/24").env
    assert (
        "OMPI_MCA_btl_tcp_if_include" not in plan(interface="eth1").env
    )  # one machine: no network


def test_a_network_that_is_not_here_is_refused(plan):
    here = replace(machine(), interfaces=frozenset({"lo", "eth0"}))
    assert plan(here, hosts="a,b", interface="eth0")
    with pytest.raises(ValueError, match="--interface eth1: this machine has eth0, lo"):
        plan(here, hosts="a,b", interface="eth1")


def test_words_for_the_launcher_come_before_the_program(plan):
    made = plan(mpi_args=["--map-by", "node"])
    assert made.argv[3:6] == ["--map-by", "node", sys.executable]
    assert " --mpi=pmix " in str(plan(machine(SRUN), srun_args=["--mpi=pmix"]))


@pytest.mark.parametrize(
    ("on", "options", "message"),
    [
        (None, {"ssh_port": 0}, "--ssh-port must be 1 to 65535, got 0"),
        (None, {"srun_args": ["-q"]}, "--srun-args '-q': .*give its options by --mpi-args"),
        (SRUN, {"mpi_args": ["-q"]}, "--mpi-args '-q': .*give its options by --srun-args"),
        (SRUN, {"ssh_port": 22}, "--ssh-port: srun starts the ranks"),
        (SRUN, {"interface": "eth0"}, "--interface: srun starts the ranks"),
        (MPICH, {"interface": "10.0.0.0/24"}, "MPICH takes a name such as eth0"),
    ],
)
def test_options_that_a_launcher_cannot_take_are_refused(plan, on, options, message):
    with pytest.raises(ValueError, match=message):
        plan(machine(on) if on else None, **options)


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("--nproc_per_node", "dtrain run has -n, the ranks of all hosts"),
        ("--nproc-per-node=2", "dtrain run has -n, the ranks of all hosts"),
        ("--nnodes=2", "dtrain run has --hosts a:4,b:4"),
        ("--mca", "dtrain run has --mpi-args"),
        ("--nope", "an unknown option?"),
    ],
)
def test_options_of_other_launchers_are_answered_with_ours(word, answer):
    with pytest.raises(FileNotFoundError, match=answer):
        JobSpec(None, word).check()


# --- output ---------------------------------------------------------------------------------------

PRINTS = """
import os, sys
from mpi4py import MPI
rank = MPI.COMM_WORLD.rank
print("from Python", flush=True)
os.system("echo from a shell; printf unfinished >&2")
MPI.COMM_WORLD.barrier()
if sys.argv[1:] == [str(rank)]:
    raise RuntimeError("as told")
"""
LINES = ["from Python", "from a shell", "unfinished"]


@needs_mpi
def test_each_rank_has_a_file_and_chosen_ranks_are_shown(tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS)
    words = ["-n", "2", "--log-dir", "logs/run", "--tee", "1", "--prefix", "prints.py"]
    status, out, err = dtrain_run(*words, cwd=tmp_path)
    assert status == 0, err
    stamp = r"\[1 \d\d:\d\d:\d\d\] "
    assert re.fullmatch(f"{stamp}from Python\n{stamp}from a shell\n", out)
    assert re.fullmatch(f"{stamp}unfinished\n", err)
    for rank in range(2):
        lines = (tmp_path / "logs" / "run" / f"rank-{rank}.log").read_text().splitlines()
        assert sorted(line.partition(f"[{rank} ")[2][10:] for line in lines) == sorted(LINES)


@pytest.mark.slow
@needs_mpi
def test_files_of_ranks_go_on_after_a_restart_and_end_with_the_traceback(tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS)
    words = ["-n", "2", "--log-dir", "logs", "--tee", "0", "--max-restarts", "1", "prints.py", "1"]
    assert dtrain_run(*words, cwd=tmp_path)[0] == 1
    text = (tmp_path / "logs" / "rank-1.log").read_text()
    assert text.count("from Python\n") == text.count("RuntimeError: as told") == 2
    assert text.endswith("RuntimeError: as told\n")


@pytest.mark.parametrize(
    ("log_dir", "tee", "message"),
    [
        (None, "0", "--tee needs --log-dir"),
        ("logs", "2", "--tee must be ranks of the job, such as 0,1: got '2'"),
        ("logs", "a", "got 'a'"),
        ("file/logs", None, "--log-dir .*file/logs: Not a directory"),
    ],
)
def test_output_that_cannot_go_there_is_refused(tmp_path, log_dir, tee, message):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=message):
        output_variables(None if log_dir is None else tmp_path / log_dir, False, tee, 2)
