"""`Trainer`: a training loop with metrics, logs and checkpoints, in plain loops to copy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from dtrain import distributed
from dtrain.amp import GradScaler, autocast
from dtrain.autograd import Tensor, no_grad
from dtrain.checkpoint import Stateful
from dtrain.data import DataLoader
from dtrain.nn import Module
from dtrain.nn.utils import clip_grad_norm_
from dtrain.optim import Optimizer
from dtrain.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from dtrain.parallel import DataParallel
from dtrain.train.checkpoints import Checkpoints
from dtrain.train.early_stopping import EarlyStopping
from dtrain.train.figures import select_numbers
from dtrain.train.logs import Logs
from dtrain.train.mean import Mean
from dtrain.train.progress import Progress
from dtrain.train.trainer_options import check_loaders, check_metrics, check_options

Metrics = Mapping[str, Any]
Callback = Callable[["Trainer"], object]


class Trainer:
    """Trains a model on all ranks, and evaluates, logs, saves and resumes it.

    Each epoch trains on the steps of a loader, evaluates on another one, logs the figures of all
    ranks and saves a checkpoint. A run that is asked to stop (SIGTERM) saves and exits with
    ``distributed.STOPPED``; a restarted one goes on from its newest checkpoint.

    Parameters
    ----------
    model : a Module, or a DataParallel of one
    optimizer : of the model's parameters
    loss : (output, target) -> mean loss of the batch
    folder : for checkpoints and logs; None: none are written
    metrics : by name, each with ``update(output, target)``; training and validation have one each.
        The log has their numbers; `history` all, such as the counts of a ConfusionMatrix
    scheduler : stepped after each step of the optimizer
    max_norm : gradients are clipped to this norm
    precision : None, "bfloat16" or "float16", of autocast
    ema : decay of an average of the weights, which is evaluated instead of the model, and saved
    monitor, mode : the figure that is best where it is lowest ("min") or highest ("max")
    patience : epochs without a better figure after which training ends; None: never
    keep_last, every_steps : of `Checkpoints`
    after_step, after_epoch : called with the trainer after each step and each epoch, on each rank
    config : options of the run, for run.json

    Attributes
    ----------
    steps, epoch : int
        How many steps of the optimizer have been made; the current epoch, from 0.
    figures : dict by name
        The last epoch's: "loss" and the metrics, and "val_loss" and so on of the validation.
    history : list of dict
        The figures of this call's epochs.

    Examples
    --------
    >>> import dtrain
    >>> from dtrain.nn import functional as F
    >>> _ = dtrain.manual_seed(0)
    >>> x = dtrain.randn(64, 2)
    >>> data = dtrain.data.TensorDataset(x, (x[:, 0] > 0).long())
    >>> train, val = (dtrain.data.DataLoader(data, 16, microbatches=1) for _ in range(2))
    >>> model = dtrain.nn.Linear(2, 2)
    >>> optimizer = dtrain.optim.SGD(model.parameters(), lr=1.0)
    >>> trainer = Trainer(model, optimizer, F.cross_entropy)
    >>> history = trainer.fit(train, val, epochs=2)
    epoch 1/2 ...
    epoch 2/2 ...
    >>> history[1]["val_loss"] < history[0]["loss"]
    True
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: Callable[[Any, Any], Tensor],
        folder: str | Path | None = None,
        *,
        metrics: Callable[[], Metrics] = dict,
        scheduler: Any = None,
        max_norm: float | None = None,
        precision: str | None = None,
        ema: float | None = None,
        monitor: str = "val_loss",
        mode: str = "min",
        patience: int | None = None,
        keep_last: int | None = 3,
        every_steps: int | None = None,
        after_step: Callback | None = None,
        after_epoch: Callback | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        check_options(metrics, precision, ema)
        self.model: Any = model if isinstance(model, DataParallel) else DataParallel(model)
        self.optimizer: Optimizer = optimizer
        self.loss: Callable[[Any, Any], Tensor] = loss
        self.scheduler: Any = scheduler
        self.max_norm: float | None = max_norm
        self.precision: str | None = precision
        self.scaler: GradScaler = GradScaler(self._device_type, enabled=precision == "float16")
        self.average: AveragedModel | None = (
            None if ema is None else _make_average(self.model.module, ema)
        )
        self.monitor: str = monitor
        self.stopping: EarlyStopping = EarlyStopping(
            sys.maxsize if patience is None else patience, mode
        )
        self.after_step: Callback | None = after_step
        self.after_epoch: Callback | None = after_epoch
        self.steps: int = 0
        self.epoch: int = 0
        self.figures: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self._make_metrics = metrics
        self._folder = folder
        self._logs = None if folder is None else Logs(folder, config=config)
        self._checkpoints: Checkpoints | None = None
        self._options: dict[str, Any] = {
            "keep_last": keep_last,
            "mode": mode,
            "every_steps": every_steps,
        }

    def fit(
        self,
        train: DataLoader,
        val: DataLoader | None = None,
        epochs: int = 1,
        resume: str | Path | None = None,
    ) -> list[dict[str, Any]]:
        """Train up to `epochs` epochs in all; returns the figures of each epoch of this call.

        Parameters
        ----------
        train : its `microbatches` are accumulated for each step
        val : evaluated after each epoch; another loader than `train`, whose epochs count
        epochs : of the whole run; those of a resumed checkpoint count
        resume : a checkpoint's or a run's folder to begin from
        """
        check_loaders(train, val)
        is_patient = self.stopping.patience < sys.maxsize
        check_metrics(self._make_metrics(), self.monitor, val is not None, is_patient)
        self.history = []
        saved = self._checkpoints = self._make_checkpoints(train)
        if saved is not None:
            self.steps = saved.resume(resume) or self.steps
        elif resume is not None:
            raise ValueError("Trainer.fit: resume needs a folder: Trainer(..., folder=...)")
        with saved or nullcontext(), self._logs or nullcontext():
            for self.epoch in range(train.epoch, epochs):
                if self.stopping.should_stop:
                    break
                self._train_epoch(train, f"epoch {self.epoch + 1}/{epochs}", val, saved)
                self.history.append(self.figures)
                if self._logs is not None:
                    lr = self.optimizer.param_groups[0]["lr"]
                    numbers = select_numbers(self.figures)
                    self._logs.log(self.steps, **numbers, lr=lr, epoch=self.epoch + 1)
                monitored = {n: v for n, v in self.figures.items() if n == self.monitor}
                if monitored:
                    self.stopping.update(monitored[self.monitor])
                if saved is not None:
                    saved.save(self.steps, **monitored)
                if self.after_epoch is not None:
                    self.after_epoch(self)
        return self.history

    def _train_epoch(
        self, train: DataLoader, title: str, val: DataLoader | None, saved: Checkpoints | None
    ) -> None:
        """One epoch: the loop that a reader may want to copy."""
        mean_loss, metrics = Mean(), self._make_metrics()
        self.model.train()
        with Progress(title, len(train)) as progress:
            for step in train.steps():
                for x, y in step:
                    with self._autocast():
                        output = self.model(x)
                        loss = self.loss(output, y)
                    self.scaler.scale(loss).backward()
                    mean_loss.update(loss.detach(), len(y))
                    for metric in metrics.values():
                        metric.update(output.detach(), y)
                self._step_optimizer()
                samples = (train.batch_size or 1) * train.microbatches
                progress.advance(samples, loss=mean_loss, **metrics)
                self._finish_step(saved)
            if val is not None:
                progress.show(**self.evaluate(val))
        self.figures = progress.figures

    def _step_optimizer(self) -> None:
        if self.max_norm is not None:
            self.scaler.unscale_(self.optimizer)
            clip_grad_norm_(self.model.parameters(), self.max_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.scheduler is not None:
            self.scheduler.step()
        if self.average is not None:
            self.average.update_parameters(self.model.module)
        self.steps += 1

    def _finish_step(self, saved: Checkpoints | None) -> None:
        """Run the callback, save a checkpoint if it is due, exit if the run is asked to stop."""
        if self.after_step is not None:
            self.after_step(self)
        if distributed.stop_requested():
            if saved is not None:
                folder = saved.save(self.steps)
                saved.wait()
                if distributed.rank() == 0:
                    print(f"stopped; to continue: resume={str(folder)!r}")
            sys.exit(distributed.STOPPED)
        if saved is not None:
            saved.save_if_due(self.steps)

    def load_best(self) -> Trainer:
        """Load the checkpoint with the best figure; returns this trainer."""
        if self._checkpoints is None:
            raise ValueError("Trainer.load_best: call fit first, with a folder for checkpoints")
        self.steps = self._checkpoints.load_best()
        return self

    @distributed.recoverable
    def evaluate(self, loader: DataLoader, metrics: Metrics | None = None) -> dict[str, Any]:
        """The mean loss and the metrics over the samples of all ranks, as "val_loss" and so on.

        Parameters
        ----------
        metrics : computed instead of the trainer's; they are reset
        """
        model = self.model.module if self.average is None else self.average
        mean_loss, metrics = Mean(), self._make_metrics() if metrics is None else metrics
        for metric in metrics.values():
            metric.reset()
        was_training = model.training
        model.eval()
        try:
            with no_grad():
                for step in loader.steps():
                    for x, y in step:
                        with self._autocast():
                            output = model(x)
                            loss = self.loss(output, y)
                        mean_loss.update(loss, len(y))
                        for metric in metrics.values():
                            metric.update(output, y)
        finally:
            model.train(was_training)
        figures = {"loss": mean_loss, **metrics}
        return {f"val_{name}": figure.compute() for name, figure in figures.items()}

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision is None:
            return nullcontext()
        return autocast(self._device_type, dtype=self.precision)

    @property
    def _device_type(self) -> str:
        return next(self.model.parameters()).device.type

    def _make_checkpoints(self, train: DataLoader) -> Checkpoints | None:
        if self._folder is None:
            return None
        objects: dict[str, Stateful] = {
            "model": self.model.module, "optimizer": self.optimizer, "loader": train,
            "scaler": self.scaler, "stopping": self.stopping,
        }  # fmt: skip
        if self.scheduler is not None:
            objects["scheduler"] = self.scheduler
        if self.average is not None:
            objects["average"] = self.average
        made = Checkpoints(self._folder, objects, monitor=self.monitor, **self._options)
        if self._checkpoints is not None:  # of an earlier call of `fit`
            made.load_state_dict(self._checkpoints.state_dict())
        return made


def _make_average(model: Module, decay: float) -> AveragedModel:
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
