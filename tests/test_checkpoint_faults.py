"""Checkpoints that are damaged, replaced, shared or of another program: refused whole, never half."""

import json
import os

import pytest

import dtrain
from dtrain import distributed, nn, optim
from dtrain.checkpoint import (
    checkpoints,
    folder_writer,
    load,
    load_checkpoint,
    resume,
    save,
    save_checkpoint,
)
from dtrain.errors import CheckpointError


def linear(value):
    model = nn.Linear(2, 2)
    with dtrain.no_grad():
        model.weight.fill_(value)
    return model


@pytest.fixture
def root(tmp_path):
    save_checkpoint(tmp_path / "run", 3, model=linear(3))
    return tmp_path / "run"


def refuse(folder, message="", **others):
    """Loading raises CheckpointError and changes nothing."""
    model, random = linear(7), dtrain.backend.default_generator().get_state()
    with pytest.raises(CheckpointError, match=message or None):
        load_checkpoint(folder, model=model, **others)
    assert model.weight.tolist() == [[7, 7], [7, 7]]
    assert dtrain.backend.default_generator().get_state() == random


def test_no_flipped_bit_of_a_manifest_is_believed(root):
    path = root / "step-00000003" / "manifest.json"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            assert load_checkpoint(root, model=linear(0)) == 3
        except CheckpointError:
            refuse(root)


def rewrite(root, **entries):
    """Change entries of a manifest of format 1, which has no sha256 of its own."""
    path = root / "step-00000003" / "manifest.json"
    old = json.loads(path.read_bytes())
    del old["sha256"]
    path.write_text(json.dumps({**old, "format": 1, **entries}))


def test_a_checkpoint_of_format_1_is_loaded(root):
    rewrite(root)
    assert load_checkpoint(root, model=linear(0)) == 3


A = "a" * 64


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"step": 4}, "has the step 4, its folder another one"),
        ({"step": -3}, "has the step -3"),
        ({"step": True}, "has the step True"),
        ({"job": 3}, "has the job 3"),
        ({"more": 3}, "has the entries"),
        ({"sha256": A}, "has the entries"),
        ({"files": {}}, "lists no random"),
        ({"files": [1]}, "lists no random"),
        ({"files": {"random.safetensors": 3}}, "expected a sha256"),
        ({"files": {"random.safetensors": A.upper()}}, "expected a sha256"),
        *[({"files": {"random.safetensors": A, name: A}}, "lists the file")
          for name in ("../x.safetensors", "/etc/passwd", "a/b.safetensors", ".safetensors", "x")],
        ({"format": True}, "has format True"),
        ({"format": 3}, "has format 3, this version reads 1 and 2"),
    ],
)  # fmt: skip
def test_manifests_of_another_form_are_refused(root, entries, said):
    rewrite(root, **entries)
    refuse(root, said)


def test_files_outside_of_the_folder_are_not_read(root, tmp_path):
    model = root / "step-00000003" / "model.safetensors"
    model.rename(tmp_path / "outside")
    model.symlink_to(tmp_path / "outside")
    refuse(root, "is a link out of the checkpoint's folder")
    model.unlink()
    os.mkfifo(model)
    refuse(root, "it is no regular file")
    model.unlink()
    model.symlink_to("/dev/zero")
    refuse(root, "is a link out of the checkpoint's folder")


class Other:
    """An object with any state, which raises any exception."""

    def __init__(self, state, error=None):
        self.state, self.error = state, error

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state
        if self.error is not None and state != "before":
            raise self.error


@pytest.mark.parametrize(
    "error", [TypeError, AttributeError, IndexError, ZeroDivisionError, OSError]
)
def test_whatever_an_object_raises_all_objects_are_restored(root, error):
    save_checkpoint(root, 4, model=linear(4), other=Other("saved"))
    other = Other("before", error("no"))
    refuse(root, "its other does not fit this program's other", other=other)
    assert other.state == "before"


