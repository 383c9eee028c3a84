"""State files and checkpoint folders: whole, checked, and never half."""

import io
import json
import math
import resource
import signal

import numpy as np
import pytest

import dtrain
from dtrain import nn, optim
from dtrain.checkpoint import (
    checkpoints,
    digest,
    find_newest_checkpoint,
    load,
    load_checkpoint,
    save,
    save_checkpoint,
)
from dtrain.errors import CheckpointError


def same(a, b):
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (dtrain.Tensor, np.ndarray)):
        return type(a) is type(b) and a.dtype == b.dtype and a.tolist() == b.tolist()
    return type(a) is type(b) and (a == b or (a != a and b != b))


@pytest.mark.parametrize(
    "state",
    [
        dtrain.tensor(3),
        {"w": dtrain.tensor([[1.5, math.inf]]), "n": None, "on": True, "name": "é", 3: 2.5},
        {"a.b": dtrain.zeros(2), "a": {"b": dtrain.ones(2)}},
        [dtrain.zeros(0, 3), (1, 2, [3]), math.nan, -math.inf, 2**70],
        {"array": np.arange(3, dtype=np.int16), "bools": dtrain.tensor([True, False])},
        {"transposed": dtrain.arange(6).reshape(2, 3).t(), "half": dtrain.ones(2).half()},
        {},
    ],
)
def test_nested_state_comes_back_as_it_was(state, tmp_path):
    save(state, tmp_path / "f")
    assert same(load(tmp_path / "f"), state)
    file = io.BytesIO()
    save(state, file)
    assert same(load(io.BytesIO(file.getvalue())), state)


def test_a_file_of_tensors_is_plain_safetensors(tmp_path):
    from safetensors.numpy import load_file, save_file

    save({"w": dtrain.ones(2)}, tmp_path / "ours")
    assert load_file(tmp_path / "ours")["w"].tolist() == [1, 1]
    save_file({"v": np.ones(3, np.float32)}, tmp_path / "theirs")
    assert load(tmp_path / "theirs")["v"].tolist() == [1, 1, 1]


def test_what_cannot_be_saved_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(TypeError, match=r"save: a\.1 is a set; expected tensors"):
        save({"a": [1, {2}]}, tmp_path / "f")
    with pytest.raises(TypeError, match=r"has the key \(1, 2\)"):
        save({(1, 2): 3}, tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_files_that_are_no_state_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="missing: cannot be read"):
        load(tmp_path / "missing")
    save({"w": dtrain.ones(1000)}, tmp_path / "f")
    whole = (tmp_path / "f").read_bytes()
    for data in (b"", b"\x80\x01K\x01.", whole[:-1], whole[:20], b"PK\x03\x04" + b"0" * 100):
        (tmp_path / "f").write_bytes(data)
        with pytest.raises(CheckpointError, match="is not a complete"):
            load(tmp_path / "f")


# --- folders ---


def job(width=3):
    dtrain.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler}


def advance(parts, steps=3):
    for _ in range(steps):
        parts["model"](dtrain.randn(4, 2)).pow(2).sum().backward()
        parts["optimizer"].step()
        parts["optimizer"].zero_grad()
        parts["scheduler"].step()


def fingerprint(parts):
    file = io.BytesIO()
    save({name: part.state_dict() for name, part in parts.items()}, file)
    return file.getvalue()


@pytest.fixture
def root(tmp_path):
    """A run's folder with checkpoints of steps 3 and 6."""
    parts = job()
    for step in (3, 6):
        advance(parts)
        save_checkpoint(tmp_path / "run", step, **parts)
    return tmp_path / "run"


def test_a_checkpoint_is_the_whole_job(root):
    straight = job()
    advance(straight, 8)
    resumed = job()
    assert load_checkpoint(root / "step-00000006", **resumed) == 6
    advance(resumed, 2)
    assert fingerprint(resumed) == fingerprint(straight)


