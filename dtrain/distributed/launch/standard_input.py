"""Standard input: `dtrain run` forwards its own to rank 0, which it tells the end of it.

Open MPI's mpirun never ends rank 0's input where its own is a pipe or /dev/null. The end is
therefore a mark in the stream, which rank 0 turns into an end of file.
"""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from typing import BinaryIO

from dtrain.distributed.launch.descriptors import write_all

END_OF_INPUT = b"\x1b]dtrain;end-of-input\x07"
_CHUNK_BYTES = 1 << 16


class InputForwarder:
    """Context manager: a thread copies this process's stdin to the launcher's.

    Parameters
    ----------
    target : the launcher's stdin
    end : bytes to send at the end
    """

    def __init__(self, target: BinaryIO, end: bytes):
        self._target, self._end = target, end
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._run, name="dtrain-stdin", daemon=True)

    def __enter__(self) -> InputForwarder:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        os.write(self._stopped, b"x")
        self._thread.join()
        os.close(self._stop)
        os.close(self._stopped)

    def _run(self) -> None:
        with suppress(OSError):  # the launcher has ended
            while data := self._read():
                write_all(self._target.fileno(), data)
            if data is not None:
                write_all(self._target.fileno(), self._end)
        with suppress(OSError):
            self._target.close()

    def _read(self) -> bytes | None:
        """The next bytes; none at the end of stdin; None when the launcher has ended."""
        if os.isatty(0) and os.tcgetpgrp(0) != os.getpgrp():
            return b""  # in the background: reading would stop this process
        ready, _, _ = select.select([0, self._stop], [], [])
        if self._stop in ready:
            return None
        with suppress(OSError):  # a terminal that is gone, a folder
            return os.read(0, _CHUNK_BYTES)
        return b""


def end_input_at_mark() -> None:
    """On rank 0 of Open MPI: replace stdin by a pipe that ends at `END_OF_INPUT`."""
    if os.environ.get("OMPI_COMM_WORLD_RANK") != "0":
        return
    source = os.dup(0)
    reader, writer = os.pipe()
    os.dup2(reader, 0)
    os.close(reader)
    threading.Thread(
        target=copy_until_end, args=(source, writer), name="dtrain-stdin", daemon=True
    ).start()


def copy_until_end(source: int, target: int) -> None:
    """Copy from one descriptor to another up to `END_OF_INPUT`, then close the second."""
    pending = b""  # may be the beginning of the mark
    with suppress(OSError):  # the program has closed its input
        while data := os.read(source, _CHUNK_BYTES):
            data, mark, _ = (pending + data).partition(END_OF_INPUT)
            if mark:
                pending = data
                break
            begun = next(
                (n for n in range(len(END_OF_INPUT) - 1, 0, -1) if data.endswith(END_OF_INPUT[:n])),
                0,
            )
            pending = data[len(data) - begun :]
            write_all(target, data[: len(data) - begun])
        write_all(target, pending)
    os.close(target)
