"""The ONNX forms of primitives, a table for each family; `registry.FORMS` has all."""
