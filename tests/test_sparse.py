"""Sparse tensors: values and gradients against dense ones, PyTorch's forms, refusals by name."""

import copy
import pickle

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.autograd import gradcheck, gradgradcheck

PLACES = np.array([[0, 2, 1, 0, 3, 2], [1, 0, 2, 1, 2, 2]])  # (0, 1) twice
VALUES = np.array([0.5, -1.0, 2.0, 3.0, 1.5, -2.5])
DENSE = np.zeros((4, 3))
np.add.at(DENSE, tuple(PLACES), VALUES)
X = np.random.default_rng(0).normal(size=(3, 5))


def sparse(values=VALUES, **options):
    return dtrain.sparse_coo_tensor(PLACES, values, (4, 3), **options)


def leaf(array):
    return dtrain.from_numpy(array.copy()).requires_grad_()


def test_a_sparse_tensor_has_the_values_of_a_dense_one():
    a = sparse()
    assert (a.shape, a.dtype, a.ndim, a.numel()) == ((4, 3), dtrain.float64, 2, 12)
    assert (a.is_sparse, a.layout, a._nnz(), a.sparse_dim()) == (True, dtrain.sparse_coo, 6, 2)
    for tensor in (a, dtrain.ones(2)):
        assert tensor.is_cpu
        others = "is_cuda", "is_mps", "is_xpu", "is_meta", "is_quantized"
        assert not any(getattr(tensor, name) for name in others)
    assert (dtrain.ones(2).is_sparse, dtrain.ones(2).layout) == (False, dtrain.strided)
    assert isinstance(a, dtrain.Tensor)
    b = a.coalesce()
    assert (a.is_coalesced(), b.is_coalesced(), b.coalesce() is b) == (False, True, True)
    assert b.indices().tolist() == [[0, 1, 2, 2, 3], [1, 2, 0, 2, 2]]
    assert b.values().tolist() == [3.5, 2.0, -1.0, -2.5, 1.5]
    other = dtrain.sparse_coo_tensor([[3, 3], [0, 2]], dtrain.tensor([1.0, 2.0]).double(), (4, 3))
    plus = np.zeros((4, 3))
    plus[3, [0, 2]] = 1, 2
    for made, expected in {
        a: DENSE, b: DENSE, a.t(): DENSE.T, a.transpose(0, 1).coalesce(): DENSE.T, -a: -DENSE,
        2 * a: 2 * DENSE, a / 4: DENSE / 4, a + other: DENSE + plus, a - other: DENSE - plus,
        a.clone(): DENSE, a.detach(): DENSE, copy.deepcopy(b): DENSE, a.T.T: DENSE,
        pickle.loads(pickle.dumps(a)): DENSE, dtrain.tensor(DENSE).to_sparse(): DENSE,
        dtrain.sparse_coo_tensor(PLACES, VALUES): DENSE, a.to(dtrain.float64): DENSE,
    }.items():  # fmt: skip
        assert made.is_sparse
        assert made.to_dense().tolist() == expected.tolist()
    assert a.float().dtype == dtrain.float32
    assert a.sum() == dtrain.sparse.sum(a) == DENSE.sum()
    assert dtrain.sparse.FloatTensor(a._indices(), a._values()).to_dense().dtype == dtrain.float32
    integers = dtrain.sparse_coo_tensor([[1, 1]], [3, 4], (2,))
    assert integers.to_dense().tolist() == integers.coalesce().to_dense().tolist() == [0, 7]
    assert integers.to_dense().dtype == dtrain.int64


def test_rows_can_be_the_values():
    full = np.arange(24.0).reshape(4, 3, 2)
    full[[0, 2]] = 0
    a = dtrain.from_numpy(full).to_sparse(1)
    assert (a.indices().tolist(), a.values().shape, a.dense_dim()) == ([[1, 3]], (2, 3, 2), 2)
    assert (a + a).coalesce().to_dense().tolist() == (2 * full).tolist()


