"""`GradScaler`: losses are scaled so that small gradients do not vanish in float16."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, overload

import numpy as np

from dtrain.autograd.bucket import Bucket, make_buckets
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, cuda_device_count, on_device_of, pieces
from dtrain.backend.dtypes import float16, float32, is_half
from dtrain.optim.optimizer import Optimizer

#: The number of gradients that are unscaled at once, so that they stay in a CPU's cache.
BLOCK = 1 << 15


class OptState(enum.Enum):
    """How far an optimizer is in a step."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class _Progress:
    """The state of an optimizer since the last `update`."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer  # kept alive, so that no other object gets its id
        self.stage = OptState.READY
        self.found_inf: bool | None = None


class GradScaler:
    """Scale losses, and unscale gradients before an optimizer's step (torch.amp.GradScaler;
    Micikevicius et al. 2018).

    A step whose gradients have an infinity or NaN is skipped, and the scale is multiplied by
    `backoff_factor`; after `growth_interval` steps without, by `growth_factor`. All ranks decide
    alike: DataParallel's gradients are reduced before, and where each rank has a shard of them
    (ZeroRedundancyOptimizer) the ranks ask each other.

    Parameters
    ----------
    device : "cuda", which without a GPU disables the scaler, or "cpu"
    enabled : False makes `scale` and `unscale_` do nothing, and `step` step

    >>> import dtrain
    >>> layer = dtrain.nn.Linear(2, 1)
    >>> optimizer = dtrain.optim.SGD(layer.parameters(), lr=0.1)
    >>> scaler = GradScaler("cpu")
    >>> scaler.scale(layer(dtrain.ones(1, 2)).sum()).backward()
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> scaler.get_scale()
    65536.0
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if enabled and device == "cuda" and not cuda_device_count():
            warnings.warn(
                "GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2
            )
            enabled = False
        if enabled and growth_factor <= 1.0:
            raise AssertionError(f"The growth factor must be > 1.0., got {growth_factor}")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError(f"The backoff factor must be < 1.0., got {backoff_factor}")
        self._enabled = enabled
        self._scale = float(np.float32(init_scale))
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        self._has_scaled = False
        self._progress: dict[int, _Progress] = {}

    # --- a step ---

    @overload
    def scale(self, outputs: Tensor) -> Tensor: ...

    @overload
    def scale(self, outputs: Iterable[Tensor]) -> Iterable[Tensor]: ...

    def scale(self, outputs: Any) -> Any:
        """The loss, or a sequence of losses, times the scale; itself if the scaler is disabled."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            self._has_scaled = True
            with on_device_of(outputs.array):
                return outputs * wrap(array_module(outputs.array).asarray(self._scale, float32))
        if isinstance(outputs, Iterable) and not isinstance(outputs, (str, bytes)):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError(
            f"outputs must be a Tensor or an iterable of Tensors, got {type(outputs).__name__}"
        )

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, before they are clipped.

        Raises
        ------
        RuntimeError
            If it was called already, or the optimizer has stepped, since the last `update`.
        """
        if not self._enabled:
            return
        self._require_scaled("unscale_")
        progress = self._progress_of(optimizer)
        if progress.stage is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if progress.stage is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        found = _unscale(optimizer, self._scale)
        progress.found_inf = optimizer._agree_on_found_inf(found)
        progress.stage = OptState.UNSCALED

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)` with unscaled gradients, unless one is not finite.

        Raises
        ------
        RuntimeError
            If it was called already since the last `update`, or with a closure.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if args or "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._require_scaled("step")
        progress = self._progress_of(optimizer)
        if progress.stage is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if progress.stage is OptState.READY:
            self.unscale_(optimizer)
        result = None if progress.found_inf else optimizer.step(**kwargs)
        progress.stage = OptState.STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """End a step: lower the scale if a gradient was not finite, raise it after many steps.

        Given a `new_scale`, the scale is that.
        """
        if not self._enabled:
            return
        self._require_scaled("update")
        if new_scale is not None:
            if isinstance(new_scale, Tensor) and (
                new_scale.numel() != 1 or new_scale.requires_grad
            ):
                raise AssertionError(
                    "new_scale should be a float or a 1-element tensor with requires_grad=False, "
                    f"got shape {new_scale.shape}, requires_grad={new_scale.requires_grad}"
                )
            self._scale = float(np.float32(float(new_scale)))
        else:
            found = [p.found_inf for p in self._progress.values() if p.found_inf is not None]
            if not found:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._update_scale(any(found))
        self._progress.clear()

    def _update_scale(self, found_inf: bool) -> None:
        if found_inf:
            self._scale = float(np.float32(self._scale * self._backoff_factor))
            self._growth_tracker = 0
            return
        self._growth_tracker += 1
        if self._growth_tracker == self._growth_interval:
            with np.errstate(over="ignore"):
                grown = float(np.float32(self._scale * self._growth_factor))
            self._scale = grown if np.isfinite(grown) else self._scale
            self._growth_tracker = 0

    def _progress_of(self, optimizer: Optimizer) -> _Progress:
        return self._progress.setdefault(id(optimizer), _Progress(optimizer))

    def _require_scaled(self, name: str) -> None:
        if not self._has_scaled:
            raise AssertionError(
                f"Attempted {name} but no loss was scaled: this may indicate your script did not "
                "use scaler.scale(loss or outputs) earlier in the iteration."
            )

    # --- settings ---

    def get_scale(self) -> float:
        """The current scale; 1.0 if the scaler is disabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by after `growth_interval` steps."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set the growth factor."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a skipped step."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set the backoff factor."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """The number of steps in a row after which the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the growth interval."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether losses are scaled."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale and how it changes, as PyTorch's; empty if the scaler is disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; nothing if the scaler is disabled."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        missing = self.state_dict().keys() - state_dict.keys()
        if missing:
            raise KeyError(f"GradScaler: the state dict has no {', '.join(sorted(missing))}")
        self._scale = float(state_dict["scale"])
        self._growth_factor = float(state_dict["growth_factor"])
        self._backoff_factor = float(state_dict["backoff_factor"])
        self._growth_interval = int(state_dict["growth_interval"])
        self._growth_tracker = int(state_dict["_growth_tracker"])

    def __getstate__(self) -> dict[str, Any]:
        if self._progress:
            raise AssertionError(
                "A GradScaler instance may only be pickled at the beginning of an iteration, or "
                "at the end after scaler.update()."
            )
        return vars(self)


def _unscale(optimizer: Optimizer, scale: float) -> bool:
    """Divide the gradients by the scale; returns whether any was infinity or NaN."""
    params = [param for group in optimizer.param_groups for param in group["params"]]
    buckets = make_buckets(params)
    for bucket in buckets:
        if bucket.before_step is not None:
            bucket.before_step()
    filled = [param for param in params if param._grad is not None]
    if any(param._grad.array.dtype == float16 for param in filled):
        raise ValueError(
            "Attempting to unscale FP16 gradients: the parameters are float16; keep them in "
            "float32, and compute in float16 under autocast"
        )
    inverse = np.float32(1 / scale)
    found = False
    with np.errstate(all="ignore"):
        for bucket, start, stop in _ranges(filled):
            flat, first = bucket.grads.flat, bucket.grads.start
            with on_device_of(flat):
                for part in pieces(flat, BLOCK, start - first, stop - first):
                    found = _unscale_array(flat[part], inverse) or found
    return found


def _ranges(params: Iterable[Tensor]) -> Iterator[tuple[Bucket, int, int]]:
    """The ranges of the parameters' gradients in their buckets, of those that this rank updates."""
    for param in params:
        bucket = param._bucket
        assert bucket is not None
        start, own = bucket.starts[param._bucket_index], bucket.update_range
        low, high = max(start, own.start), min(start + param.numel(), own.stop)
        if low < high:
            yield bucket, low, high


def _unscale_array(grad: Array, inverse: np.float32) -> bool:
    """Multiply gradients by `inverse` in place; returns whether any was infinity or NaN."""
    xp = array_module(grad)
    wide = grad.astype(float32) if is_half(grad.dtype) else grad
    found = not bool(xp.isfinite(wide.sum())) and not bool(xp.isfinite(wide).all())
    if inverse != 1:
        wide *= inverse
        if wide is not grad:
            grad[...] = wide
    return found
