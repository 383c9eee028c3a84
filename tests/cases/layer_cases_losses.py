"""Rows of the table of modules that are losses."""

import numpy as np

from tests.cases.layer_case import Layer, library

CLASSES = np.array([0, 2, 1, 2])
FLOATS, SIGNS = (4, 3), np.where(np.arange(12).reshape(4, 3) % 3, 1.0, -1.0).astype(np.float32)
LABELS = np.array([[1, -1, 2], [0, 2, -1], [-1] * 3, [0, 1, 2]])
WEIGHT = np.array([1.0, 2.0, 0.5], np.float32)


def weights(nn):
    return library(nn).from_numpy(WEIGHT)


def of_chances(nn, loss, x, *targets):
    return loss(x.sigmoid(), *targets)


def of_log_chances(nn, loss, x, *targets):
    return loss(x.log_softmax(-1), *targets)


LOSSES = {
    "MSELoss": Layer(lambda nn: nn.MSELoss(), [FLOATS, FLOATS]),
    "MSELoss sum": Layer(lambda nn: nn.MSELoss(reduction="sum"), [FLOATS, FLOATS]),
    "L1Loss": Layer(lambda nn: nn.L1Loss(), [FLOATS, FLOATS]),
    "HuberLoss": Layer(lambda nn: nn.HuberLoss(delta=0.5), [FLOATS, FLOATS]),
    "SmoothL1Loss": Layer(lambda nn: nn.SmoothL1Loss(beta=0.5), [FLOATS, FLOATS]),
    "PoissonNLLLoss": Layer(lambda nn: nn.PoissonNLLLoss(full=True), [FLOATS, abs(3 * SIGNS)]),
    "PoissonNLLLoss of rates": Layer(
        lambda nn: nn.PoissonNLLLoss(log_input=False), [FLOATS, SIGNS + 2], of_chances
    ),
    "GaussianNLLLoss": Layer(
        lambda nn: nn.GaussianNLLLoss(full=True), [FLOATS, FLOATS, np.full((4, 1), 0.3, np.float32)]
    ),
    "BCELoss": Layer(lambda nn: nn.BCELoss(weights(nn)), [FLOATS, (SIGNS + 1) / 2], of_chances),
    "BCEWithLogitsLoss": Layer(lambda nn: nn.BCEWithLogitsLoss(), [FLOATS, FLOATS]),
    "BCEWithLogitsLoss weighted": Layer(
        lambda nn: nn.BCEWithLogitsLoss(weights(nn), reduction="sum", pos_weight=weights(nn)),
        [FLOATS, (SIGNS + 1) / 2],
    ),
    "KLDivLoss": Layer(
        lambda nn: nn.KLDivLoss(reduction="batchmean", log_target=True), [FLOATS, FLOATS]
    ),
    "KLDivLoss of chances": Layer(
        lambda nn: nn.KLDivLoss(reduction="sum"), [FLOATS, (SIGNS + 1) / 2], of_log_chances
    ),
    "CrossEntropyLoss": Layer(lambda nn: nn.CrossEntropyLoss(), [FLOATS, CLASSES]),
    "CrossEntropyLoss weighted": Layer(
        lambda nn: nn.CrossEntropyLoss(weights(nn), label_smoothing=0.2), [FLOATS, CLASSES]
    ),
    "CrossEntropyLoss of pixels": Layer(
        lambda nn: nn.CrossEntropyLoss(ignore_index=0), [(2, 3, 4), np.arange(8).reshape(2, 4) % 3]
    ),
    "CrossEntropyLoss options": Layer(
        lambda nn: nn.CrossEntropyLoss(ignore_index=1, label_smoothing=0.1, reduction="none"),
        [FLOATS, CLASSES],
    ),
    "CrossEntropyLoss of probabilities": Layer(
        lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1), [FLOATS, FLOATS]
    ),
    "NLLLoss": Layer(lambda nn: nn.NLLLoss(), [FLOATS, CLASSES]),
    "NLLLoss weighted": Layer(
        lambda nn: nn.NLLLoss(weights(nn), ignore_index=1), [FLOATS, CLASSES], of_log_chances
    ),
    "CTCLoss": Layer(
        lambda nn: nn.CTCLoss(2),
        [(6, 2, 4), np.array([[0, 1, 1], [3, 0, 1]]), np.array([6, 5]), np.array([3, 2])],
        of_log_chances,
    ),
    "HingeEmbeddingLoss": Layer(lambda nn: nn.HingeEmbeddingLoss(0.3), [FLOATS, SIGNS]),
    "SoftMarginLoss": Layer(lambda nn: nn.SoftMarginLoss(), [FLOATS, SIGNS]),
    "MarginRankingLoss": Layer(lambda nn: nn.MarginRankingLoss(0.1), [FLOATS, FLOATS, SIGNS]),
    "CosineEmbeddingLoss": Layer(
        lambda nn: nn.CosineEmbeddingLoss(-0.2), [FLOATS, FLOATS, SIGNS[:, 0]]
    ),
    "TripletMarginLoss": Layer(
        lambda nn: nn.TripletMarginLoss(0.5, swap=True), [FLOATS, FLOATS, FLOATS]
    ),
    "TripletMarginWithDistanceLoss": Layer(
        lambda nn: nn.TripletMarginWithDistanceLoss(margin=0.5), [FLOATS, FLOATS, FLOATS]
    ),
    "MultiMarginLoss": Layer(lambda nn: nn.MultiMarginLoss(2, 0.5), [FLOATS, CLASSES]),
    "MultiLabelMarginLoss": Layer(lambda nn: nn.MultiLabelMarginLoss(), [FLOATS, LABELS]),
    "MultiLabelSoftMarginLoss": Layer(
        lambda nn: nn.MultiLabelSoftMarginLoss(weights(nn)), [FLOATS, (SIGNS + 1) / 2]
    ),
}
