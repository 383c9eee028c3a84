"""Proximal policy optimization: advantages, a clipped ratio, minibatches, an annealed rate."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.distributions.categorical import Categorical


def layer_init(layer, std=np.sqrt(2), bias_const=0.0):
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, bias_const)
    return layer


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(layer_init(nn.Linear(4, 8)), nn.Tanh(), nn.Linear(8, 1))
        self.actor = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), layer_init(nn.Linear(8, 2), 0.01))

    def get_action_and_value(self, x, action):
        probs = Categorical(logits=self.actor(x))
        return probs.log_prob(action), probs.entropy(), self.critic(x)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
agent = fill(Agent()).to(device)
optimizer = optim.Adam(agent.parameters(), lr=2.5e-3, eps=1e-5)
rng = np.random.default_rng(1)
steps, envs, gamma, lam, clip = 8, 2, 0.99, 0.95, 0.2
obs = torch.zeros((steps, envs, 4)).to(device)
actions, rewards, dones = (torch.zeros((steps, envs)).to(device) for _ in range(3))
for update in range(1, 4):
    optimizer.param_groups[0]["lr"] = (1.0 - (update - 1.0) / 3) * 2.5e-3
    for step in range(steps):
        obs[step] = torch.Tensor(rng.normal(size=(envs, 4))).to(device)
        actions[step] = torch.tensor(rng.integers(0, 2, envs)).to(device)
        rewards[step] = torch.tensor(rng.normal(size=envs)).to(device).view(-1)
        dones[step] = torch.Tensor((rng.random(envs) < 0.2).astype(np.float32))
    with torch.no_grad():
        logprobs, _, values = agent.get_action_and_value(obs, actions.long())
        values = values.squeeze(-1)
        advantages, last = torch.zeros_like(rewards), 0
        for t in reversed(range(steps - 1)):
            alive = 1.0 - dones[t + 1]
            delta = rewards[t] + gamma * values[t + 1] * alive - values[t]
            advantages[t] = last = delta + gamma * lam * alive * last
        returns = advantages + values
    flat = [x.reshape((-1, *x.shape[2:])) for x in (obs, actions, logprobs, advantages, returns)]
    order, clipfracs = np.arange(steps * envs), []
    for start in range(0, steps * envs, 4):
        b_obs, b_actions, b_logprobs, b_advantages, b_returns = (
            x[order[start : start + 4]] for x in flat
        )
        newlogprob, entropy, newvalue = agent.get_action_and_value(b_obs, b_actions.long())
        ratio = (newlogprob - b_logprobs).exp()
        clipfracs += [((ratio - 1.0).abs() > clip).float().mean().item()]
        adv = (b_advantages - b_advantages.mean()) / (b_advantages.std() + 1e-8)
        pg_loss = torch.max(-adv * ratio, -adv * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()
        v_loss = 0.5 * ((newvalue.view(-1) - b_returns) ** 2).mean()
        loss = pg_loss - 0.01 * entropy.mean() + v_loss * 0.5
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
        optimizer.step()
    explained = 1 - torch.var(flat[4] - values.reshape(-1)) / torch.var(flat[4])
    print(
        f"update {update} loss {loss.item():.4f} clip {np.mean(clipfracs):.3f} ev {explained:.4f}"
    )
