"""Logs of runs: rows, tables, resumed runs, full disks, ranks."""

import errno
import json
import math
import os

import pytest

import dtrain
from dtrain import distributed
from dtrain.errors import DataError
from dtrain.train import Logs, log_file, read_log


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_rows_are_written_at_once_with_numbers_of_all_kinds(tmp_path):
    logs = Logs(tmp_path / "a" / "b", config={"lr": 0.1})
    logs.log(1, loss=dtrain.tensor(0.5), accuracy=dtrain.tensor([1]).numpy()[0], name="x")
    logs.log(2, loss=math.nan, bound=math.inf)
    folder = tmp_path / "a" / "b"
    first, second = lines(folder)
    assert {**first, "time": 0} == {"step": 1, "time": 0, "loss": 0.5, "accuracy": 1, "name": "x"}
    assert (second["loss"], second["bound"]) == ("nan", "inf")
    read = read_log(folder)
    assert read["step"] == [1, 2]
    assert math.isnan(read["loss"][1])
    assert read["bound"] == [None, math.inf]
    table = (folder / "log.csv").read_text().splitlines()
    assert table[0] == "step,time,loss,accuracy,name,bound"
    assert table[1].split(",")[2:] == ["0.5", "1", "x", ""]
    (start,) = json.loads((folder / "run.json").read_text())["starts"]
    assert (start["world_size"], start["config"]) == (1, {"lr": 0.1})
    assert start["versions"]["numpy"]
    logs.close()


def test_the_parts_of_a_figure_have_columns_of_their_own(tmp_path):
    with Logs(tmp_path) as logs:
        logs.log(1, f1=[0.25, dtrain.tensor(0.5)], by={"cat": (1, "x"), "dog": math.nan})
        for value in ([], {"a": None}, {"a": dtrain.ones(2)}):
            with pytest.raises(TypeError, match=r"expected f1\S* to be a number"):
                logs.log(2, f1=value)
    read = read_log(tmp_path)
    assert list(read)[2:] == ["f1.0", "f1.1", "by.cat.0", "by.cat.1", "by.dog"]
    assert [read[name] for name in list(read)[2:6]] == [[0.25], [0.5], [1], ["x"]]
    assert math.isnan(read["by.dog"][0])


def test_a_resumed_run_has_no_step_twice(tmp_path, capsys):
    with Logs(tmp_path) as logs:
        for step in range(1, 8):
            logs.log(step, loss=step / 2)
    whole = (tmp_path / "log.jsonl").read_bytes()
    (tmp_path / "log.jsonl").write_bytes(whole[:-9])  # killed while it wrote the last row
    with Logs(tmp_path) as logs:
        for step in (5, 5, 6):
            logs.log(step, loss=step * 10.0)
    read = read_log(tmp_path)
    assert read["step"] == [1, 2, 3, 4, 5, 5, 6]
    assert read["loss"] == [0.5, 1, 1.5, 2, 50, 50, 60]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 8
    assert "2 lines from step 5 on are written anew" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "run.json").read_text())["starts"]) == 2


def test_a_job_killed_where_it_goes_on_has_its_log(tmp_path, monkeypatch):
    with Logs(tmp_path) as logs:
        for step in range(1, 8):
            logs.log(step, loss=step / 2)

    def kill(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(log_file, "write_all", kill)
    logs = Logs(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        logs.log(5, loss=0.0)
    with pytest.warns(UserWarning, match="1 lines could not be written"):
        logs.close()
    assert read_log(tmp_path)["loss"] == [0.5, 1, 1.5, 2]
    monkeypatch.undo()
    with Logs(tmp_path) as logs:  # steps that do not rise
        for step in (9, 5, 6):
            logs.log(step, loss=1.0)
    with Logs(tmp_path) as logs:
        logs.log(6, loss=2.0)
    assert read_log(tmp_path)["step"] == [1, 2, 3, 4, 5, 6]


def test_rank_0_alone_writes(tmp_path):
    def body():
        with Logs(tmp_path) as logs:
            logs.log(1, rank=distributed.rank())

    distributed.run_ranks(3, body)
    assert [row["rank"] for row in lines(tmp_path)] == [0]
    assert json.loads((tmp_path / "run.json").read_text())["starts"][0]["world_size"] == 3


def test_on_a_full_disk_training_goes_on_and_rows_are_kept(tmp_path, monkeypatch):
    logs, full, write = Logs(tmp_path), [], os.write

    def write_to_disk(descriptor, data):
        if not full:
            return write(descriptor, data)
        if len(data) > 20:
            return write(descriptor, data[:20])  # what just fits
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log_file.os, "write", write_to_disk)
    logs.log(1, loss=1.0)
    full.append(True)
    with pytest.warns(UserWarning, match="cannot be written: .*No space left.* training goes on"):
        logs.log(2, loss=2.0)
    logs.log(3, loss=3.0)  # no second warning
    assert [row["step"] for row in lines(tmp_path)] == [1]  # no half row
    full.clear()
    logs.log(4, loss=4.0)
    assert [row["loss"] for row in lines(tmp_path)] == [1, 2, 3, 4]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5
    full.append(True)
    with pytest.warns(UserWarning, match="training goes on"):
        logs.log(5, loss=5.0)
    with pytest.warns(UserWarning, match="1 lines could not be written"):
        logs.close()


@pytest.mark.slow
def test_tensorboard_has_the_figures(tmp_path):
    pytest.importorskip("tensorboardX")
    with Logs(tmp_path, formats=["tensorboard"]) as logs:
        logs.log(3, loss=0.5, note="text")
    (events,) = tmp_path.glob("events*")
    assert b"loss" in events.read_bytes()
    assert not (tmp_path / "log.csv").exists()
    assert len(lines(tmp_path)) == 1


def test_what_is_no_log_is_refused(tmp_path):
    logs = Logs(tmp_path)
    for call, error, message in (
        (lambda: logs.log(-1), ValueError, "step of 0 or more, got -1"),
        (lambda: logs.log(True, a=1), ValueError, "got True"),
        (lambda: logs.log(1, loss=dtrain.ones(2)), TypeError, "expected loss to be a number"),
        (lambda: logs.log(1, loss=None), TypeError, "got NoneType None"),
        (lambda: logs.log(1, time=3), ValueError, "name the value otherwise"),
        (lambda: Logs(tmp_path, formats="csv"), ValueError, "got 'csv'"),
        (lambda: Logs(tmp_path, formats=["xml"]), ValueError, "jsonl, csv, tensorboard"),
        (lambda: Logs(tmp_path, config={"a": object()}), TypeError, "config of numbers"),
        (lambda: read_log(tmp_path), DataError, "has no log.jsonl"),
    ):
        with pytest.raises(error, match=message):
            call()
    assert not list(tmp_path.iterdir())
    logs.log(1, loss=1)
    with pytest.raises(DataError, match="another process writes this log"):
        Logs(tmp_path).log(1, loss=1)
    logs.close()
    (tmp_path / "log.jsonl").write_text("hello\n")
    with pytest.raises(DataError, match=r"log\.jsonl: line 1 is no row"):
        Logs(tmp_path).log(1, loss=1)
    assert (tmp_path / "log.jsonl").read_text() == "hello\n"
