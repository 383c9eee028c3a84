"""Trainer: the bits of its loop, of resumed runs and of any number of ranks; options, endings."""

import math

import numpy as np
import pytest

import dtrain
from dtrain import distributed, nn
from dtrain.checkpoint import digest
from dtrain.data import DataLoader, TensorDataset
from dtrain.nn import functional as F
from dtrain.train import F1, Accuracy, ConfusionMatrix, LRSearch, Trainer, find_lr, read_log


def make_data(count=60):
    x = dtrain.randn(count, 4, generator=dtrain.Generator(1))
    return TensorDataset(x, (x.sum(1) > 0).long())


def make(folder=None, **options):
    dtrain.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2)
    )
    optimizer = dtrain.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    schedule = dtrain.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
    options = {"metrics": lambda: {"accuracy": Accuracy()}, "scheduler": schedule, **options}
    loader = DataLoader(make_data(), 5, shuffle=True, microbatches=4)
    return Trainer(model, optimizer, F.cross_entropy, folder, **options), loader


def train(folder=None, epochs=3, resume=None, **options):
    trainer, loader = make(folder, **options)
    history = trainer.fit(loader, DataLoader(make_data(21), 5, microbatches=4), epochs, resume)
    return digest(trainer.model.module.state_dict()), history


def test_it_is_the_plain_loop():
    dtrain.manual_seed(0)
    trainer, loader = make(scheduler=None, max_norm=0.5)
    trainer.fit(loader, epochs=2)
    other, loader = make()
    for _ in range(2):
        for step in loader.steps():
            for x, y in step:
                F.cross_entropy(other.model(x), y).backward()
            nn.utils.clip_grad_norm_(other.model.parameters(), 0.5)
            other.optimizer.step()
            other.optimizer.zero_grad()
    mine, plain = (digest(t.model.module.state_dict()) for t in (trainer, other))
    assert mine == plain


def test_any_number_of_ranks_and_a_resumed_run_have_the_same_bits_and_figures(tmp_path):
    alone, history = train()
    assert [sorted(h) for h in history] == [["accuracy", "loss", "val_accuracy", "val_loss"]] * 3
    assert history[2]["val_accuracy"] > 0.6
    assert distributed.run_ranks(3, train) == [(alone, history)] * 3
    train(tmp_path, epochs=2)
    again, rest = train(tmp_path, epochs=3, resume=tmp_path)
    assert (again, rest) == (alone, history[2:])
    log = read_log(tmp_path)
    assert log["step"] == [3, 6, 9]
    assert log["val_loss"] == [h["val_loss"] for h in history]


@pytest.mark.parametrize(
    "options", [{"ema": 0.9}, {"precision": "bfloat16"}, {"precision": "float16"}]
)
def test_options_keep_the_bits_on_any_number_of_ranks(options):
    alone, history = train(**options)
    assert distributed.run_ranks(2, lambda: train(**options)) == [(alone, history)] * 2
    assert alone != train()[0] or "ema" in options
    assert all(math.isfinite(value) for figures in history for value in figures.values())


def test_the_average_is_what_is_evaluated():
    trainer, loader = make(ema=0.9)
    trainer.fit(loader, epochs=1)
    val = DataLoader(make_data(21), 21, microbatches=1)
    figures = trainer.evaluate(val)
    trainer.average.eval()
    x, y = make_data(21).tensors
    expected = F.cross_entropy(trainer.average(x), y).item()
    assert figures["val_loss"] == pytest.approx(expected, rel=1e-6)
    trainer.average = None
    assert trainer.evaluate(val)["val_loss"] != figures["val_loss"]


def test_it_ends_early_and_keeps_the_best(tmp_path):
    trainer, loader = make(tmp_path, patience=2, keep_last=1)
    losses = iter([0.5, 0.3, 0.4, math.nan, 0.1])
    trainer.evaluate = lambda loader: {"val_loss": next(losses)}
    assert len(trainer.fit(loader, make()[1], epochs=9)) == 4
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-00000006", "step-00000012"]
    assert trainer.load_best().steps == 6


def test_a_second_fit_goes_on(tmp_path):
    trainer, loader = make(tmp_path, keep_last=1, monitor="loss")
    first = trainer.fit(loader, epochs=2)
    trainer.model.eval()
    trainer.evaluate(DataLoader(make_data(21), 5, microbatches=4))
    assert not trainer.model.module.training
    rest = trainer.fit(loader, epochs=4)
    whole, loader = make()
    assert whole.fit(loader, epochs=4) == first + rest
    assert trainer.steps == whole.steps == 12
    assert read_log(tmp_path)["step"] == [3, 6, 9, 12]
    best = min(range(4), key=lambda epoch: (first + rest)[epoch]["loss"])
    kept = sorted({3 * best + 3, 12})
    assert sorted(int(p.name[5:]) for p in tmp_path.glob("step-*")) == kept


def test_a_stop_ends_a_run_without_a_folder_too(monkeypatch):
    monkeypatch.setattr(distributed, "stop_requested", lambda: trainer.steps == 4)
    trainer, loader = make()
    with pytest.raises(SystemExit) as stopped:
        trainer.fit(loader, epochs=3)
    assert (stopped.value.code, trainer.steps) == (distributed.STOPPED, 4)


