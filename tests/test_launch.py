"""The command line that starts ranks, for each launcher; and that what it starts behaves."""

import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dtrain.distributed import launch
from dtrain.distributed.launch import JobSpec, Launcher, LaunchPlan, Machine, start_monitor
from dtrain.errors import LaunchError

from .processes import is_running

ROOT = Path(__file__).parents[1]
OPEN_MPI = Launcher("/opt/bin/mpirun", "openmpi", 5)
OPEN_MPI_4 = Launcher("/opt/bin/mpirun", "openmpi", 4)
MPICH = Launcher("/opt/bin/mpirun", "mpich")
SRUN = Launcher("/opt/bin/srun", "srun")
THREADS = (
    "DTRAIN_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
ONE_THREAD = dict.fromkeys(THREADS, "1")
UNBOUND = {"PRTE_MCA_hwloc_default_binding_policy": "none"}
SEVERAL_HOSTS = {"OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_btl_tcp_links": "2"}
NO_FABRIC = {"OMPI_MCA_btl": "^ofi,tcp", "OMPI_MCA_mtl": "^ofi", "OMPI_MCA_osc": "^ucx"}
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def machine(launcher=OPEN_MPI, num_cores=4, is_root=False, has_terminal=True, **environ):
    names = frozenset({"localhost", "127.0.0.1", "node7"})
    return Machine(launcher, num_cores, is_root, names, environ, has_terminal)


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """`launch.plan` for a script that exists."""
    monkeypatch.chdir(tmp_path)
    Path("train.py").touch()

    def plan(num_ranks=None, script="train.py", args=(), on=None, lost=(), **options):
        return launch.plan(JobSpec(num_ranks, script, args, **options), on or machine(), lost)

    return plan


def python(*args):
    return [sys.executable, start_monitor.__file__, *args]


# --- the plan: Open MPI ---------------------------------------------------------------------------


def test_one_node_under_open_mpi(plan):
    made = plan(2, args=["--lr", "0.1", "--", "-n", "3"])
    script = python("train.py", "--lr", "0.1", "--", "-n", "3")
    assert made.argv == ["/opt/bin/mpirun", "-n", "2", *script]
    assert made.env == ONE_THREAD | UNBOUND | NO_FABRIC


def test_only_root_is_allowed_to_run_as_root(plan):
    assert plan(2, on=machine(is_root=True)).env == ONE_THREAD | UNBOUND | NO_FABRIC | AS_ROOT


@pytest.mark.parametrize("hosts", [None, "localhost:5", "127.0.0.1:5", "node7:5"])
def test_ranks_share_cores_only_when_there_are_more_ranks_than_cores(plan, hosts):
    shared = {
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    assert plan(4, hosts=hosts).env == ONE_THREAD | UNBOUND | NO_FABRIC
    assert plan(5, hosts=hosts).env == ONE_THREAD | UNBOUND | NO_FABRIC | shared


def test_open_mpi_4_knows_other_names(plan):
    old = {
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
    }
    assert plan(5, on=machine(OPEN_MPI_4)).env == ONE_THREAD | NO_FABRIC | old


def test_several_hosts_keep_their_fabric_and_get_the_environment(plan):
    here = machine(DTRAIN_LOG="debug", PYTHONPATH="/src", HOME="/home/me", OMPI_MCA_pml="ucx")
    made = plan(8, hosts="node7:4,b:4", on=here)
    exported = sorted([*THREADS, "DTRAIN_LOG", "PYTHONPATH"])
    assert made.env == ONE_THREAD | UNBOUND | SEVERAL_HOSTS
    assert made.argv == [
        *["/opt/bin/mpirun", "-n", "8", "--host", "node7:4,b:4"],
        *[word for name in exported for word in ("-x", name)],
        *python("train.py"),
    ]


def test_variables_that_choose_the_bits_reach_the_other_hosts(plan):
    chosen = {"OPENBLAS_CORETYPE": "Haswell", "MKL_CBWR": "AVX2", "NUMBA_CPU_NAME": "generic"}
    made = plan(2, hosts="a,b", on=machine(**chosen, NPY_DISABLE_CPU_FEATURES="AVX512F"))
    exported = {name for x, name in zip(made.argv, made.argv[1:]) if x == "-x"}
    assert exported == {*THREADS, *chosen, "NPY_DISABLE_CPU_FEATURES"}


def test_ranks_are_told_that_there_is_no_terminal(plan):
    here = machine(has_terminal=False)
    assert plan(2, on=here).env["DTRAIN_NO_TERMINAL"] == "1"
    assert "DTRAIN_NO_TERMINAL" in plan(2, hosts="a,b", on=here).argv


def test_ranks_are_told_which_terminal_shows_their_output(plan):
    here = dataclasses.replace(machine(), terminal="here:/dev/pts/3")
    assert plan(2, on=here).env["DTRAIN_TERMINAL"] == "here:/dev/pts/3"
    assert "DTRAIN_TERMINAL" in plan(2, hosts="a,b", on=here).argv
    assert "DTRAIN_TERMINAL" not in plan(2, on=machine()).env


def test_the_hostfile_is_handed_to_open_mpi(plan):
    Path("hosts").write_text("# two hosts\na slots=4\nb slots = 2 max_slots=8  # small\n\n")
    made = plan(hostfile="hosts")
    assert made.argv[:5] == ["/opt/bin/mpirun", "-n", "6", "--hostfile", "hosts"]
    assert made.env == ONE_THREAD | UNBOUND | SEVERAL_HOSTS


@pytest.mark.parametrize(
    ("environ", "one_node"),
    [
        ({"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "1"}, True),
        ({"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "2"}, False),
        ({"PBS_NODEFILE": "/var/nodes"}, False),
        ({"OMPI_MCA_orte_default_hostfile": "/etc/mpi/hostfile"}, False),
    ],
)
def test_an_allocation_may_have_several_nodes(plan, environ, one_node):
    made = plan(2, on=machine(**environ))
    assert (NO_FABRIC.items() <= made.env.items()) == one_node
    assert ("-x" in made.argv) != one_node


def test_variables_of_the_user_are_not_changed(plan):
    user = {"OMPI_MCA_btl": "self,tcp", "OMP_NUM_THREADS": "4"}
    made = plan(2, on=machine(**user))
    expected = ONE_THREAD | UNBOUND | NO_FABRIC
    assert made.env == {name: expected[name] for name in expected if name not in user}


def test_without_a_lost_host_the_ranks_are_as_many_as_the_others_have_slots(plan):
    made = plan(8, hosts="a:4,b:2,c:1", lost=["b"])
    assert made.argv[1:5] == ["-n", "5", "--host", "a:4,c:1"]
    assert plan(hosts="a:4,b:2,c:1", lost=["a"]).argv[1:5] == ["-n", "3", "--host", "b:2,c:1"]
    assert plan(4, hosts="a:4,b:2", lost=["b"]).argv[1:5] == ["-n", "4", "--host", "a:4"]
    with pytest.raises(ValueError, match="-n 8 is more than the 7 slots"):
        plan(8, hosts="a:4,b:2,c:1")


def test_a_hostfile_without_a_lost_host_becomes_a_list(plan):
    Path("hosts").write_text("a slots=4\nb\nnode7 slots=2\n")
    assert plan(4, hostfile="hosts", lost=["a"]).argv[1:5] == ["-n", "4", "--host", "b:*,node7:2"]
    Path("hosts").write_text("a:4\nb\n")
    of_mpich = plan(4, hostfile="hosts", lost=["a"], on=machine(MPICH))
    assert of_mpich.argv[1:5] == ["-n", "4", "-hosts", "b"]


# --- the plan: MPICH and srun ---------------------------------------------------------------------


def test_mpich_needs_no_variables_and_hands_over_the_environment(plan):
    made = plan(hosts="a:4,b", on=machine(MPICH, is_root=True))
    assert made.argv == ["/opt/bin/mpirun", "-n", "5", "-hosts", "a:4,b:1", *python("train.py")]
    assert made.env == ONE_THREAD


def test_the_hostfile_is_handed_to_mpich(plan):
    Path("hosts").write_text("a:4\nb:2\n")
    assert plan(hostfile="hosts", on=machine(MPICH)).argv[:5] == [
        *["/opt/bin/mpirun", "-n", "6", "-f", "hosts"]
    ]


def test_srun_gives_each_rank_its_threads(plan):
    made = plan(4, threads=2, on=machine(SRUN, SLURM_JOB_ID="1"))
    assert made.argv == [
        *["/opt/bin/srun", "-n", "4", "--cpus-per-task", "2", "--cpu-bind", "none"],
        *python("train.py"),
    ]
    assert made.env == dict.fromkeys(THREADS, "2")


# --- the plan: threads and modules ----------------------------------------------------------------


@pytest.mark.parametrize("num_ranks", [1, 2, 4, 8])
def test_threads_do_not_depend_on_the_number_of_ranks(plan, num_ranks):
    assert ONE_THREAD.items() <= plan(num_ranks).env.items()


def test_threads_come_from_the_option_or_the_variable(plan):
    assert plan(2, threads=3).env["OMP_NUM_THREADS"] == "3"
    assert plan(2, on=machine(DTRAIN_THREADS="3")).env["OMP_NUM_THREADS"] == "3"
    assert "OMP_NUM_THREADS" not in plan(2, threads=3, on=machine(OMP_NUM_THREADS="3")).env


def test_a_module_is_started_like_a_script(plan):
    assert plan(2, "pytest", ["-x"], module=True).argv[3:] == python("-m", "pytest", "-x")


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_ranks": 0}, "-n must be >= 1, got 0"),
        ({"num_ranks": -2}, "-n must be >= 1, got -2"),
        ({}, "the number of ranks is missing"),
        ({"num_ranks": 1, "threads": 0}, "--threads must be >= 1, got 0"),
        ({"hosts": ""}, "got '' in ''"),
        ({"hosts": "a:,b:2"}, "got 'a:' in 'a:,b:2'"),
        ({"hosts": "a:x"}, "got 'a:x'"),
        ({"hosts": "a:0"}, "got 'a:0'"),
        ({"hosts": "a:4, b:4"}, "got ' b:4'"),
        ({"hosts": "a:4", "hostfile": "some"}, "give one of them"),
        ({"num_ranks": 9, "hosts": "a:4,b:4"}, "-n 9 is more than the 8 slots"),
        ({"num_ranks": 5, "hostfile": "some"}, "-n 5 is more than the 4 slots"),
        ({"hostfile": "absent"}, "no such file: absent"),
        ({"hostfile": "empty"}, "empty names no host"),
        ({"hostfile": "no_slots"}, "does not say how many ranks"),
        ({"hostfile": "of_mpich"}, "of_mpich, line 2: .* reads lines such as 'name slots=4'"),
        ({"num_ranks": 1, "script": "absent.py"}, r"no such script: absent\.py"),
        ({"num_ranks": 1, "script": "--npp"}, "no such script: --npp .an unknown option"),
    ],
)
def test_bad_input_is_refused(plan, given, message):
    for name, text in [
        ("some", "a slots=4"),
        ("empty", "# a slots=4"),
        ("no_slots", "a slots=4\nb"),
        ("of_mpich", "a\nb:4"),
    ]:
        Path(name).write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        plan(**given)


def test_a_hostfile_of_open_mpi_is_refused_by_mpich(plan):
    Path("hosts").write_text("a slots=4\n")
    with pytest.raises(ValueError, match="reads lines such as 'name:4', got 'a slots=4'"):
        plan(hostfile="hosts", on=machine(MPICH))


def test_hosts_are_refused_by_srun(plan):
    with pytest.raises(ValueError, match="omit --hosts and --hostfile"):
        plan(4, hosts="a:4", on=machine(SRUN))


def test_two_numbers_of_threads_are_refused(plan):
    with pytest.raises(ValueError, match="--threads 2, but OMP_NUM_THREADS=4 is set"):
        plan(2, threads=2, on=machine(OMP_NUM_THREADS="4"))


# --- finding the launcher -------------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Put programs that print a version into folders; the Python in use is in the folder venv."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))

    def put(path, version):
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\necho '{version}'\n")
        file.chmod(0o755)
        return str(file)

    return put


def test_the_launcher_beside_python_comes_first(programs, tmp_path):
    environ = {"PATH": str(tmp_path / "usr")}
    in_path = programs("usr/mpirun", "mpirun (Open MPI) 4.1.6")
    assert launch.find_launcher(environ) == Launcher(in_path, "openmpi", 4)
    beside = programs("venv/mpiexec", "HYDRA build details:")
    assert launch.find_launcher(environ) == Launcher(beside, "mpich")
    beside = programs("venv/mpirun", "mpirun (Open MPI) 5.0.11")
    assert launch.find_launcher(environ) == Launcher(beside, "openmpi", 5)


def test_srun_is_taken_in_an_allocation_without_mpirun(programs, tmp_path):
    srun = programs("usr/srun", "slurm 24.05")
    allocation = {"PATH": str(tmp_path / "usr"), "SLURM_JOB_ID": "1"}
    assert launch.find_launcher(allocation) == Launcher(srun, "srun")
    with pytest.raises(LaunchError, match="no mpirun"):
        launch.find_launcher({"PATH": str(tmp_path / "usr")})
    mpirun = programs("usr/mpirun", "Intel(R) MPI Library for Linux* OS, Version 2021.12")
    assert launch.find_launcher(allocation) == Launcher(mpirun, "mpich")


def test_without_a_launcher_the_error_says_what_to_do(programs, tmp_path):
    with pytest.raises(LaunchError) as caught:
        launch.find_launcher({"PATH": str(tmp_path)})
    for advice in ('pip install "dtrain[mpi]"', "python script.py", "dtrain debug -n N"):
        assert advice in str(caught.value)


def test_an_unknown_launcher_is_refused(programs, tmp_path):
    programs("venv/mpirun", "mpirun of my own")
    with pytest.raises(LaunchError, match="neither Open MPI nor MPICH: 'mpirun of my own'"):
        launch.find_launcher({"PATH": str(tmp_path)})


# --- running --------------------------------------------------------------------------------------


def _launcher_missing():
    try:
        launch.find_launcher(os.environ)
    except LaunchError as error:
        return str(error).partition("\n")[0]
    return ""


needs_mpi = pytest.mark.skipif(bool(_launcher_missing()), reason=_launcher_missing())


def environment():
    """Ours without threads, for `dtrain run` sets them; dtrain is found without being installed."""
    environ = {name: value for name, value in os.environ.items() if name not in THREADS}
    path = os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")]))
    return environ | {"PYTHONPATH": path, "VIRTUAL_ENV": sys.prefix}


def start(*words, program=(sys.executable, "-m", "dtrain.cli", "run"), cwd=None):
    return subprocess.Popen(
        [*program, *words],
        cwd=cwd,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def dtrain_run(*words, **options):
    """The exit status, stdout and stderr of `dtrain run`, which has five minutes to end."""
    process = start(*words, **options)
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    return process.returncode, out, err


REPORT = """
import os, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
line = (world.rank, world.size, sys.argv[1:], sorted(os.sched_getaffinity(0)),
        os.environ["OPENBLAS_NUM_THREADS"])
for line in world.gather(line) or []:
    print(line)
"""


@needs_mpi
@pytest.mark.parametrize(
    ("threads", "num_ranks"),
    [
        (1, 2),
        (2, 3),
        *(pytest.param(*row, marks=pytest.mark.long) for row in [(1, 1), (1, 3), (1, 4), (2, 2)]),
    ],
)
def test_ranks_form_one_world_with_all_cores(tmp_path, num_ranks, threads):
    (tmp_path / "report.py").write_text(REPORT)
    args = ["--x", "--", "-n", "a b", "$HOME"]
    options = ["-n", str(num_ranks), "--threads", str(threads)]
    status, out, err = dtrain_run(*options, "report.py", *args, cwd=tmp_path)
    cores = sorted(os.sched_getaffinity(0))
    lines = [str((rank, num_ranks, args, cores, str(threads))) for rank in range(num_ranks)]
    assert (status, out.splitlines()) == (0, lines), err


@needs_mpi
def test_this_machine_may_be_named(tmp_path):
    (tmp_path / "report.py").write_text(REPORT)
    status, out, err = dtrain_run("--hosts", "localhost:3", "report.py", cwd=tmp_path)
    assert (status, len(out.splitlines())) == (0, 3), err


@needs_mpi
@pytest.mark.parametrize(
    ("stream", "unbuffered"),
    [("stdout", ""), ("stderr", "1"),
     *(pytest.param(*row, marks=pytest.mark.long) for row in [("stdout", "1"), ("stderr", "")])],
)  # fmt: skip
def test_the_lines_of_ranks_are_whole(tmp_path, monkeypatch, unbuffered, stream):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    (tmp_path / "prints.py").write_text(
        "import sys; from mpi4py import MPI; rank = MPI.COMM_WORLD.rank\n"
        f"for i in range(500): print('rank', rank, 'line', i, file=sys.{stream})"
    )
    status, out, err = dtrain_run("-n", "3", "prints.py", cwd=tmp_path)
    lines = {f"rank {rank} line {i}" for rank in range(3) for i in range(500)}
    assert (status, set({"stdout": out, "stderr": err}[stream].splitlines())) == (0, lines)


@needs_mpi
def test_output_that_ends_in_a_pipe_is_no_terminal_to_a_rank(tmp_path):
    (tmp_path / "asks.py").write_text("import sys; print(sys.stdout.isatty(), sys.stdout.encoding)")
    status, out, err = dtrain_run("-n", "1", "asks.py", cwd=tmp_path)
    assert (status, out) == (0, f"False {sys.stdout.encoding}\n"), err


@needs_mpi
def test_an_exception_on_one_rank_ends_the_job_and_is_shown_once(tmp_path):
    (tmp_path / "raises.py").write_text(
        "from mpi4py import MPI\n"
        "if MPI.COMM_WORLD.rank == 1:\n"
        "    raise ValueError('the second rank')\n"
        "MPI.COMM_WORLD.Barrier()\n"
    )
    begin = time.monotonic()
    status, _, err = dtrain_run("-n", "3", "raises.py", cwd=tmp_path)
    assert time.monotonic() - begin < 20
    assert status == 1
    assert err.count("Traceback") == err.count("ValueError: the second rank") == 1


@needs_mpi
@pytest.mark.parametrize("num_ranks", ["1", "2"])
def test_the_exit_status_is_passed_on(tmp_path, num_ranks):
    (tmp_path / "leaves.py").write_text("import sys; from mpi4py import MPI; sys.exit(7)")
    assert dtrain_run("-n", num_ranks, "leaves.py", cwd=tmp_path)[0] == 7


@needs_mpi
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_ranks(tmp_path, number):
    (tmp_path / "waits.py").write_text(
        "import os, time; from dtrain import distributed; distributed.rank()\n"
        "os.write(1, b'%d\\n' % os.getpid()); time.sleep(60)\n"
    )
    process = start("-n", "2", "waits.py", cwd=tmp_path)
    try:
        ranks = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(number)
        process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode != 0
    deadline = time.monotonic() + 10
    while any(map(is_running, ranks)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(is_running, ranks))


@needs_mpi
def test_dry_run_prints_the_plan_and_runs_nothing(tmp_path):
    (tmp_path / "touches.py").write_text("open('touched', 'w')")
    status, out, err = dtrain_run("-n", "2", "--dry-run", "touches.py", "a b", cwd=tmp_path)
    assert (status, err) == (0, "")
    assert out.startswith("DTRAIN_THREADS=1 OMP_NUM_THREADS=1 ")
    assert out.endswith(shlex.join(["-n", "2", *python("touches.py", "a b")]) + "\n")
    assert not (tmp_path / "touched").exists()


def test_a_printed_plan_can_be_pasted_into_a_shell():
    show = "import os, sys; print([os.environ['A'], *sys.argv[1:]])"
    words = ["^ofi 'x'", "a b", "$HOME", "--", "*"]
    made = LaunchPlan([sys.executable, "-c", show, *words[1:]], {"A": words[0]})
    assert subprocess.check_output(["sh", "-c", str(made)], text=True) == f"{words}\n"


def test_bad_input_is_one_line_and_status_2(tmp_path):
    status, out, err = dtrain_run("-n", "0", "train.py", cwd=tmp_path)
    assert (status, out, err) == (2, "", "dtrain run: -n must be >= 1, got 0\n")


# --- the files in launch/ -------------------------------------------------------------------------


@needs_mpi
def test_mpirun_sh_starts_ranks(tmp_path):
    (tmp_path / "report.py").write_text(REPORT)
    script = [str(ROOT / "launch" / "mpirun.sh")]
    status, out, err = dtrain_run("-n", "2", "report.py", "-n", "9", program=script, cwd=tmp_path)
    assert (status, len(out.splitlines())) == (0, 2), err
    assert "['-n', '9']" in out


@pytest.mark.parametrize(("shell", "name"), [("sh", "mpirun.sh"), ("bash", "slurm.sbatch")])
def test_shell_scripts_parse(shell, name):
    subprocess.run([shell, "-n", ROOT / "launch" / name], check=True)


def plan_with(free_bytes, **options):
    """The plan of three ranks on a machine with so much shared memory."""
    machine = Machine(
        Launcher("/opt/bin/mpirun", "openmpi", 5), 4, False, frozenset({"localhost"}), {},
        shared_memory_bytes=free_bytes,
    )  # fmt: skip
    return launch.plan(JobSpec(3, "train", module=True, **options), machine)


def test_messages_go_by_shared_memory_where_it_suffices():
    made = plan_with(3 << 24)
    assert made.env["OMPI_MCA_btl"] == "^ofi,tcp"
    assert "OMPI_MCA_btl_tcp_if_include" not in made.env
    assert made.notes == ()


def test_messages_go_by_tcp_within_the_machine_where_it_does_not_and_the_user_is_told():
    made = plan_with((3 << 24) - 1)
    assert made.env["OMPI_MCA_btl"] == "self,tcp"
    assert made.env["OMPI_MCA_btl_tcp_if_include"] == "127.0.0.1/8"
    (note,) = made.notes
    assert note.startswith("/dev/shm has 47 MB free, and MPI's messages between 3 ranks take 48 MB")
    assert "docker run --shm-size" in note
    assert plan_with(0, elastic=True).notes == ()  # which goes by TCP anyway
