"""PyTorch's files without PyTorch: written, read, and refused where they hold more than data."""

import collections
import io
import pickle
import random
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest
import safetensors.numpy

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


def name_of(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def tensor_of(size, stride, count=4):
    """The pickle of a tensor over storage 0."""
    long = lambda value: b"\x8a\x08" + value.to_bytes(8, "little", signed=True)
    storage = b"(" + text("storage") + name_of("torch", "FloatStorage") + text("0") + text("cpu")
    shape = b"K\x00" + long(size) + b"\x85" + long(stride) + b"\x85\x89"
    rest = storage + long(count) + b"tQ" + shape + name_of("collections", "OrderedDict") + b")RtR."
    return b"\x80\x02" + name_of("torch._utils", "_rebuild_tensor_v2") + b"(" + rest


@pytest.mark.parametrize(
    ("module", "name"),
    [("collections", "Counter"), ("torch", "Size"), ("torch", "float32"),
     ("torch._utils", "_rebuild_parameter")],
)  # fmt: skip
def test_attributes_of_what_is_there_are_not_set(name, module):
    pickled = b"\x80\x02" + name_of(module, name) + b"N}" + text("changed") + b"I1\ns\x86b."
    with pytest.raises(CheckpointError, match="would change a"):
        dtrain.load(io.BytesIO(archive(pickled)))
    assert not hasattr(collections.Counter, "changed")
    assert not hasattr(dtrain.Size, "changed")


@pytest.mark.parametrize(
    ("pickled", "said"),
    [
        (tensor_of(1 << 50, 0), "could need any amount of memory"),
        (tensor_of(4, 1, count=-1), "a storage of -1 elements"),
        (tensor_of(4, 1, count=1 << 40), "has 16 bytes where"),
        (b"\x80\x05\x96" + (1 << 45).to_bytes(8, "little") + b".", "cut or changed"),
    ],
    ids=["expanded", "negative", "large", "buffer"],
)
def test_what_claims_any_amount_of_memory_is_refused(pickled, said):
    with pytest.raises(CheckpointError, match=said):
        dtrain.load(io.BytesIO(archive(pickled, **{"data/0": bytes(16)})))


def test_a_compressed_archive_is_refused_before_it_is_unpacked():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("archive/data.pkl", tensor_of(4, 1))
        made.writestr("archive/data/0", bytes(1 << 20))
    with pytest.raises(CheckpointError, match="compressed zip archive"):
        dtrain.load(io.BytesIO(file.getvalue()))


def test_a_state_dict_keeps_its_attributes():
    state = collections.OrderedDict(a=1)
    state._metadata = {"version": 1}
    loaded = dtrain.load(io.BytesIO(archive(pickle.dumps(state, protocol=2))))
    assert (loaded, loaded._metadata) == ({"a": 1}, {"version": 1})


@pytest.mark.parametrize("length", [512, 640, 896, 1152, 1408])
def test_a_safetensors_file_is_one_whatever_the_length_of_its_header(length):
    shapes = {f"{name:0>20}": np.ones(2, np.float32) for name in range(length // 100)}
    for padding in range(length):
        data = safetensors.numpy.save(shapes, {"padding": "x" * padding})
        if data[:8] == length.to_bytes(8, "little"):
            break
    assert set(dtrain.load(io.BytesIO(data))) == set(shapes)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_any_protocol_are_known_as_such(protocol):
    with pytest.raises(CheckpointError, match="is a pickle, but not PyTorch's"):
        dtrain.load(io.BytesIO(pickle.dumps({"a": 1}, protocol)))


@pytest.mark.parametrize(
    "structure", ["text", '["tensor", "x"]', '["odd", []]', "[1]", '["dict", 3]', "[" * 9999]
)
def test_a_structure_that_dtrain_did_not_write_is_refused(structure):
    data = safetensors.numpy.save({"w": np.ones(2, np.float32)}, {"dtrain.structure": structure})
    with pytest.raises(CheckpointError, match=r"header's dtrain\.structure is not in the form"):
        dtrain.load(io.BytesIO(data))


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
    with pytest.raises(CheckpointError, match="but not PyTorch's"):
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


def nested(depth):
    """A tuple of two tuples of two …: its hash and its text take 2**depth steps."""
    return b")q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(depth))


LONG = b"](" + b"N" * 9999 + b"eq\x01"


OUT_OF_PROPORTION = [
    (nested(60) + b"}h\x00K\x01s.", "a key that holds a tuple"),
    (nested(60) + b"}(h\x00K\x01u.", "a key that holds a tuple"),
    (nested(60) + b"(h\x00K\x01d.", "a key that holds a tuple"),
    (nested(60) + name_of("builtins", "set") + b"]h\x00a\x85R.", "a key that holds a tuple"),
    (nested(60) + name_of("collections", "OrderedDict") + b"]h\x00h\x00\x86a\x85R.",
     "a key that holds a tuple"),
    (nested(60) + b"\x8f(h\x00\x90.", "a key that holds a tuple"),
    (nested(60) + b"(h\x00\x91.", "a key that holds a tuple"),
    (nested(60) + b"(h\x00h\x00h\x00h\x00h\x00tQ.", "refers to what is no storage"),
    (nested(60) + name_of("torch._utils", "_rebuild_tensor") + b"(h\x00h\x00h\x00h\x00tR.", "no short tuples|no integers|cut or"),
    (LONG + b"](" + (name_of("builtins", "list") + b"h\x01\x85R") * 9999 + b"e.", "proportion"),
]  # fmt: skip
LARGE = [
    (b"](" + b"]" * 5_000_000 + b"e.", "out of proportion to its size"),
    (b"](" + b"N" * 5_000_000 + b"e.", "out of proportion to its size"),
    (b"(" * 5_000_000 + b".", "out of proportion to its size"),
]


@pytest.mark.parametrize(
    ("legacy", "pickled", "said"),
    [
        *((legacy, *row) for legacy in (False, True) for row in OUT_OF_PROPORTION),
        *(pytest.param(True, *row, marks=pytest.mark.slow) for row in LARGE),
        *(pytest.param(False, *row, marks=pytest.mark.long) for row in LARGE),
    ],
)
def test_files_that_take_time_or_memory_out_of_proportion_are_refused(legacy, pickled, said):
    data = b"\x80\x04" + pickled
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=said):
            dtrain.load(io.BytesIO(data if legacy else archive(data)))
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_an_unknown_byte_order_is_refused():
    file = io.BytesIO()
    pickled = pickle.dumps(1, 2)
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/data.pkl", pickled)
        made.writestr("archive/byteorder", "middle")
    with pytest.raises(CheckpointError, match="byte order b'middle', expected little or big"):
        dtrain.load(io.BytesIO(file.getvalue()))


def legacy_file(keys, little=True):
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": little}]
    data = b"".join(pickle.dumps(part, 2) for part in parts) + tensor_of(4, 1)
    count = (4).to_bytes(8, "little" if little else "big")
    values = np.arange(4, dtype="<f4" if little else ">f4").tobytes()
    return data + pickle.dumps(keys, 2) + count + values


def test_old_files_are_read_in_either_byte_order():
    for little in (True, False):
        assert dtrain.load(io.BytesIO(legacy_file(["0"], little))).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("keys", [[], ["0", "0"], ["1"], [0], {"0": 1}, "0"])
def test_old_files_that_do_not_list_their_storages_are_refused(keys):
    with pytest.raises(CheckpointError, match=r"lists \d storages|no list of its storages"):
        dtrain.load(io.BytesIO(legacy_file(keys)))


def test_an_old_tar_file_is_named_as_one(tmp_path):
    with tarfile.open(tmp_path / "old.pth", "w") as made:
        made.add(__file__, "storages")
    with pytest.raises(CheckpointError, match=r"old\.pth: is a tar archive, as PyTorch wrote"):
        dtrain.load(tmp_path / "old.pth")


def test_a_default_dict_is_read_with_its_factory():
    for factory in (list, None):
        state = collections.defaultdict(factory, {"a": [1]})
        loaded = dtrain.load(io.BytesIO(archive(pickle.dumps(state, protocol=2))))
        assert type(loaded) is collections.defaultdict
        assert loaded == state
        assert loaded.default_factory is factory
    pickled = b"\x80\x02" + name_of("collections", "defaultdict") + b"K\x03\x85R."
    with pytest.raises(CheckpointError, match="a defaultdict of what is no container"):
        dtrain.load(io.BytesIO(archive(pickled)))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(text("cpu") + b"\x85", "cpu"), (text("cuda") + b"K\x01\x86", "cuda:1")],
)
def test_a_device_is_read_as_its_name(arguments, name):
    pickled = b"\x80\x02" + name_of("torch", "device") + arguments + b"R."
    assert dtrain.load(io.BytesIO(archive(pickled))) == name
