"""What `Progress` prints where there is no terminal, and that its figures are those of all ranks."""

import io
import re

import pytest

from dtrain import distributed
from dtrain.train import Mean, Progress, progress

REST = r"  [\d,]+ samples/s  [\d,]+ MB"


def run(steps):
    with Progress("training", steps) as shown:
        for step in range(steps):
            shown.advance(32, loss=1 / (step + 1))


def test_a_short_run_prints_one_line(capsys):
    run(3)
    assert re.fullmatch(r"training  loss 0\.3333" + REST + r"\n", capsys.readouterr().out)


def test_a_long_run_prints_lines_meanwhile(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0)
    run(3)
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("training 1/3  loss 1.0000  ")
    assert second.startswith("training 2/3  loss 0.5000  ")
    assert first.endswith(" left")
    assert re.fullmatch(r"training  loss 0\.3333" + REST, last)


def test_lines_come_by_time_not_by_steps_with_the_time_left(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    with Progress("training", 100) as shown:
        for _ in range(100):
            now[0] += 25
            shown.advance(50)
    lines = capsys.readouterr().out.splitlines()
    found = [re.search(r"(\d+)/100 .* 2 samples/s .* ([\d:]+) left", line) for line in lines[:-1]]
    assert [int(line[1]) for line in found] == list(range(3, 100, 3))  # one in 60 s
    assert (found[0][2], found[1][2], found[-1][2]) == ("40:25", "39:10", "0:25")


def test_a_run_that_failed_does_not_say_that_it_ended(capsys):
    with pytest.raises(ZeroDivisionError), Progress("training", 2) as shown:
        shown.advance(1, loss=1 / 0)
    assert capsys.readouterr().out == ""


def test_metrics_are_this_ranks_meanwhile_and_of_all_ranks_at_the_end(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0)

    def body():
        mean = Mean()
        with Progress("epoch", 2) as shown:
            for step in range(2):
                mean.update(10 * distributed.rank() + step)
                shown.advance(4, loss=mean)
            shown.show(val_loss=0.25)
        return shown.figures

    assert distributed.run_ranks(2, body) == [{"loss": 5.5, "val_loss": 0.25}] * 2
    first, last = capsys.readouterr().out.splitlines()
    assert "epoch 1/2  loss 0.0000 " in first
    assert "epoch  loss 5.5000  val_loss 0.2500 " in last


def test_on_a_terminal_nested_loops_are_bars_of_one_screen(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.delenv("DTRAIN_NO_TERMINAL", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("epochs", 2) as outer:
        for _ in range(2):
            with Progress("steps", 3) as inner:
                for _ in range(3):
                    inner.advance(1, loss=0.125)
            outer.advance(1)
    with pytest.raises(ZeroDivisionError), Progress("failing", 1):
        1 / 0  # noqa: B018
    assert progress._screen is None
    text = screen.getvalue()
    for shown in ("epochs", "steps", "0.1250", "3/3", "2/2"):
        assert shown in text
