"""What higher layers give a `Bucket`: the mean of the losses, and the other ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dtrain.autograd.tensor import Tensor
from dtrain.backend import Array

if TYPE_CHECKING:
    from dtrain.autograd.bucket import Bucket


class LossMean(Protocol):
    """Takes the mean over the ranks of the losses whose gradients are reduced."""

    def start(self) -> None:
        """Take the means of the losses from now on, beginning with 0."""

    def stop(self) -> float | None:
        """The sum of the means since `start`; None if no gradient was reduced."""


class Sharding(Protocol):
    """What optimizers and `clip_grad_norm_` ask of the other ranks where each of them has the
    gradients and the optimizer's state of one part of a bucket alone. Every rank calls it."""

    def is_writable(self, param: Tensor) -> bool:
        """Whether a parameter's values can be replaced: by this rank alone, or by each."""

    def load(self, param: Tensor, values: Tensor) -> None:
        """Replace a parameter's values, by the same ones on every rank."""

    def cut_between_parameters(self) -> None:
        """Let every part end between two parameters, for a rule that needs them whole."""

    def agree(self, found: bool) -> bool:
        """Whether any rank has found something."""

    def map_gradients(self, fn: Callable[[list[Tensor]], Sequence[Any]]) -> dict[int, Any]:
        """What `fn` gives of each gradient, whole and in its parameter's shape, by the parameter's
        index. On a GPU every rank computes it of all, else each rank of some."""

    def gather(self, own: Array) -> Array:
        """A whole array, (size,), from every rank's part of it."""

    def owner(self, index: int) -> int | None:
        """The rank in whose part a parameter lies, by its index; None if it lies in several."""

    def gather_cut(self, own: Array) -> dict[int, Array]:
        """Of an array in parts: the slices of parameters that lie in several parts, by index."""

    def gather_objects(self, own: dict[int, Any]) -> dict[int, Any]:
        """What every rank has, by the parameter's index."""

    def end_update(self, buckets: Sequence[Bucket]) -> None:
        """Have the values of buckets complete that every rank has updated its part of."""
