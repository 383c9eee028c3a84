"""The graph and the backward pass: what is recorded, kept, freed and refused."""

import copy
import gc
import sys
import weakref

import numpy as np
import pytest

import dtrain
from dtrain import no_grad
from dtrain.autograd import grad


def wanting(*values):
    return dtrain.tensor(values, dtype=dtrain.float64, requires_grad=True)


# --- backward ---


def test_gradients_of_parts_add_up_in_the_whole():
    values = np.random.default_rng(0).normal(size=(4, 6))
    given = np.random.default_rng(1).normal(size=(4, 6))
    x = dtrain.from_numpy(values).requires_grad_()
    y = x * 1
    hooked = []
    y.register_hook(lambda g: hooked.append(g.clone()))
    parts = [*dtrain.split(y, 2, 1), y[1], y[1:3, ::2], y[[0, 0, 3]], y]
    slices = [
        given[:, :2],
        given[:, 2:4],
        given[:, 4:],
        given[1],
        given[1:3, ::2],
        given[:3],
        given,
    ]
    loss = sum((part * dtrain.from_numpy(g.copy())).sum() for part, g in zip(parts, slices))
    expected = 2 * given  # of the columns and of the whole
    expected[1] += given[1]
    expected[1:3, ::2] += given[1:3, ::2]
    np.add.at(expected, [0, 0, 3], given[:3])
    for times in (1, 2):  # nothing that was saved is changed
        loss.backward(retain_graph=True)
        np.testing.assert_allclose(x.grad.numpy(), times * expected, rtol=1e-13)
        np.testing.assert_allclose(hooked[-1].numpy(), expected, rtol=1e-13)


def test_adding_a_part_changes_no_other_gradient():
    x, y = wanting(1.0, 2.0, 3.0), wanting(1.0, 1.0, 1.0)
    z = x + 0
    parts = z[1:] * 5
    total = (z + y).sum() * 1 + parts.sum()  # z and y get the same array as their gradient
    total.backward()
    assert x.grad.tolist() == [1, 6, 6]
    assert y.grad.tolist() == [1, 1, 1]


def test_a_second_backward_raises_and_says_what_to_do():
    x = wanting(3.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"freed by an earlier backward.*retain_graph=True"):
        y.backward()


def test_a_retained_graph_can_be_gone_through_again():
    x = wanting(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12]


def test_gradients_of_two_graphs_add_up():
    x = wanting(1.0, 2.0)
    for _ in range(2):
        (x * x).sum().backward()
    assert x.grad.tolist() == [4, 8]


def test_a_leaf_used_many_times_gets_the_sum():
    x = wanting(2.0)
    (x * x + x * 3 + x - x / 2 + dtrain.cat([x, x]).sum()).backward()
    assert x.grad.tolist() == [2 * 2 + 3 + 1 - 0.5 + 2]


def test_a_diamond_is_gone_through_once_a_node():
    calls = []
    x = wanting(2.0)
    y = x * 3
    y.register_hook(lambda g: calls.append(g.tolist()))
    (y * y + y).sum().backward()
    assert calls == [[2 * 6 + 1]]
    assert x.grad.tolist() == [39]


def test_backward_of_several_elements_needs_a_gradient():
    y = wanting(1.0, 2.0) * 2
    with pytest.raises(
        RuntimeError, match="grad can be implicitly created only for scalar outputs"
    ):
        y.backward()
    with pytest.raises(RuntimeError, match=r"expected a gradient of shape \(2,\), got \(3,\)"):
        y.backward(dtrain.ones(3))


def test_backward_takes_a_gradient():
    x = wanting(1.0, 2.0)
    (x * x).backward(dtrain.tensor([10.0, 1.0], dtype=dtrain.float64))
    assert x.grad.tolist() == [20, 4]


@pytest.mark.parametrize("make", [lambda: dtrain.ones(()), lambda: wanting(1.0).detach().sum()])
def test_backward_outside_any_graph_raises(make):
    with pytest.raises(RuntimeError, match="does not require grad"):
        make().backward()


