"""Policies that find a model's units, under PyTorch's names (torch.distributed.fsdp.wrap).

`FullyShardedDataParallel` calls a policy with a module, `recurse` and the number of elements of its
parameters that are in no unit yet. With `recurse=True` it answers whether to look for units among
the module's children; else, whether the module is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dtrain.nn import Module, ModuleDict, ModuleList, MultiheadAttention

#: the number of elements of a unit of `size_based_auto_wrap_policy`
DEFAULT_MIN_NUM_PARAMS = 100_000_000


def always_wrap_policy(*args: object, **kwargs: object) -> bool:
    """Make each module a unit (torch.distributed.fsdp.wrap.always_wrap_policy)."""
    return True


def lambda_auto_wrap_policy(
    module: Module, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable[[Module], bool]
) -> bool:
    """Make those modules units of which `lambda_fn` says so
    (torch.distributed.fsdp.wrap.lambda_auto_wrap_policy)."""
    return recurse or lambda_fn(module)


def transformer_auto_wrap_policy(
    module: Module,
    recurse: bool,
    nonwrapped_numel: int,
    transformer_layer_cls: Iterable[type[Module]],
) -> bool:
    """Make the blocks of a transformer units, by their classes
    (torch.distributed.fsdp.wrap.transformer_auto_wrap_policy).

    >>> import functools
    >>> from dtrain.nn import TransformerEncoderLayer
    >>> blocks = {TransformerEncoderLayer}
    >>> policy = functools.partial(transformer_auto_wrap_policy, transformer_layer_cls=blocks)
    >>> policy(TransformerEncoderLayer(4, 1), recurse=False, nonwrapped_numel=0)
    True
    """
    return recurse or isinstance(module, tuple(transformer_layer_cls))


def size_based_auto_wrap_policy(
    module: Module,
    recurse: bool,
    nonwrapped_numel: int,
    min_num_params: int = DEFAULT_MIN_NUM_PARAMS,
    force_leaf_modules: set[type[Module]] | None = None,
    exclude_wrap_modules: set[type[Module]] | None = None,
) -> bool:
    """Make modules units that have so many elements outside of other units
    (torch.distributed.fsdp.wrap.size_based_auto_wrap_policy).

    Parameters
    ----------
    force_leaf_modules : whose children are no units; None: MultiheadAttention
    exclude_wrap_modules : which are no units themselves; None: ModuleList and ModuleDict
    """
    if nonwrapped_numel < min_num_params:
        return False
    leaves = {MultiheadAttention} if force_leaf_modules is None else force_leaf_modules
    excluded = {ModuleList, ModuleDict} if exclude_wrap_modules is None else exclude_wrap_modules
    return not isinstance(module, tuple(leaves if recurse else excluded))


def check_classes(classes: Iterable[type[Module]], by: str) -> tuple[type[Module], ...]:
    """The classes as a tuple; raises TypeError for what is no class of modules."""
    given = tuple(classes)
    if not all(isinstance(kind, type) and issubclass(kind, Module) for kind in given):
        raise TypeError(f"{by}: expected classes of modules, got {classes!r}")
    return given


class ModuleWrapPolicy:
    """Make modules of some classes units (torch.distributed.fsdp.wrap.ModuleWrapPolicy).

    Parameters
    ----------
    module_classes : the classes of the units

    >>> from dtrain.nn import Linear
    >>> ModuleWrapPolicy({Linear})(Linear(1, 1), recurse=False)
    True
    """

    def __init__(self, module_classes: Iterable[type[Module]]):
        self._classes = check_classes(module_classes, "ModuleWrapPolicy")

    def __call__(self, module: Module, recurse: bool, nonwrapped_numel: int = 0) -> bool:
        """Whether the module is a unit, or with `recurse` its children may be."""
        return recurse or isinstance(module, self._classes)