def test_an_interrupt_restores_all_objects(root):
    save_checkpoint(root, 4, model=linear(4), other=Other("saved"))
    model, other = linear(7), Other("before", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        load_checkpoint(root, model=model, other=other)
    assert (other.state, model.weight.tolist()) == ("before", [[7, 7], [7, 7]])


@pytest.mark.parametrize("state", [[1, 2], {}, None, "text", {"param_groups": 3}, {"state": {}}])
def test_states_of_another_form_are_refused(root, state):
    save_checkpoint(root, 4, model=linear(4), optimizer=Other(state))
    refuse(root, "its optimizer", optimizer=optim.SGD(linear(0).parameters(), lr=0.1))
    save_checkpoint(root, 5, model=Other(state), optimizer=Other(1))
    refuse(root, "its model", optimizer=Other(2))


def test_a_large_state_is_restored_from_its_file(root):
    big = nn.Linear(2048, 2048)
    save_checkpoint(root, 4, model=linear(4), big=nn.Linear(2048, 2048), z=Other("saved"))
    before = big.weight.detach().clone()
    refuse(root, "its z", big=big, z=Other("before", OSError("no")))
    assert dtrain.equal(big.weight, before)


def test_a_step_that_is_saved_again_is_whole_at_any_moment_of_a_kill(root, monkeypatch):
    calls = at = 0

    def dies(path, to):
        nonlocal calls
        calls += 1
        if calls == at:
            raise SystemExit  # as a kill: nothing is cleaned up after it
        return rename(path, to)

    rename = type(root).rename
    monkeypatch.setattr(folder_writer.shutil, "rmtree", lambda *_, **__: None)
    monkeypatch.setattr(type(root), "rename", dies)
    for at in (1, 3, 2, 2, 2):  # noqa: B007 - `dies` reads it
        calls = 0
        with pytest.raises(SystemExit):
            save_checkpoint(root, 3, model=linear(9))
        assert len(checkpoints(root)) == 1
        assert load_checkpoint(root, model=linear(0)) == 3
        assert load_checkpoint(root / "step-00000003", model=linear(0)) == 3
    monkeypatch.undo()
    save_checkpoint(root, 3, model=linear(5))
    assert [path.name for path in root.iterdir()] == ["step-00000003"]
    load_checkpoint(root, model=(model := linear(0)))
    assert model.weight[0, 0].item() == 5


def test_what_another_job_is_writing_is_left_alone(root):
    other = root / ".step-00000009-other"
    other.mkdir()
    with folder_writer._lock(other) as held:
        assert held
        save_checkpoint(root, 4, model=linear(4))
        assert other.is_dir()
    save_checkpoint(root, 5, model=linear(5))
    assert not other.exists()


def test_places_that_are_no_folders_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(CheckpointError, match="a file or a broken link is where a folder"):
            save_checkpoint(place, 1, model=linear(1))
    (tmp_path / "step-00000001").symlink_to(tmp_path)
    with pytest.raises(CheckpointError, match="is a link, so the checkpoint cannot take its place"):
        save_checkpoint(tmp_path, 1, model=linear(1))
    (tmp_path / "step-00000002").write_text("")
    with pytest.raises(CheckpointError, match="is no folder, so"):
        save_checkpoint(tmp_path, 2, model=linear(1))
    assert not list(tmp_path.glob(".step*"))


def test_steps_and_names_that_cannot_be_are_refused(tmp_path):
    for step, error in ((-1, ValueError), (True, TypeError), (1.0, TypeError), ("1", TypeError)):
        with pytest.raises(error, match="save_checkpoint: step is"):
            save_checkpoint(tmp_path / "run", step, model=linear(1))
    for name in ("random", "a/b", "..", "", ".hidden", "a\0b", "x" * 300):
        with pytest.raises(ValueError, match="save_checkpoint: an object is named"):
            save_checkpoint(tmp_path / "run", 1, **{name: linear(1)})
    assert not (tmp_path / "run").exists()


def save_and_load(root):
    model = linear(distributed.rank())
    for step in range(3):
        save_checkpoint(root, step, model=model)
        assert load_checkpoint(root, model=model) == step
        distributed.barrier()  # before rank 0 saves the next step
    return model.weight[0, 0].item()


def test_a_rank_that_loads_right_after_saving_sees_what_was_saved(tmp_path):
    assert distributed.run_ranks(3, save_and_load, tmp_path / "run") == [0, 0, 0]


def save_to_a_file(root):
    with pytest.raises(CheckpointError, match="a file or a broken link") as caught:
        save_checkpoint(root, 1, model=linear(1))
    return "rank 0 could not write" in str(caught.value)


def test_all_ranks_learn_that_rank_0_could_not_write(tmp_path):
    (tmp_path / "file").write_text("")
    assert distributed.run_ranks(2, save_to_a_file, tmp_path / "file") == [False, True]


def test_resume_begins_from_the_newest_checkpoint_that_can_be_read(root, capsys):
    save_checkpoint(root, 4, model=linear(4))
    (root / "step-00000004" / "model.safetensors").write_bytes(b"cut")
    save_checkpoint(root, 5, model=linear(5))
    (root / "step-00000005" / "manifest.json").write_text("[" * 100_000)
    assert resume(root / "new", root, model=linear(0)) == 3
    assert capsys.readouterr().err.count("skipped the damaged checkpoint") == 2


def test_a_tensor_of_the_name_of_the_header_is_saved(tmp_path):
    with pytest.raises(TypeError, match=r"the tensor 'a\.\\udc80' has half of a character"):
        save({"a": {"\udc80": dtrain.ones(2)}}, tmp_path / "f")
    assert not (tmp_path / "f").exists()
    for name in ("__metadata__", "two\nlines"):
        save({name: dtrain.ones(2)}, tmp_path / "f")
        assert load(tmp_path / "f")[name].tolist() == [1, 1]


def test_a_state_that_holds_itself_is_refused(tmp_path):
    state = []
    state.append(state)
    with pytest.raises(TypeError, match="nested too deeply, or a container holds itself"):
        save(state, tmp_path / "f")
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("key", ["epoch", "next_step", "steps_before"])
@pytest.mark.parametrize("value", [-1, float("nan"), None, "1", 1.0, True])
def test_a_loader_goes_on_at_no_negative_or_broken_position(key, value):
    loader = dtrain.data.DataLoader(range(6), batch_size=2)
    before = loader.state_dict()
    with pytest.raises(ValueError, match=f"DataLoader: the state has {key}="):
        loader.load_state_dict({**before, key: value})
    assert loader.state_dict() == before
