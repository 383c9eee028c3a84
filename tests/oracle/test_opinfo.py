"""PyTorch's own samples of its operators through dtrain: values, dtypes and gradients."""

import fnmatch
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # PyTorch's samples import it

from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

import dtrain  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

DTYPES = {"float64": torch.float64, "int64": torch.int64, "bool": torch.bool}

#: What is drawn at random, or not initialized: shapes and dtypes are compared, values are not.
WITHOUT_VALUES = [
    "bernoulli", "cauchy", "empty*", "exponential", "geometric", "log_normal", "multinomial",
    "new_empty*", "nn.functional.*dropout*", "nn.functional.fractional_max_pool*", "nn.functional.rrelu",
    "normal", "poisson", "rand*", "uniform",
]  # fmt: skip

#: Where dtrain differs: (operator, dtype) patterns and why.
_TIES = "of equal elements PyTorch takes another one's place"
_SIGNS = "vectors are unique but for their signs"
_TRIANGLES = "PyTorch gives a gradient to the triangle that is not read, too"
DIFFERENT = {
    ("argsort", "bool"): _TIES,
    ("as_strided partial_views", "*"): "reaches memory around the view that the test hands over",
    ("cholesky_inverse", "*"): _TRIANGLES,
    ("cholesky_solve", "*"): _TRIANGLES,
    ("kthvalue", "int64"): _TIES,
    ("linalg.eigh", "*"): _SIGNS,
    ("linalg.pinv hermitian", "*"): _TRIANGLES,
    ("linalg.svd", "*"): _SIGNS,
    ("mode", "*"): _TIES,
    ("nn.functional.batch_norm", "*"): "an empty vector has no channels to normalize",
    ("nn.functional.ctc_loss", "*"): "PyTorch's gradient is that of what log_softmax was given",
    ("nn.functional.hardsigmoid", "float64"): "PyTorch's 1/6 has the digits of float32",
    ("nn.functional.local_response_norm", "int64"): "PyTorch's means of integers are cut",
    ("nn.functional.triplet_margin_with_distance_loss", "*"): "is given a function of PyTorch's",
    ("sort", "bool"): _TIES,
    ("svd", "*"): _SIGNS,
    ("topk", "int64"): _TIES,
}


def find(path):
    found = dtrain
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def own_function(info):
    """dtrain's function of an OpInfo: of its name, or the OpInfo's own lambda with dtrain in it."""
    function = find(info.name)
    if function is None or isinstance(function, np.dtype):  # `cfloat` is a method and a dtype
        function = getattr(dtrain.Tensor, info.name, None)
    if getattr(info.op, "__name__", "") != "<lambda>" or function is None:
        return function
    names = info.op.__code__.co_names
    if "Tensor" in names:  # torch.Tensor.uniform_
        return getattr(dtrain.Tensor, names[-1], None)
    known = {"torch": dtrain, "wrapper_set_seed": lambda f, *args, **kwargs: f(*args, **kwargs)}
    return types.FunctionType(info.op.__code__, {**info.op.__globals__, **known})


def _cases():
    for info in op_db:
        if own_function(info) is None:
            continue
        label = f"{info.name} {info.variant_test_name}".strip()
        for dtype in DTYPES:
            if DTYPES[dtype] in info.dtypes:
                marks = () if dtype == "float64" else pytest.mark.long
                yield pytest.param(info, dtype, id=f"{label} {dtype}", marks=marks)


class Translator:
    """PyTorch's arguments as dtrain's; a tensor that occurs twice is one tensor."""

    def __init__(self):
        self.tensors = {}

    def __call__(self, value):
        if isinstance(value, torch.Tensor):
            if id(value) not in self.tensors:
                array = value.detach().numpy()
                own = dtrain.from_numpy(array).requires_grad_(value.requires_grad)
                self.tensors[id(value)] = (value, own)
            return self.tensors[id(value)][1]
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return getattr(dtrain, str(value).removeprefix("torch."))
        if isinstance(value, torch.device):
            return str(value)
        if isinstance(value, (list, tuple)):
            return (list if isinstance(value, list) else tuple)(map(self, value))
        if isinstance(value, dict):
            return {name: self(item) for name, item in value.items()}
        return value


