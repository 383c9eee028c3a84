"""Running averages of a model's weights (torch.optim.swa_utils).

As in PyTorch `AveragedModel`, a module, stands among the optimizers; no other file of
`dtrain.optim` imports `dtrain.nn`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from dtrain.autograd import Tensor, no_grad
from dtrain.functions.creation import tensor
from dtrain.nn import Module
from dtrain.optim.lr_scheduler import LRScheduler
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_number

Average = Callable[[Tensor, Tensor, Any], Tensor]
ManyAverages = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """Exponential moving average: decay * average + (1 - decay) * weight."""
    return lambda average, weight, count: average + (weight - average) * (1 - decay)


def get_swa_avg_fn() -> Average:
    """Equal-weight average: the mean of all weights so far."""
    return lambda average, weight, count: average + (weight - average) / (count + 1)


def get_ema_multi_avg_fn(decay: float = 0.999) -> ManyAverages:
    """`get_ema_avg_fn` for lists of tensors, in place."""
    return _in_place(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> ManyAverages:
    """`get_swa_avg_fn` for lists of tensors, in place."""
    return _in_place(get_swa_avg_fn())


def _in_place(average: Average) -> ManyAverages:
    @no_grad
    def update(averages: Sequence[Tensor], weights: Sequence[Tensor], count: Any) -> None:
        for mean, weight in zip(averages, weights):
            mean.copy_(average(mean, weight, count))

    return update


class AveragedModel(Module):
    """A copy of a model that holds the average of its weights (torch.optim.swa_utils.AveragedModel;
    Izmailov et al. 2018).

    Parameters
    ----------
    avg_fn : (average, weight, number averaged so far) -> new average; their mean if None
    multi_avg_fn : the same for lists of tensors, updating the averages in place
    use_buffers : average the buffers too; else copy the newest

    >>> import dtrain
    >>> model = dtrain.nn.Linear(1, 1)
    >>> averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    >>> averaged.update_parameters(model)  # after each step of the optimizer
    """

    module: Module
    avg_fn: Average | None
    multi_avg_fn: ManyAverages | None
    use_buffers: bool

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: ManyAverages | None = None,
        use_buffers: bool = False,
    ):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, device=device))
        self.avg_fn, self.multi_avg_fn = avg_fn, multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad
    def update_parameters(self, model: Module) -> None:
        """Add the weights of `model` to the average."""
        own, new = self._averaged(self.module), self._averaged(model)
        new = [weight.detach().to(mean.device) for mean, weight in zip(own, new)]
        if self.n_averaged:
            update = self.multi_avg_fn or _in_place(self.avg_fn or get_swa_avg_fn())
            update(own, new, self.n_averaged)
        else:
            for mean, weight in zip(own, new):
                mean.copy_(weight)
        if not self.use_buffers:
            for mine, buffer in zip(self.module.buffers(), model.buffers()):
                mine.copy_(buffer.detach().to(mine.device))
        self.n_averaged += 1

    def _averaged(self, model: Module) -> list[Tensor]:
        tensors = [param.detach() for param in model.parameters()]
        return [*tensors, *model.buffers()] if self.use_buffers else tensors


@no_grad
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Recompute the running statistics of BatchNorm layers in one pass over the data."""
    layers = [module for module in model.modules() if hasattr(module, "reset_running_stats")]
    momenta = [layer.momentum for layer in layers]
    if not layers:
        return
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneal from the present rate to `swa_lr` in `anneal_epochs` epochs, along a cosine or a line
    (torch.optim.swa_utils.SWALR).
    """

    anneal_epochs: int

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ):
        groups = len(optimizer.param_groups)
        rates = list(swa_lr) if isinstance(swa_lr, (list, tuple)) else [swa_lr] * groups
        if len(rates) != groups:
            raise ValueError(
                f"SWALR: expected {groups} rates, one for each parameter group, got {swa_lr}"
            )
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: expected 'cos' or 'linear', got {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: expected anneal_epochs >= 0, got {anneal_epochs}")
        for group, rate in zip(optimizer.param_groups, rates):
            group["swa_lr"] = as_number("SWALR: swa_lr", rate)
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _weight(self, step: int) -> float:
        """The weight of swa_lr in the rate after `step` epochs."""
        part = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return part if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * part)) / 2

    def get_lr(self) -> list[float]:
        """The rates after the steps of this schedule, computed from the previous ones."""
        step = self._step_count - 1 if self.anneal_epochs else max(1, self._step_count - 1)
        before, now = self._weight(step - 1), self._weight(step)
        rates = []
        for index, group in enumerate(self.optimizer.param_groups):
            if "swa_lr" not in group:
                raise ValueError(
                    f"SWALR: parameter group {index} has no 'swa_lr': it was added after the "
                    "schedule was made; give it one"
                )
            end = group["swa_lr"]
            start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
