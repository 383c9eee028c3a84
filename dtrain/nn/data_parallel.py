"""`DataParallel`: PyTorch's wrapper for the GPUs of one process, of which a rank has one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from dtrain.nn.module import Module


class DataParallel(Module):
    """Calls `module` on this process's one device (torch.nn.DataParallel).

    A process has one device here: the batch is not split. For several, start a rank for each by
    ``dtrain run -n N`` and wrap the model in `nn.parallel.DistributedDataParallel`, or in
    `dtrain.DataParallel`, whose results do not depend on the number of ranks.

    Parameters
    ----------
    module : the model
    device_ids, output_device : with more than one device, a warning
    dim : without effect

    >>> import dtrain
    >>> model = DataParallel(dtrain.nn.Linear(2, 1))
    >>> [name for name in model.state_dict()]
    ['module.weight', 'module.bias']
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ):
        super().__init__()
        self.module: Module = module
        self.device_ids: list[Any] = list(device_ids or [])
        self.output_device: Any = output_device
        self.dim: int = dim
        if len(self.device_ids) > 1:
            warnings.warn(
                f"nn.DataParallel: device_ids={self.device_ids}, but a process has one device "
                "here, which computes the whole batch: start a rank for each device by dtrain run "
                "-n N, and wrap the model in nn.parallel.DistributedDataParallel",
                stacklevel=2,
            )

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The output of `module`."""
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """The output of `module` on this process's one device (torch.nn.parallel.data_parallel)."""
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*arguments, **module_kwargs or {})
