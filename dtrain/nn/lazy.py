"""Lazy layers: the size of the first input sets their number of input features or channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import _initialize, wrap
from dtrain.functions.creation import empty
from dtrain.nn.batch_norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _ChannelNorm,
)
from dtrain.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    _ConvNd,
)
from dtrain.nn.layers import Linear
from dtrain.nn.module import Module
from dtrain.nn.parameter import Buffer, Parameter


class _Uninitialized(Tensor):
    """A tensor with a dtype and a device, but no shape yet."""

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None):
        _initialize(self, empty(0, device=device, dtype=dtype).array, requires_grad)

    def _refuse(self) -> NoReturn:
        raise RuntimeError(
            "an uninitialized parameter or buffer of a lazy module has no shape: call the model "
            "once with data before state_dict(), load_state_dict(), an optimizer or DataParallel"
        )

    @property
    def shape(self) -> NoReturn:
        self._refuse()

    def numel(self) -> NoReturn:
        self._refuse()

    @property
    def data(self) -> Tensor:
        return wrap(self.array)

    @data.setter
    def data(self, value: Tensor) -> None:
        self.array = value.array

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is not known yet (torch.nn.UninitializedParameter)."""

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(requires_grad, device, dtype)


class UninitializedBuffer(_Uninitialized, Buffer):
    """A buffer whose shape is not known yet (torch.nn.UninitializedBuffer)."""

    persistent = True


class _Lazy(Module):
    """The base class of lazy layers: at its first call an instance turns into the layer itself.

    A subclass inherits from _Lazy first and from that layer last; `_missing` names the argument
    that the first input sets, `_dim_of_missing` the dimension of the input that sets it.
    """

    _missing: str

    def __init__(self, *args: Any, **options: Any):
        make_layer: Any = super().__init__
        make_layer(0, *args, **options)  # raises for wrong arguments
        self._arguments = args, options
        for table, kind in (
            (self._parameters, UninitializedParameter),
            (self._buffers, UninitializedBuffer),
        ):
            for name, tensor in table.items():
                if tensor is not None and tensor.ndim:
                    table[name] = kind(device=tensor.device, dtype=tensor.dtype)

    def _own_state(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in super()._own_state():
            if isinstance(tensor, _Uninitialized):
                tensor.numel()  # raises: it can neither be saved nor loaded
            yield name, tensor

    def reset_parameters(self) -> None:
        """Does nothing: the parameters are initialized when their shapes are known."""

    def has_uninitialized_params(self) -> bool:
        """Whether the parameters have no shapes yet; True until the first call."""
        return True

    def _dim_of_missing(self, input: Tensor) -> int:
        """The input's dimension that sets the missing argument; raises for a wrong input.ndim."""
        raise NotImplementedError

    def initialize_parameters(self, input: Tensor) -> None:
        """Turn into the layer for inputs of this size; the parameters stay the same objects."""
        args, options = self._arguments
        size = input.shape[self._dim_of_missing(input)]
        layer: Any = next(kind for kind in type(self).__mro__ if not issubclass(kind, _Lazy))
        whole = layer(size, *args, **options)
        for name, tensor in (*self._parameters.items(), *self._buffers.items()):
            if isinstance(tensor, _Uninitialized):
                known = getattr(whole, name)
                tensor.data = known.detach().to(tensor.device, tensor.dtype)
                tensor.__class__ = type(known)
        del self._arguments
        setattr(self, self._missing, size)
        self.__class__ = layer

    if not TYPE_CHECKING:  # type checkers see the layer's own signature

        def __call__(self, input: Tensor, *args: Any, **options: Any) -> Any:
            self.initialize_parameters(input)
            return self(input, *args, **options)


class LazyLinear(_Lazy, Linear):
    """`Linear` whose in_features is that of its first input (torch.nn.LazyLinear).

    >>> import dtrain
    >>> layer = LazyLinear(4)
    >>> layer.weight
    <UninitializedParameter>
    >>> layer(dtrain.ones(2, 3)).shape, layer
    (dtrain.Size([2, 4]), Linear(in_features=3, out_features=4, bias=True))
    """

    _missing = "in_features"

    def _dim_of_missing(self, input: Tensor) -> int:
        return -1


class _LazyConv(_Lazy, _ConvNd):
    _missing = "in_channels"

    def _dim_of_missing(self, input: Tensor) -> int:
        if input.ndim not in (self.axes + 1, self.axes + 2):
            raise RuntimeError(
                f"{type(self).__name__}: expected {self.axes + 1}D or {self.axes + 2}D input, got "
                f"shape {input.shape}"
            )
        return -self.axes - 1


class LazyConv1d(_LazyConv, Conv1d):
    """`Conv1d` with the in_channels of its first input (torch.nn.LazyConv1d)."""


class LazyConv2d(_LazyConv, Conv2d):
    """`Conv2d` with the in_channels of its first input (torch.nn.LazyConv2d)."""


class LazyConv3d(_LazyConv, Conv3d):
    """`Conv3d` with the in_channels of its first input (torch.nn.LazyConv3d)."""


class LazyConvTranspose1d(_LazyConv, ConvTranspose1d):
    """`ConvTranspose1d` with the in_channels of its first input (torch.nn.LazyConvTranspose1d)."""


class LazyConvTranspose2d(_LazyConv, ConvTranspose2d):
    """`ConvTranspose2d` with the in_channels of its first input (torch.nn.LazyConvTranspose2d)."""


class LazyConvTranspose3d(_LazyConv, ConvTranspose3d):
    """`ConvTranspose3d` with the in_channels of its first input (torch.nn.LazyConvTranspose3d)."""


class _LazyNorm(_Lazy, _ChannelNorm):
    _missing = "num_features"

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,  # for InstanceNorm, too, as in PyTorch
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _dim_of_missing(self, input: Tensor) -> int:
        if input.ndim not in self._ndims:
            expected = " or ".join(f"{n}D" for n in self._ndims)
            raise ValueError(
                f"{type(self).__name__}: expected {expected} input, got shape {input.shape}"
            )
        return self._channel_dim(input)


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """`BatchNorm1d` with the num_features of its first input (torch.nn.LazyBatchNorm1d)."""


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """`BatchNorm2d` with the num_features of its first input (torch.nn.LazyBatchNorm2d)."""


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """`BatchNorm3d` with the num_features of its first input (torch.nn.LazyBatchNorm3d)."""


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """`InstanceNorm1d` with the num_features of its first input (torch.nn.LazyInstanceNorm1d)."""


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """`InstanceNorm2d` with the num_features of its first input (torch.nn.LazyInstanceNorm2d)."""


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """`InstanceNorm3d` with the num_features of its first input (torch.nn.LazyInstanceNorm3d)."""