def test_a_runs_folder_stands_for_its_newest_checkpoint(root):
    assert load_checkpoint(root, **job()) == 6
    assert find_newest_checkpoint(root).name == "step-00000006"
    assert [path.name for path in checkpoints(root)] == ["step-00000003", "step-00000006"]


def test_nothing_but_checkpoints_is_left_in_the_folder(root):
    assert sorted(path.name for path in root.iterdir()) == ["step-00000003", "step-00000006"]


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is no checkpoint and holds none"):
        load_checkpoint(tmp_path, **job())


def refused(folder, parts, message):
    """Loading fails with this message and leaves the parts, and the generator, as they were."""
    before, random = fingerprint(parts), dtrain.backend.default_generator().get_state()
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder, **parts)
    assert fingerprint(parts) == before
    assert dtrain.backend.default_generator().get_state() == random


def test_a_cut_or_edited_file_is_refused_and_the_newest_whole_one_named(root):
    model = root / "step-00000006" / "model.safetensors"
    whole = model.read_bytes()
    advised = r"the file was cut or changed\. The newest intact checkpoint is step-00000003"
    for damaged in (whole[:-1], whole[:-1] + b"\x7f", whole + b"\0", b""):
        model.write_bytes(damaged)
        refused(root / "step-00000006", job(), advised)


def test_missing_and_unreadable_parts_are_refused(root):
    folder = root / "step-00000006"
    (folder / "optimizer.safetensors").unlink()
    refused(folder, job(), "optimizer.safetensors cannot be read")
    (folder / "manifest.json").write_text("{")
    refused(folder, job(), "manifest.json: cannot be read")


def test_a_checkpoint_of_a_later_format_is_refused(root):
    manifest = root / "step-00000006" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    refused(root / "step-00000006", job(), "has format 99, this version reads 1")


def test_a_checkpoint_of_another_model_is_refused(root):
    refused(
        root,
        job(width=4),
        r"(?s)its model does not fit this program's model.*size mismatch for 0\.weight",
    )


def test_a_checkpoint_of_other_parts_is_refused(root):
    parts = job()
    del parts["scheduler"]
    refused(root, parts, r"holds \['model', 'optimizer', 'scheduler'\], but \['model', 'optim")


def test_a_checkpoint_of_another_optimizer_changes_nothing(root):
    parts = job()
    parts["optimizer"] = optim.SGD([dtrain.zeros(1, requires_grad=True)], lr=0.1)
    refused(root, parts, "its optimizer does not fit this program's optimizer")


def test_a_full_disk_leaves_the_old_checkpoints_and_no_ruins(root):
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            save_checkpoint(root, 9, **job())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert sorted(path.name for path in root.iterdir()) == ["step-00000003", "step-00000006"]
    assert load_checkpoint(root, **job()) == 6


def test_what_a_killed_run_left_half_written_is_ignored_and_cleared_away(root):
    (root / ".step-00000009-x1y2").mkdir()
    (root / ".step-00000009-x1y2" / "model.safetensors").write_bytes(b"half")
    assert load_checkpoint(root, **job()) == 6
    save_checkpoint(root, 9, **job())
    assert [path.name for path in sorted(root.iterdir())][:2] == ["step-00000003", "step-00000006"]
    assert not list(root.glob(".*"))


def test_a_step_can_be_written_again(root):
    parts = job()
    save_checkpoint(root, 6, **parts)
    loaded = job()
    advance(loaded)
    load_checkpoint(root / "step-00000006", **loaded)
    assert fingerprint(loaded) == fingerprint(parts)


def test_digests_tell_bits_apart():
    base = {"w": dtrain.zeros(2)}
    others = [
        {"v": dtrain.zeros(2)},
        {"w": dtrain.tensor([0.0, -0.0])},
        {"w": dtrain.zeros(2, 1)},
        {"w": dtrain.zeros(2, dtype=dtrain.float64)},
        {"w": dtrain.zeros(2, dtype=dtrain.int32)},
    ]
    assert len({digest(state) for state in (base, *others)}) == 6
    assert digest({"w": dtrain.zeros(2, 2).t()}) == digest({"w": dtrain.zeros(2, 2)})
