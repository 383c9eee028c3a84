"""Notices: what ranks tell `dtrain run` on their stderr, which nobody else sees.

- an exit notice: with which status the program ended. The launcher's exit status does not suffice:
  Open MPI's mpirun returns 0, too, when one of its daemons was killed
- a start notice: that a rank joins the others, has joined them, or ended before it had
- an error notice: the exception that a rank raised

Stderr comes from every host by every launcher, with no port or folder to share.
"""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from typing import Literal, NamedTuple, TypeAlias

from dtrain.distributed.launch.start_monitor import NOTICE_BEGIN, NOTICE_END

#: in place of an exit status: a rank raised an exception
RAISED = 256
_COMPLETE = re.compile(rb"\x1b\]dtrain;(?:([a-z]+)=)?([0-9A-Za-z+/]+=*)\x07\n")
_INCOMPLETE = re.compile(rb"\x1b(\](d(t(r(a(i(n(;[0-9A-Za-z+/=]*\x07?)?)?)?)?)?)?)?)?\Z")
# The launcher forwards stderr in pieces of 4 KB, between which other ranks' may stand.
_MAX_BYTES = 3500

#: joining: it calls MPI_Init. The start monitor reports that a rank is lost
StartEvent: TypeAlias = Literal["joining", "joined"]


class RankError(NamedTuple):
    """An exception that a rank raised: its last line or lines, and the text with its traceback."""

    rank: int
    host: str
    message: str
    text: str


def write_exit_notice(descriptor: int, status: int) -> None:
    """Report that the program ended with an exit status, or RAISED."""
    os.write(descriptor, NOTICE_BEGIN + str(status).encode() + NOTICE_END)


def write_start_notice(descriptor: int, event: StartEvent, rank: int) -> None:
    """Report how far a rank's start is."""
    os.write(descriptor, NOTICE_BEGIN + f"{event}={rank}".encode() + NOTICE_END)


def write_error_notice(descriptor: int, error: RankError) -> None:
    """Report an exception; of a long text the middle is left out."""
    text, half = error.text, len(error.text) // 2
    while len(data := _pack(error)) > _MAX_BYTES:
        half = half * 4 // 5
        shortened = f"{text[:half]}\n  ...\n{text[-half:]}"
        error = error._replace(message=error.message[:half], text=shortened)
    os.write(descriptor, NOTICE_BEGIN + b"error=" + data + NOTICE_END)


def _pack(error: RankError) -> bytes:
    return base64.b64encode(zlib.compress(json.dumps(error).encode()))


class NoticeFilter:
    """Removes notices from a stream of bytes, and collects what they tell.

    Attributes
    ----------
    statuses : of the exit notices
    joining, joined, lost : ranks, of the start notices
    errors : of the error notices, in their order

    >>> stream = NoticeFilter()
    >>> stream.feed(b"a\\x1b]dtr"), stream.feed(b"ain;0\\x07\\nb"), stream.statuses
    (b'a', b'b', {0})
    """

    def __init__(self) -> None:
        self.statuses: set[int] = set()
        self.joining: set[int] = set()
        self.joined: set[int] = set()
        self.lost: set[int] = set()
        self.errors: list[RankError] = []
        self._pending = b""  # may be the beginning of a notice

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the stream; returns what is not part of a notice."""
        data = _COMPLETE.sub(self._take, self._pending + data)
        incomplete = _INCOMPLETE.search(data)
        cut = incomplete.start() if incomplete else len(data)
        self._pending = data[cut:]
        return data[:cut]

    def flush(self) -> bytes:
        """At the end of the stream: the bytes that looked like the beginning of a notice."""
        return self._pending

    @property
    def failed_starts(self) -> set[int]:
        """The ranks that ended before they had joined ranks that wait for them, or will."""
        return self.lost if self.joining else set()

    def _take(self, notice: re.Match[bytes]) -> bytes:
        kind, content = (notice[1] or b"").decode(), notice[2]
        ranks = {"joining": self.joining, "joined": self.joined, "lost": self.lost}
        if kind == "error":
            self.errors.append(RankError(*json.loads(zlib.decompress(base64.b64decode(content)))))
        elif kind == "" and content.isdigit():
            self.statuses.add(int(content))
        elif kind in ranks and content.isdigit():
            ranks[kind].add(int(content))
        else:
            return notice[0]  # a program's own
        return b""


def describe_errors(errors: list[RankError]) -> list[str]:
    """What to print of the exceptions that ranks raised: each once, with the ranks that raised it.

    >>> error = RankError(1, "a", "KeyError: 1", "Traceback ...")
    >>> describe_errors([error, error._replace(rank=0), error._replace(rank=3)])
    ['ranks 0–1, 3 on host a raised, here rank 0:\\nTraceback ...']
    """
    by_message: dict[str, list[RankError]] = {}
    for error in errors:
        by_message.setdefault(error.message, []).append(error)
    texts = []
    for same in by_message.values():
        first = min(same)
        hosts = sorted({error.host for error in same})
        on = f"host {hosts[0]}" if len(hosts) == 1 else f"hosts {', '.join(hosts)}"
        here = f", here rank {first.rank}" if len(same) > 1 else ""
        ranks = format_rank_ranges({error.rank for error in same})
        texts.append(f"{ranks} on {on} raised{here}:\n{first.text}")
    return texts


def format_rank_ranges(ranks: set[int]) -> str:
    """Rank numbers as text.

    >>> format_rank_ranges({1}), format_rank_ranges({0, 1, 2, 5})
    ('rank 1', 'ranks 0–2, 5')
    """
    ranges: list[list[int]] = []
    for rank in sorted(ranks):
        if ranges and ranges[-1][1] == rank - 1:
            ranges[-1][1] = rank
        else:
            ranges.append([rank, rank])
    parts = [str(low) if low == high else f"{low}–{high}" for low, high in ranges]
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(parts)}"