def test_backward_of_a_leaf_gives_it_one():
    x = dtrain.tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1


def test_ten_thousand_operations_deep():
    x = wanting(1.0)
    y = x
    for _ in range(10_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1]
    del y  # and is let go without recursion


def test_gradients_are_not_shared_with_anyone():
    x, seed = wanting(1.0, 2.0), dtrain.ones(2, dtype=dtrain.float64)
    y = wanting(3.0, 4.0)
    (x + y).backward(seed)
    x.grad.zero_()
    assert (y.grad.tolist(), seed.tolist()) == ([1, 1], [1, 1])


def test_a_leaf_copies_an_array_of_its_gradient_that_somebody_else_has():
    kept = dtrain.ones(2, dtype=dtrain.float64)

    class Keeping(dtrain.autograd.Function):
        forward = staticmethod(lambda ctx, x: x * 2)
        backward = staticmethod(lambda ctx, grad: kept)

    x = wanting(1.0, 2.0)
    Keeping.apply(x).backward(kept)
    assert not np.shares_memory(x.grad.array, kept.array)


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="CPython does not count all references any more"
)
def test_a_leaf_keeps_the_array_of_its_gradient():
    kept = dtrain.ones(2, dtype=dtrain.float64)
    x, made = wanting(1.0, 2.0), []
    y = x * 2
    vjp, *others = y._node.vjps

    def noting(grad):
        out = vjp(grad)
        made.append(out.ctypes.data)
        return out

    y._node.vjps = (noting, *others)
    y.backward(kept)
    assert x.grad.data_ptr() == made[0]


def test_a_part_that_does_not_reach_the_output_gets_no_gradient():
    x, unused = wanting(1.0), wanting(1.0)
    _ = unused * x
    (x * 2).sum().backward()
    assert unused.grad is None


# --- grad ---


def test_grad_returns_gradients_and_accumulates_none():
    x, y = wanting(2.0), wanting(5.0)
    gx, gy = grad((x * x * y).sum(), [x, y])
    assert (gx.tolist(), gy.tolist()) == ([20], [4])
    assert x.grad is None
    assert y.grad is None


def test_grad_of_an_intermediate_result():
    x = wanting(2.0)
    y = x * 3
    (gy,) = grad((y * y).sum(), y)
    assert gy.tolist() == [12]


def test_grad_of_several_outputs_with_gradients_of_their_own():
    x = wanting(2.0)
    (gx,) = grad([x * 2, x * x], x, grad_outputs=[wanting(1.0), wanting(10.0)])
    assert gx.tolist() == [42]


def test_unused_inputs_are_refused_unless_allowed():
    x, unused = wanting(1.0), wanting(1.0)
    with pytest.raises(
        RuntimeError, match=r"no output depends on inputs \[1\];.*allow_unused=True"
    ):
        grad((x * 2).sum(), [x, unused])
    gx, none = grad((x * 2).sum(), [x, unused], allow_unused=True)
    assert gx.tolist() == [2]
    assert none is None


def test_grad_by_a_tensor_that_wants_none_is_refused():
    with pytest.raises(RuntimeError, match=r"inputs\[0\] does not require grad"):
        grad(wanting(1.0).sum(), dtrain.ones(1))


# --- hooks and kept gradients ---


def test_a_hook_sees_the_gradient_and_may_replace_it():
    x = wanting(1.0, 2.0)
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    assert seen == [[1, 1]]
    assert x.grad.tolist() == [21, 21]


def test_a_hook_can_be_removed():
    x = wanting(1.0)
    handle = x.register_hook(lambda g: g * 10)
    handle.remove()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2]


def test_hooks_need_a_tensor_that_wants_a_gradient():
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        dtrain.ones(1).register_hook(print)


