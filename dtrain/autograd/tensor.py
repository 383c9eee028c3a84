"""`Tensor`: an array, whether it wants a gradient, and the node of the graph that made it.

The operations that PyTorch has as methods are bound to it by `dtrain.functions.table`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.display import display
from dtrain.autograd.graph import Node
from dtrain.autograd.hooks import HookHandle
from dtrain.autograd.tensor_methods import TensorMethods
from dtrain.backend import Array, array_module, device, device_of, to_host
from dtrain.backend.dtypes import category, get_default_dtype, is_floating
from dtrain.backend.layout import layout, strided
from dtrain.backend.size import Size

if TYPE_CHECKING:
    from dtrain.autograd.bucket import Bucket
    from dtrain.autograd.view import View


class Tensor(TensorMethods):
    """An array that remembers how it was made (torch.Tensor).

    ``Tensor(data)`` makes a tensor of the default dtype from nested lists or an array, and
    ``Tensor(2, 3)`` one of that shape that is not initialized; :func:`dtrain.tensor` keeps the
    dtype of the data.

    >>> import dtrain
    >>> x = dtrain.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __array_priority__ = 1000  # NumPy leaves `array + tensor` to Tensor.__radd__

    array: Array  #: the NumPy or CuPy array that holds the values
    _version: list[int]  # one counter for all tensors that share memory
    # Most tensors never set these: as values of the class they cost nothing to make.
    _node: Node | None = None
    _requires_grad: bool = False
    _grad: Tensor | None = None
    _view: View | None = None
    _bucket: Bucket | None = None
    _bucket_index: int = 0
    hooks: list[Callable[..., Any]] | None = None
    _after_accumulate: list[Callable[..., Any]] | None = None

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

    # --- what it is ---

    @property
    def shape(self) -> Size:
        return Size(self.array.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def device(self) -> device:
        return device_of(self.array)

    @property
    def is_cuda(self) -> bool:
        return not isinstance(self.array, np.ndarray)

    @property
    def is_cpu(self) -> bool:
        return isinstance(self.array, np.ndarray)

    @property
    def layout(self) -> layout:
        return strided

    def get_device(self) -> int:
        """The number of the GPU; -1 on the host."""
        return -1 if self.is_cpu else self.device.index or 0

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self.array.ctypes.data if self.is_cpu else self.array.data.ptr

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one dimension."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    @property
    def itemsize(self) -> int:
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def element_size(self) -> int:
        """The bytes of one element."""
        return self.array.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """The steps in memory from one element to the next, in elements, per dimension."""
        strides = tuple(step // self.array.itemsize for step in self.array.strides)
        return strides if dim is None else strides[dim]

    def is_contiguous(self) -> bool:
        """Whether the elements lie in memory in order, without gaps."""
        return bool(self.array.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one."""
        return is_floating(self.dtype)

    def is_complex(self) -> bool:
        """False: there are no complex numbers."""
        return False

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers."""
        return self.dtype.kind not in "bu"

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
        """What is pickled: the values and the gradient, not the graph; a view becomes a tensor."""
        kept = {"_version": [0], "_requires_grad": self._requires_grad, "_grad": self._grad}
        return {"array": self.array, **kept}

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("deepcopy: only leaf tensors can be copied; use detach().clone()")
        copy = type(self).__new__(type(self))
        _initialize(copy, self.array.copy(), self._requires_grad)
        if self._grad is not None:
            copy._grad = wrap(self._grad.array.copy())
        memo[id(self)] = copy
        return copy

    # --- its values elsewhere ---

    def item(self) -> Any:
        """The only element, as a Python number; copies from the device."""
        if self.numel() != 1:
            raise RuntimeError(f"item: expected one element, got a tensor of shape {self.shape}")
        return self.array.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The array itself, shared; for a host tensor outside the graph (torch.Tensor.numpy).

        With `force` that of any tensor, copied from a device.
        """
        if force:
            return to_host(self.array)
        if self._requires_grad:
            raise RuntimeError("numpy: this tensor requires grad; use tensor.detach().numpy()")
        if self.is_cuda:
            raise TypeError("numpy: this tensor is on a GPU; use tensor.cpu().numpy()")
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype) if copy else np.asarray(self.numpy(), dtype)

    def __dlpack__(self, **options: Any) -> Any:
        """The memory, shared with another library (DLPack)."""
        if self._requires_grad:
            raise BufferError("this tensor requires grad; export tensor.detach()")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The kind and the number of the device (DLPack)."""
        return self.array.__dlpack_device__()

    def detach(self) -> Tensor:
        """The same memory, outside the graph."""
        out = wrap(self.array)
        out._version = self._version
        return out

    def detach_(self) -> Tensor:
        """Leave the graph, and return the tensor itself, which is a leaf from now on."""
        if self._view is not None and self.requires_grad:
            raise RuntimeError("detach_: this tensor is a view: use detach()")
        self._node, self._requires_grad = None, False
        return self

    @property
    def data(self) -> Tensor:
        """The same memory, outside the graph and its checks; assigning replaces the memory."""
        return wrap(self.array)

    @data.setter
    def data(self, value: Tensor) -> None:
        same = (value.shape, value.dtype, value.device) == (self.shape, self.dtype, self.device)
        if self._bucket is not None and same:
            self.array[...] = value.array  # it stays in its bucket
        else:
            self.array, self._bucket = value.array, None

    # --- its gradient ---

    @property
    def requires_grad(self) -> bool:
        self._follow_base()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Say whether this leaf wants a gradient; returns itself."""
        if requires_grad and not is_floating(self.dtype):
            raise RuntimeError(f"only floating tensors can require gradients, not {self.dtype}")
        if not requires_grad and self._node is not None:
            raise RuntimeError("only leaf tensors can stop requiring gradients; use detach()")
        self._requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        self._follow_base()
        return self._node

    @property
    def grad(self) -> Tensor | None:
        bucket = self._bucket
        if bucket is not None and bucket.before_read_grad is not None and self._grad is not None:
            bucket.before_read_grad()
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
        """Keep the gradient of this non-leaf tensor in `grad`, too."""
        if self._node is not None and self._keep_grad not in self._hooks_of_edge():
            self._hooks_of_edge().append(self._keep_grad)

    @property
    def retains_grad(self) -> bool:
        """Whether this is no leaf and `retain_grad` was called."""
        return self.grad_fn is not None and self._keep_grad in self._hooks_of_edge()

    def _keep_grad(self, grad: Array) -> Array:
        self.accumulate_grad(grad)
        return grad

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
        """Call `hook(grad)` in the backward pass; what it returns replaces the gradient.

        Returns a handle, whose `remove()` removes the hook.
        """
        if not self._requires_grad:
            raise RuntimeError("register_hook: this tensor does not require a gradient")

        def on_array(grad: Array) -> Array:
            replaced = hook(as_tensor(grad))
            return grad if replaced is None else as_gradient(replaced, grad)

        hooks = self._hooks_of_edge()
        hooks.insert(len(hooks) - (self._keep_grad in hooks), on_array)  # what is kept comes last
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
        gradient : the gradient of this tensor, of its shape; may be left out for one element
        retain_graph : keep what a second pass through the same graph needs; `create_graph` does
        create_graph : record the backward pass too, so that gradients can be differentiated
        inputs : the tensors whose `grad` is added to, instead of all leaves

        Raises
        ------
        RuntimeError
            If the tensor is not in a graph, has several elements and no gradient is given, or
            the graph was already freed.
        """
        from dtrain.autograd.gradient import backward  # it is made of Tensors

        backward(self, gradient, retain_graph, create_graph, inputs)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> HookHandle:
        """Call `hook(tensor)` whenever a backward pass has added to `grad` of this leaf."""
        if self._node is not None:
            raise RuntimeError("post accumulate grad hooks can be registered on leaf tensors only")
        if self._after_accumulate is None:
            self._after_accumulate = []
        self._after_accumulate.append(hook)
        return HookHandle(self._after_accumulate, hook)

    def accumulate_grad(self, grad: Array) -> None:
        """Add to `grad` of this leaf; the array may be shared, so it is copied."""
        self._add_to_grad(grad)
        for hook in self._after_accumulate or ():
            hook(self)

    def _add_to_grad(self, grad: Array) -> None:
        if is_recorded(grad):
            self.grad = grad.tensor if self._grad is None else self._grad + grad.tensor
        elif self._bucket is not None:
            self._bucket.accumulate(self._bucket_index, grad)
        elif self._grad is None:
            self._grad = wrap(array_module(grad).array(grad, order="C"))
        else:
            self._grad.array += grad

    def _graph_edge(self) -> Any:
        """What a node links to for this tensor: its node, itself if it is a leaf, or None."""
        if self._view is not None:
            self._follow_base()
        if not self._requires_grad:
            return None
        return self if self._node is None else self._node

    def _follow_base(self) -> None:
        """If this is a view whose base was written to since, take over the base's new history."""
        view = self._view
        if view is not None and view.base._node is not view.history:
            with grad_mode.enable_grad():  # the history is what it is, whoever asks
                again = view.operation(view.base)
            self._node, self._requires_grad = again._node, again._requires_grad
            view.history = view.base._node

    def _hooks_of_edge(self) -> list[Callable[..., Any]]:
        edge = self._graph_edge()
        if edge.hooks is None:
            edge.hooks = []
        return edge.hooks

    def _require_writable(self, name: str, value_requires_grad: bool) -> None:
        """Refuse an in-place operation that the graph could not follow."""
        if not grad_mode.is_grad_enabled() or not (self._requires_grad or value_requires_grad):
            return
        written = self if self._view is None else self._view.base
        if written._requires_grad and written._node is None:
            what = "a leaf tensor" if self._view is None else "a view of a leaf tensor"
            raise RuntimeError(
                f"{name}: {what} that requires grad is used in an in-place operation; "
                "do it under no_grad()"
            )


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
    return tensor


_new = object.__new__


def is_recorded(grad: Array) -> bool:
    """Whether a gradient of the backward pass stands for a Tensor (see traced.py)."""
    return hasattr(grad, "tensor")


def as_tensor(grad: Array) -> Tensor:
    """A gradient of the backward pass as a Tensor."""
    return grad.tensor if is_recorded(grad) else wrap(grad)


def as_gradient(tensor: Tensor, like: Array) -> Array:
    """A Tensor as a gradient of the backward pass, of the kind of `like`."""
    return type(like)(tensor) if is_recorded(like) else tensor.array
