"""A mixture density network: the likelihood of a mixture of normal distributions."""

import numpy as np
import torch
import torch.distributions as D
import torch.nn as nn
from torch.optim.lr_scheduler import ReduceLROnPlateau


class MDN(nn.Module):
    def __init__(self, n_hidden=10, n_gaussians=3):
        super().__init__()
        self.z_h = nn.Sequential(nn.Linear(1, n_hidden), nn.Tanh())
        self.z_pi = nn.Linear(n_hidden, n_gaussians)
        self.z_mu = nn.Linear(n_hidden, n_gaussians)
        self.z_sigma = nn.Linear(n_hidden, n_gaussians)

    def forward(self, x):
        z_h = self.z_h(x)
        return self.z_pi(z_h), self.z_mu(z_h), torch.exp(self.z_sigma(z_h))


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


rng = np.random.default_rng(8)
y = torch.from_numpy(np.linspace(-10, 10, 40, dtype=np.float32))
x = (7 * torch.sin(0.75 * y) + 0.5 * y + torch.from_numpy(rng.normal(size=40))).float() / 10
model = fill(MDN())
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
scheduler = ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=1)
for epoch in range(5):
    pi, mu, sigma = model(x.unsqueeze(1))
    mixture = D.MixtureSameFamily(D.Categorical(logits=pi), D.Normal(mu, sigma))
    loss = -mixture.log_prob(y / 10).mean()
    own = D.Normal(mu, sigma).log_prob((y / 10).unsqueeze(1)) + torch.log_softmax(pi, 1)
    assert torch.allclose(loss, -torch.logsumexp(own, dim=1).mean(), atol=1e-5)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step(loss.item())
    print(
        f"{epoch} {loss.item():.4f} {mixture.mean.mean().item():.4f} {mixture.variance.mean().item():.4f}"
    )
