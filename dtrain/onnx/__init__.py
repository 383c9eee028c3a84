"""ONNX files of functions and modules, for other runtimes (torch.onnx)."""

from dtrain.onnx.export import export as export