def flat(value):
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [leaf for item in value for leaf in flat(item)]
        if isinstance(value, (list, tuple))
        else [value]
    )


def is_foreign(value):
    """Whether it is complex or sparse, which dtrain has not."""
    if isinstance(value, torch.Tensor):
        return value.is_complex() or value.layout is not torch.strided
    return isinstance(value, complex) or (isinstance(value, torch.dtype) and value.is_complex)


def assert_same(ours, theirs, with_values):
    if not isinstance(theirs, torch.Tensor):
        assert ours == theirs or ours != ours
        return
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    if with_values:
        if theirs.dtype is torch.bfloat16:
            ours, theirs = ours.float(), theirs.float()
        array, wanted = ours.detach().numpy(), theirs.detach().numpy(force=True)
        tolerance = 1e-9 if theirs.dtype is torch.float64 else 2e-5
        np.testing.assert_allclose(array, wanted, rtol=tolerance, atol=tolerance)


def assert_same_gradients(ours, theirs, pairs):
    seeds = np.random.default_rng(0)
    arrays = [np.asarray(seeds.standard_normal(out.shape)) for out in theirs]
    wanted = torch.autograd.grad(
        theirs,
        [leaf for leaf, _ in pairs],
        [torch.from_numpy(a).to(out.dtype) for a, out in zip(arrays, theirs)],
        allow_unused=True,
    )
    found = dtrain.autograd.grad(
        ours,
        [leaf for _, leaf in pairs],
        [dtrain.from_numpy(a).to(out.dtype) for a, out in zip(arrays, ours)],
        allow_unused=True,
    )
    for mine, grad in zip(found, wanted):
        if mine is not None and grad is not None:
            assert_same(mine, grad, with_values=True)
        else:
            assert grad is None or not grad.any()


def without_dropout(info, sample):
    """The sample with a probability of 0: which elements are dropped is not to be compared."""
    if "dropout_p" in sample.kwargs:
        sample.kwargs["dropout_p"] = 0.0
    if info.name == "nn.functional.multi_head_attention_forward":
        sample.args = (*sample.args[:9], 0.0, *sample.args[10:])
    return sample


def check(info, function, sample, with_values):
    arguments = (sample.input, sample.args, sample.kwargs)
    if any(map(is_foreign, flat(list(arguments)))):
        return
    translate = Translator()
    own_input, own_args, own_kwargs = map(translate, arguments)
    expected = info.op(sample.input, *sample.args, **sample.kwargs)
    with np.errstate(all="ignore"):
        outputs = flat(function(own_input, *own_args, **own_kwargs))
    expected = flat(expected)
    if any(map(is_foreign, expected)):
        return
    assert len(outputs) == len(expected)
    for ours, theirs in zip(outputs, expected):
        assert_same(ours, theirs, with_values)
    recorded = [
        (ours, theirs)
        for ours, theirs in zip(outputs, expected)
        if isinstance(theirs, torch.Tensor) and theirs.requires_grad
    ]
    leaves = [pair for pair in translate.tensors.values() if pair[0].requires_grad]
    if with_values and recorded and leaves:
        assert_same_gradients(*map(list, zip(*recorded)), leaves)


@pytest.mark.parametrize(("info", "dtype"), list(_cases()))
def test_pytorchs_samples(info, dtype):
    label = f"{info.name} {info.variant_test_name}".strip()
    for (name, of), why in DIFFERENT.items():
        if fnmatch.fnmatch(label, name) and fnmatch.fnmatch(dtype, of):
            pytest.skip(why)
    torch.manual_seed(0)
    differentiable = dtype == "float64" and info.supports_autograd
    with_values = not any(fnmatch.fnmatch(info.name, name) for name in WITHOUT_VALUES)
    samples = list(info.sample_inputs("cpu", DTYPES[dtype], requires_grad=differentiable))
    for sample in samples:
        check(info, own_function(info), without_dropout(info, sample), with_values)


def test_every_difference_is_of_an_operator():
    names = {f"{info.name} {info.variant_test_name}".strip() for info in op_db}
    assert not [name for name, _ in DIFFERENT if not fnmatch.filter(names, name)]
