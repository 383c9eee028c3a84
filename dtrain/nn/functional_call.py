"""Calls a module with other parameters and buffers than its own (torch.func.functional_call)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.recompute import repeated
from dtrain.functions.joining import stack
from dtrain.nn.deferred_updates import DeferredBufferUpdates
from dtrain.nn.module import Module

_State = Mapping[str, Tensor]
#: full name -> the table of parameters or of buffers of a module, and the name in it
_Slots = dict[str, tuple[dict[str, Any], str]]
#: a table, a name in it, and the tensor of that name
_Entry = tuple[dict[str, Any], str, Tensor]


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: _State | Sequence[_State],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with these tensors in place of its own (torch.func.functional_call).

    Gradients go to the given tensors. Buffers that the forward pass writes to, such as running
    statistics, are the given ones, where they are given.

    Parameters
    ----------
    module : the module
    parameter_and_buffer_dicts : tensors by their names in `state_dict()`, in one or several dicts;
        those that are not named are the module's own
    args, kwargs : the arguments of the module; one that is no tuple is the only one
    tie_weights : whether a tensor replaces its module's own under all of its names
    strict : whether a name that is missing or unknown is refused

    Raises
    ------
    RuntimeError
        If `strict` and names are missing or unknown.
    ValueError
        If a name is in several dicts, or tied names have different tensors.

    Examples
    --------
    >>> import dtrain
    >>> layer = dtrain.nn.Linear(2, 1, bias=False)
    >>> functional_call(layer, {"weight": dtrain.tensor([[1.0, 2.0]])}, dtrain.ones(1, 2))
    tensor([[3.]])
    """
    given = _merge(parameter_and_buffer_dicts)
    slots = _find_slots(module)
    _check_names(module, given, slots, strict)
    if tie_weights:
        given = _tie(given, slots)
    arguments = args if isinstance(args, tuple) else () if args is None else (args,)
    entries = [(*slots[name], x) for name, x in given.items() if name in slots]
    with repeated(lambda: replaced(module, entries)):
        return module(*arguments, **(kwargs or {}))


def _find_slots(module: Module) -> _Slots:
    """Where the tensors of a module are, by their names in its state dict."""
    return {
        f"{prefix}.{name}" if prefix else name: (table, name)
        for prefix, owner in module.named_modules(remove_duplicate=False)
        for table in (owner._parameters, owner._buffers)
        for name, tensor in table.items()
        if tensor is not None
    }


def _merge(states: _State | Sequence[_State]) -> dict[str, Tensor]:
    if isinstance(states, Mapping):
        return dict(states)
    if not isinstance(states, Sequence) or not all(isinstance(s, Mapping) for s in states):
        raise ValueError(
            "functional_call: expected a dict of tensors or a list of dicts, got "
            f"{type(states).__name__}"
        )
    merged: dict[str, Tensor] = {}
    for state in states:
        if twice := sorted(merged.keys() & state.keys()):
            raise ValueError(f"functional_call: {twice} are in several of the dicts")
        merged.update(state)
    return merged


def _check_names(module: Module, given: _State, slots: _Slots, strict: bool) -> None:
    if not strict:
        return
    unknown, missing = sorted(given.keys() - slots.keys()), sorted(slots.keys() - given.keys())
    if unknown or missing:
        raise RuntimeError(
            f"functional_call of {type(module).__name__}: unexpected names {unknown}, missing "
            f"names {missing}; strict=False takes the module's own for these"
        )


def _tie(given: dict[str, Tensor], slots: _Slots) -> dict[str, Tensor]:
    """The given tensors, under all names of those of the module that they replace."""
    names: dict[int, list[str]] = {}
    for name, (table, key) in slots.items():
        names.setdefault(id(table[key]), []).append(name)
    tied = dict(given)
    for group in names.values():
        values = {id(given[name]): given[name] for name in group if name in given}
        if len(values) > 1:
            raise ValueError(
                f"functional_call: {[n for n in group if n in given]} are one tensor in the "
                "module; give one tensor for them, or tie_weights=False"
            )
        for value in values.values():
            tied.update(dict.fromkeys(group, value))
    return tied


@contextlib.contextmanager
def replaced(module: Module, entries: list[_Entry]) -> Iterator[None]:
    """Context manager: write these entries to a module's tables, then its own again."""
    own = [(table, name, table[name]) for table, name, _ in entries]
    changed = {id(table) for table, _, _ in entries}
    deferred = [
        (m, m.pending_updates)
        for m in module.modules()
        if isinstance(m, DeferredBufferUpdates) and id(m._buffers) in changed
    ]
    for layer, _ in deferred:
        layer.pending_updates = None  # which would be applied to the module's own buffers
    try:
        _write(entries)
        yield
    finally:
        _write(own)
        for layer, pending in deferred:
            layer.pending_updates = pending


def _write(entries: list[_Entry]) -> None:
    for table, name, tensor in entries:
        dict.__setitem__(table, name, tensor)  # no change of the module's parameters


def stack_module_state(
    models: Sequence[Module],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of equal models, stacked (torch.func.stack_module_state)."""
    if not models:
        raise RuntimeError("stack_module_state: expected at least one model, got none")
    if len({type(model) for model in models}) > 1:
        raise RuntimeError("stack_module_state: expected models of one class")
    params = [dict(model.named_parameters()) for model in models]
    buffers = [dict(model.named_buffers()) for model in models]
    return (
        {name: stack([p[name].detach() for p in params]).requires_grad_() for name in params[0]},
        {name: stack([b[name] for b in buffers]) for name in buffers[0]},
    )
