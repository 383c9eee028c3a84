"""Watches over a job: stops it as asked, and starts it again when it failed.

It went well if the launcher says so and a rank came to the end of the program. Otherwise it is
started again, if it may be, on the hosts that answer; what it goes on from is for the program to
find (`dtrain.checkpoint.resume`).
"""

from __future__ import annotations

import itertools
import signal
import uuid
from dataclasses import replace

from dtrain import env
from dtrain.distributed.launch.attempt import Ending, Signals, attempt, say
from dtrain.distributed.launch.hosts import find_unreachable_hosts
from dtrain.distributed.launch.machine import Machine, this_machine
from dtrain.distributed.launch.plan import JobSpec, named_hosts, plan
from dtrain.distributed.launch.scratch import scratch_variables
from dtrain.distributed.lifecycle import RESPAWN, STOPPED

_LINGER_S = 3  # for elastic ranks to come to the end of the program after the first


def run(job: JobSpec, max_restarts: int = 0, grace_s: float = 60) -> int:
    """Start a job and stay until it ends; returns the exit status for this process.

    Parameters
    ----------
    job : what to start
    max_restarts : how often to start it again after it failed
    grace_s : how long the ranks may take to stop, with a checkpoint, once they are asked to

    Returns
    -------
    0 if the program came to its end; STOPPED if it stopped as asked; 128 + N if signal N ended
    it; the launcher's status if it failed, and 1 where that is 0.

    Raises
    ------
    ValueError, FileNotFoundError, LaunchError
        If the job cannot be started as asked.
    """
    if max_restarts < 0:
        raise ValueError(f"--max-restarts must be >= 0, got {max_restarts}")
    if not grace_s >= 0:
        raise ValueError(f"--grace must be >= 0 seconds, got {grace_s:g}")
    machine = this_machine()
    name = env.JOB.read(machine.environ) or uuid.uuid4().hex
    machine = _with(machine, **{env.JOB.name: name, env.RESTART_COUNT.name: "0"})
    lost: list[str] = []
    failures = 0
    with Signals() as signals:
        for starts in itertools.count(1):
            ending = _start(job, machine, lost, signals, grace_s)
            if STOPPED in ending.said:
                return STOPPED
            if ending.status == 0 and 0 in ending.said:
                return 0
            if signals.asked:
                say(f"ended by {signals.asked.name} before the ranks had stopped by themselves")
                return 128 + signals.asked
            if RESPAWN in ending.said:
                say("ranks were lost: the job is started again with all, from its checkpoint")
            else:
                say(_what_went_wrong(ending))
                if failures == max_restarts:
                    break
                failures += 1
                say(f"restart {failures} of {max_restarts}")
            machine = _with(machine, **{env.RESTART_COUNT.name: str(starts)})
            lost = _lost_hosts(job, machine)
    if max_restarts:
        say(f"no restart is left: the job failed {max_restarts + 1} times")
    return ending.status or 1


def _with(machine: Machine, **variables: str) -> Machine:
    return replace(machine, environ={**machine.environ, **variables})


def _start(
    job: JobSpec, machine: Machine, lost: list[str], signals: Signals, grace_s: float
) -> Ending:
    """Start a job once; nothing of its launcher stays in shared memory or in temporary folders."""
    wanted = plan(job, machine, lost)
    if lost:
        say(f"{', '.join(lost)} does not answer: goes on with {wanted.num_ranks} ranks")
    with scratch_variables(machine, wanted.one_node) as scratch:
        environ = {**scratch, **machine.environ, **wanted.env}
        linger_s = job.frozen_after_s + _LINGER_S if job.elastic else None
        return attempt(wanted.argv, environ, signals, grace_s, linger_s)


def _lost_hosts(job: JobSpec, machine: Machine) -> list[str]:
    hosts = named_hosts(job, machine.launcher)
    if not hosts:
        return []
    environ = {**machine.environ, **plan(job, machine).env}
    with scratch_variables(machine, one_node=False) as scratch:
        return find_unreachable_hosts(hosts, machine.launcher, {**scratch, **environ})


def _what_went_wrong(ending: Ending) -> str:
    if ending.status == 0:
        return (
            "the launcher ended with status 0, but no rank came to the end of the program: one of "
            "MPI's daemons was killed, or a rank left by os._exit(). This counts as a failure"
        )
    names = {128 + number: f" ({number.name})" for number in signal.Signals}
    by = names.get(ending.status, "")
    return f"the job failed with status {ending.status}{by}"
