"""A model of the time of a training step on many ranks.

Of P ranks R are on each of H = P / R nodes. Each rank has N bytes of gradients; a and b
are the latency and the bandwidth of a node's link, m the speed of a node's memory. An exchange
has two halves: `reduce` leaves the sum of one slice with each rank, `gather` makes it whole.

flat          each rank sends its slices to the ranks of all other nodes by itself
hierarchical  a node adds its ranks' gradients in shared memory; its leader sends (DataParallel)
sharded       as hierarchical, but what is gathered are the parameters, after each rank has
              stepped with its slice alone (fully_shard, ZeroRedundancyOptimizer)
"""

from dataclasses import dataclass, replace

EXCHANGES = ("flat", "hierarchical", "sharded")


@dataclass(frozen=True)
class Work:
    """One step of one rank that has a core to itself, and what it has to exchange.

    forward_ms, backward_ms, optimizer_ms : F, B, O
    bucket_bytes : of each bucket of gradients, in the order in which they fill
    ready_ms : when each bucket is full, from the beginning of the backward pass
    vote_bytes : v, what each rank tells all others at the end of a step
    memory_gb_s : m, what a node reads and writes while it adds gradients
    """

    forward_ms: float
    backward_ms: float
    optimizer_ms: float
    bucket_bytes: list[int]
    ready_ms: list[float]
    vote_bytes: int
    memory_gb_s: float

    @property
    def compute_ms(self):
        return self.forward_ms + self.backward_ms + self.optimizer_ms

    def slower(self, times):
        """The same step on a core that is `times` as fast."""
        return replace(
            self,
            forward_ms=self.forward_ms * times,
            backward_ms=self.backward_ms * times,
            optimizer_ms=self.optimizer_ms * times,
            ready_ms=[ready * times for ready in self.ready_ms],
        )


@dataclass(frozen=True)
class Cluster:
    """P ranks, R of them on each node (or all), whose links send and receive at the same time."""

    ranks: int
    ranks_per_node: int
    latency_us: float
    bandwidth_gbit: float

    @property
    def neighbours(self):
        """R."""
        return min(self.ranks, self.ranks_per_node)

    @property
    def nodes(self):
        """H."""
        return self.ranks // self.neighbours

    def link_ms(self, messages, nbytes):
        """k messages of N bytes in all, each way: k a + N / b."""
        return messages * self.latency_us / 1e3 + nbytes * 8 / (self.bandwidth_gbit * 1e6)


def sent_bytes(cluster, exchange, nbytes):
    """What a node sends in one half for N bytes: flat R (P - R) / P N, else (H - 1) / H N."""
    P, R, H = cluster.ranks, cluster.neighbours, cluster.nodes
    return R * (P - R) / P * nbytes if exchange == "flat" else (H - 1) / H * nbytes


def full_shard_bytes(cluster, nbytes):
    """What a node would send in a step without a copy of the parameters, which are gathered before
    the forward and before the backward pass: 3 (H - 1) / H N (ZeRO stage 3)."""
    return 3 * sent_bytes(cluster, "sharded", nbytes)


def reduce_ms(work, cluster, exchange, nbytes):
    """The first half for one bucket: milliseconds of the network, and of the nodes' memory.

    flat          (P - R) a + R (P - R) / P N / b,  R (1 + 1 / P) N / m
    else          (H - 1) a + (H - 1) / H N / b,    ((R + 1) N [R > 1] + (1 + 1 / H) N [H > 1]) / m

    The memory: flat, each rank reads P slices and writes one. Else a node reads R gradients and
    writes one, of which its leader then reads H slices and writes one.
    """
    P, R, H, m = cluster.ranks, cluster.neighbours, cluster.nodes, work.memory_gb_s * 1e6
    sent = sent_bytes(cluster, exchange, nbytes)
    if exchange == "flat":
        return cluster.link_ms(P - R, sent), (P > 1) * R * (1 + 1 / P) * nbytes / m
    touched = (R > 1) * (R + 1) + (H > 1) * (1 + 1 / H)
    return cluster.link_ms(H - 1, sent), touched * nbytes / m


def gather_ms(work, cluster, exchange, nbytes):
    """The second half: the network has as much to do; memory 2 (R - 1) N / m, or none if flat.

    The memory: each rank that does not lead copies what its leader has; flat, slices arrive
    where they belong.
    """
    copied = 0 if exchange == "flat" else 2 * (cluster.neighbours - 1) * nbytes
    network, _ = reduce_ms(work, cluster, exchange, nbytes)
    return network, copied / (work.memory_gb_s * 1e6)


def agreement_ms(work, cluster):
    """The agreement of all ranks at the end of the step, in two collectives.

    2 ceil(log2 P) a + (P - R) v / b, where there is a network.
    """
    if cluster.nodes == 1:
        return 0.0
    rounds = 2 * (cluster.ranks - 1).bit_length()
    return cluster.link_ms(rounds, (cluster.ranks - cluster.neighbours) * work.vote_bytes)


def step_ms(work, cluster, exchange, overlap=True):
    """Milliseconds of a step: F + B, the rest of the exchange after it, the agreement, O.

    With overlap bucket i leaves when it is full and the one before has arrived:
    end(i) = max(F + ready(i), end(i - 1)) + network(i) + memory(i). Memory is work of the cores
    that compute: the backward pass ends at F + B + all memory(i), and the gradients are there at
    the later of that and of the last end(i). Without overlap, the buckets begin at F + B.
    A sharded step takes O / P, and then the network and memory to gather the parameters.
    """
    sharded = exchange == "sharded"
    arrived, computed = 0.0, work.forward_ms + work.backward_ms
    for nbytes, ready in zip(work.bucket_bytes, work.ready_ms):
        network, memory = reduce_ms(work, cluster, exchange, nbytes)
        if not sharded:
            more_network, more_memory = gather_ms(work, cluster, exchange, nbytes)
            network, memory = network + more_network, memory + more_memory
        if overlap:
            arrived = max(work.forward_ms + ready, arrived) + network + memory
            computed += memory
        else:
            computed += network + memory
    step = max(arrived, computed) + agreement_ms(work, cluster)
    if not sharded:
        return step + work.optimizer_ms
    gathered = sum(sum(gather_ms(work, cluster, exchange, n)) for n in work.bucket_bytes)
    return step + work.optimizer_ms / cluster.ranks + gathered


def communication_ms(work, cluster):
    """Milliseconds of the hierarchical exchange over the network, without computation."""
    return sum(
        half(work, cluster, "hierarchical", nbytes)[0]
        for half in (reduce_ms, gather_ms)
        for nbytes in work.bucket_bytes
    )
