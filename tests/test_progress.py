"""What `Progress` prints where there is no terminal, and that its figures are those of all ranks."""

import io
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import dtrain
from dtrain import distributed
from dtrain.train import F1, ConfusionMatrix, Mean, Progress, progress_display

REST = r"  [\d,]+ samples/s  [\d,]+ MB"


def run(steps):
    with Progress("training", steps) as shown:
        for step in range(steps):
            shown.advance(32, loss=1 / (step + 1))


def test_a_short_run_prints_one_line(capsys):
    run(3)
    assert re.fullmatch(r"training  loss 0\.3333" + REST + r"\n", capsys.readouterr().out)


def test_a_long_run_prints_lines_meanwhile(capsys, monkeypatch):
    monkeypatch.setattr(progress_display, "LINE_EVERY_S", 0)
    run(3)
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("training 1/3  loss 1.0000  ")
    assert second.startswith("training 2/3  loss 0.5000  ")
    assert first.endswith(" left")
    assert re.fullmatch(r"training  loss 0\.3333" + REST, last)


def test_lines_come_by_time_not_by_steps_with_the_time_left(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress_display.time, "perf_counter", lambda: now[0])
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
    monkeypatch.setattr(progress_display, "LINE_EVERY_S", 0)

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
    assert progress_display._screen is None
    text = screen.getvalue()
    for shown in ("epochs", "steps", "0.1250", "3/3", "2/2"):
        assert shown in text


def test_figures_of_several_numbers_are_shown_by_their_parts_or_by_their_size(capsys):
    classes = F1(3, average=None)
    classes.update(dtrain.eye(3), dtrain.arange(3))
    matrix = ConfusionMatrix(3)
    matrix.update(dtrain.eye(3), dtrain.arange(3))
    with Progress("epoch", 1) as shown:
        shown.advance(3, f1=classes, counts=matrix, loss=dtrain.tensor([0.5]))
        shown.show(by={"a": 1, "b": (2.0, dtrain.tensor(3.0))}, many=list(range(9)), state="warm")
    assert (
        "epoch  f1.0 1.0000  f1.1 1.0000  f1.2 1.0000  counts (3, 3)  loss 0.5000  "
        "by.a 1.0000  by.b.0 2.0000  by.b.1 3.0000  many (9 values)  state warm "
    ) in capsys.readouterr().out
    assert shown.figures["f1"] == [1.0] * 3
    assert shown.figures["counts"].tolist() == np.eye(3).tolist()


def test_a_notebooks_output_changes_in_place(monkeypatch, capsys):
    outputs, now = [], [0.0]

    class Handle:
        def update(self, data, raw):
            assert raw
            outputs.append(data)

    def display(data, raw, display_id):
        assert raw
        assert display_id is True
        outputs.append(data)
        return Handle()

    def put_ipython(shell):
        module = SimpleNamespace(get_ipython=lambda: shell)
        monkeypatch.setitem(sys.modules, "IPython", module)
        monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))

    put_ipython(SimpleNamespace(kernel=None))
    monkeypatch.setattr(progress_display.time, "perf_counter", lambda: now[0])
    with Progress("<epoch>", 50) as shown:
        for step in range(50):
            now[0] += 0.1
            shown.advance(2, loss=step)
    texts = [data["text/plain"] for data in outputs]
    assert texts[0] == "<epoch> 0/50 "
    assert len(texts) == 18  # four in a second, the first and the last
    assert texts[1].startswith("<epoch> 3/50  loss 2.0000  20 samples/s ")
    assert texts[1].endswith("0:05 left")
    assert texts[-1].startswith("<epoch> 50/50  loss 49.0000 ")
    assert (
        '<progress value="50" max="50"></progress> &lt;epoch&gt; 50/50' in outputs[-1]["text/html"]
    )
    assert capsys.readouterr().out == ""
    put_ipython(SimpleNamespace())  # IPython on a terminal
    run(1)
    put_ipython(None)
    run(1)
    assert capsys.readouterr().out.count("training  loss 1.0000") == 2
