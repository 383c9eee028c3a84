"""PyTorch's files without PyTorch: written, read, and refused where they hold more than data."""

import io
import pickle
import random
import zipfile

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.errors import CheckpointError

STATE = {
    "weights": {"w": dtrain.arange(6.0).reshape(2, 3), "turned": dtrain.arange(6).reshape(2, 3).T},
    "half": dtrain.ones(2, dtype=dtrain.float16),
    "brain": dtrain.ones(2, dtype=dtrain.bfloat16),
    "scalar": dtrain.tensor(2.5),
    "mask": dtrain.tensor([True, False]),
    "empty": dtrain.zeros(0, 3),
    "numbers": [1, -5, 2**40, -(2**70), 1.5, float("inf"), True, None, "hé"],
    "pair": (1, (2,)),
    3: {},
}


def same(x, y):
    if isinstance(x, dtrain.Tensor):
        return x.dtype == y.dtype and x.shape == y.shape and dtrain.equal(x, y)
    if isinstance(x, dict):
        return list(x) == list(y) and all(same(x[key], y[key]) for key in x)
    if isinstance(x, (list, tuple)):
        return type(x) is type(y) and len(x) == len(y) and all(map(same, x, y))
    return type(x) is type(y) and x == y


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
def test_what_was_saved_is_loaded(tmp_path, suffix):
    dtrain.save(STATE, tmp_path / f"state{suffix}")
    assert zipfile.is_zipfile(tmp_path / f"state{suffix}")
    assert same(dtrain.load(tmp_path / f"state{suffix}"), STATE)


def test_parameters_stay_parameters_and_shared_memory_stays_shared(tmp_path):
    param = nn.Parameter(dtrain.ones(3))
    dtrain.save({"a": param, "b": param.detach()}, tmp_path / "p.pth")
    loaded = dtrain.load(tmp_path / "p.pth")
    assert isinstance(loaded["a"], nn.Parameter)
    assert loaded["a"].requires_grad
    loaded["b"].fill_(7)
    assert loaded["a"].tolist() == [7, 7, 7]


def test_the_same_state_has_the_same_bytes(tmp_path):
    for name in ("a.pth", "b.pth"):
        dtrain.save(STATE, tmp_path / name)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


def test_a_model_goes_on_from_its_file(tmp_path):
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    dtrain.save(first.state_dict(), tmp_path / "m.pth")
    second.load_state_dict(dtrain.load(tmp_path / "m.pth"))
    x = dtrain.ones(1, 3)
    assert first(x).tolist() == second(x).tolist()


def test_what_has_no_place_in_a_file_is_refused_before_it_is_made(tmp_path):
    path = tmp_path / "x.pth"
    with pytest.raises(TypeError, match=r"a\.1 is a object"):
        dtrain.save({"a": [1, object()]}, path)
    with pytest.raises(TypeError, match=r"has the key \(1,\)"):
        dtrain.save({(1,): 2}, path)
    assert not path.exists()


def archive(pickled, **entries):
    """A zip archive as PyTorch writes them, with any pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/data.pkl", pickled)
        for name, contents in entries.items():
            made.writestr(f"archive/{name}", contents)
    return file.getvalue()


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [print, eval, getattr, pickle.loads, np.zeros])
@pytest.mark.parametrize("legacy", [False, True])
def test_code_is_refused_by_name_and_not_run(tmp_path, capsys, function, legacy):
    pickled = pickle.dumps({"x": Call(function, "print('ran')")}, protocol=2)
    path = tmp_path / "bad.pth"
    path.write_bytes(pickled if legacy else archive(pickled))
    with pytest.raises(CheckpointError, match=rf"bad\.pth: holds \S*{function.__name__}, which is"):
        dtrain.load(path)
    assert capsys.readouterr().out == ""


def test_a_program_is_refused(tmp_path):
    path = tmp_path / "program.pt"
    path.write_bytes(archive(pickle.dumps({}, protocol=2), **{"code/model.py": b""}))
    with pytest.raises(CheckpointError, match="TorchScript program, which holds code"):
        dtrain.load(path)


def test_other_archives_and_pickles_are_refused(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("notes.txt", "hello")
    with pytest.raises(CheckpointError, match=r"zip archive without data\.pkl"):
        dtrain.load(path)
    path.write_bytes(pickle.dumps([1, 2], protocol=2))
    with pytest.raises(CheckpointError, match="none of PyTorch's"):
        dtrain.load(path)


def test_a_tensor_beyond_its_memory_is_refused(tmp_path):
    path = tmp_path / "x.pth"
    dtrain.save({"w": dtrain.ones(4)}, path)
    whole = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as file:
        pickled = file.read("archive/data.pkl")

    def numbers(*values):
        return b"".join(b"J" + value.to_bytes(4, "little", signed=True) for value in values)

    sizes = b"(" + numbers(4) + b"t(" + numbers(1) + b"t"
    for forged in (b"(" + numbers(5) + b"t(" + numbers(1) + b"t",
                   b"(" + numbers(4) + b"t(" + numbers(2) + b"t",
                   b"(" + numbers(4) + b"t(" + numbers(-1) + b"t"):  # fmt: skip
        changed = pickled.replace(sizes, forged)
        assert changed != pickled
        path.write_bytes(archive(changed, **{"data/0": bytes(16)}))
        with pytest.raises(CheckpointError, match="reaches beyond its 4 elements"):
            dtrain.load(path)
    path.write_bytes(archive(pickled, **{"data/0": bytes(12)}))
    with pytest.raises(CheckpointError, match="storage 0 has 12 bytes where 4 of float32"):
        dtrain.load(path)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "x.pth"
    dtrain.save(STATE, path)
    whole = path.read_bytes()
    dice = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        if dice.random() < 0.3:
            damaged = damaged[: dice.randrange(4, len(whole))]
        else:
            for _ in range(3):
                damaged[dice.randrange(4, len(whole))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            dtrain.load(path)  # where only a date or a name was hit, it may be whole
        except CheckpointError:
            refused += 1
    assert refused > 200
