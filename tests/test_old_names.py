"""PyTorch's old names: `Variable`, `FloatTensor` and the other types of tensors."""

import numpy as np
import pytest

import dtrain
from dtrain.autograd import Variable
from dtrain.functions.tensor_types import TYPES


def test_a_variable_shares_the_tensors_memory_and_is_a_leaf():
    x = dtrain.ones(2, requires_grad=True)
    made = Variable(x * 2)
    assert made.is_leaf
    assert not made.requires_grad
    y = dtrain.zeros(2)
    Variable(y)[0] = 5
    assert y.tolist() == [5, 0]
    (Variable(y, requires_grad=True) * 3).sum().backward()
    assert isinstance(y, Variable)
    assert not isinstance(np.zeros(2), Variable)


def test_a_variable_is_made_of_a_tensor_alone():
    with pytest.raises(TypeError, match="expected a tensor, got list"):
        Variable([1.0])
    with pytest.warns(UserWarning, match=r"compute under dtrain\.no_grad"):
        assert not Variable(dtrain.ones(1), volatile=True).requires_grad
    with pytest.raises(ValueError, match="exclude each other"):
        Variable(dtrain.ones(1), requires_grad=True, volatile=True)


#: PyTorch has no `torch.ComplexFloatTensor`, but `x.type()` says so.
PUBLIC = [name for name in TYPES if not name.startswith("Complex")]


def test_complex_types_have_names_alone():
    x = dtrain.ones(2).type("torch.ComplexDoubleTensor")
    assert x.dtype == dtrain.complex128
    assert x.type() == "torch.ComplexDoubleTensor"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_type_makes_tensors_of_its_dtype(name):
    kind = getattr(dtrain, name)
    assert kind([1, 0]).tolist() == [1, 0]
    assert kind(2, 3).shape == kind(dtrain.Size([2, 3])).shape == (2, 3)
    assert kind().shape == (0,)
    assert kind(2).dtype == kind.dtype
    assert [other for other in PUBLIC if isinstance(kind(2), getattr(dtrain, other))] == [name]
    assert str(kind) == kind(2).type() == f"torch.{name}"
    assert dtrain.ones(2).type(kind).dtype == dtrain.ones(2).type(str(kind)).dtype == kind.dtype
    assert not isinstance(kind(2), getattr(dtrain.cuda, name))


def test_a_type_takes_a_tensor_of_its_own_kind_without_a_copy():
    x = dtrain.zeros(2)
    dtrain.FloatTensor(x)[1] = 4
    assert x.tolist() == [0, 4]
    with pytest.raises(TypeError, match=r"LongTensor: expected a tensor of dtype int64 on cpu"):
        dtrain.LongTensor(x)
    with pytest.raises(TypeError, match=r"expected sizes or a sequence, got the number 2\.5"):
        dtrain.FloatTensor(2.5)
    with pytest.raises(RuntimeError, match="expected a cpu device, got cuda:0"):
        dtrain.FloatTensor(2, device="cuda:0")


def test_lists_are_rounded_towards_zero_by_integer_types():
    assert dtrain.LongTensor([1.7, -1.7]).tolist() == [1, -1]


def test_the_default_type_is_a_dtype_and_a_device():
    try:
        dtrain.set_default_tensor_type("torch.DoubleTensor")
        assert dtrain.zeros(1).dtype == dtrain.float64
        dtrain.set_default_tensor_type(dtrain.cuda.FloatTensor)
        assert dtrain.get_default_device() == dtrain.device("cuda")
    finally:
        dtrain.set_default_tensor_type(dtrain.FloatTensor)
    assert dtrain.zeros(1).dtype == dtrain.float32
    assert dtrain.get_default_device() == dtrain.device("cpu")
    for wrong in (dtrain.LongTensor, "torch.Float", dtrain.float32):
        with pytest.raises(TypeError, match="set_default_tensor_type: expected a"):
            dtrain.set_default_tensor_type(wrong)


def test_the_strategy_of_sharing_is_a_name():
    from dtrain import multiprocessing

    assert multiprocessing.get_sharing_strategy() in multiprocessing.get_all_sharing_strategies()
    multiprocessing.set_sharing_strategy("file_system")
    assert multiprocessing.get_sharing_strategy() == "file_system"
    with pytest.raises(ValueError, match=r"expected one of .*file_system.*, got 'pipe'"):
        multiprocessing.set_sharing_strategy("pipe")
    assert multiprocessing.get_sharing_strategy() == "file_system"
    multiprocessing.set_sharing_strategy("file_descriptor")
