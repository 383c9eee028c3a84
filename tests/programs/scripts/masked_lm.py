"""A small BERT: masked tokens, padding masks, warm-up, two decay groups."""

import numpy as np
import torch
from torch import nn
from torch.nn import CrossEntropyLoss
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

PAD, MASK, VOCAB = 0, 1, 20


class Bert(nn.Module):
    def __init__(self, hidden=16):
        super().__init__()
        self.word, self.position = (
            nn.Embedding(VOCAB, hidden, padding_idx=PAD),
            nn.Embedding(10, hidden),
        )
        layer = nn.TransformerEncoderLayer(hidden, 2, 32, 0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.LayerNorm = nn.LayerNorm(hidden, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(VOCAB))
        self.register_buffer("position_ids", torch.arange(10).expand((1, -1)))

    def forward(self, input_ids, attention_mask):
        x = self.word(input_ids) + self.position(self.position_ids[:, : input_ids.shape[1]])
        x = self.encoder(self.LayerNorm(x), src_key_padding_mask=attention_mask == 0)
        return nn.functional.linear(x, self.word.weight, self.bias)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


def mask_tokens(inputs, rng):
    labels = inputs.clone()
    masked = torch.from_numpy(rng.random(inputs.shape) < 0.3) & (inputs != PAD)
    labels[~masked] = -100
    replaced = torch.from_numpy(rng.random(inputs.shape) < 0.8) & masked
    inputs[replaced] = MASK
    return inputs, labels


model = fill(Bert())
no_decay = ["bias", "LayerNorm.weight", "norm1.weight", "norm2.weight"]
named = list(model.named_parameters())
grouped = [
    {"params": [p for n, p in named if not any(x in n for x in no_decay)], "weight_decay": 0.01},
    {"params": [p for n, p in named if any(x in n for x in no_decay)], "weight_decay": 0.0},
]
optimizer = AdamW(grouped, lr=1e-2)
scheduler = LambdaLR(optimizer, lambda step: min((step + 1) / 3, (7 - step) / 4))
rng, criterion = np.random.default_rng(4), CrossEntropyLoss()
for step in range(6):
    inputs = torch.from_numpy(rng.integers(2, VOCAB, (4, 10)))
    inputs[torch.arange(10)[None] >= torch.tensor([10, 7, 9, 5])[:, None]] = PAD
    attention_mask = inputs.ne(PAD).long()
    inputs, labels = mask_tokens(inputs, rng)
    logits = model(inputs, attention_mask)
    loss = criterion(logits.view(-1, VOCAB), labels.view(-1))
    model.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([p for _, p in named], max_norm=1.0)
    optimizer.step()
    scheduler.step()
    print(f"step {step} loss {loss.item():.4f} lr {scheduler.get_last_lr()[0]:.5f}")
