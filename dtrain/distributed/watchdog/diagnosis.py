"""Diagnoses a stalled collective from the ranks' reported states: which rank blocks the others.

It neither sends nor prints anything; `monitor.py` does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dtrain.distributed.watchdog.collective_log import CollectiveCall, PendingMessage
from dtrain.errors import DesyncError, RankFailedError

_MAX_LISTED = 8  # ranks or hosts that a message lists one by one


class PendingCall(NamedTuple):
    """A collective call in which ranks wait; all ranks number their calls alike.

    A message, for which one rank waits, has the number -1 - rank in place of a communicator's.
    """

    communicator: int
    sequence_number: int


class RankState(NamedTuple):
    """What a rank reports: its newest call on each communicator, and its line of the program."""

    calls: tuple[CollectiveCall, ...]
    call_site: str
    has_exited: bool = False
    #: stalls of which it knows that a rank has told the user
    announced: frozenset[PendingCall] = frozenset()
    #: long work for which the others wait, such as "has been writing checkpoint runs/a for 9 s"
    activity: str = ""
    #: the message between two ranks for which it waits
    message: PendingMessage | None = None

    def longest_wait_s(self) -> float:
        """How long it has waited for other ranks; 0 if it does not."""
        waits = [call.elapsed_s for call in self.calls if call.name]
        return max([*waits, self.message.elapsed_s if self.message else 0.0])

    def call(self, communicator: int) -> CollectiveCall:
        """The newest call on a communicator, which this rank may not have created yet."""
        return self.calls[communicator] if communicator < len(self.calls) else CollectiveCall()


@dataclass
class StallDiagnosis:
    """Finds ranks that disagree, have exited, or are late.

    Parameters
    ----------
    hosts : host name of each rank
    warning_s, timeout_s : how long ranks wait before a late rank is named, and before it ends the
        job; 0 is never
    elastic : whether ranks may fail: MPI's failure detector then decides about a rank that does
        not answer
    """

    hosts: Sequence[str]
    warning_s: float
    timeout_s: float
    elastic: bool = False
    #: stalls that this rank reported: the late ranks, and when the wait began. It reports their end
    reported: dict[PendingCall, tuple[list[int], float]] = field(default_factory=dict)
    #: stalls that any rank reported, as far as this one knows
    announced: set[PendingCall] = field(default_factory=set)
    #: the call of the last check, how many bytes had come in it, and when the first check saw them
    _progress: tuple[PendingCall, int, float] | None = None

    def check(
        self, states: Mapping[int, RankState], silent: Collection[int], now: float
    ) -> Iterator[str]:
        """Yield messages for the user.

        Parameters
        ----------
        states : of the ranks that have answered
        silent : ranks that were asked and gave no answer; ranks in neither may still answer
        now : the time, in seconds

        Raises
        ------
        DesyncError
            If ranks wait for each other in different calls.
        RankFailedError
            If a rank that is waited for has exited, or is late by `timeout_s`.
        """
        for state in states.values():
            self.announced |= state.announced
        if len(states) + len(silent) < len(self.hosts):
            return
        self._refuse_disagreement(states)
        self._refuse_exited(states)
        self._refuse_exited_peers(states)
        yield from self.report_resolved(states, now)
        yield from self._report_late(states, silent, now)
        yield from self._report_late_peers(states, now)

    def _refuse_disagreement(self, states: Mapping[int, RankState]) -> None:
        calls: dict[PendingCall, dict[str, list[int]]] = {}
        for rank, state in sorted(states.items()):
            for communicator, call in enumerate(state.calls):
                if call.name:
                    key = PendingCall(communicator, call.sequence_number)
                    calls.setdefault(key, {}).setdefault(call.name, []).append(rank)
        for names in calls.values():
            if len(names) > 1:
                raise DesyncError(
                    "the ranks wait for each other in different calls: "
                    + "; ".join(
                        self._format_waiting(name, ranks, states) for name, ranks in names.items()
                    )
                )

    def _refuse_exited(self, states: Mapping[int, RankState]) -> None:
        exited = [rank for rank, state in sorted(states.items()) if state.has_exited]
        for state in states.values():
            for communicator, call in enumerate(state.calls):
                if not call.name:
                    continue
                pending = PendingCall(communicator, call.sequence_number)
                missing = [rank for rank in exited if _is_late(rank, states[rank], pending, call)]
                if missing:
                    waiting = _waiting_ranks(pending, states)
                    raise RankFailedError(
                        f"{self._format_ranks(missing)} came to the end of the program, where the "
                        f"others wait: {self._format_waiting(call.name, waiting, states)}"
                    )

    def _refuse_exited_peers(self, states: Mapping[int, RankState]) -> None:
        """Refuse messages from or to a rank that has exited."""
        for rank, state in sorted(states.items()):
            if state.message is None:
                continue
            peer = state.message.peer
            others = [other for other in range(len(self.hosts)) if other != rank]
            peers = others if peer is None else [peer]
            if all(other in states and states[other].has_exited for other in peers):
                raise RankFailedError(
                    f"{self._format_ranks(peers)} came to the end of the program, where "
                    f"{self._format_ranks([rank])} waits in {state.message.name} "
                    f"({state.call_site})"
                )

    def _report_late_peers(self, states: Mapping[int, RankState], now: float) -> Iterator[str]:
        """Report a rank that waits for a message, and what the other rank does."""
        for rank, state in sorted(states.items()):
            message = state.message
            if message is None:
                continue
            pending = PendingCall(-1 - rank, message.number)
            text = (
                f"rank {rank} has waited {message.elapsed_s:.0f} s in {message.name} "
                f"({state.call_site})"
            )
            if message.peer is not None and message.peer in states:
                peer = states[message.peer]
                text += f", which {_format_activity(peer)}"
            if self.timeout_s and message.elapsed_s >= self.timeout_s:
                raise RankFailedError(f"{text} (--stall-timeout {self.timeout_s:g})")
            if (
                self.warning_s
                and message.elapsed_s >= self.warning_s
                and pending not in self.announced
            ):
                self.announced.add(pending)
                late = [] if message.peer is None else [message.peer]
                self.reported[pending] = late, now - message.elapsed_s
                yield text

    def _report_late(
        self, states: Mapping[int, RankState], silent: Collection[int], now: float
    ) -> Iterator[str]:
        waits = [
            (PendingCall(communicator, call.sequence_number), call)
            for state in states.values()
            for communicator, call in enumerate(state.calls)
            if call.name
        ]
        if not waits:
            return
        pending, call = max(waits, key=lambda wait: (wait[1].elapsed_s, wait[0]))
        elapsed_s = call.elapsed_s
        received_bytes = sum(
            states[rank].call(pending.communicator).received_bytes
            for rank in _waiting_ranks(pending, states)
        )
        quiet_s = self._measure_silence(pending, received_bytes, elapsed_s, now)
        late = [
            rank
            for rank in call.ranks or range(len(self.hosts))
            if rank in silent or _is_late(rank, states[rank], pending, call)
        ]
        text = self._format_stall(pending, call.name or "", elapsed_s, sorted(late), states)
        if not late:
            text += (
                f": all ranks are there, but no message has come through for {quiet_s:.0f} s"
                + (f"; {received_bytes / 1e6:.0f} MB came before" if received_bytes else "")
            )
        if self.timeout_s and quiet_s >= self.timeout_s and not (self.elastic and silent):
            raise RankFailedError(f"{text} (--stall-timeout {self.timeout_s:g})")
        if self.warning_s and quiet_s >= self.warning_s and pending not in self.announced:
            self.announced.add(pending)
            self.reported[pending] = late, now - elapsed_s
            yield text

    def _measure_silence(
        self, pending: PendingCall, received_bytes: int, elapsed_s: float, now: float
    ) -> float:
        """For how long a call has waited without a message from another machine.

        A large array goes in many messages: as long as they come through, nothing is stalled.
        """
        if self._progress is None or self._progress[:2] != (pending, received_bytes):
            self._progress = pending, received_bytes, now
        return now - self._progress[2] if received_bytes else elapsed_s

    def report_resolved(self, states: Mapping[int, RankState], now: float) -> Iterator[str]:
        """Yield a message for each reported stall in which no rank waits any more."""
        for pending, (late, began) in list(self.reported.items()):
            if not _waiting_ranks(pending, states):
                del self.reported[pending]
                cause = _format_numbers(late) if late else "the network"
                yield f"the ranks go on: they had waited {now - began:.0f} s for {cause}"

    def _format_stall(
        self,
        pending: PendingCall,
        name: str,
        elapsed_s: float,
        late: list[int],
        states: Mapping[int, RankState],
    ) -> str:
        waiting = _waiting_ranks(pending, states)
        has = "have" if len(waiting) > 1 else "has"
        site = states[waiting[0]].call_site
        text = f"{_format_numbers(waiting)} {has} waited {elapsed_s:.0f} s in {name} ({site})"
        if not late:
            return text
        silent = [rank for rank in late if rank not in states]
        groups = {
            "does not answer: stopped, swapped out, held up in C code, or its host is gone": silent
        }
        for rank in late:
            if rank in states:
                groups.setdefault(_format_activity(states[rank]), []).append(rank)
        return f"{text} for " + "; and for ".join(
            f"{self._format_ranks(ranks)}, which {activity}"
            for activity, ranks in groups.items()
            if ranks
        )

    def _format_waiting(self, name: str, ranks: list[int], states: Mapping[int, RankState]) -> str:
        sites = sorted({states[rank].call_site for rank in ranks})
        more = f" and {len(sites) - 1} more lines" if len(sites) > 1 else ""
        return f"{self._format_ranks(ranks)} in {name} ({sites[0]}{more})"

    def _format_ranks(self, ranks: Sequence[int]) -> str:
        hosts = sorted({self.hosts[rank] for rank in ranks})
        listed = ", ".join(hosts[:_MAX_LISTED])
        on = f"host {hosts[0]}" if len(hosts) == 1 else f"hosts {listed}"
        return f"{_format_numbers(ranks)} on {on}"


def _is_late(rank: int, state: RankState, pending: PendingCall, call: CollectiveCall) -> bool:
    """Whether a rank that takes part in a call has not begun it yet."""
    takes_part = call.ranks is None or rank in call.ranks
    return takes_part and state.call(pending.communicator).sequence_number < pending.sequence_number


def _waiting_ranks(pending: PendingCall, states: Mapping[int, RankState]) -> list[int]:
    """The ranks that are inside a call, or wait for a message."""
    if pending.communicator < 0:
        rank = -1 - pending.communicator
        message = states[rank].message if rank in states else None
        return [rank] if message is not None and message.number == pending.sequence_number else []
    return [
        rank
        for rank, state in sorted(states.items())
        if (call := state.call(pending.communicator)).name
        and call.sequence_number == pending.sequence_number
    ]


def _format_activity(state: RankState) -> str:
    if state.has_exited:
        return "has come to the end of the program"
    if state.activity:
        return state.activity
    waits = [call.name for call in state.calls if call.name]
    other = next(iter(waits), None) or (state.message and state.message.name)
    return f"is at {state.call_site}" + (f", in {other}" if other else "")


def _format_numbers(ranks: Sequence[int]) -> str:
    """Rank numbers as text.

    >>> _format_numbers([1]), _format_numbers([0, 2]), _format_numbers(range(100))
    ('rank 1', 'ranks 0, 2', 'ranks 0, 1, 2, 3, 4, 5, 6, 7, … (100 ranks)')
    """
    listed = ", ".join(map(str, ranks[:_MAX_LISTED]))
    more = f", … ({len(ranks)} ranks)" if len(ranks) > _MAX_LISTED else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {listed}{more}"
