"""Event files for TensorBoard, written by the package tensorboardX (torch.utils.tensorboard)."""

from dtrain.utils.tensorboard.writer import SummaryWriter as SummaryWriter
