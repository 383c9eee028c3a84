"""What `Progress` prints where there is no terminal."""

import re

import pytest

from dtrain.train import Progress, progress


def run(steps):
    with Progress("training", steps) as shown:
        for step in range(steps):
            shown.advance(32, loss=1 / (step + 1))


def test_a_short_run_prints_one_line(capsys):
    run(3)
    assert re.fullmatch(r"training loss 0\.3333  [\d,]+ samples/s\n", capsys.readouterr().out)


def test_a_long_run_prints_lines_meanwhile(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0)
    run(3)
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("training 1/3 loss 1.0000  ")
    assert second.startswith("training 2/3 loss 0.5000  ")
    assert last.startswith("training loss 0.3333  ")


def test_lines_come_by_time_not_by_steps(capsys, monkeypatch):
    clock = iter(range(0, 1000, 10))  # seconds, one reading after another
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    run(12)
    steps = [int(step) for step in re.findall(r"(\d+)/12", capsys.readouterr().out)]
    assert steps[0] == 3
    assert 2 <= len(steps) <= 5


def test_a_run_that_failed_does_not_say_that_it_ended(capsys):
    with pytest.raises(ZeroDivisionError), Progress("training", 2) as shown:
        shown.advance(1, loss=1 / 0)
    assert capsys.readouterr().out == ""
