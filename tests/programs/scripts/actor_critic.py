"""Advantage actor-critic of continuous actions: Normal, an entropy bonus, a target network."""

import copy
import random
from collections import deque, namedtuple
from itertools import count

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Normal

Transition = namedtuple("Transition", ("state", "action", "reward", "next_state"))
torch.manual_seed(0)
random.seed(0)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.common = nn.Linear(3, 16)
        self.mu, self.critic = nn.Linear(16, 1), nn.Linear(16, 1)
        self.log_std = nn.Parameter(torch.zeros(1))

    def forward(self, state):
        x = F.elu(self.common(state))
        return Normal(torch.tanh(self.mu(x)), F.softplus(self.log_std) + 1e-3), self.critic(x)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


model = fill(ActorCritic())
target = copy.deepcopy(model).requires_grad_(False)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, amsgrad=True)
memory, rng = deque(maxlen=32), np.random.default_rng(4)
state = torch.zeros(3)
for t in count(1):
    dist, value = model(state.unsqueeze(0))
    action = (dist.mean + dist.stddev * float(rng.normal())).detach().clamp(-1, 1)
    moved = state + 0.1 * torch.cat([action[0], -action[0], torch.tensor([0.3])])
    memory.append(Transition(state, action[0], -moved.abs().sum(), moved))
    state = moved if t % 10 else torch.zeros(3)
    if t % 8:
        continue
    batch = Transition(*zip(*memory))
    states, next_states = torch.stack(batch.state), torch.stack(batch.next_state)
    rewards = torch.stack(batch.reward).unsqueeze(1)
    with torch.no_grad():
        returns = rewards + 0.9 * target(next_states)[1]
    dist, value = model(states)
    advantage = returns - value
    actor_loss = -(dist.log_prob(torch.stack(batch.action)) * advantage.detach()).mean()
    loss = actor_loss + 0.5 * F.huber_loss(value, returns) - 1e-3 * dist.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    for param in model.parameters():
        param.grad.data.clamp_(-1, 1)
    optimizer.step()
    for slow, fast in zip(target.parameters(), model.parameters()):
        slow.data.copy_(slow.data * 0.9 + fast.data * 0.1)
    print("step %d loss %.4f std %.4f" % (t, loss.item(), dist.stddev.mean().item()))
    if t == 32:
        break
