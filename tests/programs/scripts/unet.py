"""A small U-Net: skip connections, padding, dice and cross entropy, RMSprop."""

import logging

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def double_conv(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, n_channels=1, n_classes=2, bilinear=False):
        super().__init__()
        self.inc, self.down = double_conv(n_channels, 4), double_conv(4, 8)
        self.up = (
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            if bilinear
            else nn.ConvTranspose2d(8, 4, kernel_size=2, stride=2)
        )
        self.conv, self.outc = (
            double_conv(4 + (8 if bilinear else 4), 4),
            nn.Conv2d(4, n_classes, 1),
        )

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.up(self.down(F.max_pool2d(x1, 2)))
        dy, dx = x1.size()[2] - x2.size()[2], x1.size()[3] - x2.size()[3]
        x2 = F.pad(x2, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.outc(self.conv(torch.cat([x1, x2], dim=1)))


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


def dice_loss(input, target, epsilon=1e-6):
    inter = 2 * (input * target).sum(dim=(-1, -2))
    sets = input.sum(dim=(-1, -2)) + target.sum(dim=(-1, -2))
    return 1 - ((inter + epsilon) / (torch.where(sets == 0, inter, sets) + epsilon)).mean()


logging.basicConfig(level=logging.WARNING)
rng = np.random.default_rng(2)
criterion = nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.5]))
for bilinear in (False, True):
    model = fill(UNet(bilinear=bilinear)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.RMSprop(
        model.parameters(), lr=1e-3, weight_decay=1e-8, momentum=0.9, foreach=True
    )
    for step in range(3):
        images = torch.from_numpy(rng.random((2, 1, 9, 11), np.float32))
        images = images.to(device="cpu", dtype=torch.float32, memory_format=torch.channels_last)
        true_masks = (images[:, 0] > 0.6).long()
        masks_pred = model(images)
        one_hot = F.one_hot(true_masks, 2).permute(0, 3, 1, 2).float()
        loss = criterion(masks_pred, true_masks)
        loss = loss + dice_loss(F.softmax(masks_pred, dim=1).float(), one_hot)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(f"bilinear {bilinear} step {step} loss {loss.item():.4f}")
