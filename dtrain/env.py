"""Every environment variable of dtrain, declared once: its type, its default, its meaning.

Other modules read a variable by ``env.THREADS.read()``. `docs/environment.md` holds
`markdown_table()`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Variable(Generic[T_co]):
    """One environment variable.

    Parameters
    ----------
    name : as in the environment
    parse : from the text to the value; raises ValueError for a bad one
    default : the value when the variable is unset or empty
    expected : what `parse` accepts, in words
    meaning : what the variable does
    set_by_launcher : whether ``dtrain run`` sets it for its ranks, so that users rarely do
    """

    name: str
    parse: Callable[[str], T_co]
    default: T_co
    expected: str
    meaning: str
    set_by_launcher: bool = False

    def read(self, environ: Mapping[str, str] = os.environ) -> T_co:
        """The variable's value.

        Raises
        ------
        ValueError
            If the variable has a value that `parse` refuses; the message names the variable.

        >>> THREADS.read({"DTRAIN_THREADS": "2"})
        2
        >>> THREADS.read({"DTRAIN_THREADS": "x"})
        Traceback (most recent call last):
        ValueError: DTRAIN_THREADS: expected a number of threads >= 1, got 'x'
        """
        text = environ.get(self.name, "")
        if not text:
            return self.default
        try:
            return self.parse(text)
        except ValueError:
            raise ValueError(f"{self.name}: expected {self.expected}, got {text!r}") from None

    def is_set(self, environ: Mapping[str, str] = os.environ) -> bool:
        """Whether the variable has a value that is not empty."""
        return bool(environ.get(self.name))


def _whole_number(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise ValueError
        return int(text)

    return parse


def _ranks(text: str) -> frozenset[int]:
    return frozenset(map(_whole_number(0), text.split(",")))


def _seconds(text: str) -> float:
    seconds = float(text)
    if math.isnan(seconds) or seconds < 0:
        raise ValueError
    return seconds


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError
    return text == "1"


def _detail(text: str) -> Literal["detail"]:
    if text != "detail":
        raise ValueError
    return "detail"


def _reference(text: str) -> Literal["reference"]:
    if text != "reference":
        raise ValueError
    return "reference"


def _on_error(text: str) -> Literal["leave", "end"]:
    if text == "leave":
        return "leave"
    if text == "end":
        return "end"
    raise ValueError


THREADS = Variable(
    "DTRAIN_THREADS",
    _whole_number(1),
    1,
    "a number of threads >= 1",
    "BLAS threads of each rank. Another number adds in another order and gives other bits.",
)
KERNELS: Variable[Literal["reference"] | None] = Variable(
    "DTRAIN_KERNELS",
    _reference,
    None,
    "'reference' or nothing",
    "`reference` replaces all fused kernels by their NumPy reference.",
)
DEBUG: Variable[Literal["detail"] | None] = Variable(
    "DTRAIN_DEBUG",
    _detail,
    None,
    "'detail' or nothing",
    "`detail` has the ranks compare their weights and optimizer states, and names the first NaN or "
    "infinity in a loss or gradient.",
)
DEBUG_EVERY = Variable(
    "DTRAIN_DEBUG_EVERY",
    _whole_number(1),
    100,
    "a number of steps >= 1",
    "Steps from one comparison of `DTRAIN_DEBUG=detail` to the next.",
)
STALL_WARNING = Variable(
    "DTRAIN_STALL_WARNING",
    _seconds,
    5.0,
    "seconds, 0 for never",
    "Seconds until the watchdog names a rank that others wait for (`dtrain run --stall-warning`).",
)
STALL_TIMEOUT = Variable(
    "DTRAIN_STALL_TIMEOUT",
    _seconds,
    1800.0,
    "seconds, 0 for never",
    "Seconds until the watchdog aborts a job whose ranks wait (`dtrain run --stall-timeout`).",
)
TRACE: Variable[str | None] = Variable(
    "DTRAIN_TRACE",
    str,
    None,
    "a path",
    "File for a timeline of all ranks, for ui.perfetto.dev (`dtrain run --trace`).",
)
JOB: Variable[str | None] = Variable(
    "DTRAIN_JOB",
    str,
    None,
    "a name",
    "Name of the job, the same each time that a batch system starts it. Its checkpoints are the "
    "ones that `resume` goes on from. `dtrain run` draws one if there is none.",
)
RESTART_COUNT = Variable(
    "DTRAIN_RESTART_COUNT",
    _whole_number(0),
    0,
    "a number of restarts >= 0",
    "How often `dtrain run` has restarted the job.",
    set_by_launcher=True,
)
ELASTIC: Variable[Literal["leave", "end"] | None] = Variable(
    "DTRAIN_ELASTIC",
    _on_error,
    None,
    "'leave' or 'end'",
    "Survivors go on when ranks fail (`dtrain run --elastic`). A rank that raises an exception "
    "leaves the job (`leave`) or ends it (`end`).",
    set_by_launcher=True,
)
RESPAWN = Variable(
    "DTRAIN_RESPAWN",
    _flag,
    False,
    "0 or 1",
    "Failed ranks are replaced at the next checkpoint (`dtrain run --respawn`).",
    set_by_launcher=True,
)
NO_TERMINAL = Variable(
    "DTRAIN_NO_TERMINAL",
    _flag,
    False,
    "0 or 1",
    "Standard output is no terminal, whatever a rank's own says: no bars, no colours.",
    set_by_launcher=True,
)
TERMINAL: Variable[str | None] = Variable(
    "DTRAIN_TERMINAL",
    str,
    None,
    "HOST:PATH",
    "The terminal of `dtrain run`, to which rank 0 writes itself: launchers hold moving bars back.",
    set_by_launcher=True,
)
LOG_DIR: Variable[str | None] = Variable(
    "DTRAIN_LOG_DIR",
    str,
    None,
    "a folder",
    "Each rank's output goes to a file of its own there, too (`dtrain run --log-dir`).",
    set_by_launcher=True,
)
PREFIX = Variable(
    "DTRAIN_PREFIX",
    _flag,
    False,
    "0 or 1",
    "Each line of a rank's output begins with its rank and the time (`dtrain run --prefix`).",
    set_by_launcher=True,
)
TEE: Variable[frozenset[int] | None] = Variable(
    "DTRAIN_TEE",
    _ranks,
    None,
    "ranks, such as 0,1",
    "The ranks whose output is shown, if all goes to files (`dtrain run --tee`).",
    set_by_launcher=True,
)
RANK_PROCESS: Variable[int | None] = Variable(
    "DTRAIN_RANK_PROCESS",
    _whole_number(1),
    None,
    "a process id",
    "The process that is a rank. One that it starts inherits the variable, and is no rank.",
    set_by_launcher=True,
)

_VARIABLES: tuple[Variable[object], ...] = (
    THREADS,
    KERNELS,
    DEBUG,
    DEBUG_EVERY,
    STALL_WARNING,
    STALL_TIMEOUT,
    TRACE,
    JOB,
    RESTART_COUNT,
    ELASTIC,
    RESPAWN,
    NO_TERMINAL,
    TERMINAL,
    LOG_DIR,
    PREFIX,
    TEE,
    RANK_PROCESS,
)


def check(environ: Mapping[str, str] = os.environ) -> None:
    """Refuse bad values, and names that are nearly those of a variable, before any work.

    Raises
    ------
    ValueError
        Naming the first variable that is wrong.

    >>> check({"DTRAIN_THREAD": "2"})
    Traceback (most recent call last):
    ValueError: DTRAIN_THREAD: no such variable; did you mean DTRAIN_THREADS?
    """
    for variable in _VARIABLES:
        variable.read(environ)
    names = [variable.name for variable in _VARIABLES]
    for name in environ:
        if name.startswith("DTRAIN_") and name not in names:
            import difflib

            for similar in difflib.get_close_matches(name, names, 1, cutoff=0.85):
                raise ValueError(f"{name}: no such variable; did you mean {similar}?")


def markdown_table() -> str:
    """The variables as a Markdown table, for the documentation."""
    lines = ["| variable | value | default | meaning |", "|---|---|---|---|"]
    for variable in _VARIABLES:
        default = "–" if variable.default in (None, False) else f"{variable.default:g}"
        by = " Set by `dtrain run`." if variable.set_by_launcher else ""
        lines.append(
            f"| `{variable.name}` | {variable.expected} | {default} | {variable.meaning}{by} |"
        )
    return "\n".join(lines)
