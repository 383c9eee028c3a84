"""AdaptiveLogSoftmaxWithLoss: an approximate softmax for many classes, rare ones in clusters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from dtrain.autograd import Tensor
from dtrain.functions.creation import tensor
from dtrain.functions.joining import cat
from dtrain.functions.searching import bucketize
from dtrain.nn import functional as F
from dtrain.nn.containers import ModuleList, Sequential
from dtrain.nn.layers import Linear
from dtrain.nn.module import Module


class ASMoutput(NamedTuple):
    """Each sample's log-probability of its target, and the mean loss."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities and loss for classes sorted by frequency, the most frequent first
    (Grave et al. 2016) (torch.nn.AdaptiveLogSoftmaxWithLoss).

    input: (n, in_features); target: (n,) of int64. A single sample has no n.

    Parameters
    ----------
    cutoffs : the first class of each cluster, ascending; the head predicts the classes below
        the first cutoff and, as one further class each, the clusters
    div_value : cluster i projects the input to in_features / div_value^(i + 1) features

    >>> import dtrain
    >>> layer = AdaptiveLogSoftmaxWithLoss(8, 100, cutoffs=[10, 50], div_value=2.0)
    >>> output, loss = layer(dtrain.ones(3, 8), dtrain.tensor([4, 30, 99]))
    >>> output.shape, layer.log_prob(dtrain.ones(3, 8)).shape
    (dtrain.Size([3]), dtrain.Size([3, 100]))
    """

    in_features: int
    n_classes: int
    cutoffs: list[int]
    div_value: float
    head_bias: bool
    shortlist_size: int
    n_clusters: int
    head_size: int
    head: Linear
    tail: ModuleList

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        limits = [0, *cutoffs, n_classes]
        ascend = all(low < high for low, high in itertools.pairwise(limits))
        if not cutoffs or not ascend or any(int(cutoff) != cutoff for cutoff in cutoffs):
            raise ValueError(
                "AdaptiveLogSoftmaxWithLoss: cutoffs should be a sequence of unique, positive "
                "integers sorted in an increasing order, each between 1 and n_classes-1 = "
                f"{n_classes - 1}, got {list(cutoffs)}"
            )
        like = {"device": device, "dtype": dtype}
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = limits[1:]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **like)
        self.tail = ModuleList()
        for index, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            width = int(in_features // div_value ** (index + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, width, bias=False, **like),
                    Linear(width, high - low, bias=False, **like),
                )
            )

    def reset_parameters(self) -> None:
        """Draw new initial values of the parameters."""
        for layer in self.modules():
            if isinstance(layer, Linear):
                layer.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> ASMoutput:
        if target.ndim == 0 and input.ndim == 1:
            output, loss = self.forward(input.unsqueeze(0), target.unsqueeze(0))
            return ASMoutput(output.squeeze(0), loss)
        if target.ndim != 1 or input.ndim != 2 or len(input) != len(target):
            raise RuntimeError(
                "AdaptiveLogSoftmaxWithLoss: expected input (n, in_features) and target (n,), got "
                f"shapes {input.shape} and {target.shape}"
            )
        least, most = (target.min().item(), target.max().item()) if len(target) else (0, 0)
        if not 0 <= least <= most < self.n_classes:
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{least}, {most}] were found."
            )
        column, output = target, input.new_zeros(len(input))
        cutoffs = tensor(self.cutoffs, device=target.device)
        cluster = bucketize(target, cutoffs, right=True)  # 0: the head itself
        for index in range(self.n_clusters):
            here = cluster.eq(index + 1).nonzero().squeeze(1)
            if not len(here):
                continue
            scores = F.log_softmax(self.tail[index](input.index_select(0, here)), 1)
            within = scores.gather(1, (target[here] - self.cutoffs[index]).unsqueeze(1)).squeeze(1)
            output = output.index_copy(0, here, within)
            column = column.index_fill(0, here, self.shortlist_size + index)
        head = F.log_softmax(self.head(input), 1)
        output = output + head.gather(1, column.unsqueeze(1)).squeeze(1)
        return ASMoutput(output, -output.mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes: (n, n_classes)."""
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for index, cluster in enumerate(self.tail):
            column = self.shortlist_size + index
            parts.append(F.log_softmax(cluster(input), 1) + head[:, column : column + 1])
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each sample: (n,).

        As in PyTorch a frequent class that the head predicts is final; only samples whose head
        predicts a cluster look at the clusters.
        """
        best = self.head(input).argmax(1)
        rare = (best >= self.shortlist_size).nonzero().squeeze(1)
        if not len(rare):
            return best
        return best.index_copy(0, rare, self.log_prob(input.index_select(0, rare)).argmax(1))
