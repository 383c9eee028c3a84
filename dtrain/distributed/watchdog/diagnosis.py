"""What is wrong when ranks wait: from what each says that it does, to who keeps the others.

Nothing is sent or printed here; `watch.py` does that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dtrain.distributed.watchdog.collective_log import Call
from dtrain.errors import DesyncError, RankFailedError

_MANY = 8  # ranks that are listed one by one


class State(NamedTuple):
    """What a rank does: its last call on each communicator, and its line of the program."""

    calls: tuple[Call, ...]
    site: str
    has_ended: bool = False

    def call(self, number: int) -> Call:
        """The last call on a communicator, which this rank may not have yet."""
        return self.calls[number] if number < len(self.calls) else Call()


class Wait(NamedTuple):
    """A call that ranks wait in."""

    communicator: int
    turn: int


@dataclass
class Judge:
    """Finds ranks that disagree, have left, or are late.

    Parameters
    ----------
    hosts : of each rank
    warning_s, timeout_s : how long ranks wait before a rank that is late is named, and before it
        ends the job; 0 is never
    elastic : whether ranks may be lost: one that does not answer is then left to MPI to find
    """

    hosts: Sequence[str]
    warning_s: float
    timeout_s: float
    elastic: bool = False
    #: waits that were warned of: who was late, and when the wait began
    open: dict[Wait, tuple[list[int], float]] = field(default_factory=dict)

    def consider(
        self, states: Mapping[int, State], silent: Collection[int], now: float
    ) -> Iterator[str]:
        """Lines for the user.

        Parameters
        ----------
        states : of the ranks that have answered
        silent : ranks that were asked and do not answer; others may still do so
        now : the time, in seconds

        Raises
        ------
        DesyncError
            When ranks wait for each other in different calls.
        RankFailedError
            When a rank that is waited for has ended, or is late by `timeout_s`.
        """
        if len(states) + len(silent) < len(self.hosts):
            return
        self._refuse_disagreement(states)
        self._refuse_ended(states)
        yield from self.over(states, now)
        yield from self._late(states, silent, now)

    def _refuse_disagreement(self, states: Mapping[int, State]) -> None:
        calls: dict[Wait, dict[str, list[int]]] = {}
        for rank, state in sorted(states.items()):
            for number, call in enumerate(state.calls):
                if call.name:
                    names = calls.setdefault(Wait(number, call.turn), {})
                    names.setdefault(call.name, []).append(rank)
        for names in calls.values():
            if len(names) > 1:
                raise DesyncError(
                    "the ranks wait for each other in different calls: "
                    + "; ".join(self._in(name, ranks, states) for name, ranks in names.items())
                )

    def _refuse_ended(self, states: Mapping[int, State]) -> None:
        ended = [rank for rank, state in sorted(states.items()) if state.has_ended]
        for state in states.values():
            for number, call in enumerate(state.calls):
                if not call.name:
                    continue
                left = [r for r in ended if states[r].call(number).turn < call.turn]
                if left:
                    here = _members(Wait(number, call.turn), states)
                    raise RankFailedError(
                        f"{self._who(left)} came to the end of the program, where the others wait: "
                        + self._in(call.name, here, states)
                    )

    def _late(
        self, states: Mapping[int, State], silent: Collection[int], now: float
    ) -> Iterator[str]:
        waits = [
            (call.seconds, Wait(number, call.turn), call.name)
            for state in states.values()
            for number, call in enumerate(state.calls)
            if call.name
        ]
        if not waits:
            return
        seconds, wait, name = max(waits)
        late = [
            rank
            for rank in range(len(self.hosts))
            if rank in silent or states[rank].call(wait.communicator).turn < wait.turn
        ]
        text = self._waits(wait, name, seconds, late, states)
        if self.timeout_s and seconds >= self.timeout_s and not (self.elastic and silent):
            raise RankFailedError(f"{text} (--stall-timeout {self.timeout_s:g})")
        if self.warning_s and seconds >= self.warning_s and wait not in self.open:
            self.open[wait] = late, now - seconds
            yield text

    def _waits(
        self, wait: Wait, name: str, seconds: float, late: list[int], states: Mapping[int, State]
    ) -> str:
        here = _members(wait, states)
        has = "have" if len(here) > 1 else "has"
        text = f"{_numbers(here)} {has} waited {seconds:.0f} s in {name} ({states[here[0]].site})"
        if not late:
            return f"{text}: all ranks are there, and the messages between them do not come through"
        silent = [rank for rank in late if rank not in states]
        groups = {
            "does not answer: stopped, swapped out, held up in C code, or its host is gone": silent
        }
        for rank in late:
            if rank in states:
                groups.setdefault(_doing(states[rank]), []).append(rank)
        return f"{text} for " + "; and for ".join(
            f"{self._who(ranks)}, which {doing}" for doing, ranks in groups.items() if ranks
        )

    def over(self, states: Mapping[int, State], now: float) -> Iterator[str]:
        """Lines for the waits that were warned of and are over."""
        for wait, (late, began) in list(self.open.items()):
            if not _members(wait, states):
                del self.open[wait]
                who = _numbers(late) if late else "the network"
                yield f"the ranks go on: they had waited {now - began:.0f} s for {who}"

    def _in(self, name: str, ranks: list[int], states: Mapping[int, State]) -> str:
        sites = sorted({states[rank].site for rank in ranks})
        more = f" and {len(sites) - 1} more lines" if len(sites) > 1 else ""
        return f"{self._who(ranks)} in {name} ({sites[0]}{more})"

    def _who(self, ranks: Sequence[int]) -> str:
        hosts = sorted({self.hosts[rank] for rank in ranks})
        on = f"host {hosts[0]}" if len(hosts) == 1 else f"hosts {', '.join(hosts[:_MANY])}"
        return f"{_numbers(ranks)} on {on}"


def _doing(state: State) -> str:
    if state.has_ended:
        return "has come to the end of the program"
    other = next((call.name for call in state.calls if call.name), None)
    return f"is at {state.site}" + (f", in {other}" if other else "")


def _members(wait: Wait, states: Mapping[int, State]) -> list[int]:
    """Who waits in a call."""
    return [
        rank
        for rank, state in sorted(states.items())
        if (call := state.call(wait.communicator)).name and call.turn == wait.turn
    ]


def _numbers(ranks: Sequence[int]) -> str:
    """Ranks by their numbers.

    >>> _numbers([1]), _numbers([0, 2]), _numbers(range(100))
    ('rank 1', 'ranks 0, 2', 'ranks 0, 1, 2, 3, 4, 5, 6, 7, … (100 ranks)')
    """
    listed = ", ".join(map(str, ranks[:_MANY]))
    more = f", … ({len(ranks)} ranks)" if len(ranks) > _MANY else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {listed}{more}"
