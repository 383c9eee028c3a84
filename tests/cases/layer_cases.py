"""The table of modules and losses: constructors, and inputs to run them on.

The same rows run against PyTorch (tests/oracle), on CuPy against NumPy (tests/cupy), and as the
microbatches of one step over several ranks (tests/ranks).
"""

import numpy as np

from tests.cases.layer_case import IMAGE, LINE, Layer, called
from tests.cases.layer_cases_images import PADDING, WINDOWS
from tests.cases.layer_cases_losses import LOSSES
from tests.cases.layer_cases_sequences import SEQUENCES


def adaptive_softmax(nn):
    return nn.AdaptiveLogSoftmaxWithLoss(6, 9, [2, 5], div_value=2.0, head_bias=True)


DENSE = {
    "Linear": Layer(lambda nn: nn.Linear(5, 3), [(4, 5)]),
    "Linear without bias": Layer(lambda nn: nn.Linear(5, 3, bias=False), [(2, 4, 5)]),
    "Unflatten": Layer(lambda nn: nn.Unflatten(1, (2, -1)), [IMAGE]),
    "Flatten": Layer(lambda nn: nn.Flatten(), [IMAGE]),
    "Identity": Layer(lambda nn: nn.Identity(), [(3,)]),
    "Dropout": Layer(lambda nn: nn.Dropout(0.0), [(3, 4)]),
    "weight_norm": Layer(
        lambda nn: nn.utils.parametrizations.weight_norm(nn.Linear(5, 4), dim=1), [(6, 5)]
    ),
    "spectral_norm": Layer(
        lambda nn: nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 3, 2)), [IMAGE]
    ),
    "AdaptiveLogSoftmaxWithLoss": Layer(adaptive_softmax, [(5, 6), np.array([0, 8, 3, 1, 4])]),
    "AdaptiveLogSoftmaxWithLoss of the head": Layer(adaptive_softmax, [(2, 6), np.array([1, 0])]),
    "AdaptiveLogSoftmaxWithLoss of one": Layer(adaptive_softmax, [(6,), np.array(7)]),
    "AdaptiveLogSoftmaxWithLoss.log_prob": Layer(
        adaptive_softmax, [(5, 6)], lambda nn, module, x: module.log_prob(x)
    ),
    "AdaptiveLogSoftmaxWithLoss.predict": Layer(
        adaptive_softmax, [(9, 6)], lambda nn, module, x: module.predict(x)
    ),
    "Bilinear": Layer(lambda nn: nn.Bilinear(4, 3, 2), [(5, 4), (5, 3)]),
    "CosineSimilarity": Layer(lambda nn: nn.CosineSimilarity(0), [(4, 3), (4, 3)]),
    "PairwiseDistance": Layer(lambda nn: nn.PairwiseDistance(3.0, keepdim=True), [(4, 3), (4, 3)]),
}
LAZY = {
    "LazyLinear": Layer(lambda nn: called(nn, nn.LazyLinear(3), (4, 5)), [(4, 5)]),
    "LazyConv2d": Layer(
        lambda nn: called(nn, nn.LazyConv2d(6, 3, groups=2, bias=False), IMAGE), [IMAGE]
    ),
    "LazyConvTranspose1d": Layer(
        lambda nn: called(nn, nn.LazyConvTranspose1d(6, 3, stride=2), LINE), [LINE]
    ),
    "LazyBatchNorm1d": Layer(lambda nn: called(nn, nn.LazyBatchNorm1d(), (4, 5)), [(4, 5)]),
    "LazyInstanceNorm2d": Layer(
        lambda nn: called(nn, nn.LazyInstanceNorm2d(affine=True), IMAGE), [IMAGE]
    ),
}
NORMS = {
    "BatchNorm1d": Layer(lambda nn: nn.BatchNorm1d(5), [(4, 5)]),
    "BatchNorm1d of sequences": Layer(
        lambda nn: nn.BatchNorm1d(5, eps=1e-3, momentum=0.3), [(4, 5, 3)]
    ),
    "BatchNorm1d average": Layer(lambda nn: nn.BatchNorm1d(5, momentum=None), [(4, 5)]),
    "BatchNorm2d": Layer(lambda nn: nn.BatchNorm2d(4), [IMAGE]),
    "BatchNorm2d without bias": Layer(lambda nn: nn.BatchNorm2d(4, bias=False), [IMAGE]),
    "BatchNorm2d plain": Layer(
        lambda nn: nn.BatchNorm2d(4, affine=False, track_running_stats=False), [IMAGE]
    ),
    "LayerNorm": Layer(lambda nn: nn.LayerNorm(5), [(4, 5)]),
    "LayerNorm of several": Layer(lambda nn: nn.LayerNorm((3, 5), eps=1e-3), [(2, 3, 5)]),
    "LayerNorm without bias": Layer(lambda nn: nn.LayerNorm(5, bias=False), [(2, 5)]),
    "LayerNorm plain": Layer(lambda nn: nn.LayerNorm(5, elementwise_affine=False), [(2, 5)]),
    "RMSNorm": Layer(lambda nn: nn.RMSNorm(5), [(4, 5)]),
    "RMSNorm options": Layer(
        lambda nn: nn.RMSNorm((3, 5), 1e-3, elementwise_affine=False), [(2, 3, 5)]
    ),
    "GroupNorm": Layer(lambda nn: nn.GroupNorm(2, 4), [IMAGE]),
    "GroupNorm without bias": Layer(lambda nn: nn.GroupNorm(4, 4, 1e-3, bias=False), [IMAGE]),
    "GroupNorm plain": Layer(lambda nn: nn.GroupNorm(1, 4, affine=False), [(3, 4)]),
    "InstanceNorm1d": Layer(lambda nn: nn.InstanceNorm1d(5), [(4, 5, 3)]),
    "InstanceNorm1d of one": Layer(lambda nn: nn.InstanceNorm1d(4, affine=True), [(4, 5)]),
    "InstanceNorm2d": Layer(
        lambda nn: nn.InstanceNorm2d(4, 1e-3, affine=True, bias=False), [IMAGE]
    ),
    "InstanceNorm2d tracking": Layer(
        lambda nn: nn.InstanceNorm2d(4, momentum=0.3, affine=True, track_running_stats=True),
        [IMAGE],
    ),
    "InstanceNorm3d": Layer(
        lambda nn: nn.InstanceNorm3d(2, track_running_stats=True), [(3, 2, 2, 3, 2)]
    ),
    "BatchNorm3d": Layer(lambda nn: nn.BatchNorm3d(3), [(2, 3, 2, 3, 2)]),
    "SyncBatchNorm": Layer(lambda nn: nn.SyncBatchNorm(4, 1e-3, 0.3), [IMAGE]),
    "SyncBatchNorm options": Layer(
        lambda nn: nn.SyncBatchNorm(5, momentum=None, affine=False, track_running_stats=False),
        [(4, 5)],
    ),
    "SyncBatchNorm converted": Layer(
        lambda nn: nn.SyncBatchNorm.convert_sync_batchnorm(
            nn.Sequential(nn.Linear(5, 4), nn.Sequential(nn.BatchNorm1d(4, bias=False)), nn.ReLU())
        ),
        [(6, 5)],
    ),
    "LocalResponseNorm": Layer(lambda nn: nn.LocalResponseNorm(3, 0.1, 0.5, 2.0), [IMAGE]),
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
NAMED_ACTIVATIONS = {
    f"{name} {options or ''}".strip(): Layer(
        lambda nn, name=name, options=options: getattr(nn, name)(**options), [(2, 4, 3, 6)]
    )
    for name, rows in ACTIVATIONS.items()
    for options in rows
}
DROPOUTS = {
    f"{name} {p}": Layer(lambda nn, name=name, p=p: getattr(nn, name)(p), [shape], drawn=True)
    for name, shape, p in (
        ("Dropout", (3, 4), 0.3),
        ("Dropout1d", (2, 4, 5), 0.5),
        ("Dropout2d", IMAGE, 0.3),
        ("Dropout3d", (2, 4, 2, 2, 2), 0.3),
        ("AlphaDropout", (3, 4), 0.2),
        ("FeatureAlphaDropout", IMAGE, 0.5),
    )
} | {"RReLU drawn": Layer(lambda nn: nn.RReLU(), [IMAGE], drawn=True)}


def listed(nn, modules, x):
    for module in modules:
        x = module(x)
    return x


CONTAINERS = {
    "Sequential": Layer(
        lambda nn: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
        [(6, 5)],
    ),
    "ModuleList": Layer(
        lambda nn: nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5), nn.Tanh()]), [(6, 5)], listed
    ),
    "ModuleDict": Layer(
        lambda nn: nn.ModuleDict({"a": nn.Linear(5, 4, bias=False), "b": nn.GELU()}),
        [(6, 5)],
        lambda nn, modules, x: modules["b"](modules["a"](x)),
    ),
    "ParameterList": Layer(
        lambda nn: nn.ParameterList([nn.Parameter(nn.Linear(5, 4).weight.detach())] * 2),
        [(6, 5)],
        lambda nn, params, x: x @ params[0].t() + params[1].sum(),
    ),
    "ParameterDict": Layer(
        lambda nn: nn.ParameterDict({"w": nn.Linear(5, 4).weight.detach()}),
        [(6, 5)],
        lambda nn, params, x: x @ params["w"].t(),
    ),
}

LAYERS = (
    DENSE | LAZY | WINDOWS | PADDING | NORMS | NAMED_ACTIVATIONS | DROPOUTS | SEQUENCES | CONTAINERS
)
MODULES = LAYERS | LOSSES
