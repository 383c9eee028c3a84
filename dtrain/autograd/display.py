"""The `repr` of a tensor as PyTorch prints it, and `set_printoptions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.backend import to_host
from dtrain.backend.dtypes import complex_dtype, get_default_dtype, is_half

if TYPE_CHECKING:
    from dtrain.autograd.tensor import Tensor


@dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()
_PROFILES = {
    "default": (4, 1000, 3, 80),
    "short": (2, 1000, 2, 80),
    "full": (4, float("inf"), 3, 80),
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed (torch.set_printoptions).

    Parameters
    ----------
    precision : digits after the decimal point
    threshold : the largest number of elements that are printed in full
    edgeitems : elements at each end of a dimension that is abbreviated
    linewidth : characters in a line
    profile : "default", "short" or "full" sets these four
    sci_mode : scientific notation always or never; None: chosen by the numbers

    >>> import dtrain
    >>> set_printoptions(precision=2)
    >>> dtrain.tensor([0.12345])
    tensor([0.12])
    >>> set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(
                f"set_printoptions: expected profile {', '.join(_PROFILES)}, got {profile!r}"
            )
        names = ("precision", "threshold", "edgeitems", "linewidth")
        vars(_options).update(zip(names, _PROFILES[profile]))
    given = {
        "precision": precision, "threshold": threshold, "edgeitems": edgeitems,
        "linewidth": linewidth,
    }  # fmt: skip
    vars(_options).update({name: value for name, value in given.items() if value is not None})
    _options.sci_mode = sci_mode


def display(tensor: Tensor) -> str:
    """`tensor(values)`, with device, dtype and grad_fn where the values do not imply them."""
    host = to_host(tensor.array)
    if is_half(host.dtype):
        host = host.astype(np.float32)
    implied = {get_default_dtype()}
    if host.size:
        implied |= {complex_dtype(get_default_dtype()), np.dtype(np.int64), np.dtype(np.bool_)}
    extras = [f"device='{tensor.device}'"] if tensor.is_cuda else []
    if not host.size and host.ndim != 1:
        extras.append(f"size={tuple(tensor.shape)}")
    if tensor.dtype not in implied:
        extras.append(f"dtype={tensor.dtype}")
    if tensor._node is not None:
        extras.append(f"grad_fn={tensor._node!r}")
    elif tensor._requires_grad:
        extras.append("requires_grad=True")
    indent = len("tensor(")
    if not host.size:
        text = "[]"
    else:
        edges = host.size > _options.threshold
        text = _text(host, indent, edges, *_choose_format(_edges(host) if edges else host))
    lines, last = [f"tensor({text}"], len(text) - text.rfind("\n") + 1
    for extra in extras:
        if last + len(extra) + 2 > _options.linewidth:
            lines.append(f",\n{' ' * indent}{extra}")
            last = indent + len(extra)
        else:
            lines.append(f", {extra}")
            last += len(extra) + 2
    return "".join(lines) + ")"


def _edges(host: np.ndarray) -> np.ndarray:
    """The elements that are printed of an array beyond the threshold."""
    count = _options.edgeitems
    for axis, size in enumerate(host.shape):
        if size > 2 * count:
            host = np.concatenate(
                [host.take(range(count), axis), host.take(range(size - count, size), axis)], axis
            )
    return host


def _choose_format(host: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """A function that formats an element, and the width of the finite nonzero elements."""
    if host.dtype.kind == "c":
        (real, real_width), (imag, imag_width) = map(_choose_format, (host.real, host.imag))
        return lambda value: _complex_text(real(value.real), imag(value.imag)), (
            real_width + imag_width + 1
        )
    shown = _number_format(host)
    finite = (
        np.isfinite(host) & (host != 0) if host.dtype.kind == "f" else np.ones(host.shape, bool)
    )
    width = max((len(shown(value)) for value in host[finite].tolist()), default=1)
    return lambda value: shown(value).rjust(width), width


def _complex_text(real: str, imag: str) -> str:
    imag = imag.lstrip()
    return f"{real}{imag}j" if imag.startswith("-") else f"{real}+{imag}j"


def _number_format(host: np.ndarray) -> Callable[[Any], str]:
    """Format floats in scientific, integer or fixed notation, by PyTorch's rules for an array."""
    if host.dtype.kind != "f":
        return str
    numbers = np.abs(host[np.isfinite(host) & (host != 0)].astype(np.float64))
    integral = bool((numbers == np.ceil(numbers)).all())
    scientific = _options.sci_mode
    if not numbers.size:
        scientific = False
    elif scientific is None:
        scientific = bool(
            numbers.max() / numbers.min() > 1000
            or numbers.max() > 1e8
            or (numbers.min() < 1e-4 and not integral)
        )
    if scientific:
        return lambda value: f"{value:.{_options.precision}e}"
    if integral:
        return lambda value: f"{value:.0f}" + ("." if np.isfinite(value) else "")
    return lambda value: f"{value:.{_options.precision}f}"


def _text(
    host: np.ndarray, indent: int, edges: bool, shown: Callable[[Any], str], width: int
) -> str:
    """The elements in nested brackets, continuation lines indented."""
    if not host.ndim:
        return shown(host.item())
    count, size = _options.edgeitems, len(host)
    abbreviated = edges and size > 2 * count
    indices = [*range(count), *range(size - count, size)] if abbreviated else range(size)
    gap = " " * (indent + 1)
    if host.ndim > 1:
        parts = [_text(host[i], indent + 1, edges, shown, width) for i in indices]
        parts[count:count] = ["..."] if abbreviated else []
        return "[" + ("," + "\n" * (host.ndim - 1) + gap).join(parts) + "]"
    parts = [shown(host[i].item()) for i in indices]
    per_line = max(1, (_options.linewidth - indent) // (width + 2))
    parts[count:count] = [" ..."] if abbreviated else []
    lines = [", ".join(parts[i : i + per_line]) for i in range(0, len(parts), per_line)]
    return "[" + f",\n{gap}".join(lines) + "]"
