"""The fork server: a process that has imported dtrain, and is copied for each worker.

A rank itself cannot be forked: MPI, its threads and a GPU's context do not survive it safely. The
server is a new Python process without them, so to fork it is safe, and takes milliseconds.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

import numpy as np

_GRACE_S = 5.0  # for a worker to finish its batch
_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from dtrain.data.workers.server import serve; serve({fd})"
)


class ForkServer:
    """The server of this process, which starts its workers and tells how they ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._to_end: deque[int] = deque()  # workers of whose end the server is not told yet
        self._owner = os.getpid()
        own, its = socket.socketpair()
        path = [os.path.abspath(entry) for entry in sys.path]
        command = [sys.executable, "-c", _PROGRAM.format(path=path, fd=its.fileno())]
        with its:
            self._process = subprocess.Popen(
                command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL
            )
        self._conn = Connection(own.detach())
        served = getattr(sys.modules.get("torch"), "__version__", "").partition("+")[2]
        self._conn.send((sys.argv, served.startswith("dtrain")))
        atexit.register(self._end)

    def is_usable(self) -> bool:
        """Whether this process started it, and it runs."""
        return self._owner == os.getpid() and self._process.poll() is None

    def import_modules(self, names: set[str]) -> None:
        """Have the server import modules, for all workers that start later."""
        with self._lock:
            self._conn.send(("import", sorted(names)))
        self._send_ends()

    def start_worker(self, conn: socket.socket, memory_fd: int) -> int:
        """Start a worker with these two files; returns its process id."""
        try:
            with self._lock:
                self._conn.send(("start", 0))
                send_handle(self._conn, conn.fileno(), None)
                send_handle(self._conn, memory_fd, None)
                pid: int = self._conn.recv()
            self._send_ends()
            return pid
        except (EOFError, OSError) as reason:
            raise RuntimeError(
                "DataLoader: the fork server, which starts its workers, has ended (process "
                f"{self._process.pid}): what it printed stands above"
            ) from reason

    def end_worker(self, pid: int) -> None:
        """Have a worker ended: its connection is closed; if that does not end it, it is killed.

        The garbage collector may call it at any moment, also while this thread talks to the server.
        """
        self._to_end.append(pid)
        self._send_ends()

    def _send_ends(self) -> None:
        """Tell the server which workers end; if somebody talks to it, that one does so after it."""
        while self._to_end and self._lock.acquire(blocking=False):
            try:
                if self.is_usable():
                    self._conn.send(("end", self._to_end.popleft()))
                else:
                    self._to_end.clear()
            finally:
                self._lock.release()

    def read_status(self, pid: int) -> int | None:
        """The exit status of a worker whose connection is gone, negative for a signal."""
        with self._lock:
            self._conn.send(("status", pid))
            status: int | None = self._conn.recv()
        self._send_ends()
        return status

    def _end(self) -> None:
        if self._owner == os.getpid():
            self._conn.close()
            self._process.wait()


_server: ForkServer | None = None
_server_lock = threading.Lock()


def fork_server() -> ForkServer:
    """This process's fork server, which the first call starts; the program goes on meanwhile."""
    global _server
    with _server_lock:
        if _server is None or not _server.is_usable():
            _server = ForkServer()
        return _server


_serves = False  # whether this process is a server itself, or a worker


def start_fork_server_early() -> None:
    """Start the fork server before it is needed, unless this is one, which imports a dataset."""
    if not _serves:
        fork_server()


def serve(fd: int) -> None:
    """Start workers for the process at the other end of a socket, until it ends."""
    global _serves
    _serves = True
    # Ctrl-C, and what a scheduler sends to all processes of a job, is for the program to handle.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    conn = Connection(fd)
    try:
        sys.argv, served = conn.recv()
        # A module of the dataset's may import mpi4py.MPI.
        importlib.import_module("mpi4py").rc.initialize = False
        if served:  # `import torch` gives dtrain in the program
            importlib.import_module("dtrain.as_torch").serve_torch()
        importlib.import_module("dtrain.data.workers.child")
        from dtrain.distributed.blas_threads import limit_blas_threads

        limit_blas_threads(announce=False)
        _Children(conn).serve()
    except (EOFError, ConnectionError):
        pass


class _Children:
    def __init__(self, conn: Connection):
        self._conn = conn
        self._running: set[int] = set()
        self._ending: dict[int, float] = {}  # when each is killed

    def serve(self) -> None:
        try:
            while True:
                waiting = 0.05 if self._ending else None
                if select.select([self._conn], [], [], waiting)[0]:
                    request, argument = self._conn.recv()
                    getattr(self, f"_{request}")(argument)
                self._reap()
        finally:
            for pid in self._running:
                os.kill(pid, signal.SIGKILL)

    def _import(self, names: list[str]) -> None:
        for name in names:
            with contextlib.suppress(Exception):  # a worker that needs it raises it again
                importlib.import_module(name)

    def _start(self, _: int) -> None:
        conn_fd, memory_fd = recv_handle(self._conn), recv_handle(self._conn)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                self._conn.close()
                _run_child(conn_fd, memory_fd)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        os.close(conn_fd)
        os.close(memory_fd)
        self._running.add(pid)
        self._conn.send(pid)

    def _end(self, pid: int) -> None:
        if pid in self._running:
            self._ending[pid] = time.monotonic() + _GRACE_S

    def _status(self, pid: int) -> None:
        if pid not in self._running:
            self._conn.send(None)
            return
        deadline = time.monotonic() + _GRACE_S
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if time.monotonic() > deadline:  # its connection is gone, it is not
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        status = ended[1]
        self._running.remove(pid)
        self._conn.send(os.waitstatus_to_exitcode(status))

    def _reap(self) -> None:
        for pid, deadline in list(self._ending.items()):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._ending[pid]
                self._running.discard(pid)


def _run_child(conn_fd: int, memory_fd: int) -> None:
    from dtrain.data.workers.child import run_worker

    nbytes = os.fstat(memory_fd).st_size
    memory = mmap.mmap(memory_fd, nbytes, flags=mmap.MAP_PRIVATE)
    os.close(memory_fd)
    connection: Any = Connection(conn_fd)
    run_worker(connection, np.frombuffer(memory, np.uint8))
