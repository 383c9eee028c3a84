"""Recurrent layers: RNN, LSTM and GRU over sequences; recurrent_cells.py has their single steps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from dtrain.autograd import Tensor
from dtrain.functions.creation import empty, zeros
from dtrain.functions.joining import cat, stack
from dtrain.nn import functional as F, init
from dtrain.nn.functional.recurrent import GATES, rnn_mode, run_direction
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter
from dtrain.nn.utils.rnn import PackedSequence

#: Padded or packed sequences; the output is of the same type as the input.
Sequences = TypeVar("Sequences", Tensor, PackedSequence)


class RNNBase(Module):
    """The base class of RNN, LSTM and GRU (torch.nn.RNNBase).

    Shape: (t, n, input_size), with `batch_first` (n, t, input_size), without a batch
    (t, input_size), or a PackedSequence, to the same with hidden_size * directions features.
    Initial and final states: (num_layers * directions, n, hidden_size); zeros by default.
    Parameters are initialized uniformly in +-1 / sqrt(hidden_size).
    """

    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        _check_options(input_size, hidden_size, num_layers, dropout, proj_size)
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        self.proj_size = proj_size
        rows, width = GATES[mode] * hidden_size, proj_size or hidden_size
        self._suffixes = [
            f"_l{layer}{direction}"
            for layer in range(num_layers)
            for direction in (("", "_reverse") if bidirectional else ("",))
        ]
        self._names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if bias else [])]
        self._names += ["weight_hr"] if proj_size else []
        for suffix in self._suffixes:
            inputs = input_size if suffix.startswith("_l0") else width * (1 + bidirectional)
            shapes = {
                "weight_ih": (rows, inputs), "weight_hh": (rows, width), "bias_ih": (rows,),
                "bias_hh": (rows,), "weight_hr": (proj_size, hidden_size),
            }  # fmt: skip
            for name in self._names:
                param = Parameter(empty(shapes[name], device=device, dtype=dtype))
                self.register_parameter(name + suffix, param)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialize the parameters again."""
        bound = 1 / math.sqrt(self.hidden_size)
        for param in self.parameters():
            init.uniform_(param, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing; in PyTorch it prepares cuDNN's memory layout."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each direction of each layer."""
        return [list(self._weights(suffix).values()) for suffix in self._suffixes]

    def _weights(self, suffix: str) -> dict[str, Parameter]:
        return {name: getattr(self, name + suffix) for name in self._names}

    def _run(
        self,
        input: Tensor | PackedSequence,
        states: tuple[Tensor, ...] | None,
        widths: Sequence[int],
    ) -> tuple[Any, list[Tensor]]:
        """Run all layers. Returns the output, packed if `input` is, and the final states, each
        (num_layers * directions, n, width)."""
        order = input.sorted_indices if isinstance(input, PackedSequence) else None
        data, batch_sizes = self._as_packed(input)
        if states is None:
            count, n = len(self._suffixes), batch_sizes[0]
            first = [zeros(n, w, dtype=data.dtype, device=data.device) for w in widths]
            starts = [first] * count
        else:
            self._check_states(states, widths, batch_sizes[0], input)
            if not isinstance(input, PackedSequence) and input.ndim == 2:
                states = tuple(state.unsqueeze(1) for state in states)
            if order is not None:
                states = tuple(state.index_select(1, order) for state in states)
            starts = [[state[k] for state in states] for k in range(len(self._suffixes))]
        data, ends = self._run_layers(data, starts, batch_sizes)
        last = [stack(parts) for parts in zip(*ends)]
        if isinstance(input, PackedSequence):
            if input.unsorted_indices is not None:
                last = [state.index_select(1, input.unsorted_indices) for state in last]
            return input._replace(data=data), last
        out = data.reshape(len(batch_sizes), batch_sizes[0], data.shape[1])
        if input.ndim == 2:
            return out.squeeze(1), [state.squeeze(1) for state in last]
        return out.transpose(0, 1) if self.batch_first else out, last

    def _run_layers(
        self, data: Tensor, starts: Sequence[Sequence[Tensor]], batch_sizes: Sequence[int]
    ) -> tuple[Tensor, list[list[Tensor]]]:
        directions = 1 + self.bidirectional
        ends = []
        for first in range(0, len(self._suffixes), directions):
            outs = []
            for k in range(first, first + directions):
                out, last = run_direction(
                    self.mode, data, starts[k], self._weights(self._suffixes[k]), batch_sizes,
                    reverse=k > first,
                )  # fmt: skip
                outs.append(out)
                ends.append(last)
            data = cat(outs, 1) if self.bidirectional else outs[0]
            if first + directions < len(self._suffixes):
                data = F.dropout(data, self.dropout, self.training)
        return data, ends

    def _as_packed(self, input: Tensor | PackedSequence) -> tuple[Tensor, tuple[int, ...]]:
        """Check and pack the input: data (sum of lengths, input_size), and the number of sequences
        at each step."""
        name = type(self).__name__
        x = input.data if isinstance(input, PackedSequence) else input
        weight = self.weight_ih_l0
        if not isinstance(input, PackedSequence) and x.ndim not in (2, 3):
            raise ValueError(f"{name}: expected input of 2 or 3 dimensions, got shape {x.shape}")
        if x.dtype != weight.dtype:
            raise ValueError(
                f"{name}: input of dtype {x.dtype} does not match the weights, {weight.dtype}; "
                f"use input.to({weight.dtype}) or model.to({x.dtype})"
            )
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input.size(-1) must be equal to input_size={self.input_size}, "
                f"got shape {x.shape}"
            )
        if isinstance(input, PackedSequence):
            return x, tuple(input.batch_sizes.tolist())
        if x.ndim == 2:
            x = x.unsqueeze(1)
        elif self.batch_first:
            x = x.transpose(0, 1)
        steps, n = x.shape[:2]
        if not steps:
            raise RuntimeError(f"{name}: expected sequences of at least one step, got {x.shape}")
        return x.reshape(steps * n, x.shape[2]), (n,) * steps

    def _check_states(
        self,
        states: Sequence[Tensor],
        widths: Sequence[int],
        n: int,
        input: Tensor | PackedSequence,
    ) -> None:
        one = not isinstance(input, PackedSequence) and input.ndim == 2
        for state, width, label in zip(states, widths, ("hidden state", "cell state")):
            count = len(self._suffixes)
            expected = (count, width) if one else (count, n, width)
            if state.shape != expected:
                raise RuntimeError(
                    f"{type(self).__name__}: expected the {label} to have shape {expected}, "
                    f"got {tuple(state.shape)}"
                )

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False),
            ("dropout", 0), ("bidirectional", False),
        ):  # fmt: skip
            value = getattr(self, name)
            text += "" if value == usual else f", {name}={value}"
        return text


