"""Recurrent cells: a single step of RNN, LSTM and GRU."""

from __future__ import annotations

import math
from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.creation import empty, zeros
from dtrain.nn import init
from dtrain.nn.functional.recurrent import GATES, rnn_mode, run_direction
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter


class RNNCellBase(Module):
    """The base class of RNNCell, LSTMCell and GRUCell (torch.nn.RNNCellBase).

    Shape: input (n, input_size) or (input_size,), and states (n, hidden_size) or (hidden_size,),
    zeros by default, to the next states.
    """

    input_size: int
    hidden_size: int
    bias: bool
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size

        def new(*shape: int) -> Parameter:
            return Parameter(empty(shape, device=device, dtype=dtype))

        self.weight_ih, self.weight_hh = new(rows, input_size), new(rows, hidden_size)
        self.register_parameter("bias_ih", new(rows) if bias else None)
        self.register_parameter("bias_hh", new(rows) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialize the parameters again, uniformly in +-1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0.0
        for param in self.parameters():
            init.uniform_(param, -bound, bound)

    def _run(self, mode: str, input: Tensor, *states: Tensor | None) -> list[Tensor]:
        """Check the input and the states, and compute the next states."""
        for x, width in ((input, self.input_size), *((s, self.hidden_size) for s in states)):
            if x is not None and x.ndim not in (1, 2):
                raise ValueError(
                    f"{type(self).__name__}: expected input and states of 1 or 2 dimensions, "
                    f"got shape {x.shape}"
                )
            if x is not None and x.shape[-1] != width:
                raise RuntimeError(
                    f"{type(self).__name__}: expected (n, {self.input_size}) as input and "
                    f"(n, {self.hidden_size}) as states, got shape {x.shape}"
                )
        x = input if input.ndim == 2 else input.unsqueeze(0)
        n = x.shape[0]
        if any(state is None for state in states):
            start = zeros(n, self.hidden_size, dtype=x.dtype, device=x.device)
        given = [
            start if state is None else state if state.ndim == 2 else state.unsqueeze(0)
            for state in states
        ]
        if any(state.shape[0] != n for state in given):
            raise RuntimeError(
                f"{type(self).__name__}: expected states of the input's batch size {n}, "
                f"got {[state.shape[0] for state in given]}"
            )
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = {name: getattr(self, name) for name in names}
        _, last = run_direction(mode, x, given, weights, (n,))
        return last if input.ndim == 2 else [state.squeeze(0) for state in last]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else f"{text}, bias={self.bias}"


class RNNCell(RNNCellBase):
    """One step of RNN, to the next h (torch.nn.RNNCell).

    >>> import dtrain
    >>> RNNCell(4, 6)(dtrain.ones(3, 4)).shape
    dtrain.Size([3, 6])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            input_size, hidden_size, bias, GATES[rnn_mode(nonlinearity)], device, dtype
        )
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._run(rnn_mode(self.nonlinearity), input, hx)[0]

    def extra_repr(self) -> str:
        text = super().extra_repr()
        shown = self.nonlinearity != "tanh"
        return f"{text}, nonlinearity={self.nonlinearity}" if shown else text


class GRUCell(RNNCellBase):
    """One step of GRU, to the next h (torch.nn.GRUCell)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, GATES["GRU"], device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._run("GRU", input, hx)[0]


class LSTMCell(RNNCellBase):
    """One step of LSTM, to the next (h, c) (torch.nn.LSTMCell)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, GATES["LSTM"], device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        h, c = self._run("LSTM", input, *(hx or (None, None)))
        return h, c
