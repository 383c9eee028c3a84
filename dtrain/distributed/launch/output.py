"""A rank's output, beside or instead of the launcher's: a file for each rank, lines that name it.

A process of its own copies it, line by line: what a rank has printed is kept however the rank ends.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from dtrain import env
from dtrain.distributed.launch.descriptors import write_all
from dtrain.distributed.launch.rank_terminal import hide_terminal, open_terminal
from dtrain.distributed.launch.start_monitor import run_beside
from dtrain.errors import LaunchError

_CHUNK_BYTES = 1 << 16


def output_variables(
    log_dir: Path | None, prefix: bool, tee: str | None, num_ranks: int | None
) -> dict[str, str]:
    """The environment variables that tell ranks where their output goes.

    Parameters
    ----------
    log_dir : the folder of a file for each rank
    prefix : whether each line begins with its rank and the time
    tee : the ranks whose output is shown, too, such as ``"0,1"``; None: all are
    num_ranks : the job's, where it is known

    Raises
    ------
    ValueError, OSError
        If the folder cannot be written, or `tee` names no ranks of the job.
    """
    variables = {env.PREFIX.name: "1"} if prefix else {}
    if tee is not None:
        if log_dir is None:
            raise ValueError("--tee needs --log-dir: the output of other ranks would be lost")
        ranks = [int(rank) if rank.isdecimal() else -1 for rank in tee.split(",")]
        if min(ranks) < 0 or (num_ranks is not None and max(ranks) >= num_ranks):
            raise ValueError(f"--tee must be ranks of the job, such as 0,1: got {tee!r}")
        variables[env.TEE.name] = tee
    if log_dir is not None:
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            _log_file(log_dir, 0).open("ab").close()
        except OSError as reason:
            raise ValueError(f"--log-dir {log_dir}: {reason.strerror}") from None
        variables[env.LOG_DIR.name] = str(log_dir.absolute())
    return variables


def open_output(rank: int) -> IO[str] | None:
    """Send this process's stdout and stderr where the launcher's options say.

    Returns
    -------
    The rank's file, for the traceback that `dtrain run` shows; None if there is none
    """
    log = _redirect_output(rank)
    if rank:
        os.environ.setdefault("TQDM_DISABLE", "1")  # one rank's bars are enough
    elif log is None and not env.PREFIX.read():
        open_terminal()
    if env.NO_TERMINAL.read():
        hide_terminal()
    return log


def _redirect_output(rank: int) -> IO[str] | None:
    folder, prefix, tee = env.LOG_DIR.read(), env.PREFIX.read(), env.TEE.read()
    if folder is None and not prefix:
        return None
    file: IO[str] | None = None
    if folder is not None:
        path = _log_file(Path(folder), rank)
        mode = "a" if env.RESTART_COUNT.read() else "w"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open(mode, buffering=1)
        except OSError as reason:
            raise LaunchError(f"rank {rank} cannot write {path}: {reason.strerror}") from None
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if file is not None and not prefix and tee is not None and rank not in tee:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    else:
        shows = tee is None or rank in tee
        shown = {descriptor: os.dup(descriptor) if shows else None for descriptor in (1, 2)}
        _start_copying(shown, file, f"[{rank} %H:%M:%S] " if prefix else "")
    return file


def _log_file(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.log"


def _start_copying(shown: dict[int, int | None], file: IO[str] | None, prefix: str) -> None:
    """Have another process copy the output of this one, descriptors 1 and 2, from now on."""
    pipes = {descriptor: os.pipe() for descriptor in shown}

    def copy() -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        for descriptor, (_, writer) in pipes.items():
            os.close(writer)
            os.close(descriptor)
        _copy({pipes[d][0]: shown[d] for d in pipes}, file, prefix)

    run_beside(copy)
    for descriptor, (reader, writer) in pipes.items():
        os.dup2(writer, descriptor)
        for copied in (reader, writer, shown[descriptor]):
            if copied is not None:
                os.close(copied)


def _copy(targets: dict[int, int | None], file: IO[str] | None, prefix: str) -> None:
    """Copy whole lines from each reader to its target and the file, until all readers end."""
    rests = dict.fromkeys(targets, b"")
    with selectors.DefaultSelector() as selector:
        for reader in targets:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, _CHUNK_BYTES)
                if not data:
                    selector.unregister(key.fd)
                *lines, rests[key.fd] = (rests[key.fd] + data).split(b"\n")
                if not data and rests[key.fd]:
                    lines.append(rests[key.fd])
                began = time.strftime(prefix).encode()
                text = b"".join(began + line + b"\n" for line in lines)
                for target in (targets[key.fd], None if file is None else file.fileno()):
                    if target is not None:
                        with suppress(OSError):  # nobody reads, or the disk is full: goes on
                            write_all(target, text)
