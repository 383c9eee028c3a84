"""Convolution over two axes, a few images at a time: 1x1, Winograd's, or products over patches.

Patches are made with channels last, so that what a window sees lies in memory in a few runs. Where
the channels do not fill vectors, in few channels or float64, the reference's order is kept.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu import winograd
from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.layout import channels_first, channels_last, parts
from dtrain.backend.kernels.cpu.vector import LANES, load, store
from dtrain.backend.kernels.reference import conv as reference
from dtrain.backend.kernels.reference.window import Pair, window_counts


def _fills_vectors(x: np.ndarray, c: int, m: int, groups: int) -> bool:
    return groups == 1 and x.dtype == np.float32 and c % LANES == 0 and m % LANES == 0


def _is_one_by_one(kernel: Pair, padding: Pair, groups: int) -> bool:
    return kernel == (1, 1) and padding == (0, 0) and groups == 1


def conv(
    x: np.ndarray, weight: np.ndarray, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    (n, c), hw, m, kernel = x.shape[:2], x.shape[2:], weight.shape[0], weight.shape[2:]
    size = window_counts(hw, kernel, stride, padding, dilation)
    x, one = np.ascontiguousarray(x), c * math.prod(kernel) * math.prod(size)
    if _is_one_by_one(kernel, padding, groups):
        seen = np.ascontiguousarray(x[:, :, :: stride[0], :: stride[1]])
        return (weight.reshape(m, c) @ seen.reshape(n, c, math.prod(size))).reshape(n, m, *size)
    out = np.empty((n, m, *size), x.dtype)
    if not _fills_vectors(x, c, m, groups):
        for part in parts(n, one):
            out[part] = reference.conv(x[part], weight, stride, padding, dilation, groups)
        return out
    if winograd.pays(weight, size, stride, padding, dilation):
        return winograd.conv(x, weight, padding)
    by_input = weight.transpose(2, 3, 1, 0).reshape(-1, m)
    for part in parts(n, one):
        last = _patches(x[part], kernel, size, stride, padding, dilation) @ by_input
        channels_first(last.reshape(-1, *size, m), out[part])
    return out


def conv_grad_x(
    g: np.ndarray, weight: np.ndarray, hw: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    (n, m), size, kernel = g.shape[:2], g.shape[2:], weight.shape[2:]
    c = weight.shape[1] * groups
    g, one = np.ascontiguousarray(g), c * math.prod(kernel) * math.prod(size)
    if _is_one_by_one(kernel, padding, groups):
        of_seen = weight.reshape(m, c).T @ g.reshape(n, m, math.prod(size))
        if stride == (1, 1):
            return of_seen.reshape(n, c, *hw)
        out = np.zeros((n, c, *hw), g.dtype)
        out[:, :, :: stride[0], :: stride[1]] = of_seen.reshape(n, c, *size)
        return out
    out = np.empty((n, c, *hw), g.dtype)
    if not _fills_vectors(g, c, m, groups):
        for part in parts(n, one):
            out[part] = reference.conv_grad_x(
                g[part], weight, hw, stride, padding, dilation, groups
            )
        return out
    if winograd.pays(weight, hw, stride, padding, dilation):
        return winograd.conv_grad_x(g, weight, padding)
    by_output = weight.transpose(0, 2, 3, 1).reshape(m, -1)
    (h, w), (top, left) = hw, padding
    for part in parts(n, one):
        patches = _last(g[part]).reshape(-1, m) @ by_output
        padded = np.zeros((len(g[part]), h + 2 * top, w + 2 * left, c), g.dtype)
        _add_runs(patches, kernel, size, stride, dilation, padded)
        cropped = padded[:, top : top + h, left : left + w]
        channels_first(np.ascontiguousarray(cropped), out[part])
    return out


def conv_grad_weight(
    g: np.ndarray, x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    (n, c), m, size = x.shape[:2], g.shape[1], g.shape[2:]
    g, x, one = *map(np.ascontiguousarray, (g, x)), c * math.prod(kernel) * math.prod(size)
    shape = (m, c // groups, *kernel)
    if _is_one_by_one(kernel, padding, groups):
        seen = np.ascontiguousarray(x[:, :, :: stride[0], :: stride[1]])
        total = np.zeros((m, c), x.dtype)
        for image in range(n):
            total += g[image].reshape(m, -1) @ seen[image].reshape(c, -1).T
        return total.reshape(shape)
    if not _fills_vectors(x, c, m, groups):
        total = np.zeros(shape, x.dtype)
        for part in parts(n, one):
            total += reference.conv_grad_weight(
                g[part], x[part], kernel, stride, padding, dilation, groups
            )
        return total
    if winograd.pays(np.empty(shape), size, stride, padding, dilation):
        return winograd.conv_grad_weight(g, x, padding)
    total = np.zeros((m, math.prod(kernel) * c), x.dtype)
    for part in parts(n, one):
        patches = _patches(x[part], kernel, size, stride, padding, dilation)
        total += _last(g[part]).reshape(-1, m).T @ patches
    return np.ascontiguousarray(total.reshape(m, *kernel, c).transpose(0, 3, 1, 2))


def _last(x: np.ndarray, padding: Pair = (0, 0)) -> np.ndarray:
    n, c, h, w = x.shape
    out = np.zeros((n, h + 2 * padding[0], w + 2 * padding[1], c), np.float32)
    channels_last(x, *padding, out)
    return out


def _patches(
    x: np.ndarray, kernel: Pair, size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    """What each window sees: (n * oh * ow, kh * kw * c)."""
    n, c = x.shape[:2]
    out = np.empty((n * math.prod(size), math.prod(kernel) * c), x.dtype)
    _copy_runs(_last(x, padding), kernel, size, stride, dilation, out)
    return out


@compiled
def _copy_runs(x, kernel, size, stride, dilation, out):
    """x: (n, h, w, c), padded, to out: (windows, kh * kw * c)."""
    n, h, w, c = x.shape
    source, target = x.reshape(-1), out.reshape(-1)
    runs, run = (1, kernel[1] * c) if dilation[1] == 1 else (kernel[1], c)
    to = 0
    for image in range(n):
        for y in range(size[0]):
            for k in range(size[1]):
                for i in range(kernel[0]):
                    row = (image * h + y * stride[0] + i * dilation[0]) * w + k * stride[1]
                    for j in range(runs):
                        at = (row + j * dilation[1]) * c
                        for e in range(0, run, LANES):
                            store(target, to + e, load(source, at + e))
                        to += run


@compiled
def _add_runs(patches, kernel, size, stride, dilation, out):
    """`_copy_runs` transposed: adds patches to out."""
    n, h, w, c = out.shape
    source, target = patches.reshape(-1), out.reshape(-1)
    runs, run = (1, kernel[1] * c) if dilation[1] == 1 else (kernel[1], c)
    at = 0
    for image in range(n):
        for y in range(size[0]):
            for k in range(size[1]):
                for i in range(kernel[0]):
                    row = (image * h + y * stride[0] + i * dilation[0]) * w + k * stride[1]
                    for j in range(runs):
                        to = (row + j * dilation[1]) * c
                        for e in range(0, run, LANES):
                            store(target, to + e, load(target, to + e) + load(source, at + e))
                        at += run
