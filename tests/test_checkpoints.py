"""Checkpoints beside training: which are kept, copies, faults, ranks; early stopping."""

import errno
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import dtrain
from dtrain import distributed
from dtrain.checkpoint import folder_writer, host_copies, load_checkpoint, verify_checkpoint
from dtrain.distributed import world
from dtrain.distributed.comm.communicator import SoloCommunicator
from dtrain.errors import CheckpointError
from dtrain.train import Checkpoints, EarlyStopping, checkpoints as module


def steps(folder):
    return sorted(int(path.name[5:]) for path in Path(folder).glob("step-*"))


def make_model(value=0.0):
    model = dtrain.nn.Linear(3, 2)
    dtrain.nn.init.constant_(model.weight, value)
    return model


def test_the_newest_and_the_best_are_kept_also_after_a_resume(tmp_path):
    losses = {10: 0.5, 20: 0.1, 30: math.nan, 40: 0.3, 50: 0.2, 60: 0.4}
    options = {"keep_last": 2, "keep_best": 1, "monitor": "loss"}
    with Checkpoints(tmp_path, {"model": make_model()}, **options) as first:
        for step in (10, 20, 30, 40):
            first.save(step, loss=losses[step])
    assert steps(tmp_path) == [20, 30, 40]
    model = make_model(9)
    with Checkpoints(tmp_path, {"model": model}, **options) as second:
        assert second.resume(tmp_path) == 40
        for step in (50, 60):
            second.save(step, loss=losses[step])
        assert second.best.name == "step-00000020"
        assert second.load_best() == 20
        second.save(70)  # without a figure: it is the newest
    assert steps(tmp_path) == [20, 60, 70]
    with Checkpoints(
        tmp_path / "max", {"model": model}, keep_last=1, monitor="a", mode="max"
    ) as kept:
        for step, a in ((1, 0.5), (2, 0.9), (3, 0.9), (4, 0.1)):
            kept.save(step, a=a)
    assert steps(tmp_path / "max") == [2, 4]  # the first of equal ones


def test_memory_for_the_first_copy_is_taken_before_it(tmp_path, monkeypatch):
    taken, take = [], host_copies.take_host_memory

    def take_host_memory(*arguments, **options):
        taken.append((threading.current_thread().name, take(*arguments, **options)))
        return taken[-1][1]

    monkeypatch.setattr(host_copies, "take_host_memory", take_host_memory)
    model = make_model(2)
    with Checkpoints(tmp_path, {"model": model}, every_steps=3) as kept:
        saved = [kept.save_if_due(step) for step in range(1, 7)]
    assert saved == [False, False, True] * 2
    assert {name for name, _ in taken} == {"host memory"}  # a thread's; `save` takes none
    copies = [memory for _, memory in taken if memory.shape == (2, 3)]
    assert [(memory == 2).all() for memory in copies] == [True]


def test_the_state_is_that_of_the_save_while_training_goes_on(tmp_path, monkeypatch):
    may_write, write = threading.Event(), module.write_checkpoint

    def write_late(*arguments):
        may_write.wait(30)
        write(*arguments)

    monkeypatch.setattr(module, "write_checkpoint", write_late)
    model, other = make_model(1.0), make_model()
    with Checkpoints(tmp_path, {"model": model}) as kept:
        kept.save(1)
        dtrain.nn.init.constant_(model.weight, 2.0)
        assert steps(tmp_path) == []  # training has gone on before it was written
        may_write.set()
        kept.save(2)  # in the same buffers
        dtrain.nn.init.constant_(model.weight, 3.0)
    for step, value in ((1, 1.0), (2, 2.0)):
        folder = tmp_path / f"step-{step:08d}"
        verify_checkpoint(folder)
        objects = {"model": other, "checkpoints": Checkpoints(tmp_path, {})}
        load_checkpoint(folder, **objects)
        assert other.weight.tolist() == [[value] * 3] * 2


def test_a_full_disk_is_told_by_the_next_call_on_all_ranks(tmp_path, monkeypatch):
    write = folder_writer._write_file
    full = []

    def write_file(path, state):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, state)

    monkeypatch.setattr(folder_writer, "_write_file", write_file)

    def body():
        kept = Checkpoints(tmp_path, {"model": make_model()})
        kept.save(1)
        kept.wait()
        distributed.barrier()
        full.append(True)
        kept.save(2)
        try:
            kept.wait()
        except Exception as error:
            told = error
        distributed.barrier()
        full.clear()
        distributed.barrier()
        kept.save(3)
        kept.wait()
        assert kept.best is None
        assert list(kept.state_dict()["figures"]) == ["1", "3"]
        return type(told), str(told)

    (kind, text), (other, message) = distributed.run_ranks(2, body)
    assert (kind, other) == (OSError, CheckpointError)
    assert "No space left" in text
    assert "rank 0 could not write the last checkpoint: OSError: " in message
    assert steps(tmp_path) == [1, 3]
    assert {p.name for p in tmp_path.iterdir()} == {"step-00000001", "step-00000003"}


