"""The hosts that the user names: reads lists of them, and finds those that do not answer."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dtrain.distributed.launch.machine import Launcher

_ANSWER_LIMIT_S = 30
# A line of a hostfile: the host, its slots and options.
_OPEN_MPI = re.compile(
    r"(?P<name>[^\s:=,]+)(?P<slots>(?!))?"
    r"(?P<options>(\s+((max[_-])?slots\s*=\s*\d+|(?!\S*slots)[a-z][\w-]*\s*=\s*[^\s=]+))*)",
    re.IGNORECASE,
)
_MPICH = re.compile(
    r"(?P<name>[^\s:=,]+)(:(?P<slots>\d+))?(?P<options>(\s+(?!slots)[a-z]+=\S+)*)", re.IGNORECASE
)


@dataclass(frozen=True)
class Host:
    """A host and its slots: how many ranks it takes."""

    name: str
    slots: int | None  # None: the hostfile leaves the number of ranks to the launcher


def parse_hosts(text: str) -> list[Host]:
    """Read ``--hosts``.

    >>> parse_hosts("a:4,b")
    [Host(name='a', slots=4), Host(name='b', slots=1)]
    """
    hosts = []
    for item in text.split(","):
        match = re.fullmatch(r"([^\s:]+)(?::([1-9]\d*))?", item)
        if match is None:
            raise ValueError(
                f"--hosts must be names with their numbers of ranks, such as a:4,b:4; "
                f"got {item!r} in {text!r}"
            )
        hosts.append(Host(match[1], int(match[2] or 1)))
    return hosts


def read_hostfile(path: str, launcher: Launcher) -> list[Host]:
    """Read a hostfile in the format of `launcher`."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"--hostfile: no such file: {path}")
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as reason:
        raise ValueError(f"--hostfile: {path} cannot be read as text: {reason}") from None
    of_open_mpi = launcher.kind == "openmpi"
    form, example = (_OPEN_MPI, "name slots=4") if of_open_mpi else (_MPICH, "name:4")
    hosts = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        if (match := form.fullmatch(text)) is None:
            raise ValueError(
                f"{path}, line {number}: {launcher.path} reads lines such as {example!r}, "
                f"got {line.strip()!r}"
            )
        slots = match["slots"]
        if of_open_mpi and (found := re.search(r"\bslots\s*=\s*(\d+)", match["options"])):
            slots = found[1]
        if slots is not None and int(slots) < 1:
            raise ValueError(f"{path}, line {number}: a host takes at least 1 rank, got {slots}")
        hosts.append(Host(match["name"], int(slots) if slots else None))
    if not hosts:
        raise ValueError(f"--hostfile: {path} names no host")
    return hosts


def find_unreachable_hosts(
    hosts: Sequence[Host],
    launcher: Launcher,
    environ: Mapping[str, str],
) -> list[str]:
    """The names of the hosts on which the launcher cannot start a program within half a minute.

    The launcher itself starts it, and so uses what it is configured to start ranks with: ssh, an
    agent of Kubernetes, a fixed range of ports.
    """
    option = "--host" if launcher.kind == "openmpi" else "-hosts"

    def answers(name: str) -> bool:
        argv = [launcher.path, "-n", "1", option, name, "true"]
        quiet = subprocess.DEVNULL  # not a pipe, which a process left behind could hold open
        process = subprocess.Popen(
            argv, env=dict(environ), stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            return process.wait(_ANSWER_LIMIT_S) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    names = list(dict.fromkeys(host.name for host in hosts))
    with ThreadPoolExecutor(len(names)) as pool:
        return [name for name, answer in zip(names, pool.map(answers, names)) if not answer]
