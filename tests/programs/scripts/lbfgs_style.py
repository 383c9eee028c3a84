"""Style transfer: an image is the parameter, LBFGS calls a closure, Gram matrices of features."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    return torch.mm(features, features.t()).div(a * b * c * d)


class StyleLoss(nn.Module):
    def __init__(self, target):
        super().__init__()
        self.target = gram_matrix(target).detach()

    def forward(self, input):
        self.loss = F.mse_loss(gram_matrix(input), self.target)
        return input


rng = np.random.default_rng(0)
content, style = (torch.from_numpy(rng.random((1, 3, 8, 8), np.float32)) for _ in range(2))
cnn = fill(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1)))
cnn.eval().requires_grad_(False)
model = nn.Sequential()
for i, layer in enumerate(cnn.children()):
    model.add_module(f"layer_{i}", layer)
losses = StyleLoss(model(style))
model.add_module("style_loss", losses)
image = content.clone().requires_grad_(True)
optimizer = optim.LBFGS([image], max_iter=5, line_search_fn="strong_wolfe")
run = [0]
while run[0] <= 20:

    def closure():
        with torch.no_grad():
            image.clamp_(0, 1)
        optimizer.zero_grad()
        model(image)
        loss = 1e4 * losses.loss + F.mse_loss(image, content)
        loss.backward()
        run[0] += 1
        return loss

    print("loss {:.3f}".format(optimizer.step(closure).item()))