@pytest.mark.parametrize(
    ("killed_in", "best"), [("write_checkpoint", 1), ("remove_checkpoint", 2)], ids=str
)
def test_survivors_go_on_from_what_a_failed_writer_has_left(
    tmp_path, monkeypatch, capsys, killed_in, best
):
    whole = getattr(module, killed_in)

    def end_at_step_2(*arguments):
        if killed and threading.current_thread().name == "checkpoint":
            raise SystemExit("killed")
        whole(*arguments)

    monkeypatch.setattr(module, killed_in, end_at_step_2)
    killed = []

    def body():
        kept = Checkpoints(tmp_path, {"model": make_model()}, keep_last=1, monitor="loss")
        kept.save(1, loss=0.5)
        kept.wait()
        killed.append(True)
        kept.save(2, loss=0.4)
        kept._join()
        distributed.barrier()
        if distributed.rank() == 0:
            return None
        killed.clear()
        world.set_communicator(SoloCommunicator())  # rank 1 is rank 0 from now on
        kept.wait()
        survived = kept.best.name, steps(tmp_path), list(kept.state_dict()["figures"])
        with kept:
            kept.save(3, loss=0.3)
        return survived, steps(tmp_path)

    _, (survived, after) = distributed.run_ranks(2, body)
    assert survived == (f"step-0000000{best}", [best], [str(best)])
    assert after == [3]
    told = capsys.readouterr().err
    assert ("step-00000002: is not there: the rank that wrote it has failed" in told) == (best == 1)


def test_a_checkpoint_that_is_missed_for_no_failure_is_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module.process, "replay", object())
    with Checkpoints(tmp_path, {"model": make_model()}) as kept:
        kept.save(1)
        kept.save(2)
    assert list(kept.state_dict()["figures"]) == ["1", "2"]
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    kept.save(3)
    kept._join()
    shutil.rmtree(tmp_path / "step-00000003")  # by another hand: it was written
    kept.wait()
    assert list(kept.state_dict()["figures"]) == ["1", "2", "3"]
    assert capsys.readouterr().err == ""


KILLED = """
import dtrain, sys
from dtrain.train import Checkpoints
model = dtrain.nn.Linear(600, 600)
kept = Checkpoints(sys.argv[1], {"model": model}, keep_last=2)
for step in range(1, 10000):
    kept.save(step)
    print(step, flush=True)
"""


def test_a_kill_leaves_whole_checkpoints_only(tmp_path):
    root = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path / "run"], stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    for _ in range(6):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = steps(tmp_path / "run")
    assert found
    for step in found:
        verify_checkpoint(tmp_path / "run" / f"step-{step:08d}")


def test_it_saves_when_due_as_rank_0_says(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    kept = Checkpoints(
        tmp_path, {"model": make_model()}, keep_last=None, every_steps=4, every_minutes=1
    )
    saved = []
    for step in range(1, 10):
        clock[0] += 25.0
        if kept.save_if_due(step):
            saved.append(step)
    kept.wait()
    assert saved == steps(tmp_path) == [3, 4, 7, 8]


def test_sharded_state_and_any_number_of_ranks(tmp_path):
    def body(folder):
        dtrain.manual_seed(0)
        model = dtrain.DataParallel(dtrain.nn.Linear(4, 3))
        optimizer = dtrain.ZeroRedundancyOptimizer(model.parameters(), dtrain.optim.Adam, lr=0.1)
        data = dtrain.data.TensorDataset(dtrain.randn(12, 4))
        loader = dtrain.data.DataLoader(data, 2, microbatches=3)
        with Checkpoints(folder, {"model": model, "optimizer": optimizer}) as kept:
            for number, step in enumerate(loader.steps(), 1):
                for (x,) in step:
                    model(x).square().mean().backward()
                optimizer.step()
                optimizer.zero_grad()
                kept.save(number)

    body(tmp_path / "1")
    distributed.run_ranks(3, body, tmp_path / "3")
    for step in steps(tmp_path / "1"):
        name = f"step-{step:08d}"
        for file in ("model", "optimizer", "checkpoints", "random"):
            paths = [tmp_path / n / name / f"{file}.safetensors" for n in "13"]
            assert paths[0].read_bytes() == paths[1].read_bytes()


class Unsaveable:
    def state_dict(self):
        return {"x": object()}


def test_options_that_cannot_be_meant_are_refused(tmp_path):
    for options, message in (
        ({"keep_last": 0}, "keep_last of 1 or more, got 0"),
        ({"keep_best": -1}, "keep_best of 0 or more"),
        ({"every_steps": 0}, "every_steps of 1 or more"),
        ({"every_minutes": 0}, "every_minutes > 0, got 0"),
        ({"mode": "least"}, "'min' or 'max', got 'least'"),
    ):
        with pytest.raises(ValueError, match=message):
            Checkpoints(tmp_path, {}, **options)
    with pytest.raises(ValueError, match="rename the object"):
        Checkpoints(tmp_path, {"checkpoints": make_model()})
    kept = Checkpoints(tmp_path, {"model": make_model()}, monitor="val_loss")
    with pytest.raises(ValueError, match=r"a figure 'val_loss', .* got \['loss'\]"):
        kept.save(1, loss=1.0)
    with Checkpoints(tmp_path, {"wrong": Unsaveable()}, monitor="loss") as other:
        with pytest.raises(TypeError, match="x is a object"):
            other.save(1, loss=1.0)
        assert (other.best, other.state_dict()) == (None, {"figures": {}})
    with pytest.raises(CheckpointError, match="no checkpoint has a figure"):
        kept.load_best()
    assert list(tmp_path.iterdir()) == []


def test_early_stopping_counts_epochs_without_an_improvement():
    stopping = EarlyStopping(patience=2, mode="max", min_delta=0.1)
    assert [stopping.update(x) for x in (0.5, 0.55, 0.65, math.nan)] == [False] * 4
    again = EarlyStopping(patience=2, mode="max", min_delta=0.1)
    again.load_state_dict(stopping.state_dict())
    assert (again.best, again.update(0.75)) == (0.65, True)
    assert (again.update(0.76), again.should_stop) == (False, False)
    for options, message in (
        ({"patience": 0}, "patience of 1 or more, got 0"), ({"min_delta": -1}, "min_delta >= 0"),
        ({"mode": 1}, "'min' or 'max', got 1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            EarlyStopping(**options)
