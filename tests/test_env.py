"""The DTRAIN_* variables: declared once, refused by name, documented."""

import re
from pathlib import Path

import pytest

from dtrain import env
from dtrain.distributed import launch
from dtrain.distributed.launch import JobSpec, Launcher, Machine

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DTRAIN_THREADS", "0", "a number of threads >= 1"),
        ("DTRAIN_THREADS", "x", "a number of threads >= 1"),
        ("DTRAIN_KERNELS", "fast", "'reference' or nothing"),
        ("DTRAIN_DEBUG", "details", "'detail' or nothing"),
        ("DTRAIN_DEBUG_EVERY", "0", "a number of steps >= 1"),
        ("DTRAIN_STALL_WARNING", "-1", "seconds, 0 for never"),
        ("DTRAIN_STALL_TIMEOUT", "nan", "seconds, 0 for never"),
        ("DTRAIN_RESTART_COUNT", "-1", "a number of restarts >= 0"),
        ("DTRAIN_ELASTIC", "yes", "'leave' or 'end'"),
        ("DTRAIN_RESPAWN", "yes", "0 or 1"),
        ("DTRAIN_NO_TERMINAL", "yes", "0 or 1"),
        ("DTRAIN_RANK_PROCESS", "x", "a process id"),
    ],
)
def test_a_bad_value_is_refused_by_name_before_any_rank_starts(name, value, expected):
    message = re.escape(f"{name}: expected {expected}, got {value!r}")
    with pytest.raises(ValueError, match=message):
        env.check({name: value})
    launcher = Launcher("/opt/bin/mpirun", "openmpi", 5)
    machine = Machine(launcher, 2, False, frozenset({"localhost"}), {name: value})
    with pytest.raises(ValueError, match=message):
        launch.plan(JobSpec(2, "train", module=True), machine)


def test_an_unset_or_empty_variable_has_its_default():
    for environ in ({}, {"DTRAIN_STALL_WARNING": "", "DTRAIN_JOB": ""}):
        assert env.STALL_WARNING.read(environ) == 5
        assert env.JOB.read(environ) is None
        assert not env.JOB.is_set(environ)


def test_values_have_their_types():
    assert env.STALL_TIMEOUT.read({"DTRAIN_STALL_TIMEOUT": "0.5"}) == 0.5
    assert env.RESPAWN.read({"DTRAIN_RESPAWN": "1"}) is True
    assert env.RESPAWN.read({"DTRAIN_RESPAWN": "0"}) is False
    assert env.ELASTIC.read({"DTRAIN_ELASTIC": "leave"}) == "leave"


def test_a_name_that_is_nearly_right_is_refused_and_another_is_not():
    with pytest.raises(ValueError, match=r"DTRAIN_STALL_WARN: .* did you mean DTRAIN_STALL_W"):
        env.check({"DTRAIN_STALL_WARN": "5"})
    env.check({"DTRAIN_LOG": "debug", "PATH": "/bin"})


def test_the_documentation_holds_the_table():
    assert env.markdown_table() in (ROOT / "docs" / "environment.md").read_text()


def test_variables_are_read_through_env_alone():
    """No other file of the package asks the environment for a DTRAIN_ variable by its name."""
    asks = re.compile(r"(environ|getenv)[^\n]*DTRAIN_|DTRAIN_\w+\"[^\n]* in os\.environ")
    files = [path for path in (ROOT / "dtrain").rglob("*.py") if path.name != "env.py"]
    assert [str(path) for path in files if asks.search(path.read_text())] == []