def _check_options(
    input_size: int, hidden_size: int, num_layers: int, dropout: float, proj_size: int
) -> None:
    if not isinstance(dropout, (int, float)) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(f"dropout should be a probability between 0 and 1, got {dropout!r}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(value, int):
            raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
    if min(input_size, hidden_size, num_layers) < 1:
        raise ValueError(
            "input_size, hidden_size and num_layers must be greater than zero, got "
            f"{input_size}, {hidden_size} and {num_layers}"
        )
    if not 0 <= proj_size < hidden_size:
        raise ValueError(
            f"proj_size has to be smaller than hidden_size={hidden_size}, or 0, got {proj_size}"
        )
    if dropout and num_layers == 1:
        warnings.warn(
            "dropout is applied between recurrent layers: it does nothing with num_layers=1, "
            f"got dropout={dropout}",
            stacklevel=4,
        )


class _HiddenStateRNN(RNNBase):
    """A recurrent layer whose state is h alone."""

    if TYPE_CHECKING:  # mypy does not carry forward's type variable through Module.__call__

        def __call__(  # type: ignore[override]
            self, input: Sequences, hx: Tensor | None = None
        ) -> tuple[Sequences, Tensor]:
            """Call `forward` and the hooks."""

    def forward(self, input: Sequences, hx: Tensor | None = None) -> tuple[Sequences, Tensor]:
        out, (h,) = self._run(input, None if hx is None else (hx,), (self.hidden_size,))
        return out, h


class RNN(_HiddenStateRNN):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), or with relu instead of tanh
    (torch.nn.RNN; Elman 1990).

    >>> import dtrain
    >>> out, last = RNN(4, 6, num_layers=2)(dtrain.ones(5, 3, 4))
    >>> out.shape, last.shape
    (dtrain.Size([5, 3, 6]), dtrain.Size([2, 3, 6]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            rnn_mode(nonlinearity), input_size, hidden_size, num_layers, bias, batch_first,
            dropout, bidirectional, device=device, dtype=dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class GRU(_HiddenStateRNN):
    """The gated recurrent unit (torch.nn.GRU; Cho et al. 2014).

    r, z = sigmoid(W_i x_t + b_i + W_h h_(t-1) + b_h), for the reset and the update gate;
    n = tanh(W_in x_t + b_in + r * (W_hn h_(t-1) + b_hn)); h_t = (1 - z) * n + z * h_(t-1).
    The weights hold the rows of r, z and n in this order.

    >>> import dtrain
    >>> out, last = GRU(4, 6, bidirectional=True)(dtrain.ones(5, 3, 4))
    >>> out.shape, last.shape
    (dtrain.Size([5, 3, 12]), dtrain.Size([2, 3, 6]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, device=device, dtype=dtype,
        )  # fmt: skip


class LSTM(RNNBase):
    """Long short-term memory (torch.nn.LSTM; Hochreiter and Schmidhuber 1997).

    i, f, o = sigmoid(W x_t + b + W_h h_(t-1) + b_h), for the input, forget and output gates;
    g = tanh of the same; c_t = f * c_(t-1) + i * g; h_t = o * tanh(c_t). The weights hold the rows
    of i, f, g and o in this order. With `proj_size`, h_t = W_hr (o * tanh(c_t)) has proj_size
    features (Sak et al. 2014).

    >>> import dtrain
    >>> out, (h, c) = LSTM(4, 6, batch_first=True, proj_size=2)(dtrain.ones(3, 5, 4))
    >>> out.shape, h.shape, c.shape
    (dtrain.Size([3, 5, 2]), dtrain.Size([1, 3, 2]), dtrain.Size([1, 3, 6]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, proj_size, device, dtype,
        )  # fmt: skip

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, input: Sequences, hx: tuple[Tensor, Tensor] | None = None
        ) -> tuple[Sequences, tuple[Tensor, Tensor]]:
            """Call `forward` and the hooks."""

    def forward(
        self, input: Sequences, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Sequences, tuple[Tensor, Tensor]]:
        widths = (self.proj_size or self.hidden_size, self.hidden_size)
        out, (h, c) = self._run(input, None if hx is None else tuple(hx), widths)
        return out, (h, c)
