"""Functions that are called before each step of every optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd.hooks import HookHandle

Hook = Callable[..., Any]

all_pre_hooks: list[Hook] = []


def register_optimizer_step_pre_hook(hook: Hook) -> HookHandle:
    """Call ``hook(optimizer, args, kwargs)`` before each step of every optimizer
    (torch.optim.optimizer.register_optimizer_step_pre_hook).
    """
    all_pre_hooks.append(hook)
    return HookHandle(all_pre_hooks, hook)