def test_retain_grad_keeps_the_gradient_of_an_intermediate_result():
    x = wanting(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    assert y.grad is None
    (y * y).sum().backward()
    assert y.grad.tolist() == [4, 8]


def test_kept_gradients_add_up_after_all_hooks():
    x = wanting(1.0)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    for _ in range(2):
        y.sum().backward(retain_graph=True)
    assert y.grad.tolist() == [20]


def test_a_kept_gradient_is_a_tensor_of_its_own():
    x = wanting(1.0, 2.0)
    y, z = x * 2, x * 3
    y.retain_grad()
    z.retain_grad()
    (y + z).sum().backward()
    y.grad.zero_()
    assert z.grad.tolist() == [1, 1]


# --- what is freed ---


def test_what_no_gradient_needs_is_freed_in_the_forward_pass():
    x = wanting(1.0, 2.0)
    y = x + 1
    array = weakref.ref(y.array)
    y = y + 1
    gc.collect()
    assert array() is None
    y.sum().backward()


def test_saved_values_are_freed_by_backward_while_the_loss_lives():
    x = wanting(1.0, 2.0)
    y = x * 2
    array = weakref.ref(y.array)
    loss = (y * y).sum()
    del y
    assert array() is not None
    loss.backward()
    gc.collect()
    assert array() is None
    assert loss.requires_grad


def test_saved_values_are_freed_during_backward():
    x = wanting(1.0, 2.0)
    y = x * 2
    z = (y * 3).exp()
    array = weakref.ref(z.array)
    alive = []
    y.register_hook(lambda g: alive.append(array() is not None))
    loss = z.sum()
    del z
    loss.backward()
    assert alive == [False]


def test_a_graph_without_backward_goes_with_its_output():
    x = wanting(1.0)
    y = (x * 2).exp()
    array = weakref.ref(y.array)
    del y
    gc.collect()
    assert array() is None


# --- leaves, copies, other views of a tensor ---


def test_leaves_and_nodes():
    x = wanting(1.0)
    y = x * 2
    assert (x.is_leaf, x.grad_fn) == (True, None)
    assert (y.is_leaf, repr(y.grad_fn)) == (False, "<mul backward>")
    with pytest.raises(RuntimeError, match="only leaf tensors can stop requiring"):
        y.requires_grad_(False)


def test_detach_shares_memory_and_leaves_the_graph():
    x = wanting(1.0)
    y = (x * 2).detach()
    assert y.is_leaf
    assert not y.requires_grad
    y.zero_()
    assert x.detach().numpy() is not None
    with pytest.raises(RuntimeError, match=r"use tensor.detach\(\).numpy\(\)"):
        x.numpy()


def test_deepcopy_copies_values_and_gradient_of_a_leaf_only():
    x = wanting(1.0, 2.0)
    (x * x).sum().backward()
    twin = copy.deepcopy([x, x])
    assert twin[0] is twin[1]
    assert (twin[0].tolist(), twin[0].grad.tolist()) == ([1, 2], [2, 4])
    with no_grad():
        twin[0].zero_()
    assert (x.tolist(), x.grad.tolist(), twin[0].requires_grad) == ([1, 2], [2, 4], True)
    with pytest.raises(RuntimeError, match="only leaf tensors can be copied"):
        copy.deepcopy(x * 2)


def test_a_gradient_of_another_shape_or_dtype_is_refused():
    x = wanting(1.0, 2.0)
    with pytest.raises(RuntimeError, match="expected shape"):
        x.grad = dtrain.ones(3, dtype=dtrain.float64)
    with pytest.raises(RuntimeError, match="expected shape"):
        x.grad = dtrain.ones(2)
    x.grad = dtrain.ones(2, dtype=dtrain.float64)
    x.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_nothing_warns_where_values_are_not_finite():
    x = dtrain.from_numpy(np.array([0.0, -1.0, 1000.0])).requires_grad_()
    (x.log() + x.exp() + 1 / x).sum().backward()
    assert x.grad.isfinite().tolist() == [False, True, False]
