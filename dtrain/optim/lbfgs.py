"""`LBFGS`: a quasi-Newton method that calls its closure several times a step."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from dtrain.autograd import Tensor, no_grad
from dtrain.functions.joining import cat
from dtrain.optim import step_hooks
from dtrain.optim.closure import evaluate
from dtrain.optim.complex_parts import require_real
from dtrain.optim.line_search import Point, search_strong_wolfe
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import check_options
from dtrain.optim.types import Group, Params


class LBFGS(Optimizer):
    """The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno (torch.optim.LBFGS).

    Its steps go along -H grad, where H, an estimate of the inverse Hessian, comes from the last
    `history_size` changes of parameters and gradients.

    Under DataParallel the losses that it compares are means over all ranks, as the gradients are:
    all ranks take the same steps. The closure calls `backward` on the loss of this rank's batch;
    with several microbatches it loops over those of ``loader.steps()``, each time anew.

    Parameters
    ----------
    max_iter : the number of directions a step goes along, at most
    max_eval : the number of calls of the closure in a step; None: 1.25 * max_iter
    tolerance_grad : a step ends where no gradient is larger
    tolerance_change : a step ends where the loss, or each parameter, changes by no more
    line_search_fn : "strong_wolfe", or None to go by `lr` without a search

    >>> import dtrain
    >>> x = dtrain.tensor([3.0]).requires_grad_()
    >>> optimizer = LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((x - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> x
    tensor([1.], requires_grad=True)
    """

    _has_flat_state = False

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        inf = float("inf")
        check_options("LBFGS", lr=(lr, 0, inf), history_size=(history_size, 1, inf))
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError(
                f"LBFGS: expected line_search_fn None or 'strong_wolfe', got {line_search_fn!r}"
            )
        defaults = {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        #: what a step hands to the next, under PyTorch's names; it belongs to all parameters
        self._memory: dict[str, Any] = {}

    def add_param_group(self, group: Group) -> None:
        if self.param_groups:
            raise ValueError("LBFGS has one parameter group: its directions go through all of them")
        super().add_param_group(group)
        require_real("LBFGS", self.param_groups[0]["params"])

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ()

    # --- a step ---

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Go along up to `max_iter` directions; returns the first loss.

        `closure` sets the gradients to zero, computes the loss and its gradients, and returns the
        loss; it is called several times. Under DataParallel what is returned is the mean loss.
        """
        for hook in step_hooks.all_pre_hooks:
            hook(self, (self, closure), {})
        (group,) = self.param_groups
        memory = self._memory
        memory.setdefault("func_evals", 0)
        memory.setdefault("n_iter", 0)
        first, loss, grad = self._evaluate(closure)
        evaluations = 1
        memory["func_evals"] += 1
        if grad.abs().max() <= group["tolerance_grad"]:
            return first
        with no_grad():
            for iteration in range(1, group["max_iter"] + 1):
                direction = self._choose_direction(grad, group["history_size"])
                previous_loss = loss
                memory.update(prev_flat_grad=grad, prev_loss=loss)
                length = group["lr"]
                if memory["n_iter"] == 1:
                    length *= min(1.0, 1.0 / float(grad.abs().sum()))
                slope = float(grad @ direction)
                memory["t"] = length
                if slope > -group["tolerance_change"]:
                    break
                calls = 0
                if group["line_search_fn"] is not None:
                    start = Point(0.0, loss, grad, slope)
                    found, calls = self._search(closure, direction, start, length)
                    length, loss, grad = found.length, found.loss, found.grad
                    self._move(direction, length)
                else:
                    self._move(direction, length)
                    if iteration < group["max_iter"]:  # else the next step calls it
                        _, loss, grad = self._evaluate(closure)
                        calls = 1
                memory["t"] = length
                evaluations += calls
                memory["func_evals"] += calls
                if (
                    evaluations >= group["max_eval"]
                    or grad.abs().max() <= group["tolerance_grad"]
                    or (direction * length).abs().max() <= group["tolerance_change"]
                    or abs(loss - previous_loss) < group["tolerance_change"]
                ):
                    break
        return first

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[Any, float, Tensor]:
        """What the closure returns, the loss and all gradients."""
        result, loss = evaluate("LBFGS", closure, self.param_groups[0]["params"])
        return result, loss, self._gather_grad()

    def _choose_direction(self, grad: Tensor, history_size: int) -> Tensor:
        """-H grad, after the last change has been added to the history (the two-loop recursion)."""
        memory = self._memory
        memory["n_iter"] += 1
        if memory["n_iter"] == 1:
            memory.update(d=-grad, old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return memory["d"]
        changes, steps, inverses = memory["old_dirs"], memory["old_stps"], memory["ro"]
        change, step = grad - memory["prev_flat_grad"], memory["d"] * memory["t"]
        curvature = float(change @ step)
        if curvature > 1e-10:
            if len(changes) == history_size:
                for history in (changes, steps, inverses):
                    history.pop(0)
            changes.append(change)
            steps.append(step)
            inverses.append(1 / curvature)
            memory["H_diag"] = curvature / float(change @ change)
        direction, weights = -grad, [0.0] * len(changes)
        for i in reversed(range(len(changes))):
            weights[i] = float(steps[i] @ direction) * inverses[i]
            direction = direction - changes[i] * weights[i]
        direction = direction * memory["H_diag"]
        for i in range(len(changes)):
            back = float(changes[i] @ direction) * inverses[i]
            direction = direction + steps[i] * (weights[i] - back)
        memory["d"] = direction
        return direction

    def _search(
        self, closure: Callable[[], Any], direction: Tensor, start: Point, length: float
    ) -> tuple[Point, int]:
        params = self.param_groups[0]["params"]
        origin = [param.clone() for param in params]

        def measure(length: float) -> Point:
            self._move(direction, length)
            _, loss, grad = self._evaluate(closure)
            for param, values in zip(params, origin):
                param.copy_(values)
            return Point(length, loss, grad, float(grad @ direction))

        return search_strong_wolfe(measure, start, length, float(direction.abs().max()))

    def _gather_grad(self) -> Tensor:
        """A copy of all gradients in one vector; zeros where there is none."""
        return cat(
            [
                (param.new_zeros(param.shape) if param.grad is None else param.grad.detach())
                .clone()
                .reshape(-1)
                for param in self.param_groups[0]["params"]
            ]
        )

    def _move(self, direction: Tensor, length: float) -> None:
        params = self.param_groups[0]["params"]
        parts = direction.split([param.numel() for param in params])
        for param, part in zip(params, parts):
            param.add_(part.reshape(param.shape), alpha=length)

    # --- state ---

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        """What a step hands to the next, as the state of the first parameter."""
        return {self.param_groups[0]["params"][0]: self._memory} if self._memory else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore state and options; tensors are copied, to the parameters' dtype and device."""
        super().load_state_dict({**state_dict, "state": {}})
        like = self.param_groups[0]["params"][0]
        memory: dict[str, Any] = next(iter(state_dict["state"].values()), {})
        self._memory = {key: _own(value, like) for key, value in memory.items()}
        for key in {"func_evals", "n_iter"} & self._memory.keys():
            self._memory[key] = int(self._memory[key])


def _own(value: Any, like: Tensor) -> Any:
    """A copy of a part of the state; numbers that a file made tensors become numbers again."""
    if isinstance(value, (list, tuple)):
        return [_own(part, like) for part in value]
    if isinstance(value, Tensor):
        return value.to(like.device, like.dtype).clone() if value.ndim else value.item()
    return deepcopy(value)
