"""Files between dtrain and PyTorch, both ways."""

import numpy as np
import pytest

import dtrain

torch = pytest.importorskip("torch")


def trained():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    return model.state_dict(), optimizer.state_dict(), schedule.state_dict()


def same(mine, theirs):
    if isinstance(theirs, torch.Tensor):
        wide = theirs.float() if theirs.dtype == torch.bfloat16 else theirs
        return str(theirs.dtype).endswith(str(mine.dtype)) and np.array_equal(
            np.asarray(mine.detach(), wide.detach().numpy().dtype), wide.detach().numpy()
        )
    if isinstance(theirs, dict):
        return list(mine) == list(theirs) and all(same(mine[key], theirs[key]) for key in theirs)
    if isinstance(theirs, (list, tuple)):
        return len(mine) == len(theirs) and all(map(same, mine, theirs))
    return mine == theirs


TENSORS = {
    "float16": torch.ones(2).half(), "bfloat16": torch.ones(2).bfloat16(),
    "turned": torch.arange(6.0).reshape(2, 3).T, "part": torch.arange(9)[3:7:2],
    "scalar": torch.tensor(3), "empty": torch.zeros(0, 3), "mask": torch.tensor([True, False]),
    "param": torch.nn.Parameter(torch.ones(2)), "bytes": torch.arange(3, dtype=torch.uint8),
}  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
def test_dtrain_reads_what_pytorch_wrote(tmp_path, zipped):
    state = {"trained": trained(), **TENSORS, "sizes": torch.Size([2, 3]), "some": {1, 2}}
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    loaded = dtrain.load(tmp_path / "x.pth")
    assert same(loaded, state)
    assert isinstance(loaded["param"], dtrain.nn.Parameter)


def test_pytorch_reads_what_dtrain_wrote(tmp_path):
    state = {
        "w": dtrain.arange(6.0).reshape(2, 3).T, "half": dtrain.ones(2).half(),
        "brain": dtrain.ones(2, dtype=dtrain.bfloat16), "p": dtrain.nn.Parameter(dtrain.ones(2)),
        "numbers": [1, -(2**70), 1.5, None, True, "hé"], "pair": (1, (2,)), 3: {},
        "empty": dtrain.zeros(0, 3), "scalar": dtrain.tensor(2),
    }  # fmt: skip
    dtrain.save(state, tmp_path / "x.pth")
    loaded = torch.load(tmp_path / "x.pth", weights_only=True)
    assert same(state, loaded)
    assert isinstance(loaded["p"], torch.nn.Parameter)


def test_whole_models_are_refused_by_name(tmp_path):
    torch.save(torch.nn.Linear(1, 1), tmp_path / "model.pth")
    with pytest.raises(dtrain.errors.CheckpointError, match=r"holds torch\.nn\.\S*Linear, which"):
        dtrain.load(tmp_path / "model.pth")
