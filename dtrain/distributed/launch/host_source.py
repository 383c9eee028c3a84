"""Hosts that come and go: asks the user's program which there are, before and during an attempt."""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

from dtrain.distributed.launch.hosts import parse_hosts
from dtrain.distributed.launch.job import JobSpec

_ANSWER_LIMIT_S = 60


class HostSource:
    """The program of ``--hosts-from``, which prints hosts such as ``a:4``.

    Parameters
    ----------
    program : a path that can be executed

    Raises
    ------
    FileNotFoundError
        If it cannot.
    """

    def __init__(self, program: str):
        if not os.access(program, os.X_OK) or not Path(program).is_file():
            raise FileNotFoundError(f"--hosts-from {program}: no such program (chmod +x?)")
        self._program = str(Path(program).absolute())

    def ask(self) -> str:
        """The hosts there are now, as ``--hosts`` takes them; empty if there are none.

        Raises
        ------
        ValueError
            If the program fails, or prints something else.
        """
        try:
            answer = subprocess.run(
                [self._program], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=_ANSWER_LIMIT_S, check=True,
            ).stdout  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ValueError(
                f"--hosts-from {self._program}: no answer in {_ANSWER_LIMIT_S} s"
            ) from None
        except (OSError, subprocess.CalledProcessError) as reason:
            raise ValueError(f"--hosts-from {self._program}: {reason}") from None
        hosts = ",".join(answer.replace(",", " ").split())
        if hosts:
            parse_hosts(hosts)
        return hosts


def with_hosts(job: JobSpec, hosts: str) -> JobSpec:
    """The job on these hosts, however few: a rank for each slot, at most `job.num_ranks`."""
    slots = sum(host.slots or 1 for host in parse_hosts(hosts)) if hosts else 0
    num_ranks = min(slots, job.num_ranks or slots) or None
    return replace(job, hosts=hosts or None, hosts_from=None, num_ranks=num_ranks, min_ranks=1)


class HostWatcher:
    """Context manager: a thread asks again and again; a selector can wait for other hosts.

    Parameters
    ----------
    source : whom to ask
    hosts : those of the running attempt
    every_s : seconds between two questions

    Attributes
    ----------
    has_changed : whether there are other hosts than those of the attempt
    """

    def __init__(self, source: HostSource, hosts: str, every_s: float):
        self._source, self._hosts, self._every_s = source, hosts, every_s
        self.has_changed: bool = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="dtrain-hosts", daemon=True)

    def __enter__(self) -> HostWatcher:
        self._reader, self._writer = os.pipe()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """A descriptor that can be read once there are other hosts."""
        return self._reader

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                hosts = self._source.ask()
            except ValueError:
                continue  # the job has its hosts: a question that failed does not end it
            if hosts and hosts != self._hosts:
                self.has_changed = True
                os.write(self._writer, b"x")
                return
