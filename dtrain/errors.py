"""dtrain's exceptions; wrong arguments raise ValueError, TypeError or RuntimeError as in PyTorch.

DtrainError
├── CheckpointError (ValueError)   a checkpoint that is missing, cut, edited, or of another model
├── CompileError (RuntimeError)    a function that cannot be recorded as a graph
├── DataError (ValueError)         a data file that is missing, cut, or not what it should be
├── DesyncError (RuntimeError)     the ranks disagree: models, seeds, steps, gradients
├── GradcheckError (RuntimeError)  a gradient is not that of central differences
├── LaunchError (RuntimeError)     the job cannot be started, or was started wrongly
├── LinAlgError (RuntimeError)     a matrix without the requested inverse or factorization
├── MissingModuleError (ModuleNotFoundError) a module of PyTorch's that dtrain does not have, or an
│                                  optional package that is not installed
├── MissingNameError (AttributeError) a name of PyTorch's that dtrain does not have
├── OutOfBoundsError (IndexError, RuntimeError) an index outside of a dimension
└── RankFailedError (RuntimeError) another rank raised or exited while this one waited for it
"""


class DtrainError(Exception):
    """The root of dtrain's own exceptions."""


class CheckpointError(DtrainError, ValueError):
    """A checkpoint that is missing, cut, edited, or of another model."""


class CompileError(DtrainError, RuntimeError):
    """A function cannot be recorded as a graph, or its file cannot be loaded."""


class DataError(DtrainError, ValueError):
    """A data file that is missing, cut, or not what it should be."""


class DesyncError(DtrainError, RuntimeError):
    """The ranks disagree about the model, the seed, the step or the gradients."""


class GradcheckError(DtrainError, RuntimeError):
    """A gradient is not that of central differences."""


class LaunchError(DtrainError, RuntimeError):
    """The job cannot be started, or was started wrongly."""


class LinAlgError(DtrainError, RuntimeError):
    """A matrix does not have the requested inverse or factorization."""


class MissingModuleError(DtrainError, ModuleNotFoundError):
    """A module of PyTorch's, or a name in one, that dtrain does not have; a missing package."""


class MissingNameError(DtrainError, AttributeError):
    """A name of PyTorch's that dtrain does not have."""


class OutOfBoundsError(DtrainError, IndexError, RuntimeError):
    """An index outside of a dimension; PyTorch raises either IndexError or RuntimeError."""


class RankFailedError(DtrainError, RuntimeError):
    """Another rank raised or exited while this one waited for it."""
