"""The perceptron of basic.py in JAX: a training step under `jax.jit`, with optax's Adam."""

import jax
import optax
from jax import numpy as jnp


def mlp():
    """784-512-512-10, a batch of 128: (step, its state)."""
    keys = iter(jax.random.split(jax.random.key(0), 8))
    sizes = (784, 512, 512, 10)

    def parameter(shape, fan_in):
        return jax.random.uniform(next(keys), shape, minval=-1.0, maxval=1.0) / fan_in**0.5

    layers = [(parameter((n, m), n), parameter((m,), n)) for n, m in zip(sizes, sizes[1:])]
    x = jax.random.normal(next(keys), (128, 784))
    y = jax.random.randint(next(keys), (128,), 0, 10)
    adam = optax.adam(1e-3)

    def loss_of(layers):
        h = x
        for weight, bias in layers[:-1]:
            h = jnp.maximum(h @ weight + bias, 0)
        scores = h @ layers[-1][0] + layers[-1][1]
        return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()

    @jax.jit
    def step(layers, state):
        loss, gradients = jax.value_and_grad(loss_of)(layers)
        updates, state = adam.update(gradients, state)
        return optax.apply_updates(layers, updates), state, loss

    return step, (layers, adam.init(layers))


MODELS = {"mlp": mlp}
