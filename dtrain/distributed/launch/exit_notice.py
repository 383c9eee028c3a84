"""Exit notices: ranks tell `dtrain run` on their stderr with which status their program ended.

The launcher's exit status does not suffice: Open MPI's mpirun returns 0, too, when one of its
daemons was killed. Stderr comes from every host by every launcher, with no port or folder to share.
"""

from __future__ import annotations

import os
import re

#: in place of an exit status: a rank raised an exception
RAISED = 256
# Terminals take it for an unknown command and do not show it.
_NOTICE = "\x1b]dtrain;%d\x07"
_COMPLETE = re.compile(rb"\x1b\]dtrain;(\d+)\x07")
_INCOMPLETE = re.compile(rb"\x1b(\](d(t(r(a(i(n(;\d*)?)?)?)?)?)?)?)?$")


def write_exit_notice(descriptor: int, status: int) -> None:
    """Report that the program ended with an exit status, or RAISED."""
    os.write(descriptor, (_NOTICE % status).encode())


class ExitNoticeFilter:
    """Removes exit notices from a stream of bytes, and collects their statuses.

    >>> stream = ExitNoticeFilter()
    >>> stream.feed(b"a\\x1b]dtr"), stream.feed(b"ain;0\\x07b"), stream.statuses
    (b'a', b'b', {0})
    """

    def __init__(self) -> None:
        self.statuses: set[int] = set()
        self._pending = b""  # may be the beginning of a notice

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the stream; returns what is not part of a notice."""
        data = self._pending + data
        self.statuses.update(int(status) for status in _COMPLETE.findall(data))
        data = _COMPLETE.sub(b"", data)
        incomplete = _INCOMPLETE.search(data)
        cut = incomplete.start() if incomplete else len(data)
        self._pending = data[cut:]
        return data[:cut]

    def flush(self) -> bytes:
        """At the end of the stream: the bytes that looked like the beginning of a notice."""
        return self._pending
