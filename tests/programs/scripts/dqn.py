"""Q-learning with a replay memory, a target network and a soft update."""

from collections import deque, namedtuple
from itertools import count

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
rng = np.random.default_rng(7)


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return [self.memory[i] for i in rng.choice(len(self.memory), batch_size, replace=False)]


class DQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Linear(1, 8)
        self.layer2 = nn.Linear(8, 2)

    def forward(self, x):
        return self.layer2(F.relu(self.layer1(x)))


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


policy_net = fill(DQN()).to(device)
target_net = DQN().to(device)
target_net.load_state_dict(policy_net.state_dict())
target_net.eval()
optimizer = optim.AdamW(policy_net.parameters(), lr=1e-2, amsgrad=True)
memory = ReplayMemory(50)


def optimize_model():
    batch = Transition(*zip(*memory.sample(6)))
    mask = torch.tensor(
        tuple(s is not None for s in batch.next_state), device=device, dtype=torch.bool
    )
    following = torch.cat([s for s in batch.next_state if s is not None])
    q = policy_net(torch.cat(batch.state)).gather(1, torch.cat(batch.action))
    values = torch.zeros(6, device=device)
    with torch.no_grad():
        values[mask] = target_net(following).max(1).values
    expected = values * 0.9 + torch.cat(batch.reward)
    loss = nn.SmoothL1Loss()(q, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()
    return loss.item()


for episode in range(3):
    state, losses = torch.tensor([[0.0]], device=device), []
    for t in count():
        if rng.random() > 0.3:
            with torch.no_grad():
                action = policy_net(state).max(1).indices.view(1, 1)
        else:
            action = torch.tensor([[int(rng.integers(2))]], device=device, dtype=torch.long)
        place = state.item() + 0.3 * (2 * action.item() - 1)
        done = t == 7
        next_state = None if done else torch.tensor([[place]], dtype=torch.float32, device=device)
        memory.push(state, action, next_state, torch.tensor([-abs(place - 1)], device=device))
        state = next_state
        if len(memory.memory) >= 6:
            losses.append(optimize_model())
            target, source = target_net.state_dict(), policy_net.state_dict()
            for key in source:
                target[key] = source[key] * 0.1 + target[key] * 0.9
            target_net.load_state_dict(target)
        if done:
            break
    print(f"episode {episode}: {t + 1} steps, loss {sum(losses) / len(losses):.5f}")
