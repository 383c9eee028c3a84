"""Questions about dtypes, tensors by their old names, and memory shared with other libraries."""

import numpy as np
import pytest

import dtrain


def test_promotion_by_name():
    assert dtrain.promote_types(dtrain.int64, dtrain.float16) == dtrain.float16
    assert dtrain.promote_types(dtrain.float16, dtrain.bfloat16) == dtrain.float32
    assert dtrain.promote_types(dtrain.uint8, dtrain.int8) == dtrain.int16
    assert dtrain.result_type(dtrain.ones(2), 3) == dtrain.float32
    assert dtrain.result_type(dtrain.ones(2, dtype=dtrain.int32), 2.5) == dtrain.float32
    assert dtrain.result_type(1, dtrain.ones(2, dtype=dtrain.uint8)) == dtrain.uint8
    assert dtrain.result_type(True, 2.5) == dtrain.float32


def test_what_may_be_written_where():
    assert dtrain.can_cast(dtrain.float64, dtrain.float16)
    assert dtrain.can_cast(dtrain.int8, dtrain.uint8)
    assert not dtrain.can_cast(dtrain.float32, dtrain.int64)
    assert not dtrain.can_cast(dtrain.int64, dtrain.bool)


def test_limits_of_dtypes():
    assert dtrain.finfo(dtrain.bfloat16).eps == 2.0**-7
    assert dtrain.finfo().max == np.finfo(np.float32).max
    assert (dtrain.iinfo(dtrain.uint8).min, dtrain.iinfo(dtrain.uint8).max) == (0, 255)
    with pytest.raises(TypeError, match="use iinfo"):
        dtrain.finfo(dtrain.int64)


def test_a_size_is_a_tuple_that_counts():
    size = dtrain.ones(2, 3, 4).shape
    assert isinstance(size, dtrain.Size)
    assert size == (2, 3, 4)
    assert size.numel() == 24
    assert isinstance(size[1:] + (1,), dtrain.Size)  # noqa: RUF005
    assert repr(size[:2]) == "dtrain.Size([2, 3])"
    assert f"{size[:1]}" == "(2,)"
    a, b, c = size
    assert (a, b, c) == dtrain.ones(2, 3, 4).size()


def test_tensors_by_sizes_or_by_data():
    assert dtrain.Tensor(2, 3).shape == (2, 3)
    assert dtrain.Tensor(dtrain.Size([4])).shape == (4,)
    assert dtrain.Tensor([2, 3]).tolist() == [2.0, 3.0]
    assert dtrain.Tensor().shape == (0,)
    assert dtrain.LongTensor([1, 2]).dtype == dtrain.int64
    assert dtrain.HalfTensor(2, 3).shape == (2, 3)
    assert dtrain.ones(2).type() == "torch.FloatTensor"
    assert dtrain.ones(2).type(dtrain.LongTensor).dtype == dtrain.int64
    assert dtrain.ones(2).type("torch.BoolTensor").dtype == dtrain.bool


def test_memory_is_shared_through_dlpack():
    x = dtrain.arange(3.0)
    array = np.from_dlpack(x)
    y = dtrain.from_dlpack(array)
    assert np.shares_memory(array, x.numpy())
    y[0] = 5
    assert x.tolist() == [5, 1, 2]
    assert dtrain.utils.dlpack.from_dlpack(x).tolist() == x.tolist()
    with pytest.raises(BufferError, match="requires grad"):
        np.from_dlpack(x.requires_grad_())


def test_asarray_copies_only_if_it_must_or_shall():
    array = np.ones(3)
    assert np.shares_memory(dtrain.asarray(array).numpy(), array)
    assert not np.shares_memory(dtrain.asarray(array, copy=True).numpy(), array)
    with pytest.raises(ValueError, match="without a copy"):
        dtrain.asarray([1, 2], copy=False)


def test_numpy_by_force_ignores_the_graph():
    assert dtrain.ones(2, requires_grad=True).numpy(force=True).tolist() == [1, 1]


# --- bfloat16 ---


def test_bfloat16_is_rounded_once_from_float32():
    x = dtrain.tensor([1.0, 257.0, 0.1], dtype=dtrain.bfloat16)
    assert x.tolist() == [1.0, 256.0, 0.10009765625]
    assert (x * 2.5).dtype == (2.5 - x).dtype == (x @ x).dtype == x.mean().dtype == dtrain.bfloat16
    assert x.numpy().dtype == dtrain.bfloat16
    assert repr(x) == "tensor([1.0000e+00, 2.5600e+02, 1.0010e-01], dtype=bfloat16)"


