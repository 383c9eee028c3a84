"""Rows of the table of modules over words and sequences: tables, recurrence, attention."""

import itertools

import numpy as np

from tests.cases.layer_case import Layer, library

RAGGED, LENGTHS = np.array([1, 4, 1, 0, 2, 2, 3]), np.array([0, 3, 3])
T, N, I, H = 5, 3, 4, 6


def words(seed):
    """Two sentences of three words, one of them twice."""
    drawn = np.random.default_rng(seed).integers(20, size=(2, 3))
    drawn[0, 2] = drawn[0, 0]
    return drawn


TABLES = {
    "Embedding": Layer(lambda nn: nn.Embedding(20, 3), [words]),
    "Embedding padding": Layer(lambda nn: nn.Embedding(20, 3, padding_idx=1), [words]),
    "Embedding padding from the end": Layer(
        lambda nn: nn.Embedding(20, 3, padding_idx=-1), [words]
    ),
    "Embedding max_norm": Layer(lambda nn: nn.Embedding(20, 3, max_norm=0.7), [words]),
    "Embedding norm_type": Layer(
        lambda nn: nn.Embedding(20, 3, 0, max_norm=0.7, norm_type=1.0), [words]
    ),
    "Embedding by frequency": Layer(
        lambda nn: nn.Embedding(20, 3, scale_grad_by_freq=True), [words]
    ),
    "EmbeddingBag": Layer(lambda nn: nn.EmbeddingBag(20, 3), [words]),
    "EmbeddingBag sum": Layer(lambda nn: nn.EmbeddingBag(20, 3, mode="sum"), [words]),
    "EmbeddingBag max": Layer(
        lambda nn: nn.EmbeddingBag(20, 3, mode="max", padding_idx=1), [words]
    ),
    "EmbeddingBag max_norm": Layer(
        lambda nn: nn.EmbeddingBag(20, 3, max_norm=0.7, padding_idx=4), [words]
    ),
    "EmbeddingBag of offsets": Layer(lambda nn: nn.EmbeddingBag(20, 3), [RAGGED, LENGTHS]),
    "EmbeddingBag weighted": Layer(
        lambda nn: nn.EmbeddingBag(20, 3, mode="sum", include_last_offset=True),
        [RAGGED, np.array([0, 3, 3, 7]), (7,)],
    ),
}


def with_states(nn, module, x, h, c):
    return module(x, (h, c))


def packed(nn, module, x):
    rnn = nn.utils.rnn
    lengths = library(nn).tensor([2, 5, 3])
    out, last = module(rnn.pack_padded_sequence(x, lengths, enforce_sorted=False))
    padded, _ = rnn.pad_packed_sequence(out, padding_value=0.5)  # lengths stay on the host
    return padded, last


RECURRENT = {
    f"{name} {label}": Layer(
        lambda nn, name=name, options=options: getattr(nn, name)(I, H, **options), *how
    )
    for name, (label, options, *how) in itertools.product(
        ("RNN", "GRU", "LSTM"),
        (
            ("", {}, [(T, N, I)]),
            ("deep", {"num_layers": 2, "bidirectional": True, "batch_first": True}, [(N, T, I)]),
            ("packed", {"num_layers": 2, "bidirectional": True, "bias": False}, [(T, N, I)], packed),
            ("with dropout", {"num_layers": 2, "dropout": 0.4}, [(T, N, I)], None, True),
        ),
    )
} | {
    "RNN of relu": Layer(lambda nn: nn.RNN(I, H, nonlinearity="relu"), [(T, N, I), (1, N, H)]),
    "LSTM projected": Layer(
        lambda nn: nn.LSTM(I, H, proj_size=2), [(T, N, I), (1, N, 2), (1, N, H)], with_states
    ),
    "RNNCell": Layer(lambda nn: nn.RNNCell(I, H), [(N, I), (N, H)]),
    "LSTMCell": Layer(lambda nn: nn.LSTMCell(I, H), [(N, I), (N, H), (N, H)], with_states),
    "GRUCell": Layer(lambda nn: nn.GRUCell(I, H, bias=False), [(N, I)]),
}  # fmt: skip

CAUSAL = ~np.tri(T, dtype=bool)
PADDED = np.arange(T) >= np.array([5, 3, 4])[:, None]
ATTENTION = {
    "MultiheadAttention": Layer(
        lambda nn: nn.MultiheadAttention(8, 2), [(T, N, 8), (4, N, 8), (4, N, 8)]
    ),
    "MultiheadAttention of other widths": Layer(
        lambda nn: nn.MultiheadAttention(
            8, 4, bias=False, add_zero_attn=True, kdim=3, vdim=5, batch_first=True
        ),
        [(N, T, 8), (N, 4, 3), (N, 4, 5)],
    ),
    "MultiheadAttention masked": Layer(
        lambda nn: nn.MultiheadAttention(8, 2, add_bias_kv=True, batch_first=True),
        [(N, T, 8), CAUSAL, PADDED],
        lambda nn, module, x, causal, padded: module(
            x, x, x, attn_mask=causal, key_padding_mask=padded, average_attn_weights=False
        ),
    ),
    "MultiheadAttention with dropout": Layer(
        lambda nn: nn.MultiheadAttention(8, 2, dropout=0.3),
        [(T, N, 8)],
        lambda nn, module, x: module(x, x, x, need_weights=False),
        drawn=True,
    ),
    "TransformerEncoderLayer": Layer(
        lambda nn: nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True),
        [(N, T, 8), CAUSAL],
        lambda nn, module, x, mask: module(x, src_mask=mask, is_causal=True),
    ),
    "TransformerEncoder": Layer(
        lambda nn: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                8, 2, 12, 0.0, "gelu", batch_first=True, norm_first=True, bias=False
            ),
            2, nn.LayerNorm(8), enable_nested_tensor=False,
        ),
        [(N, T, 8), PADDED],
        lambda nn, module, x, padded: module(x, src_key_padding_mask=padded),
    ),
    "TransformerDecoder": Layer(
        lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, 0.0), 2),
        [(T, N, 8), (4, N, 8), CAUSAL],
        lambda nn, module, x, memory, mask: module(x, memory, tgt_mask=mask),
    ),
    "Transformer": Layer(
        lambda nn: nn.Transformer(8, 2, 1, 1, 12, 0.0, norm_first=True),
        [(4, N, 8), (T, N, 8)],
        lambda nn, module, x, y: module(
            x, y, tgt_mask=module.generate_square_subsequent_mask(len(y), y.device)
        ),
    ),
    "Transformer with dropout": Layer(
        lambda nn: nn.Transformer(8, 2, 1, 1, 12, 0.2, batch_first=True),
        [(N, 4, 8), (N, T, 8)],
        drawn=True,
    ),
}  # fmt: skip

SEQUENCES = TABLES | RECURRENT | ATTENTION
