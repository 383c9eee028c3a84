"""Modules as functions of their parameters (torch.func)."""

from dtrain.nn.functional_call import (
    functional_call as functional_call,
    stack_module_state as stack_module_state,
)