def test_callbacks_are_called_and_a_stop_leaves_a_checkpoint(tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(distributed, "stop_requested", lambda: len(seen) == 5)
    trainer, loader = make(tmp_path, after_step=lambda t: seen.append(t.steps),
                           after_epoch=lambda t: seen.append(t.figures["loss"]))  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        trainer.fit(loader, epochs=3)
    assert stopped.value.code == distributed.STOPPED
    assert (seen[:3], seen[4]) == ([1, 2, 3], 4)
    assert "stopped; to continue: resume=" in capsys.readouterr().out
    monkeypatch.undo()
    stopped_then_resumed = train(tmp_path, 3, tmp_path)[0]
    assert stopped_then_resumed == train()[0]


def test_what_cannot_be_meant_is_refused(tmp_path):
    for options, error, message in (
        ({"precision": "int8"}, ValueError, "'bfloat16' or 'float16', got 'int8'"),
        ({"ema": 1.5}, ValueError, "between 0 and 1, got 1.5"),
        ({"metrics": {"a": Accuracy()}}, TypeError, "a function that makes them"),
        ({"mode": "low"}, ValueError, "'min' or 'max'"),
        ({"patience": 0}, ValueError, "patience"),
    ):
        with pytest.raises(error, match=message):
            make(**options)
    trainer, loader = make(patience=3)
    with pytest.raises(ValueError, match="patience needs val="):
        trainer.fit(loader)
    for options in ({"monitor": "val_acc"}, {"monitor": "acc", "patience": 2}):
        other = make(**options)[0]
        with pytest.raises(ValueError, match=r"figures loss, accuracy, val_loss, .*, got '.*acc'"):
            other.fit(loader, make()[1])
        assert (other.steps, loader.epoch) == (0, 0)
    with pytest.raises(ValueError, match="train and val are one loader"):
        trainer.fit(loader, loader)
    with pytest.raises(ValueError, match="resume needs a folder"):
        make()[0].fit(loader, resume=tmp_path)
    with pytest.raises(ValueError, match="call fit first"):
        trainer.load_best()
    assert np.isfinite(trainer.model.module[0].weight.detach().numpy()).all()


@pytest.mark.slow
def test_a_search_for_the_learning_rate_changes_nothing_and_is_the_same_on_ranks(tmp_path):
    def search():
        trainer, loader = make()
        before = digest(trainer.model.module.state_dict()), loader.state_dict()
        found = find_lr(trainer.model, trainer.optimizer, F.cross_entropy, loader, 1e-4, 1e3, 40)
        assert (digest(trainer.model.module.state_dict()), loader.state_dict()) == before
        assert trainer.optimizer.param_groups[0]["lr"] == 0.2
        found.plot(tmp_path / "lr.svg")
        trainer.fit(loader, epochs=1)
        return (
            found.rates.tolist(),
            found.losses.tolist(),
            digest(trainer.model.module.state_dict()),
        )

    rates, losses, after = search()
    assert 3 < len(rates) == len(losses) <= 40
    assert rates[0] == pytest.approx(1e-4)
    trainer, loader = make()
    trainer.fit(loader, epochs=1)
    assert after == digest(trainer.model.module.state_dict())
    assert distributed.run_ranks(2, search) == [(rates, losses, after)] * 2
    trainer, loader = make()
    falls = find_lr(trainer.model, trainer.optimizer, lambda x, y: x.mean() - 9, loader, steps=20)
    assert len(falls.losses) == 20  # a loss below zero
    falling = LRSearch(np.array([1, 10, 100, 1000.0]), np.array([5, 4.9, 3, 2.95]))
    assert falling.suggestion == 10
    assert (tmp_path / "lr.svg").exists()
    with pytest.raises(ValueError, match="0 < low < high and 4 steps"):
        find_lr(trainer.model, trainer.optimizer, F.cross_entropy, loader, 1, 1)


def test_figures_of_several_numbers_are_in_the_history_and_their_numbers_in_the_log(tmp_path):
    def make_metrics():
        return {"counts": ConfusionMatrix(2), "f1": F1(2, average=None)}

    _, (figures,) = train(tmp_path, epochs=1, metrics=make_metrics)
    assert figures["val_counts"].sum().item() == 21
    log = read_log(tmp_path)
    assert [log["val_f1.0"], log["val_f1.1"]] == [[score] for score in figures["val_f1"]]
    assert not [name for name in log if "counts" in name]
    for options, message in (
        ({"monitor": "val_f1"}, "a figure of one number, got 'val_f1', of which F1 makes a list"),
        ({"monitor": "counts"}, "of which ConfusionMatrix makes a Tensor"),
        ({"metrics": lambda: {"lr": Accuracy()}}, "a metric is named 'lr', as a figure of the"),
    ):
        with pytest.raises(ValueError, match=message):
            train(tmp_path / "refused", **{"metrics": make_metrics, **options})
    assert not (tmp_path / "refused").exists()
