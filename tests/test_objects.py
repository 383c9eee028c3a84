"""Object messages: what MPI did not deliver is noticed."""

import pickle
import zlib
from array import array

import pytest

from dtrain.distributed.comm.objects import IncompleteMessageError, allgather_objects


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
