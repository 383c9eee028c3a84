"""A generator and a critic with a gradient penalty (double backward)."""

import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Linear") != -1:
        m.bias.data.fill_(0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(nn.Linear(4, 16), nn.ReLU(True), nn.Linear(16, 2))

    def forward(self, z):
        return self.main(z)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(2, 16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 1)
        )

    def forward(self, x):
        return self.main(x).view(-1)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


def gradient_penalty(critic, real, fake, alpha):
    mixed = (alpha * real.data + (1 - alpha) * fake.data).requires_grad_(True)
    score = critic(mixed)
    gradients = autograd.grad(
        outputs=score, inputs=mixed, grad_outputs=torch.ones(score.size()),
        create_graph=True, retain_graph=True, only_inputs=True,
    )[0]  # fmt: skip
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


rng = np.random.default_rng(3)


def draw(*shape):
    return torch.from_numpy(rng.normal(size=shape).astype(np.float32))


netG, netD = fill(Generator(), 1), fill(Critic(), 2)
netG.apply(weights_init)
optimizerD = torch.optim.Adam(netD.parameters(), lr=1e-2, betas=(0.5, 0.9))
optimizerG = torch.optim.Adam(netG.parameters(), lr=1e-2, betas=(0.5, 0.9))
for iteration in range(4):
    for p in netD.parameters():
        p.requires_grad = True
    for _ in range(2):
        netD.zero_grad()
        real, fake = draw(8, 2) + 2, netG(draw(8, 4)).detach()
        penalty = gradient_penalty(
            netD, real, fake, torch.from_numpy(rng.random((8, 1), np.float32))
        )
        errD = netD(fake).mean() - netD(real).mean() + 10 * penalty
        errD.backward()
        optimizerD.step()
    for p in netD.parameters():
        p.requires_grad = False
    netG.zero_grad()
    errG = -netD(netG(draw(8, 4))).mean()
    errG.backward()
    optimizerG.step()
    print("[%d] Loss_D: %.4f Loss_G: %.4f" % (iteration, errD.item(), errG.item()))
