"""torch.save of whole modules, and load(weights_only=False), which alone reads them."""

import argparse
import collections
import io

import pytest

import dtrain
from dtrain import nn


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_a_module_is_saved_whole_and_read_on_request(tmp_path, name):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
    dtrain.save(model, tmp_path / name)
    again = dtrain.load(tmp_path / name, weights_only=False)
    x = dtrain.rand(4, 2)
    assert (again(x) == model(x)).all()
    assert not again.training
    assert dtrain.load(tmp_path / name, "cpu", weights_only=False)[0].weight.requires_grad
    with pytest.raises(dtrain.errors.CheckpointError, match="reading them can run any code"):
        dtrain.load(tmp_path / name)


def test_options_beside_weights_are_saved():
    file = io.BytesIO()
    state = {"args": argparse.Namespace(lr=0.1), "w": [dtrain.ones(2)]}
    dtrain.save(state, file)
    again = dtrain.load(io.BytesIO(file.getvalue()), map_location="cpu", weights_only=False)
    assert again["args"].lr == 0.1
    assert again["w"][0].tolist() == [1, 1]


def test_containers_keep_their_types_where_tensors_are_moved():
    file = io.BytesIO()
    named = dtrain.nn.utils.rnn.pack_sequence([dtrain.ones(2, 1)])
    counted = collections.defaultdict(list, w=[dtrain.ones(2)])
    dtrain.save({"args": argparse.Namespace(), "named": named, "counted": counted}, file)
    again = dtrain.load(io.BytesIO(file.getvalue()), map_location="cpu", weights_only=False)
    assert type(again["named"]) is type(named)
    assert again["named"].data.tolist() == [[1], [1]]
    assert again["counted"]["w"][0].tolist() == [1, 1]
    assert again["counted"]["other"] == []


def test_a_cut_file_is_refused():
    file = io.BytesIO()
    dtrain.save(nn.Linear(2, 2), file)
    with pytest.raises(dtrain.errors.CheckpointError, match="the file was cut or changed"):
        dtrain.load(io.BytesIO(file.getvalue()[:-9]), weights_only=False)


def test_weights_alone_are_read_with_either_option():
    file = io.BytesIO()
    dtrain.save({"w": dtrain.ones(2)}, file)
    for weights_only in (True, False):
        state = dtrain.load(io.BytesIO(file.getvalue()), weights_only=weights_only)
        assert state["w"].tolist() == [1, 1]


def test_what_cannot_be_saved_leaves_no_file(tmp_path):
    model = nn.Linear(2, 2)
    model.function = lambda: 0
    with pytest.raises(Exception, match=r"pickle|local object"):
        dtrain.save(model, tmp_path / "model.pth")
    assert not list(tmp_path.iterdir())