PRODUCTS = {
    "@": lambda a, x: a @ x,
    "mm": dtrain.mm,
    "matmul": dtrain.matmul,
    "spmm": dtrain.spmm,
    "sparse.mm": dtrain.sparse.mm,
    "coalesced": lambda a, x: a.coalesce().mm(x),
    "addmm": lambda a, x: dtrain.sparse.addmm(dtrain.zeros(4, 5).double(), a, x),
    "vectors": lambda a, x: dtrain.stack([a @ x[:, i] for i in range(5)], 1),
    "from the right": lambda a, x: (x.T @ a.t()).T,
    "torch.mm from the right": lambda a, x: dtrain.mm(x.T, a.t()).T,
    "vectors from the right": lambda a, x: dtrain.stack([x[:, i] @ a.t() for i in range(5)], 1),
    "twice transposed": lambda a, x: a.t().t() @ x,
}


@pytest.mark.parametrize("multiply", PRODUCTS.values(), ids=PRODUCTS)
def test_products_and_their_gradients_are_those_of_dense_matrices(multiply):
    a, x = sparse(requires_grad=True), leaf(X)
    dense, y = leaf(DENSE), leaf(X)
    weight = dtrain.from_numpy(np.random.default_rng(1).normal(size=(4, 5)))
    product, expected = multiply(a, x), dense @ y
    np.testing.assert_allclose(product.detach(), expected.detach(), rtol=1e-12)
    (product**2 * weight).sum().backward()
    (expected**2 * weight).sum().backward()
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-12)
    assert a.grad.is_sparse
    mask = DENSE != 0  # an element that is given in two parts has one gradient
    np.testing.assert_allclose(a.grad.to_dense(), dense.grad.numpy() * mask, rtol=1e-12)
    a.grad = None
    assert a.grad is None


def test_dense_plus_or_minus_sparse_is_dense_and_promotes():
    a, x = sparse(requires_grad=True), leaf(np.arange(12.0).reshape(4, 3))
    total, difference = x + a, x - a
    np.testing.assert_array_equal(total.detach(), x.detach().numpy() + DENSE)
    np.testing.assert_array_equal(difference.detach(), x.detach().numpy() - DENSE)
    (total * 3 + difference).sum().backward()
    assert x.grad.unique().tolist() == [4]
    np.testing.assert_array_equal(a.grad.to_dense(), 2.0 * (DENSE != 0))
    counts = sparse(np.arange(6)).to(dtrain.int64)
    assert (dtrain.ones(4, 3) + counts).dtype == dtrain.float32
    assert (dtrain.ones(4, 3) + counts)[2].tolist() == [2, 1, 6]


AUTOCAST = {
    "mm": dtrain.mm, "@": lambda a, x: a @ x, "sparse.mm": dtrain.sparse.mm,
    "from the right": lambda a, x: (x.T @ a.t()).T,
    "addmm": lambda a, x: dtrain.addmm(dtrain.zeros(4, 5), a, x),
}  # fmt: skip


@pytest.mark.parametrize("multiply", AUTOCAST.values(), ids=AUTOCAST)
def test_autocast_multiplies_in_the_lower_precision(multiply):
    a, x = sparse(requires_grad=True).float(), dtrain.from_numpy(X).float().requires_grad_()
    with dtrain.autocast("cpu", dtype=dtrain.bfloat16):
        product = multiply(a, x)
    assert product.dtype == dtrain.bfloat16
    np.testing.assert_allclose(product.float().detach(), DENSE @ X, rtol=0.02, atol=0.05)
    product.float().sum().backward()
    assert x.grad.dtype == dtrain.float32
    np.testing.assert_allclose(x.grad, np.tile(DENSE.sum(0)[:, None], 5), rtol=0.02)


def test_gradients_of_values_go_through_and_can_be_differentiated():
    def compute(values, x):
        a = sparse(values)
        return (a * 2 @ x).relu(), (a + a).coalesce().values(), a.to_dense()

    assert gradcheck(compute, (leaf(VALUES), leaf(X)))
    assert gradgradcheck(compute, (leaf(VALUES), leaf(X)))
    for work in (lambda v: sparse(v).to_dense(), lambda v: sparse(v).coalesce().values()):
        assert gradcheck(work, leaf(VALUES * (1 + 2j)))
    x = leaf(DENSE)
    (x.to_sparse() @ dtrain.from_numpy(X)).sum().backward()
    assert x.grad.tolist() == (np.outer(DENSE.any(1), X.sum(1)) * (DENSE != 0)).tolist()