def test_a_sum_of_many_halves_does_not_stall():
    for dtype in (dtrain.bfloat16, dtrain.float16):
        x = dtrain.ones(4096, dtype=dtype, requires_grad=True)
        total = (x + dtrain.zeros(1, dtype=dtype)).sum()
        total.backward()
        assert total.item() == 4096
        assert x.grad.dtype == dtype


def test_gradients_of_bfloat16_are_bfloat16():
    weight = dtrain.ones(1, dtype=dtrain.bfloat16, requires_grad=True)
    (weight * dtrain.ones(1000, dtype=dtrain.bfloat16)).exp().log().sum().backward()
    assert weight.grad.tolist() == [1000.0]
    assert weight.grad.dtype == dtrain.bfloat16


def test_every_dtype_is_saved_and_loaded(tmp_path):
    names = [
        "bfloat16",
        "bool",
        "float16",
        "float32",
        "float64",
        "int16",
        "int32",
        "int64",
        "int8",
        "uint8",
    ]
    state = {name: dtrain.tensor([0, 1, 2]).to(getattr(dtrain, name)) for name in names}
    dtrain.save(state, tmp_path / "state.safetensors")
    loaded = dtrain.load(tmp_path / "state.safetensors")
    assert {name: (str(x.dtype), x.tolist()) for name, x in loaded.items()} == {
        name: (name, x.tolist()) for name, x in state.items()
    }
    loaded["int8"].add_(1)  # they can be written to


# --- out= and NumPy's names ---


def test_out_is_written_grows_and_refuses():
    out = dtrain.zeros(2)
    memory = out.numpy()
    assert dtrain.add(dtrain.ones(2), 1, out=out) is out
    assert memory.tolist() == [2, 2]
    assert dtrain.exp(dtrain.zeros(3), out=out).shape == (3,)
    values, indices = dtrain.zeros(0), dtrain.zeros(0, dtype=dtrain.int64)
    dtrain.sort(dtrain.tensor([3.0, 1.0]), out=(values, indices))
    assert (values.tolist(), indices.tolist()) == ([1, 3], [1, 0])
    assert dtrain.zeros(2, out=out).tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="can't be cast"):
        dtrain.exp(dtrain.zeros(3), out=dtrain.zeros(3, dtype=dtrain.int64))
    with pytest.raises(RuntimeError, match="cannot be differentiated"):
        dtrain.exp(dtrain.zeros(3, requires_grad=True), out=out)


def test_numpys_names_of_arguments_are_known():
    x = dtrain.ones(2, 3)
    assert (
        dtrain.sum(x, axis=0, keepdims=True).shape == x.sum(axis=0, keepdims=True).shape == (1, 3)
    )
    assert dtrain.add(x1=x, x2=x).tolist() == dtrain.add(input=x, other=x).tolist()


@pytest.mark.parametrize(
    "call",
    [
        lambda: dtrain.exp(1.0),
        lambda: dtrain.sum([1, 2]),
        lambda: dtrain.maximum(dtrain.ones(2), 1),
        lambda: dtrain.pow(2, 3),
        lambda: dtrain.Tensor(2.5),
        lambda: dtrain.zeros(2.5),
    ],
)
def test_what_is_no_tensor_is_a_type_error(call):
    with pytest.raises(TypeError):
        call()


def test_integers_that_do_not_fit():
    x = dtrain.tensor([250], dtype=dtrain.uint8)
    assert (x + 10).tolist() == [4]
    assert (x * -1).tolist() == [6]
    for refused in (
        lambda: dtrain.full((1,), 300, dtype=dtrain.uint8),
        lambda: dtrain.tensor([300], dtype=dtrain.uint8),
        lambda: x.fill_(300),
        lambda: dtrain.tensor([float("nan")], dtype=dtrain.int64),
    ):
        with pytest.raises(RuntimeError, match="without overflow"):
            refused()


def test_two_numbers_are_added_and_divided():
    assert dtrain.add(2, 3).item() == 5
    assert dtrain.sub(2.5, 1).item() == 1.5
    assert dtrain.div(1, 4).item() == 0.25
    with pytest.raises(TypeError, match="add: expected a tensor as input, got str"):
        dtrain.add("2", 3)
