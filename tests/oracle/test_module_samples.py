"""PyTorch's own samples of its modules through dtrain: outputs, gradients, state and repr."""

import fnmatch

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # PyTorch's samples import it

from torch.testing._internal.common_modules import module_db  # noqa: E402

import dtrain  # noqa: E402
from tests.oracle.test_opinfo import (  # noqa: E402
    Translator,
    assert_same,
    assert_same_gradients,
    flat,
)

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

#: Where dtrain differs: module patterns and why.
_EMPTY = "a batch of no sample is not counted: it is that of a rank without one"
DIFFERENT = {
    "BatchNorm1d train": _EMPTY,
    "BatchNorm2d train": _EMPTY,
    "BatchNorm3d train": _EMPTY,
    "CTCLoss *": "PyTorch's gradient is that of what log_softmax was given",
}


def name_of(info):
    return info.module_cls.__name__


MODULES = {name_of(info): info for info in module_db if hasattr(dtrain.nn, name_of(info))}


def own(value):
    """dtrain's function of the same name, or dtrain's layer with the same options."""
    if isinstance(value, torch.nn.TransformerEncoderLayer):
        return dtrain.nn.TransformerEncoderLayer(
            value.linear1.in_features, value.self_attn.num_heads, value.linear1.out_features,
            value.dropout.p, own(value.activation), value.norm1.eps,
            value.self_attn.batch_first, value.norm_first, value.linear1.bias is not None,
        )  # fmt: skip
    for function in (torch.nn.functional.relu, torch.nn.functional.gelu):
        if value is function:
            return getattr(dtrain.nn.functional, value.__name__)
    return value


def given(translate, parts):
    """The arguments in dtrain."""
    args, kwargs = translate(list(parts.args)), translate(parts.kwargs)
    return list(map(own, args)), {name: own(value) for name, value in kwargs.items()}


def without_dropout(module, nn):
    for part in module.modules():
        if isinstance(part, nn.MultiheadAttention):
            part.dropout = 0.0
        if isinstance(part, nn.Dropout):
            part.p = 0.0


def check(info, sample, training):
    theirs = info.module_cls(*sample.constructor_input.args, **sample.constructor_input.kwargs)
    theirs.to(torch.float64).train(training)
    args, kwargs = given(Translator(), sample.constructor_input)
    ours = getattr(dtrain.nn, name_of(info))(*args, **kwargs)
    ours.to(dtrain.float64).train(training)
    assert repr(ours) == repr(theirs)
    if name_of(info).startswith("Lazy"):  # they have a state from their first input on
        args, kwargs = given(Translator(), sample.forward_input)
        ours(*args, **kwargs)
        theirs(*sample.forward_input.args, **sample.forward_input.kwargs)
        assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    without_dropout(ours, dtrain.nn)
    without_dropout(theirs, torch.nn)
    ours.load_state_dict(Translator()(dict(theirs.state_dict())))

    translate = Translator()
    args, kwargs = given(translate, sample.forward_input)
    outputs = flat(ours(*args, **kwargs))
    expected = flat(theirs(*sample.forward_input.args, **sample.forward_input.kwargs))
    assert len(outputs) == len(expected)
    for own, out in zip(outputs, expected):
        assert_same(own, out, with_values=True)
    pairs = [pair for pair in translate.tensors.values() if pair[0].requires_grad]
    pairs += list(zip(theirs.parameters(), ours.parameters(), strict=True))
    recorded = [
        (own, out)
        for own, out in zip(outputs, expected)
        if isinstance(out, torch.Tensor) and out.requires_grad
    ]
    if recorded and pairs:
        assert_same_gradients(*map(list, zip(*recorded)), pairs)
    for name, tensor in theirs.state_dict().items():
        assert_same(ours.state_dict()[name], tensor, with_values=True)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", MODULES)
def test_pytorchs_samples_of_modules(name, mode):
    for pattern, why in DIFFERENT.items():
        if fnmatch.fnmatch(f"{name} {mode}", pattern):
            pytest.skip(why)
    torch.manual_seed(0)
    info, training = MODULES[name], mode == "train"
    samples = info.module_inputs_func(
        info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
    )
    for sample in samples:
        if sample.forward_input is not None:
            check(info, sample, training)


def test_every_difference_is_of_a_module():
    names = [f"{name} {mode}" for name in MODULES for mode in ("train", "eval")]
    assert not [pattern for pattern in DIFFERENT if not fnmatch.filter(names, pattern)]
