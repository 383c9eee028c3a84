"""The time of each name of a profile, and the table of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dtrain.backend.profiler import Span

_SORTS = (
    "cpu_time", "cpu_time_total", "self_cpu_time_total", "cuda_time", "cuda_time_total",
    "self_cuda_time_total", "device_time_total", "self_device_time_total", "count",
)  # fmt: skip


@dataclass
class FunctionEventAvg:
    """The spans of one name; times are microseconds (torch.autograd.profiler_util)."""

    key: str
    count: int = 0
    cpu_time_total: float = 0.0
    self_cpu_time_total: float = 0.0

    @property
    def cpu_time(self) -> float:
        """The time of one span, on average."""
        return self.cpu_time_total / max(self.count, 1)


class EventList(list[FunctionEventAvg]):
    """The averages of a profile, in the order in which names came first."""

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all spans, each counted once, in microseconds."""
        return sum(event.self_cpu_time_total for event in self)

    def total_average(self) -> FunctionEventAvg:
        """All names as one."""
        total = FunctionEventAvg("Total")
        for event in self:
            total.count += event.count
            total.cpu_time_total += event.cpu_time_total
            total.self_cpu_time_total += event.self_cpu_time_total
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
    ) -> str:
        """A text with a line for each name.

        Parameters
        ----------
        sort_by : "cpu_time_total", "self_cpu_time_total", "cpu_time" or "count"; names with
            "cuda" or "device" mean those with "cpu", whose times include the GPU's
        row_limit : the most lines; -1: all
        max_name_column_width : longer names are cut
        header : a line above the table
        """
        events = list(self)
        if sort_by is not None:
            if sort_by not in _SORTS:
                known = ", ".join(_SORTS)
                raise AttributeError(f"table: expected sort_by of {known}, got {sort_by}")
            name = sort_by.replace("cuda", "cpu").replace("device", "cpu")
            events.sort(key=lambda event: getattr(event, name), reverse=True)
        total = self.self_cpu_time_total
        titles = (
            "Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "Calls",
        )  # fmt: skip
        rows = [
            (
                event.key[:max_name_column_width],
                f"{100 * event.self_cpu_time_total / max(total, 1e-9):.2f}%",
                _spell(event.self_cpu_time_total),
                f"{100 * event.cpu_time_total / max(total, 1e-9):.2f}%",
                _spell(event.cpu_time_total),
                _spell(event.cpu_time),
                str(event.count),
            )
            for event in (events if row_limit < 0 else events[:row_limit])
        ]
        widths = [max(len(row[i]) for row in (titles, *rows)) for i in range(len(titles))]
        rule = "  ".join("-" * width for width in widths)
        lines = [rule, _join(titles, widths), rule, *(_join(row, widths) for row in rows), rule]
        above = [] if header is None else [header]
        return "\n".join([*above, *lines, f"Self CPU time total: {_spell(total)}", ""])


def average(rows: Iterable[Iterable[Span]]) -> EventList:
    """The averages of the spans of several threads.

    >>> events = average([[("step", 0, 9000), ("add", 1000, 3000)]])
    >>> [(event.key, event.cpu_time_total, event.self_cpu_time_total) for event in events]
    [('step', 9.0, 7.0), ('add', 2.0, 2.0)]
    """
    found: dict[str, FunctionEventAvg] = {}
    for spans in rows:
        around: list[tuple[FunctionEventAvg, int]] = []  # the spans that contain the next, and ends
        for name, began, ended in sorted(spans, key=lambda span: (span[1], -span[2])):
            while around and around[-1][1] <= began:
                around.pop()
            event = found.setdefault(name, FunctionEventAvg(name))
            time = (ended - began) / 1e3
            event.count += 1
            event.cpu_time_total += time
            event.self_cpu_time_total += time
            if around:
                around[-1][0].self_cpu_time_total -= time
            around.append((event, ended))
    return EventList(found.values())


def _spell(microseconds: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3f}{unit}"
    return f"{microseconds:.3f}us"


def _join(row: Iterable[str], widths: list[int]) -> str:
    return "  ".join(text.rjust(width) for text, width in zip(row, widths))