def test_the_product_has_float32s_bits_of_rows_added_in_order():
    a, x = sparse().float(), dtrain.from_numpy(X).float()
    expected = np.zeros((4, 5), np.float32)
    values = a.coalesce()
    for (row, column), value in zip(values.indices().t().tolist(), values.values().numpy()):
        expected[row] += value * x.numpy()[column]
    assert (values @ x).numpy().tobytes() == expected.tobytes()


def test_a_graph_convolution_is_compiled_or_runs_without_a_graph():
    layer, a = nn.Linear(3, 2), sparse().float()
    x = dtrain.from_numpy(X[:, :3]).float()
    compiled = dtrain.compile(lambda x: (a @ layer(x)).relu())
    with pytest.warns(RuntimeWarning, match="a sparse tensor is used"):
        outputs = [compiled(x) for _ in range(3)]
    assert all(out.tolist() == (a @ layer(x)).relu().tolist() for out in outputs)


def test_it_is_printed_as_in_pytorch():
    a = dtrain.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 2.0], requires_grad=True)
    assert repr(a) == (
        "tensor(indices=tensor([[0, 1],\n                       [1, 0]]),\n"
        "       values=tensor([1., 2.]),\n"
        "       size=(2, 2), nnz=2, layout=torch.sparse_coo, requires_grad=True)"
    )


REFUSED = {
    "relu": (lambda a: a.relu(), "relu: not supported for sparse tensors: use to_dense"),
    "add": (lambda a: 1 + a, "add"),
    "add of a dense tensor": (lambda a: a + dtrain.ones(4, 3), "add of a dense tensor"),
    "mul by a tensor": (lambda a: a * dtrain.ones(4, 3), "mul by a tensor"),
    "getitem": (lambda a: a[0], "not supported for sparse tensors"),
    "numpy": (lambda a: a.numpy(), "numpy: not supported"),
    "tolist": (lambda a: a.tolist(), "tolist: not supported"),
    "in place": (lambda a: a.zero_(), "not supported for sparse"),
    "cat": (lambda a: dtrain.cat([a, a]), "not supported for sparse"),
    "from the right": (lambda a: dtrain.ones(2, 3).double() @ a, r"cannot be multiplied \(.*2, 3"),
    "a batch": (lambda a: dtrain.ones(2, 2, 4).double() @ a, "expected a dense matrix or vector"),
    "two": (lambda a: a @ a.t(), "matmul by a sparse tensor"),
    "linear": (lambda a: nn.Linear(3, 2)(a.float()), "^linear: not supported for sparse"),
    "another shape": (
        lambda a: dtrain.ones(3) + a,
        r"expected a dense tensor of the sparse .*4, 3",
    ),
    "add of a sparse tensor": (lambda a: dtrain.ones(4, 3).add_(a), "^add_?: not supported"),
    "dropout": (lambda a: nn.functional.dropout(a, 0.5), "^dropout: not supported"),
    "indices": (lambda a: a.indices(), "indices: the tensor is not coalesced"),
    "optimizer": (lambda a: dtrain.optim.SGD([a.requires_grad_()]), "not supported for sparse"),
    "shapes": (lambda a: a @ dtrain.ones(4, 2).double(), r"cannot be multiplied \(.*4, 3"),
    "dtypes": (lambda a: a @ dtrain.ones(3, 2), "one dtype and device, got float64 on cpu"),
    "dense": (lambda a: dtrain.ones(2).coalesce(), "expected a sparse tensor, got a dense one"),
    "sum": (lambda a: a.sum(0), "sum over a dimension"),
}


@pytest.mark.parametrize(("work", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_supported_is_refused_by_name(work, message):
    with pytest.raises(RuntimeError, match=message):
        work(sparse())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 5]], [1.0, 2.0], (2,)), "outside of size"),
        (([[0, -1]], [1.0, 2.0]), "negative index -1"),
        (([0, 1], [1.0, 2.0]), "expected indices of shape"),
        (([[0.5, 1.0]], [1.0, 2.0]), "integers, got"),
        (([[0, 1]], [1.0, 2.0, 3.0]), "expected 2 values"),
        (([[0, 1]], [1.0, 2.0], (2, 2)), "does not fit"),
        (([[1, 0]], [1.0, 2.0], (2,), True), "repeat or are unsorted"),
    ],
)
def test_indices_are_checked(arguments, message):
    with pytest.raises(RuntimeError, match=message):
        dtrain.sparse_coo_tensor(*arguments[:3], is_coalesced=len(arguments) > 3)
