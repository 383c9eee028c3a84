"""Checkpoints of sharded models: a file of each rank, joined by `dtrain join`."""

import json

import pytest
from safetensors.numpy import load_file

import dtrain
from dtrain import distributed, nn, optim
from dtrain.checkpoint import load_checkpoint, save_checkpoint, verify_checkpoint
from dtrain.checkpoint.manifest import make_manifest
from dtrain.checkpoint.parts import share_out
from dtrain.errors import CheckpointError
from dtrain.parallel import fully_shard

from .processes import finished


@pytest.fixture
def root(tmp_path):
    """Checkpoints of two steps, in parts of two ranks."""

    def body():
        dtrain.manual_seed(1)
        model = fully_shard(nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)))
        optimizer = optim.AdamW(model.parameters())
        for step in (1, 2):
            model(dtrain.ones(1, 5)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            save_checkpoint(tmp_path / "run", step, model=model, optimizer=optimizer)
        return model.state_dict()

    (tmp_path / "run").mkdir()
    states = distributed.run_ranks(2, body)
    return tmp_path / "run", states[0]


def make_objects():
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    return {"model": model, "optimizer": optim.AdamW(model.parameters())}


def test_a_damaged_or_missing_part_is_refused_and_the_newest_whole_checkpoint_named(root):
    folder, _ = root
    part = folder / "step-00000002" / "optimizer-00002-of-00002.safetensors"
    contents = part.read_bytes()
    for damage in (lambda: part.write_bytes(contents[:-1]), part.unlink):
        damage()
        with pytest.raises(CheckpointError, match=f"{part.name}.* is step-00000001: resume with"):
            load_checkpoint(folder, **make_objects())
        with pytest.raises(CheckpointError, match=part.name):
            verify_checkpoint(folder)


def test_a_manifest_without_one_of_the_parts_is_refused(root):
    folder = root[0] / "step-00000002"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["files"]["model-00001-of-00002.safetensors"]
    (folder / "manifest.json").write_bytes(make_manifest(2, None, manifest["files"]))
    with pytest.raises(CheckpointError, match=r"for model, expected 2 parts of it: it was cut"):
        load_checkpoint(folder, **make_objects())


def test_an_object_cannot_have_the_name_of_a_part(tmp_path):
    with pytest.raises(ValueError, match="'a-00001-of-00002', which cannot be the name of a file"):
        save_checkpoint(tmp_path, 1, **{"a-00001-of-00002": nn.Linear(1, 1)})


def test_ranks_write_about_as_many_bytes():
    arrays = [dtrain.zeros(n).array for n in (8, 1, 5, 4, 4, 2)]
    fixed = dict.fromkeys(map(id, arrays))  # every rank could write each of them
    fixed[id(arrays[0])] = 1
    writers = share_out(arrays, fixed, 3)
    assert [writers[id(array)] for array in arrays] == [1, 0, 0, 2, 2, 0]  # 8 each


def test_joined_parts_are_files_of_other_tools(root, run_python, tmp_path):
    folder, state = root
    output = finished(run_python("-m", "dtrain.cli", "join", folder, tmp_path / "whole"))
    joined = tmp_path / "whole" / "step-00000002"
    assert output.strip() == str(joined)
    names = ["manifest.json", *(f"{n}.safetensors" for n in ("model", "optimizer", "random"))]
    assert sorted(file.name for file in joined.iterdir()) == names
    arrays = load_file(joined / "model.safetensors")
    assert {name: array.tolist() for name, array in arrays.items()} == {
        name: tensor.tolist() for name, tensor in state.items()
    }
    assert load_checkpoint(joined, **make_objects()) == 2


def test_a_checkpoint_is_joined_where_it_lies(root, run_python):
    folder, _ = root
    before = make_objects()
    load_checkpoint(folder, **before)
    finished(run_python("-m", "dtrain.cli", "join", folder, folder))
    assert [file.parent.name for file in folder.glob("*/model.safetensors")] == ["step-00000002"]
    assert not list(folder.glob("step-00000002/*-of-*"))
    after = make_objects()
    load_checkpoint(folder, **after)
    assert str(after["optimizer"].state_dict()) == str(before["optimizer"].state_dict())


def test_a_damaged_checkpoint_is_not_joined(root, run_python, tmp_path):
    folder, _ = root
    (folder / "step-00000002" / "model-00002-of-00002.safetensors").unlink()
    process = run_python("-m", "dtrain.cli", "join", folder, tmp_path / "whole")
    assert (process.returncode, process.stdout) == (2, "")
    assert "dtrain join: " in process.stderr
    assert "model-00002-of-00002.safetensors" in process.stderr
    assert not (tmp_path / "whole").exists()
