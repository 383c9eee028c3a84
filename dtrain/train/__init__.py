"""What a training script shows: progress."""

from dtrain.train.progress import Progress as Progress
