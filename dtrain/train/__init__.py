"""Floor 6: what a training script shows and keeps count of."""

from dtrain.train.progress import Progress as Progress
