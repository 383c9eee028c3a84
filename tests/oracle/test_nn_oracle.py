"""Layers and losses against PyTorch: outputs, gradients, state, repr, initial values."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402
from dtrain.nn import functional as F  # noqa: E402
from tests.cases import CASES  # noqa: E402

pytestmark = pytest.mark.oracle


def samples_for(nn, shape):
    t = dtrain if nn is dtrain.nn else torch
    return t.arange(math.prod(shape), dtype=t.float32).reshape(shape) / math.prod(shape)


LINE, IMAGE, VOLUME = (2, 4, 7), (2, 4, 6, 7), (2, 2, 4, 4, 3)
LAYERS = {
    "Linear": (lambda nn: nn.Linear(5, 3), (4, 5)),
    "Linear without bias": (lambda nn: nn.Linear(5, 3, bias=False), (2, 4, 5)),
    "Conv2d": (lambda nn: nn.Conv2d(4, 6, 3), IMAGE),
    "Conv2d options": (
        lambda nn: nn.Conv2d(
            4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2
        ),
        IMAGE,
    ),
    "Conv2d same": (lambda nn: nn.Conv2d(4, 2, 3, padding="same", bias=False), IMAGE),
    "Conv2d reflect": (
        lambda nn: nn.Conv2d(4, 2, 3, padding=(1, 2), padding_mode="reflect"),
        IMAGE,
    ),
    "Conv2d circular": (
        lambda nn: nn.Conv2d(4, 2, (2, 3), padding="same", padding_mode="circular"),
        IMAGE,
    ),
    "Conv2d valid": (
        lambda nn: nn.Conv2d(4, 2, 3, padding="valid", padding_mode="replicate"),
        IMAGE,
    ),
    "Conv1d": (lambda nn: nn.Conv1d(4, 6, 3, 2, 1, groups=2), LINE),
    "Conv1d replicate": (
        lambda nn: nn.Conv1d(4, 2, 3, padding=2, padding_mode="replicate"),
        LINE,
    ),
    "Conv3d": (lambda nn: nn.Conv3d(2, 3, (2, 3, 2), (2, 1, 1), (1, 0, 1)), VOLUME),
    "ConvTranspose1d": (lambda nn: nn.ConvTranspose1d(4, 3, 3, 2), LINE),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(4, 6, 3), IMAGE),
    "ConvTranspose2d options": (
        lambda nn: nn.ConvTranspose2d(
            4, 6, (3, 2), 2, (1, 0), (1, 0), groups=2, bias=False, dilation=(2, 1)
        ),
        IMAGE,
    ),
    "ConvTranspose3d": (lambda nn: nn.ConvTranspose3d(2, 2, 2, (1, 2, 1)), VOLUME),
    "MaxPool2d": (lambda nn: nn.MaxPool2d(2), IMAGE),
    "MaxPool2d options": (lambda nn: nn.MaxPool2d((3, 2), stride=2, padding=1), IMAGE),
    "AvgPool2d": (lambda nn: nn.AvgPool2d(2), IMAGE),
    "AvgPool2d options": (lambda nn: nn.AvgPool2d((3, 2), stride=2, padding=(1, 0)), IMAGE),
    "MaxPool2d ceil": (lambda nn: nn.MaxPool2d(2, 2, 1, (1, 2), ceil_mode=True), IMAGE),
    "MaxPool1d": (lambda nn: nn.MaxPool1d(3, 2), LINE),
    "MaxPool3d": (lambda nn: nn.MaxPool3d((2, 1, 3), 1, (1, 0, 1)), VOLUME),
    "AvgPool2d counts": (
        lambda nn: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        IMAGE,
    ),
    "AvgPool2d divisor": (lambda nn: nn.AvgPool2d((2, 3), divisor_override=5), IMAGE),
    "AvgPool1d": (lambda nn: nn.AvgPool1d(3, padding=1), LINE),
    "AvgPool3d": (lambda nn: nn.AvgPool3d((2, 1, 3), 1, count_include_pad=False), VOLUME),
    "LPPool1d": (lambda nn: nn.LPPool1d(2, 3, 2), LINE),
    "LPPool2d": (lambda nn: nn.LPPool2d(2, (2, 3), ceil_mode=True), IMAGE),
    "LPPool3d": (lambda nn: nn.LPPool3d(2, 2), VOLUME),
    "AdaptiveAvgPool1d": (lambda nn: nn.AdaptiveAvgPool1d(3), LINE),
    "AdaptiveAvgPool2d": (lambda nn: nn.AdaptiveAvgPool2d((3, None)), IMAGE),
    "AdaptiveAvgPool2d of all": (lambda nn: nn.AdaptiveAvgPool2d(1), IMAGE),
    "AdaptiveAvgPool3d": (lambda nn: nn.AdaptiveAvgPool3d((3, 2, 3)), VOLUME),
    "AdaptiveMaxPool1d": (lambda nn: nn.AdaptiveMaxPool1d(3), LINE),
    "AdaptiveMaxPool2d": (lambda nn: nn.AdaptiveMaxPool2d((None, 4)), IMAGE),
    "AdaptiveMaxPool3d": (lambda nn: nn.AdaptiveMaxPool3d(2), VOLUME),
    "FractionalMaxPool2d": (
        lambda nn: nn.FractionalMaxPool2d(
            2, output_ratio=0.5, _random_samples=samples_for(nn, (2, 4, 2))
        ),
        IMAGE,
    ),
    "FractionalMaxPool3d": (
        lambda nn: nn.FractionalMaxPool3d(
            (2, 1, 2), output_size=(2, 3, 1), _random_samples=samples_for(nn, (2, 2, 3))
        ),
        VOLUME,
    ),
    "ConstantPad": (lambda nn: nn.ConstantPad2d((1, 2, 0, 3), 0.5), IMAGE),
    "ConstantPad of one axis": (lambda nn: nn.ConstantPad1d(2, -1), LINE),
    "ConstantPad of three axes": (lambda nn: nn.ConstantPad3d(1, 2.0), VOLUME),
    "ZeroPad": (lambda nn: nn.ZeroPad2d((1, -2, 0, 3)), IMAGE),
    "ZeroPad of one axis": (lambda nn: nn.ZeroPad1d(2), LINE),
    "ZeroPad of three axes": (lambda nn: nn.ZeroPad3d((1, 0, 2, 1, 0, 1)), VOLUME),
    "ReflectionPad": (lambda nn: nn.ReflectionPad2d((1, 2, 0, 3)), IMAGE),
    "ReflectionPad of one axis": (lambda nn: nn.ReflectionPad1d(2), LINE),
    "ReflectionPad of three axes": (lambda nn: nn.ReflectionPad3d(1), VOLUME),
    "ReplicationPad": (lambda nn: nn.ReplicationPad2d((1, 2, 0, 3)), IMAGE),
    "ReplicationPad of one axis": (lambda nn: nn.ReplicationPad1d(2), LINE),
    "ReplicationPad of three axes": (lambda nn: nn.ReplicationPad3d((1, 0, 2, 1, 0, 1)), VOLUME),
    "CircularPad": (lambda nn: nn.CircularPad2d((1, 2, 0, 3)), IMAGE),
    "CircularPad of one axis": (lambda nn: nn.CircularPad1d(2), LINE),
    "CircularPad of three axes": (lambda nn: nn.CircularPad3d((1, 0, 2, 1, 0, 1)), VOLUME),
    "Upsample": (lambda nn: nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"), IMAGE),
    "Upsample to a size": (lambda nn: nn.Upsample((3, 9)), IMAGE),
    "UpsamplingNearest2d": (lambda nn: nn.UpsamplingNearest2d(scale_factor=2), IMAGE),
    "UpsamplingBilinear2d": (lambda nn: nn.UpsamplingBilinear2d((9, 5)), IMAGE),
    "Unfold": (lambda nn: nn.Unfold((2, 3), dilation=(2, 1), padding=1, stride=2), IMAGE),
    "Fold": (lambda nn: nn.Fold((4, 5), (2, 2), padding=(1, 0), stride=(2, 1)), (2, 8, 12)),
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(5), (4, 5)),
    "BatchNorm1d of sequences": (lambda nn: nn.BatchNorm1d(5, eps=1e-3, momentum=0.3), (4, 5, 3)),
    "BatchNorm1d average": (lambda nn: nn.BatchNorm1d(5, momentum=None), (4, 5)),
    "BatchNorm2d": (lambda nn: nn.BatchNorm2d(4), IMAGE),
    "BatchNorm2d without bias": (lambda nn: nn.BatchNorm2d(4, bias=False), IMAGE),
    "BatchNorm2d plain": (
        lambda nn: nn.BatchNorm2d(4, affine=False, track_running_stats=False),
        IMAGE,
    ),
    "LayerNorm": (lambda nn: nn.LayerNorm(5), (4, 5)),
    "LayerNorm of several": (lambda nn: nn.LayerNorm((3, 5), eps=1e-3), (2, 3, 5)),
    "LayerNorm without bias": (lambda nn: nn.LayerNorm(5, bias=False), (2, 5)),
    "LayerNorm plain": (lambda nn: nn.LayerNorm(5, elementwise_affine=False), (2, 5)),
    "RMSNorm": (lambda nn: nn.RMSNorm(5), (4, 5)),
    "RMSNorm options": (lambda nn: nn.RMSNorm((3, 5), 1e-3, elementwise_affine=False), (2, 3, 5)),
    "GroupNorm": (lambda nn: nn.GroupNorm(2, 4), IMAGE),
    "GroupNorm without bias": (lambda nn: nn.GroupNorm(4, 4, 1e-3, bias=False), IMAGE),
    "GroupNorm plain": (lambda nn: nn.GroupNorm(1, 4, affine=False), (3, 4)),
    "InstanceNorm1d": (lambda nn: nn.InstanceNorm1d(5), (4, 5, 3)),
    "InstanceNorm1d of one": (lambda nn: nn.InstanceNorm1d(4, affine=True), (4, 5)),
    "InstanceNorm2d": (lambda nn: nn.InstanceNorm2d(4, 1e-3, affine=True, bias=False), IMAGE),
    "InstanceNorm2d tracking": (
        lambda nn: nn.InstanceNorm2d(4, momentum=0.3, affine=True, track_running_stats=True),
        IMAGE,
    ),
    "InstanceNorm3d": (lambda nn: nn.InstanceNorm3d(2, track_running_stats=True), (3, 2, 2, 3, 2)),
    "BatchNorm3d": (lambda nn: nn.BatchNorm3d(3), (2, 3, 2, 3, 2)),
    "SyncBatchNorm": (lambda nn: nn.SyncBatchNorm(4, 1e-3, 0.3), IMAGE),
    "SyncBatchNorm options": (
        lambda nn: nn.SyncBatchNorm(5, momentum=None, affine=False, track_running_stats=False),
        (4, 5),
    ),
    "SyncBatchNorm converted": (
        lambda nn: nn.SyncBatchNorm.convert_sync_batchnorm(
            nn.Sequential(nn.Linear(5, 4), nn.Sequential(nn.BatchNorm1d(4, bias=False)), nn.ReLU())
        ),
        (6, 5),
    ),
    "LocalResponseNorm": (lambda nn: nn.LocalResponseNorm(3, 0.1, 0.5, 2.0), IMAGE),
    "Unflatten": (lambda nn: nn.Unflatten(1, (2, -1)), IMAGE),
    "PixelShuffle": (lambda nn: nn.PixelShuffle(2), IMAGE),
    "PixelUnshuffle": (lambda nn: nn.PixelUnshuffle(2), (2, 3, 4, 6)),
    "ChannelShuffle": (lambda nn: nn.ChannelShuffle(2), IMAGE),
    "Flatten": (lambda nn: nn.Flatten(), IMAGE),
    "Identity": (lambda nn: nn.Identity(), (3,)),
    "Dropout": (lambda nn: nn.Dropout(0.0), (3, 4)),
    "Sequential": (
        lambda nn: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
        (6, 5),
    ),
}
ACTIVATIONS = {
    "ReLU": [{}, {"inplace": True}],
    "LeakyReLU": [{}, {"negative_slope": 0.2, "inplace": True}],
    "PReLU": [{}, {"num_parameters": 4, "init": 0.1}],
    "RReLU": [{"lower": 0.2, "upper": 0.2}, {"lower": 0.2, "upper": 0.2, "inplace": True}],
    "Threshold": [{"threshold": 0.1, "value": 2.0}],
    "Hardtanh": [{}, {"min_val": -0.5, "max_val": 0.2, "inplace": True}],
    "ReLU6": [{}, {"inplace": True}],
    "Hardsigmoid": [{}, {"inplace": True}],
    "Hardswish": [{}, {"inplace": True}],
    "Hardshrink": [{}, {"lambd": 0.2}],
    "Softshrink": [{}, {"lambd": 0.2}],
    "ELU": [{}, {"alpha": 0.3, "inplace": True}],
    "SELU": [{}, {"inplace": True}],
    "CELU": [{}, {"alpha": 0.3, "inplace": True}],
    "GELU": [{}, {"approximate": "tanh"}],
    "SiLU": [{}, {"inplace": True}],
    "Mish": [{}, {"inplace": True}],
    "GLU": [{}, {"dim": 0}],
    "Sigmoid": [{}],
    "LogSigmoid": [{}],
    "Softplus": [{}, {"beta": 2.0, "threshold": 1.0}],
    "Softsign": [{}],
    "Tanh": [{}],
    "Tanhshrink": [{}],
    "Softmax": [{"dim": 1}],
    "Softmin": [{"dim": 0}],
    "LogSoftmax": [{"dim": -1}],
    "Softmax2d": [{}],
}
LAYERS |= {
    f"{name} {options or ''}": (
        lambda nn, name=name, options=options: getattr(nn, name)(**options),
        (2, 4, 3, 6),
    )
    for name, rows in ACTIVATIONS.items()
    for options in rows
}
CLASSES = np.array([0, 2, 1, 2])
FLOATS, SIGNS = (4, 3), np.where(np.arange(12).reshape(4, 3) % 3, 1.0, -1.0).astype(np.float32)
#: (constructor, what follows the input: shapes of numbers, or arrays)
LOSSES = {
    "MSELoss": (lambda nn: nn.MSELoss(), FLOATS),
    "MSELoss sum": (lambda nn: nn.MSELoss(reduction="sum"), FLOATS),
    "L1Loss": (lambda nn: nn.L1Loss(), FLOATS),
    "HuberLoss": (lambda nn: nn.HuberLoss(delta=0.5), FLOATS),
    "SmoothL1Loss": (lambda nn: nn.SmoothL1Loss(beta=0.5), FLOATS),
    "PoissonNLLLoss": (lambda nn: nn.PoissonNLLLoss(full=True), FLOATS),
    "GaussianNLLLoss": (
        lambda nn: nn.GaussianNLLLoss(full=True), FLOATS, np.full((4, 1), 0.3, np.float32)
    ),
    "BCEWithLogitsLoss": (lambda nn: nn.BCEWithLogitsLoss(), FLOATS),
    "KLDivLoss": (lambda nn: nn.KLDivLoss(reduction="batchmean", log_target=True), FLOATS),
    "CrossEntropyLoss": (lambda nn: nn.CrossEntropyLoss(), CLASSES),
    "CrossEntropyLoss options": (
        lambda nn: nn.CrossEntropyLoss(ignore_index=1, label_smoothing=0.1, reduction="none"),
        CLASSES,
    ),
    "CrossEntropyLoss of probabilities": (
        lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1), FLOATS
    ),
    "NLLLoss": (lambda nn: nn.NLLLoss(), CLASSES),
    "HingeEmbeddingLoss": (lambda nn: nn.HingeEmbeddingLoss(0.3), SIGNS),
    "SoftMarginLoss": (lambda nn: nn.SoftMarginLoss(), SIGNS),
    "MarginRankingLoss": (lambda nn: nn.MarginRankingLoss(0.1), FLOATS, SIGNS),
    "CosineEmbeddingLoss": (lambda nn: nn.CosineEmbeddingLoss(-0.2), FLOATS, SIGNS[:, 0]),
    "TripletMarginLoss": (lambda nn: nn.TripletMarginLoss(0.5, swap=True), FLOATS, FLOATS),
    "TripletMarginWithDistanceLoss": (
        lambda nn: nn.TripletMarginWithDistanceLoss(margin=0.5), FLOATS, FLOATS
    ),
    "MultiMarginLoss": (lambda nn: nn.MultiMarginLoss(2, 0.5), CLASSES),
    "MultiLabelMarginLoss": (
        lambda nn: nn.MultiLabelMarginLoss(), np.array([[1, -1, 2], [0, 2, -1], [-1] * 3, [0, 1, 2]])
    ),
    "MultiLabelSoftMarginLoss": (lambda nn: nn.MultiLabelSoftMarginLoss(), (SIGNS + 1) / 2),
    "CosineSimilarity": (lambda nn: nn.CosineSimilarity(0), FLOATS),
    "PairwiseDistance": (lambda nn: nn.PairwiseDistance(3.0, keepdim=True), FLOATS),
}  # fmt: skip
SHOWN = {
    "BCELoss": lambda nn: nn.BCELoss(),
    "CTCLoss": lambda nn: nn.CTCLoss(2),
    "Embedding": lambda nn: nn.Embedding(5, 3, padding_idx=1),
    "Dropout": lambda nn: nn.Dropout(0.3),
    "Dropout1d": lambda nn: nn.Dropout1d(0.3, inplace=True),
    "Dropout2d": lambda nn: nn.Dropout2d(),
    "Dropout3d": lambda nn: nn.Dropout3d(0.3),
    "AlphaDropout": lambda nn: nn.AlphaDropout(),
    "FeatureAlphaDropout": lambda nn: nn.FeatureAlphaDropout(0.1),
    "ReLU": lambda nn: nn.ReLU(inplace=True),
    "ModuleList": lambda nn: nn.ModuleList(
        [nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Tanh()), nn.Linear(2, 2)]
    ),
    "ModuleList empty": lambda nn: nn.ModuleList(),
    "Sequential empty": lambda nn: nn.Sequential(),
}


def numbers(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def twins(make):
    """The same module in dtrain and in torch, with the same random state."""
    ours, theirs = make(dtrain.nn), make(torch.nn)
    for index, (name, tensor) in enumerate(theirs.state_dict().items()):
        if tensor.is_floating_point():
            values = np.abs(numbers(tuple(tensor.shape), index + 1)) + 0.1
            tensor.copy_(torch.from_numpy(values))
            ours.state_dict()[name].copy_(dtrain.from_numpy(values))
    return ours, theirs


def assert_same_state(ours, theirs):
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    for name, tensor in ours.state_dict().items():
        assert (tensor.shape, str(tensor.dtype)) == (
            tuple(state[name].shape),
            str(state[name].dtype).removeprefix("torch."),
        )
        np.testing.assert_allclose(tensor.numpy(), state[name].numpy(), rtol=1e-5, atol=1e-6)


def assert_same_gradients(ours, theirs):
    for (name, p), (other, q) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == other
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_what_pytorch_gives(name, mode):
    make, shape = LAYERS[name]
    ours, theirs = twins(make)
    for module in (ours, theirs):
        getattr(module, mode)()
    for step in range(2):  # the second sees what the first left in the buffers
        x = dtrain.from_numpy(numbers(shape, step)).requires_grad_()
        y = torch.from_numpy(numbers(shape, step)).requires_grad_()
        out, expected = ours(x * 1), theirs(y * 1)  # a layer may write into its input
        np.testing.assert_allclose(
            out.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5
        )
        weights = numbers(out.shape, 9)
        out.backward(dtrain.from_numpy(weights))
        expected.backward(torch.from_numpy(weights))
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-3, atol=1e-5)
        assert_same_gradients(ours, theirs)
    assert_same_state(ours, theirs)


@pytest.mark.parametrize(("axes", "shape"), [(1, LINE), (2, IMAGE), (3, VOLUME)])
def test_unpooling_puts_maxima_where_pytorch_does(axes, shape):
    def run(t):
        x = t.tensor(numbers(shape))
        out, places = getattr(t.nn, f"MaxPool{axes}d")(2, return_indices=True)(x)
        unpool = getattr(t.nn, f"MaxUnpool{axes}d")(2)
        return repr(unpool), unpool(out, places, output_size=x.shape).numpy(), places.numpy()

    for ours, theirs in zip(run(dtrain), run(torch)):
        np.testing.assert_array_equal(ours, theirs)


TABLES = {
    "Embedding": lambda nn: nn.Embedding(5, 3),
    "Embedding padding": lambda nn: nn.Embedding(5, 3, padding_idx=1),
    "Embedding padding from the end": lambda nn: nn.Embedding(5, 3, padding_idx=-1),
    "Embedding max_norm": lambda nn: nn.Embedding(5, 3, max_norm=0.7),
    "Embedding norm_type": lambda nn: nn.Embedding(5, 3, 0, max_norm=0.7, norm_type=1.0),
    "Embedding by frequency": lambda nn: nn.Embedding(5, 3, scale_grad_by_freq=True),
    "EmbeddingBag": lambda nn: nn.EmbeddingBag(5, 3),
    "EmbeddingBag sum": lambda nn: nn.EmbeddingBag(5, 3, mode="sum"),
    "EmbeddingBag max": lambda nn: nn.EmbeddingBag(5, 3, mode="max", padding_idx=1),
    "EmbeddingBag max_norm": lambda nn: nn.EmbeddingBag(5, 3, max_norm=0.7, padding_idx=4),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_give_what_pytorch_gives(name):
    ours, theirs = twins(TABLES[name])
    words = np.array([[1, 4, 1], [0, 1, 2]])
    for _ in range(2):  # the second sees what max_norm has changed
        out, expected = ours(dtrain.from_numpy(words)), theirs(torch.from_numpy(words))
        np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-5)
        (out * out).sum().backward()
        (expected * expected).sum().backward()
        assert_same_gradients(ours, theirs)
    assert_same_state(ours, theirs)
    assert repr(ours) == repr(theirs)


def test_bilinear_gives_what_pytorch_gives():
    ours, theirs = twins(lambda nn: nn.Bilinear(4, 3, 2))
    arrays = numbers((5, 4)), numbers((5, 3), 1)
    out, expected = ours(*map(dtrain.from_numpy, arrays)), theirs(*map(torch.from_numpy, arrays))
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-5)
    out.sum().backward()
    expected.sum().backward()
    assert_same_gradients(ours, theirs)
    assert_same_state(ours, theirs)
    assert repr(ours) == repr(theirs)


def assert_same_losses(make, arrays):
    ours = [dtrain.from_numpy(array) for array in arrays]
    theirs = [torch.from_numpy(array) for array in arrays]
    x, y = ours[0].requires_grad_(), theirs[0].requires_grad_()
    out, expected = make(dtrain)(*ours), make(torch)(*theirs)
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-5)
    out.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_give_what_pytorch_gives(name):
    make, *targets = LOSSES[name]
    arrays = [numbers(t, 5 + i) if isinstance(t, tuple) else t for i, t in enumerate(targets)]
    assert_same_losses(lambda t: make(t.nn), [numbers(FLOATS), *arrays])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_of_probabilities_give_what_pytorch_gives_at_the_limits(reduction):
    chances = np.array([0, 0, 1, 1, 0.3, 1e-30], np.float32)
    target = np.array([0, 1, 0, 1, 0.5, 1], np.float32)
    assert_same_losses(lambda t: t.nn.BCELoss(reduction=reduction), [chances, target])
    weight = np.arange(6, dtype=np.float32)
    assert_same_losses(
        lambda t: t.nn.BCELoss(t.from_numpy(weight), reduction=reduction), [chances, target]
    )
    assert_same_losses(
        lambda t: t.nn.BCEWithLogitsLoss(
            t.from_numpy(weight), reduction=reduction, pos_weight=t.tensor(3.0)
        ),
        [np.array([-200, 200, -30, 30, 0, 0.5], np.float32), target],
    )


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("seed", range(5))
def test_ctc_gives_what_pytorch_gives(seed, reduction, zero_infinity):
    rng = np.random.default_rng(seed)
    classes, blank = 5, int(rng.integers(5))
    targets = rng.integers(classes - 1, size=(6, 4))
    targets += targets >= blank
    labels = rng.integers(5, size=6)
    if seed % 2:
        targets = np.concatenate([row[:n] for row, n in zip(targets, labels)])
    make = lambda t: t.nn.CTCLoss(blank, reduction, zero_infinity)
    lengths = [rng.integers(10, size=6), labels]
    logits = rng.normal(size=(9, 6, classes))
    outputs, gradients = [], []
    for t in (dtrain, torch):
        x = t.tensor(logits, requires_grad=True)
        out = make(t)(x.log_softmax(2), *map(t.tensor, [targets, *lengths]))
        out.sum().backward()
        outputs.append(out.detach().numpy())
        gradients.append(x.grad.numpy())
    np.testing.assert_allclose(*outputs, rtol=1e-9, atol=1e-12)
    defined = np.isfinite(gradients[1])  # an infinite loss has no gradient
    np.testing.assert_allclose(gradients[0][defined], gradients[1][defined], rtol=1e-7, atol=1e-9)
    assert defined.all() or not zero_infinity


@pytest.mark.parametrize("name", [*LAYERS, *LOSSES, *SHOWN])
def test_modules_look_as_in_pytorch(name):
    make = SHOWN.get(name) or (LAYERS | LOSSES)[name][0]
    assert repr(make(dtrain.nn)) == repr(make(torch.nn))


def test_class_weights_are_state_as_in_pytorch():
    weight = np.array([1.0, 2.0, 0.5], np.float32)
    ours = dtrain.nn.CrossEntropyLoss(weight=dtrain.from_numpy(weight))
    theirs = torch.nn.CrossEntropyLoss(weight=torch.from_numpy(weight))
    assert_same_state(ours, theirs)


# --- initial values ---

BOUNDED = {
    "Linear": (lambda nn: nn.Linear(64, 200), 1 / 8),
    "Conv2d": (lambda nn: nn.Conv2d(4, 200, 4), 1 / 8),
    "Bilinear": (lambda nn: nn.Bilinear(64, 9, 200), 1 / 8),
    "Conv2d groups": (lambda nn: nn.Conv2d(16, 200, 4, groups=4), 1 / 8),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(16, 256, 1), 1 / 16),
}


@pytest.mark.parametrize("t", [dtrain, torch], ids=["dtrain", "torch"])
@pytest.mark.parametrize("name", BOUNDED)
def test_initial_values_are_uniform_within_pytorchs_bounds(name, t):
    make, bound = BOUNDED[name]
    t.manual_seed(0)
    layer = make(t.nn)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    assert abs(weight).max() <= bound
    assert abs(bias).max() <= bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert bias.std() == pytest.approx(bound / math.sqrt(3), rel=0.15)
    assert abs(weight.mean()) < bound / 20


@pytest.mark.parametrize("t", [dtrain, torch], ids=["dtrain", "torch"])
def test_an_embedding_begins_standard_normal_but_for_its_padding(t):
    t.manual_seed(0)
    table = t.nn.Embedding(500, 20, padding_idx=3).weight.detach().numpy()
    assert not table[3].any()
    assert table.std() == pytest.approx(1, rel=0.03)
    assert abs(table.mean()) < 0.03


INITS = {
    "xavier_uniform_": {"gain": 2.0},
    "xavier_normal_": {"gain": 2.0},
    "kaiming_uniform_": {"a": 0.1, "mode": "fan_out"},
    "kaiming_normal_": {"nonlinearity": "relu"},
    "uniform_": {"a": -2.0, "b": 1.0},
    "normal_": {"mean": 1.0, "std": 0.2},
    "constant_": {"val": 0.3},
    "ones_": {},
    "trunc_normal_": {"mean": 0.2, "std": 0.5, "a": -0.3, "b": 1.5},
    "orthogonal_": {"gain": 2.0},
    "zeros_": {},
}


@pytest.mark.parametrize("name", INITS)
def test_initializers_draw_from_pytorchs_distributions(name):
    def moments(t):
        t.manual_seed(0)
        array = getattr(t.nn.init, name)(t.empty(80, 40, 3, 3), **INITS[name]).numpy()
        return [array.mean(), array.std(), np.quantile(array, 0.1), np.quantile(array, 0.9)]

    ours, theirs = moments(dtrain), moments(torch)
    scale = max(map(abs, theirs))
    np.testing.assert_allclose(ours, theirs, atol=0.03 * scale, rtol=0)


@pytest.mark.parametrize(
    ("nonlinearity", "param"),
    [("linear", None), ("sigmoid", None), ("tanh", None), ("relu", None), ("selu", None),
     ("leaky_relu", None), ("leaky_relu", 0.3)],
)  # fmt: skip
def test_gains_are_those_of_pytorch(nonlinearity, param):
    ours = dtrain.nn.init.calculate_gain(nonlinearity, param)
    assert ours == pytest.approx(torch.nn.init.calculate_gain(nonlinearity, param))


def test_every_functional_of_pytorchs_names_has_a_row():
    shared = {name for name in dir(F) if name[0] != "_" and hasattr(torch.nn.functional, name)}
    functions = {name for name in shared if callable(getattr(F, name))}
    rows = {case.op.removeprefix("F.") for case in CASES}
    assert functions - rows <= {"Tensor"}
