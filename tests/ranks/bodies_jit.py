"""Bodies about compiled models: the bits of eager mode on any number of ranks."""

import functools

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.checkpoint import digest
from dtrain.data import DataLoader, TensorDataset
from dtrain.nn import functional as F


def _model():
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def _as_it_is(model):
    return DataParallel(model)


def _compiled_inside(model):
    return DataParallel(dtrain.compile(model, fullgraph=True))


def _compiled_outside(model):
    return dtrain.compile(DataParallel(model), fullgraph=True)


def _train(wrap):
    """Two epochs with dropout and batch statistics; returns the digest of the state."""
    dtrain.manual_seed(3)
    model = wrap(_model())
    optimizer = dtrain.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    g = dtrain.Generator(1)
    data = TensorDataset(dtrain.randn(37, 6, generator=g), dtrain.randint(0, 3, (37,), generator=g))
    for _ in range(2):
        for step in DataLoader(data, 2, shuffle=True, microbatches=8).steps():
            for x, y in step:
                F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
    return digest(model.state_dict())


@functools.cache
def _eager_digest():
    return distributed.run_ranks(1, lambda: _train(_as_it_is))[0]


def compiled_models_train_to_eager_bits():
    assert _train(_compiled_inside) == _eager_digest()
    assert _train(_compiled_outside) == _eager_digest()
