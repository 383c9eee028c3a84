"""`Tensor`: an array, whether it requires grad, and the node of the graph that made it.

`TensorData` has what depends on the array alone. The operations that PyTorch has as methods are
bound to `TensorMethods` by `dtrain.functions.table`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.display import display
from dtrain.autograd.graph import Node
from dtrain.autograd.hooks import HookHandle
from dtrain.autograd.parameter_changes import parameter_changes
from dtrain.autograd.tensor_data import TensorData
from dtrain.autograd.tensor_methods import TensorMethods
from dtrain.backend import Array
from dtrain.backend.dtypes import category, get_default_dtype, is_inexact
from dtrain.backend.size import Size
from dtrain.backend.tracing import current_tracer, refuse_recording, tracers

if TYPE_CHECKING:
    from dtrain.autograd.bucket import Bucket
    from dtrain.autograd.view import View


class Tensor(TensorMethods, TensorData):
    """An array, and the recorded operation that made it (torch.Tensor).

    ``Tensor(data)`` makes a tensor of the default dtype from nested lists or an array,
    ``Tensor(2, 3)`` an uninitialized one of that shape; :func:`dtrain.tensor` keeps the dtype of
    the data.

    >>> import dtrain
    >>> x = dtrain.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __array_priority__ = 1000  # NumPy leaves `array + tensor` to Tensor.__radd__

    #: writes, one counter for all tensors that share memory; after it those through `data`, if any
    _version: list[int]
    # Most tensors never set these: as values of the class they cost nothing to make.
    array: Array
    _node: Node | None = None
    _requires_grad: bool = False
    _grad: Tensor | None = None
    _view: View | None = None
    _bucket: Bucket | None = None
    _bucket_index: int = 0
    hooks: list[Callable[[Array], Array]] | None = None
    _after_accumulate: list[Callable[[Tensor], None]] | None = None
    _backward: ClassVar[Callable[..., None]]  #: `backward` of gradient.py, which sets it

    def __init__(self, *data: Any):
        only = data[0] if len(data) == 1 else data
        if isinstance(only, Tensor):
            array = only.array
        elif isinstance(only, (int, Size)) or (data and only is data):
            array = np.empty(only, get_default_dtype())
        elif isinstance(only, float):
            raise TypeError("Tensor: expected sizes, a list or an array; use dtrain.tensor(number)")
        else:
            array = np.array(only, get_default_dtype())
        _initialize(self, array)

    # --- Python's protocols ---

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))

    def __reversed__(self) -> Tensor:
        return self.flip(0)

    def __contains__(self, element: Any) -> bool:
        return bool((self == element).any())

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise RuntimeError(
                f"bool() of a tensor of shape {self.shape} is ambiguous: use any() or all()"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if category(self.dtype) > 1:
            raise TypeError("only integer tensors of a single element can be an index")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if not self.shape else format(repr(self), spec)

    def __repr__(self) -> str:
        return display(self)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the values and the gradient, not the graph; a view becomes a tensor of its own."""
        kept = {"_version": [0], "_requires_grad": self._requires_grad, "_grad": self._grad}
        return {"array": self.array, **kept}

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("deepcopy: only leaf tensors can be copied; use detach().clone()")
        copy = type(self).__new__(type(self))
        _initialize(copy, self.array.copy(), self._requires_grad)
        if self._grad is not None:
            copy._grad = wrap(self._grad.array.copy())
        memo[id(self)] = copy
        return copy

    def detach(self) -> Tensor:
        """A tensor with the same memory, outside the graph (torch.Tensor.detach)."""
        out = wrap(self.array)
        out._version = self._version
        return out

    def detach_(self) -> Tensor:
        """Make this tensor a leaf, outside the graph; returns it (torch.Tensor.detach_)."""
        if self._view is not None and self.requires_grad:
            raise RuntimeError("detach_: this tensor is a view: use detach()")
        if self._requires_grad and self._node is None:
            parameter_changes.note()
        self._node, self._requires_grad = None, False
        return self

    @property
    def data(self) -> Tensor:
        """A tensor with the same memory that in-place checks do not see (torch.Tensor.data).

        Assigning replaces the memory.
        """
        out = wrap(self.array)
        out._version = _DataVersion(self._version)
        return out

    @data.setter
    def data(self, value: Tensor) -> None:
        refuse_recording("the memory of a tensor is replaced")
        _count_data_write(self._version)
        same = (value.shape, value.dtype, value.device) == (self.shape, self.dtype, self.device)
        if self._bucket is not None and same:
            self._bucket.write_values(self, value.array)  # the memory stays in its bucket
        else:
            self.array, self._bucket = value.array, None
            parameter_changes.note()

    # --- gradient ---

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded (torch.Tensor.requires_grad)."""
        self._follow_base()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` of this leaf; returns the tensor (torch.Tensor.requires_grad_)."""
        if requires_grad and not is_inexact(self.dtype):
            raise RuntimeError(
                f"only floating and complex tensors can require gradients, not {self.dtype}"
            )
        if not requires_grad and self._node is not None:
            raise RuntimeError("only leaf tensors can stop requiring gradients; use detach()")
        if requires_grad != self._requires_grad and self._node is None:
            parameter_changes.note()
        self._requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor (torch.Tensor.is_leaf)."""
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        """The node of this tensor's operation; None for a leaf (torch.Tensor.grad_fn)."""
        self._follow_base()
        return self._node

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, of this shape and dtype, or None (torch.Tensor.grad)."""
        bucket = self._bucket
        if bucket is not None and self._grad is not None:
            bucket.make_grads_readable()
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and (value.shape != self.shape or value.dtype != self.dtype):
            raise RuntimeError(
                f"grad: expected shape {self.shape} and dtype {self.dtype}, "
                f"got {value.shape} and {value.dtype}"
            )
        if value is None or self._bucket is None:
            self._grad = value
        elif value is not self._grad:
            self._grad = self._bucket.write_grad(self._bucket_index, value.array)

    def retain_grad(self) -> None:
        """Accumulate `grad` of this non-leaf tensor, too (torch.Tensor.retain_grad)."""
        if self._node is not None and self._keep_grad not in self._edge_hooks():
            self._edge_hooks().append(self._keep_grad)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this non-leaf tensor (torch.Tensor.retains_grad)."""
        return self.grad_fn is not None and self._keep_grad in self._edge_hooks()

    def _keep_grad(self, grad: Array) -> Array:
        self.accumulate_grad(grad)
        return grad

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
        """Call `hook(grad)` in the backward pass (torch.Tensor.register_hook).

        A Tensor that the hook returns replaces the gradient. Returns a handle whose `remove()`
        removes the hook.
        """
        if not self._requires_grad:
            raise RuntimeError("register_hook: this tensor does not require a gradient")

        def on_array(grad: Array) -> Array:
            replaced = hook(as_tensor(grad))
            return grad if replaced is None else as_gradient(replaced, grad)

        hooks = self._edge_hooks()
        hooks.insert(len(hooks) - (self._keep_grad in hooks), on_array)  # _keep_grad runs last
        return HookHandle(hooks, on_array)

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Tensor | Sequence[Tensor] | None = None,
    ) -> None:
        """Add the gradients of this tensor to `grad` of the leaves (torch.Tensor.backward).

        Parameters
        ----------
        gradient : the gradient of this tensor, of its shape; optional for a tensor of one element
        retain_graph : keep the saved values for another backward pass; default: `create_graph`
        create_graph : record the backward pass, so that gradients can be differentiated
        inputs : the tensors whose `grad` is added to, instead of all leaves

        Raises
        ------
        RuntimeError
            If the tensor is not in a graph, has several elements and no gradient is given, or
            the saved values were freed by an earlier pass.
        """
        Tensor._backward(self, gradient, retain_graph, create_graph, inputs)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> HookHandle:
        """Call `hook(tensor)` after each accumulation into `grad` of this leaf.

        (torch.Tensor.register_post_accumulate_grad_hook)
        """
        if self._node is not None:
            raise RuntimeError("post accumulate grad hooks can be registered on leaf tensors only")
        if self._after_accumulate is None:
            self._after_accumulate = []
        self._after_accumulate.append(hook)
        return HookHandle(self._after_accumulate, hook)

    def accumulate_grad(self, grad: Array, unshared: bool = False) -> None:
        """Add a gradient to `grad` and run the hooks; the array is copied unless it is unshared."""
        self._add_to_grad(grad, unshared)
        for hook in self._after_accumulate or ():
            hook(self)

    def _add_to_grad(self, grad: Array, unshared: bool) -> None:
        if type(grad) is not np.ndarray and is_recorded(grad):
            self.grad = grad.tensor if self._grad is None else self._grad + grad.tensor
        elif self._bucket is not None:
            self._bucket.accumulate(self._bucket_index, grad)
        elif self._grad is None:
            self._grad = wrap(grad if unshared else grad.copy())  # in C order
        else:
            self._grad.array += grad

    def _graph_edge(self) -> Node | Tensor | None:
        """The parent that a node records for this tensor: its node, the leaf itself, or None."""
        if self._view is not None:
            self._follow_base()
        if not self._requires_grad:
            return None
        return self if self._node is None else self._node

    def _follow_base(self) -> None:
        """If this is a view whose base was written to, make its history from the base's new one."""
        view = self._view
        if view is not None and view.base._node is not view.history:
            with grad_mode.enable_grad():  # the history does not depend on the caller's grad mode
                again = view.operation(view.base)
            self._node, self._requires_grad = again._node, again._requires_grad
            view.history = view.base._node

    def _edge_hooks(self) -> list[Callable[[Array], Array]]:
        """The hooks on the gradient of this tensor: those of its node, or of the leaf itself."""
        refuse_recording("a hook is registered on a tensor")
        edge = self._graph_edge()
        assert edge is not None
        if edge.hooks is None:
            edge.hooks = []
        return edge.hooks

    def _require_writable(self, name: str, value_requires_grad: bool) -> None:
        """Refuse an in-place operation on a leaf that requires grad, or on a view of one."""
        if not grad_mode.is_grad_enabled() or not (self._requires_grad or value_requires_grad):
            return
        written = self if self._view is None else self._view.base
        if written._requires_grad and written._node is None:
            what = "a leaf tensor" if self._view is None else "a view of a leaf tensor"
            raise RuntimeError(
                f"{name}: {what} that requires grad is used in an in-place operation; "
                "do it under no_grad()"
            )


class _DataVersion(list[int]):
    """The version of a `data` tensor: its tensor's counts writes to it apart from its own."""

    def __init__(self, owner: list[int]):
        super().__init__((0,))
        self._owner = owner

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        _count_data_write(self._owner)


def _count_data_write(version: list[int]) -> None:
    """Count, as the second number of a tensor's version, a write that in-place checks ignore."""
    if len(version) == 1:
        version.append(0)
    version[1] += 1


def _initialize(tensor: Tensor, array: Array, requires_grad: bool = False) -> None:
    tensor.array = array
    tensor._version = [0]
    if requires_grad:
        tensor._requires_grad = True


def wrap(array: Array) -> Tensor:
    """A Tensor around an array, without a copy."""
    tensor = _new(Tensor)
    tensor.array = array
    tensor._version = [0]
    if tracers and (tracer := current_tracer()) is not None:
        tracer.note_tensor(tensor)
    return tensor


_new = object.__new__


def is_recorded(grad: Array) -> bool:
    """Whether a gradient of the backward pass is a RecordedArray (`create_graph=True`)."""
    return hasattr(grad, "tensor")


def as_tensor(grad: Array) -> Tensor:
    """A gradient of the backward pass, an array or a RecordedArray, as a Tensor."""
    return grad.tensor if is_recorded(grad) else wrap(grad)


def as_gradient(tensor: Tensor, like: Array) -> Array:
    """A Tensor as a gradient of the backward pass: an array, or a RecordedArray as `like` is."""
    return type(like)(tensor) if is_recorded(like) else tensor.array
