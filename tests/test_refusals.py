"""What operations refuse: the exception's class, and words of its message."""

import pytest

import dtrain

NO_DIM = "out of (range|bounds)"


def _matrix(t):
    return t.arange(6.0).reshape(2, 3)


#: (call of dtrain or torch, class, words of dtrain's message)
REFUSED = {
    # a dimension that is not there
    "sum": (lambda t: _matrix(t).sum(2), IndexError, NO_DIM),
    "softmax": (lambda t: _matrix(t).softmax(2), IndexError, NO_DIM),
    "log_softmax": (lambda t: _matrix(t).log_softmax(-3), IndexError, NO_DIM),
    "max": (lambda t: _matrix(t).max(2), IndexError, NO_DIM),
    "cumsum": (lambda t: _matrix(t).cumsum(2), IndexError, NO_DIM),
    "sort": (lambda t: _matrix(t).sort(2), IndexError, NO_DIM),
    "topk": (lambda t: _matrix(t).topk(1, 2), IndexError, NO_DIM),
    "unsqueeze": (lambda t: _matrix(t).unsqueeze(3), IndexError, NO_DIM),
    "unsqueeze low": (lambda t: _matrix(t).unsqueeze(-4), IndexError, NO_DIM),
    "squeeze": (lambda t: _matrix(t).squeeze(2), IndexError, NO_DIM),
    "flatten": (lambda t: _matrix(t).flatten(2), IndexError, NO_DIM),
    "transpose": (lambda t: _matrix(t).transpose(0, 2), IndexError, NO_DIM),
    "permute": (lambda t: _matrix(t).permute(0, 2), IndexError, NO_DIM),
    "narrow": (lambda t: _matrix(t).narrow(2, 0, 1), IndexError, NO_DIM),
    "unbind": (lambda t: _matrix(t).unbind(2), IndexError, NO_DIM),
    "split": (lambda t: _matrix(t).split(1, 2), IndexError, NO_DIM),
    "chunk": (lambda t: _matrix(t).chunk(1, 2), IndexError, NO_DIM),
    "size": (lambda t: _matrix(t).size(2), IndexError, NO_DIM),
    "flip": (lambda t: _matrix(t).flip(2), IndexError, NO_DIM),
    "roll": (lambda t: _matrix(t).roll(1, 2), IndexError, NO_DIM),
    "cat dim": (lambda t: t.cat([_matrix(t)] * 2, 2), IndexError, NO_DIM),
    "stack dim": (lambda t: t.stack([_matrix(t)] * 2, 3), IndexError, NO_DIM),
    "gather": (
        lambda t: _matrix(t).gather(2, t.tensor([[0]])),
        IndexError,
        NO_DIM,
    ),
    "index_select": (
        lambda t: _matrix(t).index_select(2, t.tensor([0])),
        IndexError,
        NO_DIM,
    ),
    # an element that is not there
    "index": (lambda t: _matrix(t)[2], IndexError, "out of bounds"),
    "indices": (lambda t: _matrix(t)[t.tensor([0, 2])], IndexError, "out of bounds"),
    "too many indices": (lambda t: _matrix(t)[0, 0, 0], IndexError, "too many indices"),
    "unfold size": (lambda t: _matrix(t).unfold(1, 4, 1), RuntimeError, "0 <= size <= 3.*got 4"),
    "unfold step": (lambda t: _matrix(t).unfold(1, 2, 0), RuntimeError, "step >= 1, got 2 and 0"),
    "searchsorted rows": (
        lambda t: t.searchsorted(_matrix(t), t.ones(3, 1)),
        RuntimeError,
        r"expected one row, or as many as of values, got shapes \(2, 3\) and \(3, 1\)",
    ),
    "searchsorted side": (
        lambda t: t.searchsorted(t.arange(3.0), 1.0, side="up"),
        RuntimeError,
        "expected side.*got 'up'",
    ),
    "searchsorted sides": (
        lambda t: t.searchsorted(t.arange(3.0), 1.0, side="left", right=True),
        RuntimeError,
        "as `right` says, got 'left'",
    ),
    "narrow length": (lambda t: _matrix(t).narrow(1, 1, 3), RuntimeError, "narrow"),
    "topk k": (lambda t: _matrix(t).topk(4), RuntimeError, "0 <= k <= 3, got 4"),
    "cross_entropy target": (
        lambda t: t.nn.functional.cross_entropy(_matrix(t), t.tensor([0, 3])),
        IndexError,
        "Target 3 is out of bounds",
    ),
    # shapes that do not fit
    "add": (lambda t: _matrix(t) + t.ones(2), RuntimeError, "shape"),
    "matmul": (lambda t: _matrix(t) @ _matrix(t), RuntimeError, "cannot be multiplied"),
    "mm": (lambda t: t.mm(_matrix(t), t.ones(3)), RuntimeError, "expected two matrices"),
    "bmm": (lambda t: t.bmm(_matrix(t), _matrix(t)), RuntimeError, "batches"),
    "mv": (lambda t: t.mv(_matrix(t), _matrix(t)), RuntimeError, "matrix and a vector"),
    "dot": (lambda t: t.dot(_matrix(t), t.ones(3)), RuntimeError, "two vectors"),
    "reshape": (lambda t: _matrix(t).reshape(4, -1), RuntimeError, "invalid for input of size 6"),
    "view": (lambda t: _matrix(t).t().view(6), RuntimeError, "reshape"),
    "expand": (lambda t: _matrix(t).expand(4, 3), RuntimeError, "expand: "),
    "expand new": (lambda t: _matrix(t).expand(-1, 2, 3), RuntimeError, "expand: "),
    "expand fewer": (lambda t: _matrix(t).expand(3), RuntimeError, "expand: "),
    "cat": (lambda t: t.cat([_matrix(t), t.ones(2)]), RuntimeError, "cat"),
    "stack": (lambda t: t.stack([_matrix(t), t.ones(2)]), RuntimeError, "dimensions"),
    "split sections": (lambda t: _matrix(t).split([1, 2]), RuntimeError, "add up to 2"),
    "t": (lambda t: t.ones(1, 2, 3).t(), RuntimeError, "at most 2 dimensions"),
    "linear": (
        lambda t: t.nn.functional.linear(_matrix(t), t.ones(4, 2)),
        RuntimeError,
        r"\(\.\.\., 2\)",
    ),
    "conv2d": (
        lambda t: t.nn.functional.conv2d(t.ones(1, 2, 4, 4), t.ones(1, 3, 2, 2)),
        RuntimeError,
        "expected an input of shape",
    ),
    "conv2d kernel": (
        lambda t: t.nn.functional.conv2d(t.ones(1, 1, 2, 2), t.ones(1, 1, 3, 3)),
        RuntimeError,
        "larger than the padded input",
    ),
    "conv2d dtypes": (
        lambda t: t.nn.functional.conv2d(t.ones(1, 1, 2, 2), t.ones(1, 1, 1, 1, dtype=t.float64)),
        RuntimeError,
        "should be the same",
    ),
    "conv2d stride": (
        lambda t: t.nn.functional.conv2d(t.ones(1, 1, 4, 4), t.ones(1, 1, 2, 2), stride=0),
        RuntimeError,
        "at least 1",
    ),
    "conv2d bias": (
        lambda t: t.nn.functional.conv2d(t.ones(1, 1, 4, 4), t.ones(1, 1, 2, 2), t.ones(2)),
        RuntimeError,
        "a bias of shape",
    ),
    "conv3d options": (
        lambda t: t.nn.functional.conv3d(
            t.ones(1, 1, 4, 4, 4), t.ones(1, 1, 2, 2, 2), padding=(1, 1)
        ),
        RuntimeError,
        "an int or 3",
    ),
    "conv2d dimensions": (
        lambda t: t.nn.functional.conv2d(t.ones(2, 2), t.ones(1, 1, 2, 2)),
        RuntimeError,
        "without a batch",
    ),
    "conv_transpose2d": (
        lambda t: t.nn.functional.conv_transpose2d(
            t.ones(1, 1, 4, 4), t.ones(1, 1, 2, 2), output_padding=1
        ),
        RuntimeError,
        "must be smaller than stride",
    ),
    "conv_transpose1d size": (
        lambda t: t.nn.functional.conv_transpose1d(t.ones(1, 1, 1), t.ones(1, 1, 2), padding=2),
        RuntimeError,
        "at least 1",
    ),
    "avg_pool2d divisor": (
        lambda t: t.nn.functional.avg_pool2d(t.ones(1, 4, 4), 2, divisor_override=0),
        RuntimeError,
        "not 0",
    ),
    "max_pool1d of bools": (
        lambda t: t.nn.functional.max_pool1d(t.ones(1, 4, dtype=t.bool), 2, return_indices=True),
        NotImplementedError,
        "expected numbers",
    ),
    "adaptive_avg_pool2d": (
        lambda t: t.nn.functional.adaptive_avg_pool2d(t.ones(1, 0, 4), 2),
        RuntimeError,
        "with elements",
    ),
    "adaptive_max_pool2d sizes": (
        lambda t: t.nn.functional.adaptive_max_pool2d(t.ones(1, 1, 4, 4), (2, 2, 2)),
        RuntimeError,
        "each of 2 axes",
    ),
    "fractional_max_pool2d": (
        lambda t: t.nn.functional.fractional_max_pool2d(t.ones(1, 4, 4), 3, output_size=3),
        RuntimeError,
        "too large",
    ),
    "max_unpool2d": (
        lambda t: t.nn.functional.max_unpool2d(t.ones(1, 2, 2), t.ones(1, 2, 2), 2),
        RuntimeError,
        "int64 indices",
    ),
    "interpolate": (
        lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4)),
        ValueError,
        "one of both",
    ),
    "interpolate corners": (
        lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), 2, align_corners=True),
        ValueError,
        "no align_corners",
    ),
    "interpolate axes": (
        lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4), 2, mode="bilinear"),
        NotImplementedError,
        "a mode for them",
    ),
    "interpolate antialias": (
        lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4, 4), 2, antialias=True),
        ValueError,
        "antialias is for",
    ),
    "interpolate sizes": (
        lambda t: t.nn.functional.interpolate(t.ones(1, 1, 4, 4), (2, 2, 2)),
        ValueError,
        "each of the 2 axes",
    ),
    "unfold": (
        lambda t: t.nn.functional.unfold(t.ones(1, 1, 2, 2), 3),
        RuntimeError,
        "larger than the image",
    ),
    "fold": (
        lambda t: t.nn.functional.fold(t.ones(1, 4, 5), (3, 3), 2),
        RuntimeError,
        "expected an input",
    ),
    "affine_grid": (
        lambda t: t.nn.functional.affine_grid(t.ones(1, 2, 2), (1, 1, 2, 2), align_corners=False),
        ValueError,
        "theta of shape",
    ),
    "grid_sample": (
        lambda t: t.nn.functional.grid_sample(
            t.ones(1, 1, 2, 2), t.ones(2, 2, 2, 2), align_corners=False
        ),
        RuntimeError,
        "expected an input",
    ),
    "grid_sample mode": (
        lambda t: t.nn.functional.grid_sample(t.ones(1, 1, 2, 2), t.ones(1, 2, 2, 2), "cubic"),
        ValueError,
        "a mode in",
    ),
    "max_pool2d": (
        lambda t: t.nn.functional.max_pool2d(t.ones(1, 1, 3, 3), 4),
        RuntimeError,
        "larger than the input",
    ),
    "max_pool2d dilation": (
        lambda t: t.nn.functional.max_pool2d(t.ones(1, 1, 3, 3), 2, dilation=3),
        RuntimeError,
        "larger than the input",
    ),
    "max_pool2d padding": (
        lambda t: t.nn.functional.max_pool2d(t.ones(1, 1, 3, 3), 2, padding=2),
        RuntimeError,
        "more than half",
    ),
    "cross_entropy": (
        lambda t: t.nn.functional.cross_entropy(_matrix(t), t.tensor([0])),
        ValueError,
        "target of shape",
    ),
    "layer_norm": (
        lambda t: t.nn.functional.layer_norm(_matrix(t), (2,)),
        RuntimeError,
        "layer_norm",
    ),
    # indices that are none
    "index step": (lambda t: _matrix(t)[::-1], ValueError, "step above 0"),
    "index float": (lambda t: _matrix(t)[1.0], IndexError, "expected integers"),
    "index of floats": (lambda t: _matrix(t)[t.tensor([0.5])], IndexError, "int64, int32 or bool"),
    "index mask": (lambda t: _matrix(t)[t.ones(3).bool()], IndexError, "bool"),
    "index value": (
        lambda t: _matrix(t).__setitem__(0, t.ones(2)),
        RuntimeError,
        "broadcast",
    ),
    "index list": (lambda t: _matrix(t).__setitem__(0, [1, 2, 3]), TypeError, "tensor or a number"),
    "index dtype": (
        lambda t: _matrix(t).__setitem__([0], t.ones(3).double()),
        RuntimeError,
        "value of dtype",
    ),
    "index expanded": (
        lambda t: t.ones(1).expand(3).__setitem__(slice(None), 2),
        RuntimeError,
        "share one memory location",
    ),
    "index_select place": (
        lambda t: _matrix(t).t().index_select(0, t.tensor([3])),
        IndexError,
        "out of bounds",
    ),
    "gather place": (
        lambda t: _matrix(t).gather(1, t.tensor([[3]])),
        RuntimeError,
        "out of bounds",
    ),
    "masked_fill mask": (lambda t: _matrix(t).masked_fill(t.ones(3), 0), RuntimeError, "bool"),
    "masked_fill value": (
        lambda t: _matrix(t).to(t.uint8).masked_fill(t.ones(3).bool(), 300),
        RuntimeError,
        "without overflow",
    ),
    "where condition": (lambda t: t.where(t.ones(3), 1, 0), RuntimeError, "dtype bool"),
    "hsplit": (lambda t: _matrix(t).hsplit(2), RuntimeError, "not divisible"),
    "as_strided": (
        lambda t: _matrix(t).as_strided((4, 2), (2, 1)),
        RuntimeError,
        "beyond the 6 elements",
    ),
    "tril": (lambda t: t.ones(3).tril(), RuntimeError, "at least 2 dimensions"),
    "pad cut": (lambda t: t.nn.functional.pad(_matrix(t), (-2, -2)), RuntimeError, "cut more"),
    # matrices without what is asked for
    "inv": (lambda t: t.linalg.inv(t.zeros(2, 2)), RuntimeError, "Singular"),
    "solve": (lambda t: t.linalg.solve(t.ones(2, 2), t.ones(2)), RuntimeError, "Singular"),
    "cholesky": (lambda t: t.linalg.cholesky(-t.eye(2)), RuntimeError, "positive definite"),
    "lu_factor": (lambda t: t.linalg.lu_factor(t.zeros(2, 2)), RuntimeError, "singular"),
    "cholesky_inverse": (
        lambda t: t.cholesky_inverse(t.tensor([[2.0, 0], [1, 0]])),
        RuntimeError,
        "singular",
    ),
    "det": (lambda t: t.linalg.det(_matrix(t)), RuntimeError, "square"),
    "eigh half": (
        lambda t: t.linalg.eigh(t.eye(2).half()),
        RuntimeError,
        "expected float32, float64, complex64 or complex128",
    ),
    # values that cannot be
    "item": (lambda t: _matrix(t).item(), RuntimeError, "one element"),
    "bool": (lambda t: bool(_matrix(t)), RuntimeError, "ambiguous"),
    "len": (lambda t: len(t.ones(())), TypeError, "0-d"),
    "iter": (lambda t: iter(t.ones(())), TypeError, "0-d"),
    "clamp": (lambda t: _matrix(t).clamp(), RuntimeError, "min and max"),
    "cat nothing": (lambda t: t.cat([]), (RuntimeError, ValueError), "at least one"),
    "dropout": (
        lambda t: t.nn.functional.dropout(_matrix(t), 1.5),
        ValueError,
        "between 0 and 1, got 1.5",
    ),
    "reduction": (
        lambda t: t.nn.functional.mse_loss(_matrix(t), _matrix(t), reduction="all"),
        ValueError,
        "'none', 'mean' or 'sum', got 'all'",
    ),
    # options of layers and losses that do not fit
    "elu": (lambda t: t.nn.functional.elu(t.arange(3)), NotImplementedError, "floating dtype"),
    "relu6": (lambda t: t.nn.functional.relu6(t.ones(3).bool()), RuntimeError, "numbers"),
    "prelu": (
        lambda t: t.nn.functional.prelu(_matrix(t), t.ones(2)),
        RuntimeError,
        "one weight, or 3",
    ),
    "celu": (lambda t: t.nn.functional.celu(_matrix(t), 0), RuntimeError, "not 0"),
    "softshrink": (lambda t: t.nn.functional.softshrink(_matrix(t), -1), RuntimeError, ">= 0"),
    "glu": (lambda t: t.nn.functional.glu(_matrix(t)), RuntimeError, "even size"),
    "rrelu": (
        lambda t: t.nn.functional.rrelu(_matrix(t), 2.0, 1.0),
        RuntimeError,
        "lower <= upper",
    ),
    "binary_cross_entropy": (
        lambda t: t.nn.functional.binary_cross_entropy(_matrix(t), _matrix(t)),
        RuntimeError,
        "between 0 and 1",
    ),
    "binary_cross_entropy shape": (
        lambda t: t.nn.functional.binary_cross_entropy_with_logits(_matrix(t), t.ones(3)),
        ValueError,
        r"input's shape \(2, 3\)",
    ),
    "huber_loss": (
        lambda t: t.nn.functional.huber_loss(_matrix(t), _matrix(t), delta=0),
        RuntimeError,
        "delta > 0",
    ),
    "gaussian_nll_loss": (
        lambda t: t.nn.functional.gaussian_nll_loss(_matrix(t), _matrix(t), -t.ones(2, 3)),
        ValueError,
        "at least 0",
    ),
    "probabilities": (
        lambda t: t.nn.functional.cross_entropy(_matrix(t), _matrix(t).long()),
        RuntimeError,
        "probabilities",
    ),
    "class weights": (
        lambda t: t.nn.functional.cross_entropy(_matrix(t), t.tensor([0, 1]), t.ones(2)),
        RuntimeError,
        "each of 3 classes",
    ),
    "multi_margin_loss": (
        lambda t: t.nn.functional.multi_margin_loss(_matrix(t), t.tensor([0, 1]), p=3),
        ValueError,
        "p = 1 or 2",
    ),
    "triplet_margin_loss": (
        lambda t: t.nn.functional.triplet_margin_loss(*[_matrix(t)] * 3, margin=0),
        ValueError,
        "margin > 0",
    ),
    "ctc_loss lengths": (
        lambda t: t.nn.functional.ctc_loss(t.ones(4, 1, 3), t.tensor([[1, 2]]), (5,), (2,)),
        RuntimeError,
        "from 0 to 4",
    ),
    "ctc_loss targets": (
        lambda t: t.nn.functional.ctc_loss(t.ones(4, 1, 3), t.tensor([[1, 2]]), (4,), (3,)),
        RuntimeError,
        "targets of shape",
    ),
    "ctc_loss blank": (
        lambda t: t.nn.functional.ctc_loss(t.ones(4, 1, 3), t.tensor([[1, 2]]), (4,), (2,), 3),
        RuntimeError,
        "blank < 3",
    ),
    "rms_norm": (
        lambda t: t.nn.functional.rms_norm(_matrix(t), (2,)),
        RuntimeError,
        r"\(\.\.\., 2\)",
    ),
    "group_norm": (
        lambda t: t.nn.functional.group_norm(_matrix(t), 2),
        RuntimeError,
        "divides 3 channels",
    ),
    "instance_norm": (
        lambda t: t.nn.functional.instance_norm(_matrix(t)),
        ValueError,
        "more than 1 spatial element",
    ),
    "local_response_norm": (
        lambda t: t.nn.functional.local_response_norm(_matrix(t), 2),
        ValueError,
        "expected",
    ),
    "dropout1d": (lambda t: t.nn.functional.dropout1d(t.ones(3)), RuntimeError, "got"),
    "feature_alpha_dropout": (
        lambda t: t.nn.functional.feature_alpha_dropout(t.ones(3), training=True),
        RuntimeError,
        "got",
    ),
    "embedding": (
        lambda t: t.nn.functional.embedding(t.tensor([3]), t.ones(3, 2)),
        IndexError,
        "out of (bounds|range)",
    ),
    "embedding dtype": (
        lambda t: t.nn.functional.embedding(t.ones(3), t.ones(3, 2)),
        RuntimeError,
        "integers",
    ),
    "embedding_bag": (
        lambda t: t.nn.functional.embedding_bag(t.tensor([0, 1]), t.ones(3, 2)),
        ValueError,
        "offsets",
    ),
    "embedding_bag mode": (
        lambda t: t.nn.functional.embedding_bag(t.tensor([[0, 1]]), t.ones(3, 2), mode="min"),
        ValueError,
        "'sum', 'mean' or 'max'",
    ),
    "embedding_bag weights": (
        lambda t: t.nn.functional.embedding_bag(
            t.tensor([[0, 1]]), t.ones(3, 2), per_sample_weights=t.ones(1, 2)
        ),
        NotImplementedError,
        "mode 'sum'",
    ),
    "bilinear": (
        lambda t: t.nn.functional.bilinear(_matrix(t), _matrix(t), t.ones(2, 3, 2)),
        RuntimeError,
        "weight",
    ),
    "pixel_shuffle": (
        lambda t: t.nn.functional.pixel_shuffle(t.ones(1, 3, 2, 2), 2),
        RuntimeError,
        "4 divides c",
    ),
    "pixel_unshuffle": (
        lambda t: t.nn.functional.pixel_unshuffle(t.ones(1, 1, 3, 2), 2),
        RuntimeError,
        "2 divides h and w",
    ),
    "channel_shuffle": (
        lambda t: t.nn.functional.channel_shuffle(t.ones(1, 3, 2, 2), 2),
        RuntimeError,
        "2 divides c",
    ),
    "zeros": (lambda t: t.zeros(-1), RuntimeError, "negative"),
    "arange": (lambda t: t.arange(3, 0), RuntimeError, "arange"),
    "randint": (lambda t: t.randint(3, 3, (2,)), RuntimeError, "randint"),
    "cutoffs": (
        lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5, 2]),
        ValueError,
        r"sorted in an increasing order, each between 1 and n_classes-1 = 8, got \[5, 2\]",
    ),
    "a target beyond the last cluster": (
        lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(4, 9, [2], 2.0)(t.ones(2, 4), t.tensor([1, 9])),
        RuntimeError,
        r"in \[0, 8\], but values in range \[1, 9\] were found",
    ),
    "targets of another number": (
        lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(4, 9, [2], 2.0)(t.ones(2, 4), t.tensor([1])),
        RuntimeError,
        r"got shapes \(2, 4\) and \(1,\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said(name):
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call(dtrain)


def test_a_matrix_without_an_inverse_raises_pytorchs_class():
    with pytest.raises(dtrain.linalg.LinAlgError):
        dtrain.linalg.inv(dtrain.zeros(2, 2))
    inverse, info = dtrain.linalg.inv_ex(dtrain.tensor([[[1.0, 0], [0, 2]], [[1, 1], [1, 1]]]))
    assert info.tolist() == [0, 2]
    assert inverse[0].tolist() == [[1, 0], [0, 0.5]]


def test_scatter_by_products_says_that_it_has_no_gradient():
    x, places = dtrain.ones(3, requires_grad=True), dtrain.tensor([0, 1])
    with pytest.raises(RuntimeError, match='reduce="multiply" has no gradient'):
        x.scatter(0, places, dtrain.ones(2) * 2, reduce="multiply")
    doubled = x.detach().scatter(0, places, dtrain.ones(2) * 2, reduce="multiply")
    assert doubled.tolist() == [2, 2, 1]
