"""What tests on ranks compare: every rank's value, and rank 0's value everywhere."""

from dtrain import distributed


def gathered(value):
    """Every rank's value, in rank order."""
    values = [None] * distributed.world_size()
    distributed.all_gather_object(values, value)
    return values


def from_rank_0(value):
    """Rank 0's value, on every rank."""
    values = [value]
    distributed.broadcast_object_list(values)
    return values[0]
