"""Compares the rounding of float32 convolutions and products with PyTorch's: against float64.

    python benchmarks/accuracy.py

A cell is the root mean square of the error over that of the result: of a 3x3 convolution with as
many input as output channels, its input's and its weight's gradient, and of a product of square
matrices. Inputs and gradients are normally distributed, weights as by He's initialization.
"""

import argparse
import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import torch

import dtrain
from dtrain.distributed.doctor.software import multipliers

#: (channels, images, height and width)
SHAPES = ((64, 4, 56), (128, 4, 28), (256, 4, 14), (256, 16, 14), (512, 4, 14), (512, 32, 7))
#: of square matrices
SIZES = (128, 256, 512, 1024, 2048)
DIRECTIONS = ("forward", "input gradient", "weight gradient")


def convolve(T, arrays, dtype):
    """The output, the input's gradient and the weight's gradient, in float64."""
    x, weight, g = (T.from_numpy(array.astype(dtype)) for array in arrays)
    x.requires_grad = weight.requires_grad = True
    out = T.nn.functional.conv2d(x, weight, padding=1)
    out.backward(g)
    return [y.detach().numpy().astype(np.float64) for y in (out, x.grad, weight.grad)]


def measure(channels, images, side, seed=0):
    """(direction, the error of dtrain, that of PyTorch) of one shape."""
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=(2, images, channels, side, side)).astype(np.float32)
    weight = rng.normal(size=(channels, channels, 3, 3)) * (2 / (9 * channels)) ** 0.5
    arrays = x, weight.astype(np.float32), g
    exact = convolve(torch, arrays, np.float64)
    errors = [
        [np.std(y - e) / np.std(e) for y, e in zip(convolve(T, arrays, np.float32), exact)]
        for T in (dtrain, torch)
    ]
    return list(zip(DIRECTIONS, *errors))


def measure_product(size, seed=0):
    """The errors of dtrain and of PyTorch in a product of square matrices."""
    x, y = np.random.default_rng(seed).normal(size=(2, size, size)).astype(np.float32)
    exact = x.astype(np.float64) @ y
    products = ((T.from_numpy(x) @ T.from_numpy(y)).numpy() for T in (dtrain, torch))
    return [np.std(product - exact) / np.std(exact) for product in products]


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    print(multipliers())
    print(f"{'channels':>8} {'input':14} {'direction':18}{'dtrain':>10}{'torch':>10}{'ratio':>8}")
    for channels, images, side in SHAPES:
        for direction, ours, theirs in measure(channels, images, side):
            size = f"{images}x{side}x{side}"
            cells = f"{ours:10.1e}{theirs:10.1e}{ours / theirs:8.1f}"
            print(f"{channels:8} {size:14} {direction:18}{cells}", flush=True)
    print(f"\n{'size':>8} {'products':33}{'dtrain':>10}{'torch':>10}{'ratio':>8}")
    for size in SIZES:
        ours, theirs = measure_product(size)
        print(f"{size:8} {'':33}{ours:10.1e}{theirs:10.1e}{ours / theirs:8.1f}", flush=True)


if __name__ == "__main__":
    main()
