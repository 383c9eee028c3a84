"""How ranks tell `dtrain run` that their program came to its end: by a mark on their stderr.

An exit status of 0 says too little: Open MPI's mpirun returns it, too, when one of its daemons was
killed. And stderr is what every launcher brings from every host, with no port or folder to share.
"""

from __future__ import annotations

import os
import re

#: said beside exit statuses: a rank raised an exception
RAISED = 256
# What terminals take for an unknown command and do not show.
_MARK = "\x1b]dtrain;%d\x07"
_WHOLE = re.compile(rb"\x1b\]dtrain;(\d+)\x07")
_BEGUN = re.compile(rb"\x1b(\](d(t(r(a(i(n(;\d*)?)?)?)?)?)?)?)?$")


def mark(descriptor: int, status: int) -> None:
    """Write that the program ended with this status."""
    os.write(descriptor, (_MARK % status).encode())


class Marks:
    """Takes the marks out of a stream of bytes.

    >>> marks = Marks()
    >>> marks.strip(b"a\\x1b]dtr"), marks.strip(b"ain;0\\x07b"), marks.statuses
    (b'a', b'b', {0})
    """

    def __init__(self) -> None:
        self.statuses: set[int] = set()
        self._rest = b""  # what may become a mark

    def strip(self, data: bytes) -> bytes:
        """The data without the marks."""
        data = self._rest + data
        self.statuses.update(int(status) for status in _WHOLE.findall(data))
        data = _WHOLE.sub(b"", data)
        begun = _BEGUN.search(data)
        cut = begun.start() if begun else len(data)
        self._rest = data[cut:]
        return data[:cut]

    def rest(self) -> bytes:
        """What was held back at the end of the stream."""
        return self._rest
