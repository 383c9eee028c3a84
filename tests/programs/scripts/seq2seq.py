"""An encoder and a decoder with attention, packed sequences and teacher forcing."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

PAD, SOS, EOS = 0, 1, 2


class EncoderRNN(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.embedding = nn.Embedding(size, hidden, padding_idx=PAD)
        self.gru = nn.GRU(hidden, hidden, bidirectional=True)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embedding(words), lengths, enforce_sorted=False)
        outputs, hidden = self.gru(packed)
        outputs, _ = pad_packed_sequence(outputs)
        half = outputs.size(2) // 2
        return outputs[:, :, :half] + outputs[:, :, half:], hidden[:1]


class AttnDecoderRNN(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.embedding = nn.Embedding(size, hidden)
        self.gru = nn.GRU(hidden, hidden)
        self.concat = nn.Linear(2 * hidden, hidden)
        self.out = nn.Linear(hidden, size)

    def forward(self, word, hidden, encoded, mask):
        output, hidden = self.gru(self.embedding(word).unsqueeze(0), hidden)
        energies = torch.bmm(output.transpose(0, 1), encoded.permute(1, 2, 0))
        weights = F.softmax(energies.masked_fill(mask.unsqueeze(1), -1e9), dim=-1)
        context = weights.bmm(encoded.transpose(0, 1)).squeeze(1)
        joined = torch.tanh(self.concat(torch.cat((output.squeeze(0), context), 1)))
        return F.log_softmax(self.out(joined), dim=1), hidden


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


rng = np.random.default_rng(0)
encoder, decoder = fill(EncoderRNN(9, 6), 1), fill(AttnDecoderRNN(9, 6), 2)
optimizers = [optim.SGD(m.parameters(), lr=0.3) for m in (encoder, decoder)]
criterion = nn.NLLLoss(ignore_index=PAD, reduction="sum")
for step in range(4):
    sentences = [torch.tensor(rng.integers(3, 9, n).tolist() + [EOS]) for n in (3, 5, 2, 4)]
    source = pad_sequence(sentences, padding_value=PAD)
    target = pad_sequence([s.flip(0) for s in sentences])
    lengths = torch.tensor([len(s) for s in sentences])
    for optimizer in optimizers:
        optimizer.zero_grad()
    encoded, hidden = encoder(source, lengths)
    mask = torch.arange(source.size(0))[None, :] >= lengths[:, None]
    word, loss = torch.full((4,), SOS, dtype=torch.long), 0
    for t in range(target.size(0)):
        output, hidden = decoder(word, hidden, encoded, mask)
        loss = loss + criterion(output, target[t])
        word = target[t] if rng.random() < 0.5 else output.topk(1)[1].squeeze(1).detach()
    loss = loss / lengths.sum()
    loss.backward()
    for model, optimizer in zip((encoder, decoder), optimizers):
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    print("%d (%d%%) %.5f" % (step, 25 * (step + 1), loss))
