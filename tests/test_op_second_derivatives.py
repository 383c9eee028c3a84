"""Every operation of the table: second derivatives against central differences."""

import numpy as np

import dtrain
from tests.cases.case import directional_differences, leaf
from tests.cases.samples import SAMPLES, samples


def first_gradients(case, leaves, weights, create_graph=False):
    """The gradients of sum(weights * outputs ** 2): not constant where the outputs are linear."""
    outputs = [out for out in case.run(dtrain, *leaves) if out.requires_grad]
    loss = sum(((out * out * w).sum() for out, w in zip(outputs, weights)), dtrain.zeros(()))
    return dtrain.autograd.grad(loss, leaves, create_graph=create_graph, materialize_grads=True)


@samples([row for row in SAMPLES if row[0].differentiable])
def test_second_derivative_is_that_of_central_differences(case, sample):
    arrays = case.arrays(sample)
    numbers = np.random.default_rng(0)

    def random_like(x):
        return dtrain.from_numpy(np.asarray(numbers.uniform(-1, 1, x.shape)))

    of_outputs = [random_like(x) for x in case.run(dtrain, *map(leaf, arrays)) if x.requires_grad]
    of_gradients = [random_like(array) for array in arrays]

    def weighted(*arrays):
        gradients = first_gradients(case, [leaf(array) for array in arrays], of_outputs)
        return sum(float((g * w).sum()) for g, w in zip(gradients, of_gradients))

    leaves = [leaf(array) for array in arrays]
    gradients = first_gradients(case, leaves, of_outputs, create_graph=True)
    pairs = [(g, w) for g, w in zip(gradients, of_gradients) if g.requires_grad]
    second = dtrain.autograd.grad(
        [g for g, _ in pairs], leaves, [w for _, w in pairs], materialize_grads=True
    )
    for _ in range(2):  # of directions, in which every element counts
        directions = [
            numbers.uniform(0.5, 1, x.shape) * numbers.choice([-1, 1], x.shape) for x in arrays
        ]
        expected = directional_differences(weighted, arrays, directions)
        for grad, direction, derivative in zip(second, directions, expected):
            parts = grad.numpy() * direction
            np.testing.assert_allclose(
                parts.sum(), derivative, rtol=1e-4, atol=1e-5 * (1 + np.abs(parts).sum())
            )
