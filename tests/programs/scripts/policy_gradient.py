"""REINFORCE with a baseline on a walk along a line."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

rng = np.random.default_rng(5)
eps = np.finfo(np.float32).eps.item()


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(2, 8)
        self.action = nn.Linear(8, 2)
        self.value = nn.Linear(8, 1)
        self.saved, self.rewards = [], []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action(x), dim=-1), self.value(x)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


def select_action(state):
    probs, value = policy(torch.from_numpy(state).float())
    action = int(rng.random() < probs[1].item())
    policy.saved.append((torch.log(probs[action]), value))
    return action


def finish_episode():
    R, returns = 0, []
    for r in policy.rewards[::-1]:
        R = r + 0.9 * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_losses, value_losses = [], []
    for (log_prob, value), R in zip(policy.saved, returns):
        policy_losses.append(-log_prob * (R - value.item()))
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved[:]
    return loss.item()


policy = fill(Policy())
optimizer = optim.Adam(policy.parameters(), lr=3e-2)
for episode in range(4):
    place, total = 0.0, 0.0
    for t in range(10):
        action = select_action(np.array([place, t / 10]))
        place += 0.2 * (2 * action - 1)
        policy.rewards.append(-abs(place - 1))
        total += policy.rewards[-1]
    print(f"Episode {episode}\treward {total:.2f}\tloss {finish_episode():.4f}")
