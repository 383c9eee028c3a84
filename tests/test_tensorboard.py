"""Event files for TensorBoard: written through dtrain's SummaryWriter and read back."""

import struct
import sys

import pytest

import dtrain
from dtrain import nn
from dtrain.utils.tensorboard import SummaryWriter

FOREIGN = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def read_events(folder):
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(folder.rglob("events.out.*")):
        data, place = file.read_bytes(), 0
        while place < len(data):  # length, its checksum, event, its checksum
            (length,) = struct.unpack_from("<Q", data, place)
            yield Event.FromString(data[place + 12 : place + 12 + length])
            place += length + 16


def test_without_tensorboardx_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dtrain\[tensorboard\]'"):
        SummaryWriter("nowhere")


@FOREIGN
def test_what_is_written_is_read_back(tmp_path):
    pytest.importorskip("tensorboardX")
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
    with SummaryWriter(tmp_path, comment="ignored", flush_secs=1) as writer:
        assert writer.log_dir == writer.get_logdir() == str(tmp_path)
        loss = dtrain.tensor(0.5, requires_grad=True) * 2
        writer.add_scalar("loss", loss, 3)
        writer.add_scalars("both", {"a": loss, "b": 2}, 4)
        writer.add_histogram("weight", model[0].weight, 5, bins="auto")
        writer.add_image("picture", dtrain.rand(3, 4, 5))
        writer.add_images("grid", dtrain.rand(2, 3, 4, 5).bfloat16(), global_step=6)
        writer.add_text("note", "hello", 7)
        writer.add_graph(model, dtrain.ones(1, 2))
        writer.add_hparams({"lr": 0.1}, {"accuracy": loss})
        writer.add_embedding(dtrain.rand(3, 2), metadata=["x", "y", "z"], global_step=8)
        writer.flush()
    events = list(read_events(tmp_path))
    values = [(e.step, v) for e in events for v in e.summary.value]
    numbers = {(v.tag, step): v.simple_value for step, v in values if v.HasField("simple_value")}
    assert numbers["loss", 3] == 1
    pairs = {v.simple_value for step, v in values if step == 4 and v.HasField("simple_value")}
    assert pairs == {1, 2}
    histogram = next(v.histo for step, v in values if v.tag == "weight")
    assert histogram.num == 6
    assert histogram.min == pytest.approx(model[0].weight.min().item())
    pictures = {v.tag: (v.image.height, v.image.width) for _, v in values if v.HasField("image")}
    assert pictures == {"picture": (4, 5), "grid": (4, 10)}
    assert any(v.tag.startswith("note") for _, v in values)
    graph = next(e.graph_def for e in events if e.graph_def)
    assert b"Sequential/0" in graph
    assert b"Sequential/1/0" in graph
    assert list(tmp_path.rglob("metadata.tsv"))
