"""Captions of pictures: attention over a CNN's cells, an LSTMCell, teacher forcing, greedy search."""

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence


class Attention(nn.Module):
    def __init__(self, encoder_dim, decoder_dim, attention_dim):
        super(Attention, self).__init__()
        self.encoder_att = nn.Linear(encoder_dim, attention_dim)
        self.decoder_att = nn.Linear(decoder_dim, attention_dim)
        self.full_att = nn.Linear(attention_dim, 1)

    def forward(self, cells, hidden):
        att = self.full_att(
            torch.relu(self.encoder_att(cells) + self.decoder_att(hidden).unsqueeze(1))
        )
        alpha = torch.softmax(att.squeeze(2), dim=1)
        return (cells * alpha.unsqueeze(2)).sum(dim=1), alpha


class Captioner(nn.Module):
    def __init__(self, vocab=9, dim=8):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, dim, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.embedding, self.attention = nn.Embedding(vocab, dim), Attention(dim, dim, 6)
        self.decode_step, self.init_h = nn.LSTMCell(2 * dim, dim), nn.Linear(dim, dim)
        self.f_beta, self.fc = nn.Linear(dim, dim), nn.Linear(dim, vocab)

    def cells(self, images):
        return self.cnn(images).permute(0, 2, 3, 1).flatten(1, 2)

    def step(self, word, cells, h, c):
        awe, alpha = self.attention(cells, h)
        gated = torch.sigmoid(self.f_beta(h)) * awe
        h, c = self.decode_step(torch.cat([self.embedding(word), gated], dim=1), (h, c))
        return self.fc(h), alpha, h, c

    def forward(self, images, captions, lengths):
        cells = self.cells(images)
        h = c = self.init_h(cells.mean(dim=1))
        predictions = torch.zeros(len(images), max(lengths), 9)
        alphas = torch.zeros(len(images), max(lengths), cells.size(1))
        for t in range(max(lengths)):
            n = sum(length > t for length in lengths)
            scores, alpha, h, c = self.step(captions[:n, t], cells[:n], h[:n], c[:n])
            predictions[:n, t, :] = scores
            alphas[:n, t, :] = alpha
        return predictions, alphas


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


rng = np.random.default_rng(11)
model, criterion = fill(Captioner()), nn.CrossEntropyLoss()
optimizer = torch.optim.Adamax(
    params=filter(lambda p: p.requires_grad, model.parameters()), lr=2e-2
)
images = torch.from_numpy(rng.random((3, 3, 9, 9), np.float32))
captions, lengths = torch.from_numpy(rng.integers(2, 9, (3, 6))), [5, 4, 2]
for epoch in range(5):
    scores, alphas = model(images, captions, lengths)
    scores = pack_padded_sequence(scores, lengths, batch_first=True).data
    targets = pack_padded_sequence(captions[:, 1:], lengths, batch_first=True).data
    loss = criterion(scores, targets) + 1.0 * ((1.0 - alphas.sum(dim=1)) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("Epoch: [{0}] Loss {1:.4f}".format(epoch, loss.item()))
model.eval()
with torch.no_grad():
    cells, word = model.cells(images), torch.ones(3, dtype=torch.long)
    h = c = model.init_h(cells.mean(dim=1))
    for _ in range(3):
        word, _, h, c = model.step(word, cells, h, c)
        word = word.argmax(dim=1)
        print(word.tolist())
