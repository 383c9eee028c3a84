"""`dtrain run --hosts-from`: a job grows and shrinks with the hosts that a program prints."""

import re
import signal
from dataclasses import replace

import pytest

from dtrain.distributed.launch import JobSpec
from dtrain.distributed.launch.host_source import HostSource, with_hosts

from .conftest import wait_until

JOB = JobSpec(None, "train", module=True)


@pytest.fixture
def hosts(tmp_path):
    """The path of a program that prints what stands in the file beside it, `hosts`."""
    program = tmp_path / "ask"
    program.write_text('#!/bin/sh\ncat "$(dirname -- "$0")/hosts"\n')
    program.chmod(0o755)
    (tmp_path / "hosts").write_text("localhost:1\n")
    return program


def test_hosts_are_read_from_a_program(hosts):
    source = HostSource(str(hosts))
    hosts.with_name("hosts").write_text("a:2, b\n c:3\n\n")
    assert source.ask() == "a:2,b,c:3"
    assert with_hosts(JOB, source.ask()).num_ranks == 6
    assert with_hosts(replace(JOB, num_ranks=4), source.ask()).num_ranks == 4
    hosts.with_name("hosts").write_text("")
    assert source.ask() == ""
    hosts.with_name("hosts").write_text("a:x")
    with pytest.raises(ValueError, match="--hosts must be names with their numbers of ranks"):
        source.ask()
    hosts.with_name("hosts").unlink()
    with pytest.raises(ValueError, match=r"--hosts-from .*ask: .*status 1"):
        source.ask()


def test_a_program_that_is_none_and_too_few_ranks_are_refused(hosts):
    with pytest.raises(FileNotFoundError, match="--hosts-from nope: no such program"):
        HostSource("nope")
    with pytest.raises(ValueError, match="--hosts and --hosts-from both name the hosts"):
        replace(JOB, hosts="a", hosts_from=str(hosts)).check()
    for least in (0, 3):
        with pytest.raises(ValueError, match=f"--min-ranks must be 1 to 2, got {least}"):
            replace(JOB, num_ranks=2, min_ranks=least).check()


GROWS = """
import os, sys
import dtrain
os.makedirs("out", exist_ok=True)
from dtrain import checkpoint, distributed
distributed.init()
ranks = distributed.world_size()
model = dtrain.nn.Linear(1, 1)
step = begun = checkpoint.resume("out", model=model)
if distributed.rank() == 0:
    print(f"rank 0 of {ranks} begins at step {step}", flush=True)
    open("out/begun", "w").close()
while ranks == 1 or step < begun + 5:
    step += 1
    dtrain.nn.init.constant_(model.weight, step)
    if distributed.stop_requested():
        checkpoint.save_checkpoint("out", step, model=model)
        sys.exit(distributed.STOPPED)
if distributed.rank() == 0:
    print(f"weight {model.weight.item():g}")
"""


@pytest.mark.slow
def test_a_job_waits_for_hosts_and_grows_with_them(hosts, tmp_path, start):
    (tmp_path / "grows.py").write_text(GROWS)
    hosts.with_name("hosts").write_text("")
    run = start("--hosts-from", hosts, "--hosts-every", 0.2, "grows.py")
    wait_until(lambda: "waiting for hosts that take 1 ranks" in run.process.stderr.readline())
    hosts.with_name("hosts").write_text("localhost:1")
    wait_until((tmp_path / "out" / "begun").exists)
    hosts.with_name("hosts").write_text("localhost:2")
    status, out, err = run.end()
    assert status == 0, err
    assert "other hosts: the ranks have 60 s to write a checkpoint" in err
    assert "starting the job on the hosts there are now, from its checkpoint" in err
    first, second = re.findall(r"rank 0 of (\d) begins at step (\d+)", out)
    assert (first, second[0]) == (("1", "0"), "2")
    assert int(second[1]) > 0
    assert out.splitlines()[-1] == f"weight {int(second[1]) + 5}"


@pytest.mark.slow
def test_a_signal_ends_the_wait_for_hosts(hosts, start):
    hosts.with_name("hosts").write_text("localhost:1")
    run = start("--hosts-from", hosts, "--min-ranks", 2, "-n", 4, "-m", "this")
    wait_until(lambda: "waiting for hosts that take 2 ranks" in run.process.stderr.readline())
    run.process.send_signal(signal.SIGINT)
    assert run.end()[0] == 128 + signal.SIGINT
