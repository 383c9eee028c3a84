"""autograd.functional: products with Jacobians and Hessians, whole ones, and what is refused."""

import numpy as np
import pytest

import dtrain
from dtrain.autograd import functional

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((3, 2)), RNG.standard_normal(2)
COTANGENT, TANGENTS = RNG.standard_normal(3), (RNG.standard_normal((3, 2)), RNG.standard_normal(2))


def tensors(*arrays):
    return tuple(dtrain.tensor(array) for array in arrays)


def f(x, y):
    return x.sin() @ y


def cubes(x, y):
    return ((x @ y) ** 3).sum()


#: the Jacobians of f: d f_i / d x_ij = cos(x_ij) y_j, d f_i / d y_j = sin(x_ij)
BY_X = np.einsum("ik,ij,j->ikj", np.eye(3), np.cos(A), B)
BY_Y = np.sin(A)


def close(actual, expected):
    assert type(actual) is type(expected) or not isinstance(expected, tuple)
    if isinstance(expected, tuple):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected):
            close(one, other)
    else:
        assert not actual.requires_grad
        np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_products_and_jacobians_of_several_inputs():
    inputs, value = tensors(A, B), np.sin(A) @ B
    close(functional.jacobian(f, inputs), (BY_X, BY_Y))
    by_v = (np.einsum("i,ikj->kj", COTANGENT, BY_X), COTANGENT @ BY_Y)
    close(functional.vjp(f, inputs, tensors(COTANGENT)[0]), (value, by_v))
    along = np.einsum("ikj,kj->i", BY_X, TANGENTS[0]) + BY_Y @ TANGENTS[1]
    close(functional.jvp(f, inputs, tensors(*TANGENTS)), (value, along))


def test_hessians_and_their_products():
    inputs = tensors(A, B)
    (xx, xy), (yx, yy) = functional.hessian(cubes, inputs)
    z = A @ B
    close(yy, np.einsum("i,ij,ik->jk", 6 * z, A, A))
    close(xx, np.einsum("i,il,j,k->ijlk", 6 * z, np.eye(3), B, B))
    close(xy, yx.permute(1, 2, 0).numpy())
    close(functional.hessian(lambda y: (y**3).sum(), inputs[1]), np.diag(6 * B))
    value, (by_x, by_y) = functional.vhp(cubes, inputs, tensors(*TANGENTS))
    close(value, np.asarray((z**3).sum()))
    hessian = [np.asarray(part) for part in (xx, xy, yx, yy)]
    x, y = TANGENTS
    close(by_x, np.einsum("ij,ijkl->kl", x, hessian[0]) + np.einsum("i,ikl->kl", y, hessian[2]))
    close(by_y, np.einsum("ij,ijk->k", x, hessian[1]) + y @ hessian[3])
    close(functional.hvp(cubes, inputs, tensors(*TANGENTS))[1], (by_x.numpy(), by_y.numpy()))


def test_several_outputs_and_inputs_that_nothing_depends_on():
    inputs = tensors(A, B)

    def two(x, y):
        return x @ y, (x * x).sum()

    first, second = functional.jacobian(two, inputs)
    close(first[1], A)
    close(second, (2 * A, np.zeros(2)))
    close(functional.jacobian(lambda x: dtrain.ones(2), inputs[0]), np.zeros((2, 3, 2)))
    close(functional.hessian(lambda x: x.sum(), inputs[1]), np.zeros((2, 2)))
    close(functional.jvp(lambda x, y: x.sum(), inputs, tensors(*TANGENTS))[1], TANGENTS[0].sum())
    with pytest.raises(RuntimeError, match=r"jacobian: the outputs do not depend on inputs \[1\]"):
        functional.jacobian(lambda x, y: x.sum(), inputs, strict=True)


def test_results_are_in_a_graph_if_wanted():
    y = dtrain.tensor(B, requires_grad=True)
    (functional.jacobian(lambda y: y**3, y, create_graph=True) ** 2).sum().backward()
    np.testing.assert_allclose(y.grad, 36 * B**3)
    assert not functional.vjp(lambda y: y.sum(), y)[1].requires_grad


def test_what_is_refused():
    x, y = tensors(A, B)
    with pytest.raises(RuntimeError, match=r"vjp: expected v of the shapes \[\(3,\)\], got"):
        functional.vjp(f, (x, y), y)
    with pytest.raises(RuntimeError, match="vjp: v may be omitted only for one tensor of one"):
        functional.vjp(f, (x, y))
    with pytest.raises(RuntimeError, match=r"hessian: expected func to give a tensor of one ele"):
        functional.hessian(f, (x, y))
    with pytest.raises(TypeError, match="jacobian: expected inputs to be a tensor or a tuple"):
        functional.jacobian(f, [x, y])
    with pytest.raises(TypeError, match="jacobian: expected the result of func to be a tensor"):
        functional.jacobian(lambda x: 1.0, x)
    with pytest.raises(ValueError, match="jacobian: expected strategy 'reverse-mode' or"):
        functional.jacobian(f, (x, y), strategy="x")
