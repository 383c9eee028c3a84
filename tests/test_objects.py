"""Object messages: what MPI did not deliver is noticed."""

import pickle
import zlib
from array import array
from types import SimpleNamespace

import pytest

from dtrain.distributed import point_to_point
from dtrain.distributed.comm import objects
from dtrain.distributed.comm.objects import (
    IncompleteMessageError,
    allgather_objects,
    broadcast_object,
)


class FakeComm:
    """Two ranks, of which this one is the first; `fault` is what goes wrong in a call."""

    def __init__(self, fault=None):
        self.fault, self.other = fault, pickle.dumps(["other"])

    def Get_size(self):
        return 2

    def Allgather(self, own, told):
        if self.fault != "untouched headers":
            number = 6 if self.fault == "earlier message" else own[1]
            told[:] = own + array("q", [len(self.other), number, zlib.crc32(self.other)])

    def Allgatherv(self, own, received):
        if self.fault == "untouched buffer":
            return
        data = own[0] + self.other
        received[0][:] = data[:-1] + b"x" if self.fault == "changed byte" else data
        assert received[1] == [len(own[0]), len(self.other)]


def test_objects_arrive_in_rank_order():
    assert allgather_objects(FakeComm(), {"own": 1}, 7) == [{"own": 1}, ["other"]]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("untouched headers", "rank 0's header is of message -1, expected 7"),
        ("earlier message", "rank 1's header is of message 6, expected 7"),
        ("untouched buffer", "rank 0's message 7 was not received"),
        ("changed byte", "rank 1's message 7 was not received"),
    ],
)
def test_what_mpi_did_not_deliver_is_noticed(fault, message):
    with pytest.raises(IncompleteMessageError, match=message):
        allgather_objects(FakeComm(fault), {"own": 1}, 7)


class Root:
    """The root of a broadcast: what it sends, in order."""

    def __init__(self):
        self.sent = []

    def Get_rank(self):
        return 1

    def Bcast(self, buffer, root):
        assert root == 1
        self.sent.append(bytes(buffer))


class Receiver:
    """Another rank, to which MPI delivers `sent`, or leaves the buffer as it is (None)."""

    def __init__(self, sent):
        self.sent = iter(sent)

    def Get_rank(self):
        return 0

    def Bcast(self, buffer, root):
        data = next(self.sent)
        if data is not None:
            memoryview(buffer).cast("B")[:] = data


@pytest.mark.parametrize("block_bytes", [1 << 30, 7])
def test_a_broadcast_object_arrives_in_blocks(monkeypatch, block_bytes):
    monkeypatch.setattr(objects, "_BLOCK_BYTES", block_bytes)
    root, value = Root(), {"steps": list(range(20))}
    assert broadcast_object(root, value, 7, root=1) is value
    assert max(map(len, root.sent[1:])) <= block_bytes
    assert broadcast_object(Receiver(root.sent), None, 7, root=1) == value


@pytest.mark.parametrize(
    ("place", "data", "message"),
    [
        (0, None, "rank 1's header is of message -1, expected 7"),
        (0, array("q", [5, 6, 0]).tobytes(), "rank 1's header is of message 6, expected 7"),
        (1, None, "rank 1's message 7 was not received"),
    ],
)
def test_what_a_broadcast_did_not_deliver_is_noticed(place, data, message):
    root = Root()
    broadcast_object(root, "value", 7, root=1)
    root.sent[place] = data
    with pytest.raises(IncompleteMessageError, match=message):
        broadcast_object(Receiver(root.sent), None, 7, root=1)


def test_objects_have_been_sent_when_the_call_returns(monkeypatch):
    waited = []

    def isend(data, to, tag):
        assert to == 1
        return SimpleNamespace(wait=lambda: waited.append(len(data)))

    group = SimpleNamespace(comm=SimpleNamespace(isend=isend))
    monkeypatch.setattr(point_to_point, "require_member", lambda *_: group)
    monkeypatch.setattr(point_to_point, "_find_peer", lambda *_: 1)
    objects = ["a", {"b": 2}]
    point_to_point.send_object_list(objects, 1)
    assert waited == [1, len(pickle.dumps(objects, pickle.HIGHEST_PROTOCOL))]
