"""Supervises a job: stops it on a signal, and restarts it when it failed.

A job has succeeded if the launcher's status is 0 and a rank came to the end of the program. A
failed job is restarted, `max_restarts` times, on the hosts that answer; the program itself finds
the checkpoint to go on from (`dtrain.checkpoint.resume`). A job whose hosts come and go is stopped
and started again when there are others.
"""

from __future__ import annotations

import itertools
import signal
import socket
import uuid
from contextlib import nullcontext
from dataclasses import replace

from dtrain import env
from dtrain.distributed.launch.attempt import (
    AttemptResult,
    SignalReceiver,
    print_message,
    run_attempt,
)
from dtrain.distributed.launch.host_source import HostSource, HostWatcher, with_hosts
from dtrain.distributed.launch.hosts import find_unreachable_hosts
from dtrain.distributed.launch.job import JobSpec
from dtrain.distributed.launch.machine import Machine, this_machine
from dtrain.distributed.launch.notices import describe_errors
from dtrain.distributed.launch.plan import LaunchPlan, named_hosts, plan
from dtrain.distributed.launch.scratch import scratch_folder
from dtrain.distributed.launch.standard_input import END_OF_INPUT
from dtrain.distributed.lifecycle import RESPAWN, STOPPED

_LINGER_S = 3  # in which elastic ranks come to the end of the program after the first


def run(job: JobSpec, max_restarts: int = 0, grace_s: float = 60, hosts_every_s: float = 30) -> int:
    """Run a job until it ends; returns the exit status for this process.

    Parameters
    ----------
    job : what to start
    max_restarts : how often to restart the job after it failed
    grace_s : seconds in which the ranks write a checkpoint and exit after a stop signal
    hosts_every_s : seconds after which hosts that may have changed are asked for again

    Returns
    -------
    0 if the program came to its end; STOPPED if it stopped on a signal, with a checkpoint; 128 + N
    if signal N ended it before; the launcher's status if the job failed, and 1 where that is 0.

    Raises
    ------
    ValueError, FileNotFoundError, LaunchError
        If the job cannot be started as specified.
    """
    if max_restarts < 0:
        raise ValueError(f"--max-restarts must be >= 0, got {max_restarts}")
    if not grace_s >= 0:
        raise ValueError(f"--grace must be >= 0 seconds, got {grace_s:g}")
    if not hosts_every_s > 0:
        raise ValueError(f"--hosts-every must be > 0 seconds, got {hosts_every_s:g}")
    source = None if job.hosts_from is None else HostSource(job.hosts_from)
    machine = this_machine()
    name = env.JOB.read(machine.environ) or uuid.uuid4().hex
    machine = _with(machine, **{env.JOB.name: name, env.RESTART_COUNT.name: "0"})
    if "MASTER_ADDR" not in machine.environ:  # programs for torchrun print it; nothing listens
        machine = _with(machine, MASTER_ADDR=socket.gethostname())
    failures = 0
    with SignalReceiver() as signals:
        for starts in itertools.count(1):
            found = _wait_for_hosts(job, source, machine, signals, hosts_every_s, starts > 1)
            if found is None:
                return _end_by_signal(signals)
            current, launch_plan = found
            watcher = None
            if source is not None:
                watcher = HostWatcher(source, current.hosts or "", hosts_every_s)
            with watcher or nullcontext():
                result = _run_once(current, machine, launch_plan, signals, grace_s, watcher)
            has_other_hosts = watcher is not None and watcher.has_changed
            if STOPPED in result.notices and (signals.first_received or not has_other_hosts):
                return STOPPED
            if result.status == 0 and 0 in result.notices:
                return 0
            if signals.first_received:
                return _end_by_signal(signals)
            if has_other_hosts:
                print_message("starting the job on the hosts there are now, from its checkpoint")
            elif RESPAWN in result.notices:
                print_message(
                    "ranks failed: restarting the job with all ranks, from its checkpoint"
                )
            else:
                print_message(_describe_failure(result))
                for text in describe_errors(list(result.errors)):
                    print_message(text, by="dtrain")
                if failures == max_restarts:
                    break
                failures += 1
                print_message(f"restart {failures} of {max_restarts}")
            machine = _with(machine, **{env.RESTART_COUNT.name: str(starts)})
    if max_restarts:
        print_message(f"no restart is left: the job failed {max_restarts + 1} times")
    return result.status or 1


def _end_by_signal(signals: SignalReceiver) -> int:
    received = signals.first_received
    assert received is not None
    print_message(f"ended by {received.name} before the ranks had stopped by themselves")
    return 128 + received


def _wait_for_hosts(
    job: JobSpec,
    source: HostSource | None,
    machine: Machine,
    signals: SignalReceiver,
    hosts_every_s: float,
    is_restart: bool,
) -> tuple[JobSpec, LaunchPlan] | None:
    """The job, with the hosts there are now, and its plan, when they take enough ranks.

    None after a stop signal.
    """
    waits = False
    while True:
        current = job
        if source is not None:
            try:
                current = with_hosts(job, source.ask())
            except ValueError as error:
                if not is_restart:
                    raise
                print_message(str(error))
        if source is None or current.hosts:
            unreachable = _find_unreachable_hosts(current, machine) if is_restart else []
            launch_plan = plan(current, machine, unreachable)
            if launch_plan.num_ranks >= job.min_ranks:
                if unreachable:
                    print_message(
                        f"{', '.join(unreachable)} does not answer: goes on with "
                        f"{launch_plan.num_ranks} ranks"
                    )
                return current, launch_plan
            if source is None and not is_restart:
                raise ValueError(
                    f"--min-ranks {job.min_ranks}: the hosts take {launch_plan.num_ranks} ranks"
                )
        if not waits:
            print_message(f"waiting for hosts that take {job.min_ranks} ranks")
            waits = True
        if signals.wait(hosts_every_s):
            return None


def _with(machine: Machine, **variables: str) -> Machine:
    return replace(machine, environ={**machine.environ, **variables})


def _run_once(
    job: JobSpec,
    machine: Machine,
    launch_plan: LaunchPlan,
    signals: SignalReceiver,
    grace_s: float,
    watcher: HostWatcher | None,
) -> AttemptResult:
    """Run a job once; the launcher's files in shared memory and temporary folders are removed."""
    for note in launch_plan.notes:
        print_message(note)
    with scratch_folder(machine, launch_plan.one_node) as scratch:
        environ = {**scratch, **machine.environ, **launch_plan.env}
        linger_s = job.frozen_after_s + _LINGER_S if job.elastic else None
        end = END_OF_INPUT if machine.launcher.kind == "openmpi" else b""
        return run_attempt(launch_plan.argv, environ, signals, grace_s, linger_s, end, watcher)


def _find_unreachable_hosts(job: JobSpec, machine: Machine) -> list[str]:
    hosts = named_hosts(job, machine.launcher)
    if not hosts:
        return []
    environ = {**machine.environ, **plan(job, machine).env}
    with scratch_folder(machine, one_node=False) as scratch:
        return find_unreachable_hosts(hosts, machine.launcher, {**scratch, **environ})


def _describe_failure(result: AttemptResult) -> str:
    if result.status == 0:
        return (
            "the launcher ended with status 0, but no rank came to the end of the program: one of "
            "MPI's daemons was killed, or a rank called os._exit(). This counts as a failure"
        )
    names = {128 + number: f" ({number.name})" for number in signal.Signals}
    by = names.get(result.status, "")
    return f"the job failed with status {result.status}{by}"
