"""Names of torch.compiler; `dtrain.compile` is what compiles."""

from dtrain.jit.compiled_function import disable as disable
from dtrain.jit.compiling import compile as compile, is_compiling as is_compiling, reset as reset
