"""Load weights from files of torchvision, Hugging Face and other libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from dtrain.autograd import Tensor
from dtrain.checkpoint import load
from dtrain.errors import CheckpointError
from dtrain.nn import Module

Model = TypeVar("Model", bound=Module)

#: A file, a state dict, or None to load nothing.
Weights: TypeAlias = "str | Path | Mapping[str, Tensor] | None"


def load_weights(
    model: Model,
    weights: Weights,
    adapt: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda state: state,
) -> Model:
    """Load a state dict, or a file with one, into a model; returns the model.

    Parameters
    ----------
    weights : a `.safetensors`, `.pth`, `.pt` or `.bin` file, a state dict, or None to load nothing
    adapt : renames the file's entries to the model's

    Raises
    ------
    CheckpointError, RuntimeError
        If the file holds anything but tensors, or names or shapes differ; the model is unchanged.
    """
    if weights is None:
        return model
    state: Any = load(weights) if isinstance(weights, (str, Path)) else weights
    for wrapper in ("state_dict", "model"):  # as training scripts save it
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"{weights}: expected a state dict, tensors by name, got {type(state).__name__}"
        )
    model.load_state_dict(adapt({k.removeprefix("module."): v for k, v in state.items()}))
    return model
