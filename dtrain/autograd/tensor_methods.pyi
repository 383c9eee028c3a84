"""The operations of Tensor.

Made by scripts/generate_stubs.py from the tables of functions; do not edit.
"""

from collections.abc import Sequence
from dtrain.autograd.tensor import Tensor
from dtrain.backend.device import DeviceLike
from dtrain.backend.dtypes import DTypeLike
from dtrain.backend.random import Generator
from dtrain.functions.linalg.factorizations import QR, TorchSVD
from dtrain.functions.linalg.norms import Slogdet
from dtrain.functions.linalg.triangular import TriangularSolve
from dtrain.functions.operands import Dims, Number
from dtrain.functions.reductions import MinAndMax, ValuesAndIndices
from dtrain.functions.rounding import MantissaAndExponent
from dtrain.functions.statistics import CountsAndEdges
from dtrain.functions.subscripts import Index
from typing import Any, Literal, SupportsIndex, overload
import builtins

class TensorMethods:
    @property
    def H(self) -> Tensor:
        """One matrix transposed, complex numbers conjugated (torch.Tensor.H)."""
    @property
    def T(self) -> Tensor:
        """The dimensions in reverse (torch.Tensor.T)."""
    @property
    def imag(self) -> Tensor:
        """The imaginary parts, a view (torch.imag)."""
    @property
    def mH(self) -> Tensor:
        """The last two dimensions transposed, complex numbers conjugated (torch.adjoint)."""
    @property
    def mT(self) -> Tensor:
        """The last two dimensions transposed (torch.Tensor.mT)."""
    @property
    def real(self) -> Tensor:
        """The real parts, a view; a real tensor itself (torch.real)."""
    def __abs__(self) -> Tensor: ...
    def __add__(self, other: Tensor | Number) -> Tensor: ...
    def __and__(self, other: Tensor | Number) -> Tensor: ...
    def __eq__(self, other: Tensor | Number) -> Tensor: ...  # type: ignore[override]
    def __floordiv__(self, other: Tensor | Number) -> Tensor: ...
    def __ge__(self, other: Tensor | Number) -> Tensor: ...
    def __getitem__(self, index: Index) -> Tensor: ...
    def __gt__(self, other: Tensor | Number) -> Tensor: ...
    def __iadd__(self, other: Tensor | Number) -> Tensor: ...
    def __iand__(self, other: Tensor | Number) -> Tensor: ...
    def __ifloordiv__(self, other: Tensor | Number) -> Tensor: ...
    def __ilshift__(self, other: Tensor | Number) -> Tensor: ...
    def __imod__(self, other: Tensor | Number) -> Tensor: ...
    def __imul__(self, other: Tensor | Number) -> Tensor: ...
    def __invert__(self) -> Tensor: ...
    def __ior__(self, other: Tensor | Number) -> Tensor: ...
    def __ipow__(self, exponent: Tensor | Number) -> Tensor: ...
    def __irshift__(self, other: Tensor | Number) -> Tensor: ...
    def __isub__(self, other: Tensor | Number) -> Tensor: ...
    def __itruediv__(self, other: Tensor | Number) -> Tensor: ...
    def __ixor__(self, other: Tensor | Number) -> Tensor: ...
    def __le__(self, other: Tensor | Number) -> Tensor: ...
    def __lshift__(self, other: Tensor | Number) -> Tensor: ...
    def __lt__(self, other: Tensor | Number) -> Tensor: ...
    def __matmul__(self, other: Tensor) -> Tensor: ...
    def __mod__(self, other: Tensor | Number) -> Tensor: ...
    def __mul__(self, other: Tensor | Number) -> Tensor: ...
    def __ne__(self, other: Tensor | Number) -> Tensor: ...  # type: ignore[override]
    def __neg__(self) -> Tensor: ...
    def __or__(self, other: Tensor | Number) -> Tensor: ...
    def __pos__(self) -> Tensor: ...
    def __pow__(self, exponent: Tensor | Number) -> Tensor: ...
    def __radd__(self, other: Tensor | Number) -> Tensor: ...
    def __rand__(self, other: Tensor | Number) -> Tensor: ...
    def __rdiv__(self, other: Tensor | Number) -> Tensor: ...
    def __rfloordiv__(self, other: Tensor | Number) -> Tensor: ...
    def __rlshift__(self, other: Tensor | Number) -> Tensor: ...
    def __rmatmul__(self, other: Tensor | Number) -> Tensor: ...
    def __rmod__(self, other: Tensor | Number) -> Tensor: ...
    def __rmul__(self, other: Tensor | Number) -> Tensor: ...
    def __ror__(self, other: Tensor | Number) -> Tensor: ...
    def __rpow__(self, other: Tensor | Number) -> Tensor: ...
    def __rrshift__(self, other: Tensor | Number) -> Tensor: ...
    def __rshift__(self, other: Tensor | Number) -> Tensor: ...
    def __rsub__(self, other: Tensor | Number) -> Tensor: ...
    def __rtruediv__(self, other: Tensor | Number) -> Tensor: ...
    def __rxor__(self, other: Tensor | Number) -> Tensor: ...
    def __setitem__(self, index: Index, value: Any) -> None: ...
    def __sub__(self, other: Tensor | Number) -> Tensor: ...
    def __truediv__(self, other: Tensor | Number) -> Tensor: ...
    def __xor__(self, other: Tensor | Number) -> Tensor: ...
    def abs(self) -> Tensor:
        """|input|; of complex numbers a real tensor (torch.abs)."""
    def abs_(self) -> Tensor:
        """In-place form of `abs`; returns the tensor (torch.Tensor.abs_)."""
    def absolute(self) -> Tensor:
        """|input|; of complex numbers a real tensor (torch.abs)."""
    def absolute_(self) -> Tensor:
        """In-place form of `abs`; returns the tensor (torch.Tensor.abs_)."""
    def acos(self) -> Tensor:
        """The angle in [0, pi] of which x is the cosine (torch.acos)."""
    def acos_(self) -> Tensor:
        """In-place form of `acos`; returns the tensor (torch.Tensor.acos_)."""
    def acosh(self) -> Tensor:
        """The number of which x, at least 1, is the hyperbolic cosine (torch.acosh)."""
    def acosh_(self) -> Tensor:
        """In-place form of `acosh`; returns the tensor (torch.Tensor.acosh_)."""
    def add(self, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
        """input + alpha * other (torch.add)."""
    def add_(self, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
        """In-place form of `add`; returns the tensor (torch.Tensor.add_)."""
    def addbmm(
        self,
        batch1: Tensor,
        batch2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """beta * input + alpha * the sum of batch1 @ batch2 over the batch (torch.addbmm)."""
    def addbmm_(
        self,
        batch1: Tensor,
        batch2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """In-place form of `addbmm`; returns the tensor (torch.Tensor.addbmm_)."""
    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
        """input + value * tensor1 / tensor2 (torch.addcdiv)."""
    def addcdiv_(self, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
        """In-place form of `addcdiv`; returns the tensor (torch.Tensor.addcdiv_)."""
    def addcmul(
        self,
        tensor1: Tensor | Number,
        tensor2: Tensor | Number,
        *,
        value: Number = 1,
    ) -> Tensor:
        """input + value * tensor1 * tensor2 (torch.addcmul)."""
    def addcmul_(
        self,
        tensor1: Tensor | Number,
        tensor2: Tensor | Number,
        *,
        value: Number = 1,
    ) -> Tensor:
        """In-place form of `addcmul`; returns the tensor (torch.Tensor.addcmul_)."""
    def addmm(
        self,
        mat1: Tensor,
        mat2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """beta * input + alpha * mat1 @ mat2 (torch.addmm)."""
    def addmm_(
        self,
        mat1: Tensor,
        mat2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """In-place form of `addmm`; returns the tensor (torch.Tensor.addmm_)."""
    def addmv(self, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
        """beta * input + alpha * mat @ vec (torch.addmv)."""
    def addmv_(
        self,
        mat: Tensor,
        vec: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """In-place form of `addmv`; returns the tensor (torch.Tensor.addmv_)."""
    def addr(
        self,
        vec1: Tensor,
        vec2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """beta * input + alpha * outer(vec1, vec2) (torch.addr)."""
    def addr_(
        self,
        vec1: Tensor,
        vec2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """In-place form of `addr`; returns the tensor (torch.Tensor.addr_)."""
    def adjoint(self) -> Tensor:
        """The last two dimensions transposed, complex numbers conjugated (torch.adjoint)."""
    def all(self, dim: Dims | None = None, keepdim: builtins.bool = False) -> Tensor:
        """Whether all are nonzero (torch.all)."""
    def allclose(
        self,
        other: Tensor,
        rtol: builtins.float = 1e-05,
        atol: builtins.float = 1e-08,
        equal_nan: builtins.bool = False,
    ) -> builtins.bool:
        """Whether all elements are close, as a bool (torch.allclose)."""
    def amax(self, dim: Any = (), keepdim: builtins.bool = False) -> Tensor:
        """The maximum; equal maxima share the gradient (torch.amax)."""
    def amin(self, dim: Any = (), keepdim: builtins.bool = False) -> Tensor:
        """The minimum; equal minima share the gradient (torch.amin)."""
    def aminmax(
        self,
        *,
        dim: builtins.int | None = None,
        keepdim: builtins.bool = False,
    ) -> MinAndMax:
        """(minimum, maximum) of all, or along `dim` (torch.aminmax)."""
    def angle(self) -> Tensor:
        """The angle of complex numbers (torch.angle)."""
    def any(self, dim: Dims | None = None, keepdim: builtins.bool = False) -> Tensor:
        """Whether one is nonzero (torch.any)."""
    def arccos(self) -> Tensor:
        """The angle in [0, pi] of which x is the cosine (torch.acos)."""
    def arccos_(self) -> Tensor:
        """In-place form of `acos`; returns the tensor (torch.Tensor.acos_)."""
    def arccosh(self) -> Tensor:
        """The number of which x, at least 1, is the hyperbolic cosine (torch.acosh)."""
    def arccosh_(self) -> Tensor:
        """In-place form of `acosh`; returns the tensor (torch.Tensor.acosh_)."""
    def arcsin(self) -> Tensor:
        """The angle in [-pi/2, pi/2] of which x is the sine (torch.asin)."""
    def arcsin_(self) -> Tensor:
        """In-place form of `asin`; returns the tensor (torch.Tensor.asin_)."""
    def arcsinh(self) -> Tensor:
        """The number of which x is the hyperbolic sine (torch.asinh)."""
    def arcsinh_(self) -> Tensor:
        """In-place form of `asinh`; returns the tensor (torch.Tensor.asinh_)."""
    def arctan(self) -> Tensor:
        """The angle in (-pi/2, pi/2) of which x is the tangent (torch.atan)."""
    def arctan2(self, other: Tensor) -> Tensor:
        """The angle of the point (y, x), its second coordinate first; the gradient at (0, 0) is 0 (torch.atan2)."""
    def arctan2_(self, other: Tensor) -> Tensor:
        """In-place form of `atan2`; returns the tensor (torch.Tensor.atan2_)."""
    def arctan_(self) -> Tensor:
        """In-place form of `atan`; returns the tensor (torch.Tensor.atan_)."""
    def arctanh(self) -> Tensor:
        """The number of which x is the hyperbolic tangent (torch.atanh)."""
    def arctanh_(self) -> Tensor:
        """In-place form of `atanh`; returns the tensor (torch.Tensor.atanh_)."""
    def argmax(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor:
        """The index of the first maximum (torch.argmax)."""
    def argmin(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor:
        """The index of the first minimum (torch.argmin)."""
    def argsort(
        self,
        dim: builtins.int = -1,
        descending: builtins.bool = False,
        stable: builtins.bool = False,
    ) -> Tensor:
        """Where the sorted values are along `dim`; equal ones keep their order (torch.argsort)."""
    def argwhere(self) -> Tensor:
        """Indices of the elements that are not zero, a row each (torch.argwhere)."""
    def as_strided(
        self,
        size: Sequence[builtins.int],
        stride: Sequence[builtins.int],
        storage_offset: builtins.int | None = None,
    ) -> Tensor:
        """A view with any sizes and steps of the memory of a tensor (torch.as_strided)."""
    def asin(self) -> Tensor:
        """The angle in [-pi/2, pi/2] of which x is the sine (torch.asin)."""
    def asin_(self) -> Tensor:
        """In-place form of `asin`; returns the tensor (torch.Tensor.asin_)."""
    def asinh(self) -> Tensor:
        """The number of which x is the hyperbolic sine (torch.asinh)."""
    def asinh_(self) -> Tensor:
        """In-place form of `asinh`; returns the tensor (torch.Tensor.asinh_)."""
    def atan(self) -> Tensor:
        """The angle in (-pi/2, pi/2) of which x is the tangent (torch.atan)."""
    def atan2(self, other: Tensor) -> Tensor:
        """The angle of the point (y, x), its second coordinate first; the gradient at (0, 0) is 0 (torch.atan2)."""
    def atan2_(self, other: Tensor) -> Tensor:
        """In-place form of `atan2`; returns the tensor (torch.Tensor.atan2_)."""
    def atan_(self) -> Tensor:
        """In-place form of `atan`; returns the tensor (torch.Tensor.atan_)."""
    def atanh(self) -> Tensor:
        """The number of which x is the hyperbolic tangent (torch.atanh)."""
    def atanh_(self) -> Tensor:
        """In-place form of `atanh`; returns the tensor (torch.Tensor.atanh_)."""
    def baddbmm(
        self,
        batch1: Tensor,
        batch2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """beta * input + alpha * batch1 @ batch2, pair by pair (torch.baddbmm)."""
    def baddbmm_(
        self,
        batch1: Tensor,
        batch2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """In-place form of `baddbmm`; returns the tensor (torch.Tensor.baddbmm_)."""
    def bernoulli(
        self,
        p: builtins.float | None = None,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """1 with the probabilities in `input`, or p for all, else 0 (torch.bernoulli)."""
    def bernoulli_(
        self,
        p: Tensor | builtins.float = 0.5,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """Fill with 1 with probability p, else 0 (torch.Tensor.bernoulli_)."""
    def bfloat16(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype bfloat16 (torch.Tensor.bfloat16)."""
    def bincount(self, weights: Tensor | None = None, minlength: builtins.int = 0) -> Tensor:
        """The number of occurrences of each integer, or the sum of their weights (torch.bincount)."""
    def bitwise_and(self, other: Tensor | Number) -> Tensor:
        """numpy.bitwise_and of each pair (torch.bitwise_and)."""
    def bitwise_and_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `bitwise_and`; returns the tensor (torch.Tensor.bitwise_and_)."""
    def bitwise_left_shift(self, other: Tensor | Number) -> Tensor:
        """numpy.left_shift of each pair (torch.bitwise_left_shift)."""
    def bitwise_left_shift_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `bitwise_left_shift`; returns the tensor (torch.Tensor.bitwise_left_shift_)."""
    def bitwise_not(self) -> Tensor:
        """Each bit, or each bool, inverted (torch.bitwise_not)."""
    def bitwise_not_(self) -> Tensor:
        """In-place form of `bitwise_not`; returns the tensor (torch.Tensor.bitwise_not_)."""
    def bitwise_or(self, other: Tensor | Number) -> Tensor:
        """numpy.bitwise_or of each pair (torch.bitwise_or)."""
    def bitwise_or_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `bitwise_or`; returns the tensor (torch.Tensor.bitwise_or_)."""
    def bitwise_right_shift(self, other: Tensor | Number) -> Tensor:
        """numpy.right_shift of each pair (torch.bitwise_right_shift)."""
    def bitwise_right_shift_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `bitwise_right_shift`; returns the tensor (torch.Tensor.bitwise_right_shift_)."""
    def bitwise_xor(self, other: Tensor | Number) -> Tensor:
        """numpy.bitwise_xor of each pair (torch.bitwise_xor)."""
    def bitwise_xor_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `bitwise_xor`; returns the tensor (torch.Tensor.bitwise_xor_)."""
    def bmm(self, mat2: Tensor) -> Tensor:
        """Products of matrices, pair by pair of two batches (torch.bmm)."""
    def bool(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype bool (torch.Tensor.bool)."""
    def broadcast_to(
        self,
        *sizes: SupportsIndex | Sequence[builtins.int],
        size: Any = None,
    ) -> Tensor:
        """Broadcast without a copy (torch.broadcast_to)."""
    def byte(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype uint8 (torch.Tensor.byte)."""
    def cauchy_(
        self,
        median: builtins.float = 0,
        sigma: builtins.float = 1,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """Fill with Cauchy distributed random numbers (torch.Tensor.cauchy_)."""
    def cdouble(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype complex128 (torch.Tensor.cdouble)."""
    def ceil(self) -> Tensor:
        """The smallest integer not below. The gradient is 0 (torch.ceil)."""
    def ceil_(self) -> Tensor:
        """In-place form of `ceil`; returns the tensor (torch.Tensor.ceil_)."""
    def cfloat(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype complex64 (torch.Tensor.cfloat)."""
    def char(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype int8 (torch.Tensor.char)."""
    def cholesky(self, upper: builtins.bool = False) -> Tensor:
        """The Cholesky factor (torch.cholesky)."""
    def cholesky_inverse(self, upper: builtins.bool = False) -> Tensor:
        """The inverse of the matrix whose Cholesky factor is L (torch.cholesky_inverse)."""
    def cholesky_solve(self, L: Tensor, upper: builtins.bool = False) -> Tensor:
        """X with L @ L.mH @ X = B, or L.mH @ L @ X = B if `upper` (torch.cholesky_solve)."""
    def chunk(self, chunks: builtins.int, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Split into at most `chunks` parts of equal size; the last may be shorter (torch.chunk)."""
    def clamp(
        self,
        min: Tensor | Number | None = None,
        max: Tensor | Number | None = None,
    ) -> Tensor:
        """input limited to [min, max] (torch.clamp); limits are numbers or tensors."""
    def clamp_(
        self,
        min: Tensor | Number | None = None,
        max: Tensor | Number | None = None,
    ) -> Tensor:
        """In-place form of `clamp`; returns the tensor (torch.Tensor.clamp_)."""
    def clamp_max(self, max: Tensor | Number) -> Tensor:
        """input, at most `max` (torch.clamp_max)."""
    def clamp_max_(self, max: Tensor | Number) -> Tensor:
        """In-place form of `clamp_max`; returns the tensor (torch.Tensor.clamp_max_)."""
    def clamp_min(self, min: Tensor | Number) -> Tensor:
        """input, at least `min` (torch.clamp_min)."""
    def clamp_min_(self, min: Tensor | Number) -> Tensor:
        """In-place form of `clamp_min`; returns the tensor (torch.Tensor.clamp_min_)."""
    def clip(
        self,
        min: Tensor | Number | None = None,
        max: Tensor | Number | None = None,
    ) -> Tensor:
        """input limited to [min, max] (torch.clamp); limits are numbers or tensors."""
    def clip_(
        self,
        min: Tensor | Number | None = None,
        max: Tensor | Number | None = None,
    ) -> Tensor:
        """In-place form of `clamp`; returns the tensor (torch.Tensor.clamp_)."""
    def clone(self, *, memory_format: Any = None) -> Tensor:
        """A copy of the tensor (torch.clone)."""
    def coalesce(self) -> Tensor:
        """Sorted indices without repetition, of a sparse tensor (torch.Tensor.coalesce)."""
    def conj(self) -> Tensor:
        """The complex conjugates; a real tensor itself (torch.conj)."""
    def conj_physical(self) -> Tensor:
        """The complex conjugates; a real tensor itself (torch.conj)."""
    def conj_physical_(self) -> Tensor:
        """In-place form of `conj`; returns the tensor (torch.Tensor.conj_physical_)."""
    def contiguous(self, *, memory_format: Any = None) -> Tensor:
        """Itself if its elements lie in order in memory, else a copy (torch.Tensor.contiguous)."""
    def copy_(self, src: Tensor, non_blocking: builtins.bool = False) -> Tensor:
        """Copy the elements of `src`, which broadcasts; its gradient flows to `src` (torch.Tensor.copy_)."""
    def copysign(self, other: Tensor | Number) -> Tensor:
        """The size of x with the sign of y; no gradient where x is 0, nor for y (torch.copysign)."""
    def copysign_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `copysign`; returns the tensor (torch.Tensor.copysign_)."""
    def corrcoef(self) -> Tensor:
        """The correlations of variables, the rows, over observations (torch.corrcoef)."""
    def cos(self) -> Tensor:
        """The cosine of radians (torch.cos)."""
    def cos_(self) -> Tensor:
        """In-place form of `cos`; returns the tensor (torch.Tensor.cos_)."""
    def cosh(self) -> Tensor:
        """The hyperbolic cosine (torch.cosh)."""
    def cosh_(self) -> Tensor:
        """In-place form of `cosh`; returns the tensor (torch.Tensor.cosh_)."""
    def count_nonzero(self, dim: Dims | None = None) -> Tensor:
        """The number of elements that are not zero (torch.count_nonzero)."""
    def cov(
        self,
        *,
        correction: builtins.int = 1,
        fweights: Tensor | None = None,
        aweights: Tensor | None = None,
    ) -> Tensor:
        """The covariances of variables, the rows, over observations, the columns (torch.cov)."""
    def cpu(self) -> Tensor:
        """The tensor in host memory; itself if it is there (torch.Tensor.cpu)."""
    def cross(self, other: Tensor, dim: builtins.int | None = None) -> Tensor:
        """Cross products along a dimension of size 3, the first there is if None (torch.cross)."""
    def cuda(self, device: DeviceLike = None, non_blocking: builtins.bool = False) -> Tensor:
        """The tensor on a GPU, by default the current one (torch.Tensor.cuda)."""
    def cummax(self, dim: builtins.int) -> ValuesAndIndices:
        """The maximum up to each position along `dim`, and its index (torch.cummax)."""
    def cummin(self, dim: builtins.int) -> ValuesAndIndices:
        """The minimum up to each position along `dim`, and its index (torch.cummin)."""
    def cumprod(self, dim: builtins.int, *, dtype: DTypeLike = None) -> Tensor:
        """Running products along `dim` (torch.cumprod)."""
    def cumprod_(self, dim: builtins.int, *, dtype: DTypeLike = None) -> Tensor:
        """In-place form of `cumprod`; returns the tensor (torch.Tensor.cumprod_)."""
    def cumsum(self, dim: builtins.int, *, dtype: DTypeLike = None) -> Tensor:
        """Running sums along `dim` (torch.cumsum)."""
    def cumsum_(self, dim: builtins.int, *, dtype: DTypeLike = None) -> Tensor:
        """In-place form of `cumsum`; returns the tensor (torch.Tensor.cumsum_)."""
    def deg2rad(self) -> Tensor:
        """Degrees in radians (torch.deg2rad)."""
    def deg2rad_(self) -> Tensor:
        """In-place form of `deg2rad`; returns the tensor (torch.Tensor.deg2rad_)."""
    def det(self) -> Tensor:
        """The determinant (torch.linalg.det)."""
    def diag(self, diagonal: builtins.int = 0) -> Tensor:
        """A vector as the diagonal of a matrix, or the diagonal of a matrix, copied (torch.diag)."""
    def diag_embed(
        self,
        offset: builtins.int = 0,
        dim1: builtins.int = -2,
        dim2: builtins.int = -1,
    ) -> Tensor:
        """Matrices with the rows of the input on a diagonal (torch.diag_embed)."""
    def diagflat(self, offset: builtins.int = 0) -> Tensor:
        """A matrix with all elements on a diagonal (torch.diagflat)."""
    def diagonal(
        self,
        offset: builtins.int = 0,
        dim1: builtins.int = 0,
        dim2: builtins.int = 1,
    ) -> Tensor:
        """The diagonals of the matrices in two dimensions, as a last one; a view (torch.diagonal)."""
    def diagonal_scatter(
        self,
        src: Tensor,
        offset: builtins.int = 0,
        dim1: builtins.int = 0,
        dim2: builtins.int = 1,
    ) -> Tensor:
        """The input with `src` as its diagonals in two dimensions (torch.diagonal_scatter)."""
    def diff(
        self,
        n: builtins.int = 1,
        dim: builtins.int = -1,
        prepend: Tensor | None = None,
        append: Tensor | None = None,
    ) -> Tensor:
        """The differences of neighbours along `dim`, n times over (torch.diff)."""
    def digamma(self) -> Tensor:
        """The derivative of lgamma (torch.digamma)."""
    def digamma_(self) -> Tensor:
        """In-place form of `digamma`; returns the tensor (torch.Tensor.digamma_)."""
    def dist(self, other: Tensor, p: builtins.float = 2) -> Tensor:
        """The p-norm of the difference (torch.dist)."""
    def div(self, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
        """input / other, rounded to "floor", or "trunc" towards zero, if so wished (torch.div)."""
    def div_(self, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
        """In-place form of `div`; returns the tensor (torch.Tensor.div_)."""
    def divide(self, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
        """input / other, rounded to "floor", or "trunc" towards zero, if so wished (torch.div)."""
    def divide_(self, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
        """In-place form of `div`; returns the tensor (torch.Tensor.div_)."""
    def dot(self, tensor: Tensor) -> Tensor:
        """The inner product of two vectors (torch.dot)."""
    def double(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype float64 (torch.Tensor.double)."""
    def dsplit(
        self,
        indices_or_sections: Any = None,
        *,
        indices: Any = None,
        sections: Any = None,
    ) -> tuple[Tensor, ...]:
        """Split dimension 2 into equal parts or at indices (torch.dsplit)."""
    def eq(self, other: Tensor | Number) -> Tensor:
        """numpy.equal of each pair (torch.eq)."""
    def eq_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `eq`; returns the tensor (torch.Tensor.eq_)."""
    def equal(self, other: Tensor) -> builtins.bool:
        """Whether shapes and elements are the same, as a bool (torch.equal)."""
    def erf(self) -> Tensor:
        """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x (torch.erf)."""
    def erf_(self) -> Tensor:
        """In-place form of `erf`; returns the tensor (torch.Tensor.erf_)."""
    def erfc(self) -> Tensor:
        """1 - erf(x), exact where that is small (torch.erfc)."""
    def erfc_(self) -> Tensor:
        """In-place form of `erfc`; returns the tensor (torch.Tensor.erfc_)."""
    def erfinv(self) -> Tensor:
        """The inverse of erf (torch.erfinv)."""
    def erfinv_(self) -> Tensor:
        """In-place form of `erfinv`; returns the tensor (torch.Tensor.erfinv_)."""
    def exp(self) -> Tensor:
        """e ** x (torch.exp)."""
    def exp2(self) -> Tensor:
        """2 ** x (torch.exp2)."""
    def exp2_(self) -> Tensor:
        """In-place form of `exp2`; returns the tensor (torch.Tensor.exp2_)."""
    def exp_(self) -> Tensor:
        """In-place form of `exp`; returns the tensor (torch.Tensor.exp_)."""
    def expand(
        self,
        *sizes: SupportsIndex | Sequence[builtins.int],
        size: Any = None,
    ) -> Tensor:
        """Broadcast without a copy; -1 keeps a dimension (torch.Tensor.expand)."""
    def expand_as(self, other: Tensor) -> Tensor:
        """Broadcast to the shape of `other`, without a copy (torch.Tensor.expand_as)."""
    def expm1(self) -> Tensor:
        """e ** x - 1, exact near 0 (torch.expm1)."""
    def expm1_(self) -> Tensor:
        """In-place form of `expm1`; returns the tensor (torch.Tensor.expm1_)."""
    def exponential_(
        self,
        lambd: builtins.float = 1,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """Fill with exponentially distributed random numbers of rate `lambd` (torch.Tensor.exponential_)."""
    def fill_(self, value: Tensor | Number) -> Tensor:
        """Set all elements to `value`, a number or a 0-d tensor (torch.Tensor.fill_)."""
    def fill_diagonal_(self, fill_value: builtins.float, wrap: builtins.bool = False) -> Tensor:
        """Write a number on the diagonal, of a matrix that is tall and with `wrap` on further ones"""
    def fix(self) -> Tensor:
        """The integer part, without the fraction. The gradient is 0 (torch.trunc)."""
    def fix_(self) -> Tensor:
        """In-place form of `trunc`; returns the tensor (torch.Tensor.trunc_)."""
    def flatten(self, start_dim: builtins.int = 0, end_dim: builtins.int = -1) -> Tensor:
        """The dimensions from start_dim to end_dim made one (torch.flatten)."""
    def flip(self, *axes: Any, dims: Any = None) -> Tensor:
        """A copy with the order reversed along `dims` (torch.flip)."""
    def fliplr(self) -> Tensor:
        """The order reversed along dimension 1 (torch.fliplr)."""
    def flipud(self) -> Tensor:
        """The order reversed along dimension 0 (torch.flipud)."""
    def float(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype float32 (torch.Tensor.float)."""
    def float_power(self, exponent: Tensor | Number) -> Tensor:
        """input ** exponent in float64, of complex numbers in complex128 (torch.float_power)."""
    def float_power_(self, exponent: Tensor | Number) -> Tensor:
        """In-place form of `float_power`; returns the tensor (torch.Tensor.float_power_)."""
    def floor(self) -> Tensor:
        """The largest integer not above. The gradient is 0 (torch.floor)."""
    def floor_(self) -> Tensor:
        """In-place form of `floor`; returns the tensor (torch.Tensor.floor_)."""
    def floor_divide(self, other: Tensor | Number) -> Tensor:
        """floor(input / other) (torch.floor_divide)."""
    def floor_divide_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `floor_divide`; returns the tensor (torch.Tensor.floor_divide_)."""
    def fmax(self, other: Tensor) -> Tensor:
        """The larger of each pair, of a NaN and a number the number; x where they are equal (torch.fmax)."""
    def fmin(self, other: Tensor) -> Tensor:
        """The smaller of each pair, of a NaN and a number the number; x where they are equal (torch.fmin)."""
    def fmod(self, other: Tensor | Number) -> Tensor:
        """What division towards zero leaves, of the sign of `input` (torch.fmod)."""
    def fmod_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `fmod`; returns the tensor (torch.Tensor.fmod_)."""
    def frac(self) -> Tensor:
        """input without its integer part (torch.frac)."""
    def frac_(self) -> Tensor:
        """In-place form of `frac`; returns the tensor (torch.Tensor.frac_)."""
    def frexp(self) -> MantissaAndExponent:
        """input = mantissa * 2 ** exponent, with a mantissa of size 0.5 to 1 (torch.frexp)."""
    def gather(
        self,
        dim: builtins.int,
        index: Tensor,
        *,
        sparse_grad: builtins.bool = False,
    ) -> Tensor:
        """The elements at `index` along `dim` (torch.gather)."""
    def gcd(self, other: Tensor) -> Tensor:
        """The greatest common divisor (torch.gcd)."""
    def gcd_(self, other: Tensor) -> Tensor:
        """In-place form of `gcd`; returns the tensor (torch.Tensor.gcd_)."""
    def ge(self, other: Tensor | Number) -> Tensor:
        """numpy.greater_equal of each pair (torch.ge)."""
    def ge_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `ge`; returns the tensor (torch.Tensor.ge_)."""
    def geometric_(self, p: builtins.float, *, generator: Generator | None = None) -> Tensor:
        """Fill with the number of trials, each of probability p, up to the first success (torch.Tensor.geometric_)."""
    def ger(self, vec2: Tensor) -> Tensor:
        """The outer product of two vectors (torch.outer)."""
    def greater(self, other: Tensor | Number) -> Tensor:
        """numpy.greater of each pair (torch.gt)."""
    def greater_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `gt`; returns the tensor (torch.Tensor.gt_)."""
    def greater_equal(self, other: Tensor | Number) -> Tensor:
        """numpy.greater_equal of each pair (torch.ge)."""
    def greater_equal_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `ge`; returns the tensor (torch.Tensor.ge_)."""
    def gt(self, other: Tensor | Number) -> Tensor:
        """numpy.greater of each pair (torch.gt)."""
    def gt_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `gt`; returns the tensor (torch.Tensor.gt_)."""
    def half(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype float16 (torch.Tensor.half)."""
    def heaviside(self, values: Tensor) -> Tensor:
        """0 where input is negative, 1 where positive, `values` where 0 (torch.heaviside)."""
    def heaviside_(self, values: Tensor) -> Tensor:
        """In-place form of `heaviside`; returns the tensor (torch.Tensor.heaviside_)."""
    def histc(
        self,
        bins: builtins.int = 100,
        min: builtins.float = 0,
        max: builtins.float = 0,
    ) -> Tensor:
        """The number of elements in each of `bins` equal intervals of [min, max] (torch.histc)."""
    def histogram(
        self,
        bins: Any,
        *,
        range: Any = None,
        weight: Tensor | None = None,
        density: builtins.bool = False,
    ) -> CountsAndEdges:
        """The number of elements in each bin, or their weight, and the edges (torch.histogram)."""
    def hsplit(
        self,
        indices_or_sections: Any = None,
        *,
        indices: Any = None,
        sections: Any = None,
    ) -> tuple[Tensor, ...]:
        """Split the columns, or a vector, into equal parts or at indices (torch.hsplit)."""
    def hypot(self, other: Tensor) -> Tensor:
        """sqrt(x * x + y * y), without overflow (torch.hypot)."""
    def hypot_(self, other: Tensor) -> Tensor:
        """In-place form of `hypot`; returns the tensor (torch.Tensor.hypot_)."""
    def i0(self) -> Tensor:
        """The modified Bessel function of order 0 (torch.i0)."""
    def i0_(self) -> Tensor:
        """In-place form of `i0`; returns the tensor (torch.Tensor.i0_)."""
    def index_add(
        self,
        dim: builtins.int,
        index: Tensor,
        source: Tensor,
        *,
        alpha: Any = 1,
    ) -> Tensor:
        """The input with slices of `source` added at `index` along `dim` (torch.index_add)."""
    def index_add_(
        self,
        dim: builtins.int,
        index: Tensor,
        source: Tensor,
        *,
        alpha: Any = 1,
    ) -> Tensor:
        """In-place form of `index_add`; returns the tensor (torch.Tensor.index_add_)."""
    def index_copy(self, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """The input with slices of `source` written at `index` along `dim` (torch.index_copy)."""
    def index_copy_(self, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """In-place form of `index_copy`; returns the tensor (torch.Tensor.index_copy_)."""
    def index_fill(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """The input with one value at `index` along `dim` (torch.index_fill)."""
    def index_fill_(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """In-place form of `index_fill`; returns the tensor (torch.Tensor.index_fill_)."""
    def index_put(
        self,
        indices: Sequence[Any],
        values: Tensor,
        accumulate: builtins.bool = False,
    ) -> Tensor:
        """input[indices] = values, or += with accumulate, in a copy (torch.index_put)."""
    def index_put_(
        self,
        indices: Sequence[Any],
        values: Tensor,
        accumulate: builtins.bool = False,
    ) -> Tensor:
        """In-place form of `index_put`; returns the tensor (torch.Tensor.index_put_)."""
    def index_reduce(
        self,
        dim: builtins.int,
        index: Tensor,
        source: Tensor,
        reduce: str,
        *,
        include_self: builtins.bool = True,
    ) -> Tensor:
        """Slices of `source` with the same index, reduced: "prod", "mean", "amax", "amin"."""
    def index_reduce_(
        self,
        dim: builtins.int,
        index: Tensor,
        source: Tensor,
        reduce: str,
        *,
        include_self: builtins.bool = True,
    ) -> Tensor:
        """In-place form of `index_reduce`; returns the tensor (torch.Tensor.index_reduce_)."""
    def index_select(self, dim: builtins.int, index: Tensor) -> Tensor:
        """The slices at `index` along `dim` (torch.index_select)."""
    def indices(self) -> Tensor:
        """The indices, (sparse_dim, n), of a coalesced sparse tensor (torch.Tensor.indices)."""
    def inner(self, other: Tensor) -> Tensor:
        """Inner products over the last dimensions (torch.inner)."""
    def int(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype int32 (torch.Tensor.int)."""
    def inverse(self) -> Tensor:
        """The inverse (torch.linalg.inv)."""
    def is_coalesced(self) -> builtins.bool:
        """Whether a sparse tensor's indices are sorted and unique (torch.Tensor.is_coalesced)."""
    def is_conj(self) -> builtins.bool:
        """False: conjugates are never lazy (torch.is_conj)."""
    def is_neg(self) -> builtins.bool:
        """False: conjugates are never lazy (torch.is_conj)."""
    def is_nonzero(self) -> builtins.bool:
        """Whether the only element is not zero (torch.is_nonzero)."""
    def is_pinned(self, device: DeviceLike = None) -> builtins.bool:
        """Whether the tensor lies in pinned host memory (torch.Tensor.is_pinned)."""
    def is_same_size(self, other: Tensor) -> builtins.bool:
        """Whether the shapes are equal (torch.is_same_size)."""
    def isclose(
        self,
        other: Tensor,
        rtol: builtins.float = 1e-05,
        atol: builtins.float = 1e-08,
        equal_nan: builtins.bool = False,
    ) -> Tensor:
        """Whether |input - other| <= atol + rtol * |other| (torch.isclose)."""
    def isfinite(self) -> Tensor:
        """Whether each is neither NaN nor infinite (torch.isfinite)."""
    def isinf(self) -> Tensor:
        """Whether each is infinite (torch.isinf)."""
    def isnan(self) -> Tensor:
        """Whether each is NaN (torch.isnan)."""
    def isneginf(self) -> Tensor:
        """Whether each is negative infinity (torch.isneginf)."""
    def isposinf(self) -> Tensor:
        """Whether each is positive infinity (torch.isposinf)."""
    def isreal(self) -> Tensor:
        """Whether each has no imaginary part (torch.isreal)."""
    def istft(
        self,
        n_fft: builtins.int,
        hop_length: builtins.int | None = None,
        win_length: builtins.int | None = None,
        window: Tensor | None = None,
        center: builtins.bool = True,
        normalized: builtins.bool = False,
        onesided: builtins.bool | None = None,
        length: builtins.int | None = None,
        return_complex: builtins.bool = False,
    ) -> Tensor:
        """The signal of the spectra that :func:`stft` gives (torch.istft)."""
    def kron(self, other: Tensor) -> Tensor:
        """Kronecker product: blocks of `other`, one for each element of the input (torch.kron)."""
    def kthvalue(
        self,
        k: builtins.int,
        dim: builtins.int = -1,
        keepdim: builtins.bool = False,
    ) -> ValuesAndIndices:
        """The k-th smallest along `dim`, counted from 1, and where it is (torch.kthvalue)."""
    def lcm(self, other: Tensor) -> Tensor:
        """The least common multiple (torch.lcm)."""
    def lcm_(self, other: Tensor) -> Tensor:
        """In-place form of `lcm`; returns the tensor (torch.Tensor.lcm_)."""
    def ldexp(self, other: Tensor) -> Tensor:
        """input * 2 ** other (torch.ldexp)."""
    def ldexp_(self, other: Tensor) -> Tensor:
        """In-place form of `ldexp`; returns the tensor (torch.Tensor.ldexp_)."""
    def le(self, other: Tensor | Number) -> Tensor:
        """numpy.less_equal of each pair (torch.le)."""
    def le_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `le`; returns the tensor (torch.Tensor.le_)."""
    def lerp(self, end: Tensor, weight: Tensor | Number) -> Tensor:
        """input + weight * (end - input) (torch.lerp)."""
    def lerp_(self, end: Tensor, weight: Tensor | Number) -> Tensor:
        """In-place form of `lerp`; returns the tensor (torch.Tensor.lerp_)."""
    def less(self, other: Tensor | Number) -> Tensor:
        """numpy.less of each pair (torch.lt)."""
    def less_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `lt`; returns the tensor (torch.Tensor.lt_)."""
    def less_equal(self, other: Tensor | Number) -> Tensor:
        """numpy.less_equal of each pair (torch.le)."""
    def less_equal_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `le`; returns the tensor (torch.Tensor.le_)."""
    def lgamma(self) -> Tensor:
        """log |gamma(x)| (torch.lgamma)."""
    def lgamma_(self) -> Tensor:
        """In-place form of `lgamma`; returns the tensor (torch.Tensor.lgamma_)."""
    def log(self) -> Tensor:
        """The natural logarithm (torch.log)."""
    def log10(self) -> Tensor:
        """The logarithm to base 10 (torch.log10)."""
    def log10_(self) -> Tensor:
        """In-place form of `log10`; returns the tensor (torch.Tensor.log10_)."""
    def log1p(self) -> Tensor:
        """log(1 + x), exact near 0 (torch.log1p)."""
    def log1p_(self) -> Tensor:
        """In-place form of `log1p`; returns the tensor (torch.Tensor.log1p_)."""
    def log2(self) -> Tensor:
        """The logarithm to base 2 (torch.log2)."""
    def log2_(self) -> Tensor:
        """In-place form of `log2`; returns the tensor (torch.Tensor.log2_)."""
    def log_(self) -> Tensor:
        """In-place form of `log`; returns the tensor (torch.Tensor.log_)."""
    def log_normal_(
        self,
        mean: builtins.float = 1,
        std: builtins.float = 2,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """Fill with exponentials of normal random numbers (torch.Tensor.log_normal_)."""
    def log_softmax(self, dim: builtins.int, dtype: DTypeLike = None) -> Tensor:
        """log(softmax(x)) along `dim` (torch.log_softmax)."""
    def logaddexp(self, other: Tensor) -> Tensor:
        """log(exp(x) + exp(y)), without overflow (torch.logaddexp)."""
    def logaddexp2(self, other: Tensor) -> Tensor:
        """log2(2 ** x + 2 ** y), without overflow (torch.logaddexp2)."""
    def logcumsumexp(self, dim: builtins.int) -> Tensor:
        """log(cumsum(exp(input))) along `dim`, without overflow (torch.logcumsumexp)."""
    def logdet(self) -> Tensor:
        """The logarithm of the determinant; NaN if that is real and negative (torch.logdet)."""
    def logical_and(self, other: Tensor) -> Tensor:
        """numpy.logical_and of each pair (torch.logical_and)."""
    def logical_and_(self, other: Tensor) -> Tensor:
        """In-place form of `logical_and`; returns the tensor (torch.Tensor.logical_and_)."""
    def logical_not(self) -> Tensor:
        """Whether each is zero or False (torch.logical_not)."""
    def logical_not_(self) -> Tensor:
        """In-place form of `logical_not`; returns the tensor (torch.Tensor.logical_not_)."""
    def logical_or(self, other: Tensor) -> Tensor:
        """numpy.logical_or of each pair (torch.logical_or)."""
    def logical_or_(self, other: Tensor) -> Tensor:
        """In-place form of `logical_or`; returns the tensor (torch.Tensor.logical_or_)."""
    def logical_xor(self, other: Tensor) -> Tensor:
        """numpy.logical_xor of each pair (torch.logical_xor)."""
    def logical_xor_(self, other: Tensor) -> Tensor:
        """In-place form of `logical_xor`; returns the tensor (torch.Tensor.logical_xor_)."""
    def logit(self, eps: builtins.float | None = None) -> Tensor:
        """log(input / (1 - input)), of the input limited to [eps, 1 - eps] (torch.logit)."""
    def logit_(self, eps: builtins.float | None = None) -> Tensor:
        """In-place form of `logit`; returns the tensor (torch.Tensor.logit_)."""
    def logsumexp(self, dim: Any, keepdim: builtins.bool = False) -> Tensor:
        """log(sum(exp(input))) over `dim` (torch.logsumexp)."""
    def long(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype int64 (torch.Tensor.long)."""
    def lt(self, other: Tensor | Number) -> Tensor:
        """numpy.less of each pair (torch.lt)."""
    def lt_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `lt`; returns the tensor (torch.Tensor.lt_)."""
    def lu_solve(self, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
        """`lu_solve` with its arguments in another order (torch.lu_solve)."""
    def masked_fill(self, mask: Tensor, value: Tensor | Number) -> Tensor:
        """`value` where the mask holds, else `input` (torch.masked_fill)."""
    def masked_fill_(self, mask: Tensor, value: Tensor | Number) -> Tensor:
        """In-place form of `masked_fill`; returns the tensor (torch.Tensor.masked_fill_)."""
    def masked_scatter(self, mask: Tensor, source: Tensor) -> Tensor:
        """The input with the first elements of `source` where the mask holds (torch.masked_scatter)."""
    def masked_scatter_(self, mask: Tensor, source: Tensor) -> Tensor:
        """In-place form of `masked_scatter`; returns the tensor (torch.Tensor.masked_scatter_)."""
    def masked_select(self, mask: Tensor) -> Tensor:
        """The elements where the mask holds, as a vector (torch.masked_select)."""
    def matmul(self, other: Tensor) -> Tensor:
        """Matrix product, with vectors and batches as in torch.matmul."""
    def matrix_exp(self) -> Tensor:
        """The sum of A^k / k! (torch.linalg.matrix_exp), by scaling and squaring (Higham, 2005)."""
    def matrix_power(self, n: builtins.int) -> Tensor:
        """A @ A @ ..., n times; of the inverse if n is negative (torch.linalg.matrix_power)."""
    @overload
    def max(self) -> Tensor:
        """The maximum; with `dim` (values, indices); of two tensors `maximum` (torch.max)."""
    @overload
    def max(self, dim: builtins.int, keepdim: builtins.bool = False) -> ValuesAndIndices: ...
    @overload
    def max(self, other: Tensor) -> Tensor: ...
    def maximum(self, other: Tensor) -> Tensor:
        """The larger of each pair; where they are equal each gets half of the gradient (torch.maximum)."""
    def mean(
        self,
        dim: Dims | None = None,
        keepdim: builtins.bool = False,
        *,
        dtype: DTypeLike = None,
    ) -> Tensor:
        """The mean; NaN of nothing (torch.mean)."""
    @overload
    def median(self) -> Tensor:
        """The lower median of all, or (values, indices) along `dim`; NaN if any is (torch.median)."""
    @overload
    def median(self, dim: builtins.int, keepdim: builtins.bool = False) -> ValuesAndIndices: ...
    @overload
    def min(self) -> Tensor:
        """The minimum; with `dim` (values, indices); of two tensors `minimum` (torch.min)."""
    @overload
    def min(self, dim: builtins.int, keepdim: builtins.bool = False) -> ValuesAndIndices: ...
    @overload
    def min(self, other: Tensor) -> Tensor: ...
    def minimum(self, other: Tensor) -> Tensor:
        """The smaller of each pair; where they are equal each gets half of the gradient (torch.minimum)."""
    def mm(self, mat2: Tensor) -> Tensor:
        """The product of two matrices (torch.mm)."""
    def mode(self, dim: builtins.int = -1, keepdim: builtins.bool = False) -> ValuesAndIndices:
        """The most frequent value along `dim`, of several the smallest, and its index (torch.mode)."""
    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        """Dimensions moved to other positions, the others in their order (torch.movedim)."""
    def movedim(self, source: Any, destination: Any) -> Tensor:
        """Dimensions moved to other positions, the others in their order (torch.movedim)."""
    def msort(self) -> Tensor:
        """Sorted along the first dimension (torch.msort)."""
    def mul(self, other: Tensor | Number) -> Tensor:
        """x * y (torch.mul)."""
    def mul_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `mul`; returns the tensor (torch.Tensor.mul_)."""
    def multinomial(
        self,
        num_samples: builtins.int,
        replacement: builtins.bool = False,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """Places drawn in proportion to the weights in a vector, or in each row (torch.multinomial)."""
    def multiply(self, other: Tensor | Number) -> Tensor:
        """x * y (torch.mul)."""
    def multiply_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `mul`; returns the tensor (torch.Tensor.mul_)."""
    def mv(self, vec: Tensor) -> Tensor:
        """A matrix times a vector (torch.mv)."""
    def mvlgamma(self, p: builtins.int) -> Tensor:
        """The logarithm of the gamma function of p dimensions (torch.mvlgamma)."""
    def mvlgamma_(self, p: builtins.int) -> Tensor:
        """In-place form of `mvlgamma`; returns the tensor (torch.Tensor.mvlgamma_)."""
    def nan_to_num(
        self,
        nan: builtins.float | None = None,
        posinf: builtins.float | None = None,
        neginf: builtins.float | None = None,
    ) -> Tensor:
        """Numbers in place of NaN, 0, and the infinities, the dtype's limits (torch.nan_to_num)."""
    def nan_to_num_(
        self,
        nan: builtins.float | None = None,
        posinf: builtins.float | None = None,
        neginf: builtins.float | None = None,
    ) -> Tensor:
        """In-place form of `nan_to_num`; returns the tensor (torch.Tensor.nan_to_num_)."""
    def nanmean(
        self,
        dim: Dims | None = None,
        keepdim: builtins.bool = False,
        *,
        dtype: DTypeLike = None,
    ) -> Tensor:
        """The mean of the elements that are not NaN (torch.nanmean)."""
    @overload
    def nanmedian(self) -> Tensor:
        """`median` of the elements that are not NaN (torch.nanmedian)."""
    @overload
    def nanmedian(self, dim: builtins.int, keepdim: builtins.bool = False) -> ValuesAndIndices: ...
    def nanquantile(
        self,
        q: Any,
        dim: builtins.int | None = None,
        keepdim: builtins.bool = False,
        *,
        interpolation: str = "linear",
    ) -> Tensor:
        """`quantile` of the elements that are not NaN (torch.nanquantile)."""
    def nansum(
        self,
        dim: Dims | None = None,
        keepdim: builtins.bool = False,
        *,
        dtype: DTypeLike = None,
    ) -> Tensor:
        """The sum of the elements that are not NaN (torch.nansum)."""
    def narrow(self, dim: builtins.int, start: Any, length: builtins.int) -> Tensor:
        """`length` elements from `start` along a dimension (torch.narrow)."""
    def ndimension(self) -> builtins.int:
        """The number of dimensions (torch.Tensor.dim)."""
    def ne(self, other: Tensor | Number) -> Tensor:
        """numpy.not_equal of each pair (torch.ne)."""
    def ne_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `ne`; returns the tensor (torch.Tensor.ne_)."""
    def neg(self) -> Tensor:
        """-input (torch.neg)."""
    def neg_(self) -> Tensor:
        """In-place form of `neg`; returns the tensor (torch.Tensor.neg_)."""
    def negative(self) -> Tensor:
        """-input (torch.neg)."""
    def negative_(self) -> Tensor:
        """In-place form of `neg`; returns the tensor (torch.Tensor.neg_)."""
    def nelement(self) -> builtins.int:
        """The number of elements (torch.Tensor.numel)."""
    def new_empty(
        self,
        *size: Any,
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        requires_grad: builtins.bool = False,
        out: Tensor | None = None,
        layout: Any = None,
        memory_format: Any = None,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """`empty` with this tensor's dtype and device (torch.Tensor.new_empty)."""
    def new_empty_strided(
        self,
        size: Sequence[builtins.int],
        stride: Sequence[builtins.int],
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        requires_grad: builtins.bool = False,
        *,
        out: Tensor | None = None,
        layout: Any = None,
        memory_format: Any = None,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """`empty_strided` with this tensor's dtype and device (torch.Tensor.new_empty_strided)."""
    def new_full(
        self,
        size: Sequence[builtins.int],
        fill_value: Any,
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        requires_grad: builtins.bool = False,
        *,
        out: Tensor | None = None,
        layout: Any = None,
        memory_format: Any = None,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """`full` with this tensor's dtype and device (torch.Tensor.new_full)."""
    def new_ones(
        self,
        *size: Any,
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        requires_grad: builtins.bool = False,
        out: Tensor | None = None,
        layout: Any = None,
        memory_format: Any = None,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """`ones` with this tensor's dtype and device (torch.Tensor.new_ones)."""
    def new_tensor(
        self,
        data: Any,
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        requires_grad: builtins.bool = False,
    ) -> Tensor:
        """`tensor` with this tensor's dtype and device (torch.Tensor.new_tensor)."""
    def new_zeros(
        self,
        *size: Any,
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        requires_grad: builtins.bool = False,
        out: Tensor | None = None,
        layout: Any = None,
        memory_format: Any = None,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """`zeros` with this tensor's dtype and device (torch.Tensor.new_zeros)."""
    def nextafter(self, other: Tensor) -> Tensor:
        """The next number after `input` towards `other` (torch.nextafter)."""
    def nextafter_(self, other: Tensor) -> Tensor:
        """In-place form of `nextafter`; returns the tensor (torch.Tensor.nextafter_)."""
    @overload
    def nonzero(self, *, as_tuple: Literal[False] = False) -> Tensor:
        """Indices of the nonzero elements: a row each, or a vector for each dim (torch.nonzero)."""
    @overload
    def nonzero(self, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
    def norm(
        self,
        p: builtins.float | str | None = "fro",
        dim: Dims | None = None,
        keepdim: builtins.bool = False,
        dtype: DTypeLike = None,
    ) -> Tensor:
        """The p-norm of all elements or over `dim`; "nuc" is that of matrices (torch.norm)."""
    def normal_(
        self,
        mean: builtins.float = 0,
        std: builtins.float = 1,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """Fill with normal random numbers; `mean` is that of each part of complex ones (torch.Tensor.normal_)."""
    def not_equal(self, other: Tensor | Number) -> Tensor:
        """numpy.not_equal of each pair (torch.ne)."""
    def not_equal_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `ne`; returns the tensor (torch.Tensor.ne_)."""
    def outer(self, vec2: Tensor) -> Tensor:
        """The outer product of two vectors (torch.outer)."""
    def permute(self, *order: Any, dims: Any = None) -> Tensor:
        """The dimensions in another order (torch.permute)."""
    def pin_memory(self, device: DeviceLike = None) -> Tensor:
        """A copy in pinned host memory; itself if it is there (torch.Tensor.pin_memory)."""
    def pinverse(self, rcond: builtins.float = 1e-15) -> Tensor:
        """The pseudoinverse (torch.pinverse)."""
    def polygamma(self, n: builtins.int) -> Tensor:
        """The derivative of order n of digamma (torch.Tensor.polygamma)."""
    def polygamma_(self, n: builtins.int) -> Tensor:
        """In-place form of `polygamma`; returns the tensor (torch.Tensor.polygamma_)."""
    def positive(self) -> Tensor:
        """The tensor itself (torch.positive)."""
    def pow(self, exponent: Tensor | Number) -> Tensor:
        """input ** exponent (torch.pow)."""
    def pow_(self, exponent: Tensor | Number) -> Tensor:
        """In-place form of `pow`; returns the tensor (torch.Tensor.pow_)."""
    def prod(
        self,
        dim: Dims | None = None,
        keepdim: builtins.bool = False,
        *,
        dtype: DTypeLike = None,
    ) -> Tensor:
        """The product; the gradient is right where elements are 0, too (torch.prod)."""
    def put(self, index: Tensor, source: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """`source` written at, or added at, indices into the flattened input (torch.put)."""
    def put_(self, index: Tensor, source: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """In-place form of `put`; returns the tensor (torch.Tensor.put_)."""
    def qr(self, some: builtins.bool = True) -> QR:
        """The reduced, or the complete, QR factorization (torch.qr)."""
    def quantile(
        self,
        q: Any,
        dim: builtins.int | None = None,
        keepdim: builtins.bool = False,
        *,
        interpolation: str = "linear",
    ) -> Tensor:
        """The quantiles q, a number, or a vector for a new first dimension (torch.quantile)."""
    def rad2deg(self) -> Tensor:
        """Radians in degrees (torch.rad2deg)."""
    def rad2deg_(self) -> Tensor:
        """In-place form of `rad2deg`; returns the tensor (torch.Tensor.rad2deg_)."""
    def random_(
        self,
        *limits: builtins.int,
        generator: Generator | None = None,
        **named: builtins.int,
    ) -> Tensor:
        """Fill with integers in [from, to), in [0, to), or all that the dtype holds exactly (torch.Tensor.random_)."""
    def ravel(self) -> Tensor:
        """All elements in one dimension (torch.ravel)."""
    def reciprocal(self) -> Tensor:
        """1 / x (torch.reciprocal)."""
    def reciprocal_(self) -> Tensor:
        """In-place form of `reciprocal`; returns the tensor (torch.Tensor.reciprocal_)."""
    def relu(self) -> Tensor:
        """max(x, 0); the gradient at 0 is 0 (torch.relu)."""
    def relu_(self) -> Tensor:
        """In-place form of `relu`; returns the tensor (torch.Tensor.relu_)."""
    def remainder(self, other: Tensor | Number) -> Tensor:
        """What floor division leaves, of the sign of `other` (torch.remainder)."""
    def remainder_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `remainder`; returns the tensor (torch.Tensor.remainder_)."""
    def renorm(self, p: builtins.float, dim: builtins.int, maxnorm: builtins.float) -> Tensor:
        """Scale slices along `dim` down to a p-norm of at most `maxnorm` (torch.renorm)."""
    def renorm_(self, p: builtins.float, dim: builtins.int, maxnorm: builtins.float) -> Tensor:
        """In-place form of `renorm`; returns the tensor (torch.Tensor.renorm_)."""
    def repeat(self, *counts: Any, repeats: Any = None) -> Tensor:
        """Laid side by side, so often along each dimension (torch.Tensor.repeat)."""
    def repeat_interleave(
        self,
        repeats: Any = None,
        dim: builtins.int | None = None,
        *,
        output_size: Any = None,
    ) -> Tensor:
        """Each element `repeats` times, along `dim` or of all as one row (torch.repeat_interleave)."""
    def reshape(
        self,
        *sizes: SupportsIndex | Sequence[builtins.int],
        shape: Any = None,
    ) -> Tensor:
        """The same elements in another shape, shared if that can be (torch.reshape)."""
    def reshape_as(self, other: Tensor) -> Tensor:
        """The same elements in the shape of `other` (torch.Tensor.reshape_as)."""
    def resolve_conj(self) -> Tensor:
        """The tensor itself: conjugates are never lazy (torch.resolve_conj)."""
    def resolve_neg(self) -> Tensor:
        """The tensor itself: conjugates are never lazy (torch.resolve_conj)."""
    def roll(self, shifts: Any, dims: Any = None) -> Tensor:
        """Elements shifted along `dims`, around the end (torch.roll)."""
    def rot90(self, k: builtins.int = 1, dims: Sequence[builtins.int] = ...) -> Tensor:
        """Turned k times by a right angle, from the first of two dimensions on (torch.rot90)."""
    def round(self, *, decimals: builtins.int = 0) -> Tensor:
        """The nearest multiple of 10 ** -decimals, halves to even (torch.round)."""
    def round_(self, *, decimals: builtins.int = 0) -> Tensor:
        """In-place form of `round`; returns the tensor (torch.Tensor.round_)."""
    def rsqrt(self) -> Tensor:
        """1 / sqrt(x) (torch.rsqrt)."""
    def rsqrt_(self) -> Tensor:
        """In-place form of `rsqrt`; returns the tensor (torch.Tensor.rsqrt_)."""
    def scatter(
        self,
        dim: builtins.int,
        index: Tensor,
        src: Any = None,
        **options: Any,
    ) -> Tensor:
        """`src`, a tensor or a number (`value`), written at `index` along `dim` (torch.scatter)."""
    def scatter_(
        self,
        dim: builtins.int,
        index: Tensor,
        src: Any = None,
        **options: Any,
    ) -> Tensor:
        """In-place form of `scatter`; returns the tensor (torch.Tensor.scatter_)."""
    def scatter_add(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """`src` added at `index` along `dim` (torch.scatter_add)."""
    def scatter_add_(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """In-place form of `scatter_add`; returns the tensor (torch.Tensor.scatter_add_)."""
    def scatter_reduce(
        self,
        dim: builtins.int,
        index: Tensor,
        src: Tensor,
        reduce: str,
        *,
        include_self: builtins.bool = True,
    ) -> Tensor:
        """Values with the same index, reduced: sum, prod, mean, amax or amin (torch.scatter_reduce)."""
    def scatter_reduce_(
        self,
        dim: builtins.int,
        index: Tensor,
        src: Tensor,
        reduce: str,
        *,
        include_self: builtins.bool = True,
    ) -> Tensor:
        """In-place form of `scatter_reduce`; returns the tensor (torch.Tensor.scatter_reduce_)."""
    def select(self, dim: builtins.int, index: builtins.int) -> Tensor:
        """The slice at one index along `dim`, a view (torch.select)."""
    def select_scatter(self, src: Tensor, dim: builtins.int, index: builtins.int) -> Tensor:
        """The input with `src` as its slice at `index` along `dim` (torch.select_scatter)."""
    def sgn(self) -> Tensor:
        """input / |input|, 0 at 0; of real numbers the sign (torch.sgn)."""
    def sgn_(self) -> Tensor:
        """In-place form of `sgn`; returns the tensor (torch.Tensor.sgn_)."""
    def short(self, memory_format: Any = None) -> Tensor:
        """The tensor in dtype int16 (torch.Tensor.short)."""
    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x)) (torch.sigmoid)."""
    def sigmoid_(self) -> Tensor:
        """In-place form of `sigmoid`; returns the tensor (torch.Tensor.sigmoid_)."""
    def sign(self) -> Tensor:
        """-1, 0 or 1; 0 for NaN. The gradient is 0 (torch.sign)."""
    def sign_(self) -> Tensor:
        """In-place form of `sign`; returns the tensor (torch.Tensor.sign_)."""
    def signbit(self) -> Tensor:
        """Whether each is negative; of floats whether the bit of the sign is set, as in -0.0 (torch.signbit)."""
    def sin(self) -> Tensor:
        """The sine of radians (torch.sin)."""
    def sin_(self) -> Tensor:
        """In-place form of `sin`; returns the tensor (torch.Tensor.sin_)."""
    def sinc(self) -> Tensor:
        """sin(pi x) / (pi x), 1 at 0 (torch.sinc)."""
    def sinc_(self) -> Tensor:
        """In-place form of `sinc`; returns the tensor (torch.Tensor.sinc_)."""
    def sinh(self) -> Tensor:
        """The hyperbolic sine (torch.sinh)."""
    def sinh_(self) -> Tensor:
        """In-place form of `sinh`; returns the tensor (torch.Tensor.sinh_)."""
    def slice_scatter(
        self,
        src: Tensor,
        dim: builtins.int = 0,
        start: builtins.int | None = None,
        end: builtins.int | None = None,
        step: builtins.int = 1,
    ) -> Tensor:
        """The input with `src` as its slice start:end:step along `dim` (torch.slice_scatter)."""
    def slogdet(self) -> Slogdet:
        """The sign of the determinant and the logarithm of its absolute value (linalg.slogdet)."""
    def softmax(self, dim: builtins.int, dtype: DTypeLike = None) -> Tensor:
        """exp(x) / sum(exp(x)) along `dim` (torch.softmax)."""
    def sort(
        self,
        dim: builtins.int = -1,
        descending: builtins.bool = False,
        stable: builtins.bool = False,
    ) -> ValuesAndIndices:
        """(sorted values, where they were) along `dim`; equal ones keep their order (torch.sort)."""
    def split(
        self,
        split_size: builtins.int | Sequence[builtins.int],
        dim: builtins.int = 0,
    ) -> tuple[Tensor, ...]:
        """Parts of a size, or of the sizes given, along a dimension (torch.Tensor.split)."""
    def split_with_sizes(
        self,
        split_sizes: Sequence[builtins.int],
        dim: builtins.int = 0,
    ) -> tuple[Tensor, ...]:
        """Split along a dimension into parts of the given sizes (torch.split_with_sizes)."""
    def sqrt(self) -> Tensor:
        """The square root (torch.sqrt)."""
    def sqrt_(self) -> Tensor:
        """In-place form of `sqrt`; returns the tensor (torch.Tensor.sqrt_)."""
    def square(self) -> Tensor:
        """input * input (torch.square)."""
    def square_(self) -> Tensor:
        """In-place form of `square`; returns the tensor (torch.Tensor.square_)."""
    def squeeze(self, dim: Any = None) -> Tensor:
        """Without the dimensions of length 1, or those of them in `dim` (torch.squeeze)."""
    def squeeze_(self, dim: Any = None) -> Tensor:
        """In-place form of `squeeze`; returns the tensor (torch.Tensor.squeeze_)."""
    def std(
        self,
        dim: Dims | None = None,
        correction: builtins.float | None = None,
        keepdim: builtins.bool = False,
        *,
        unbiased: builtins.bool | None = None,
    ) -> Tensor:
        """The standard deviation, the root of `var` (torch.std)."""
    def stft(
        self,
        n_fft: builtins.int,
        hop_length: builtins.int | None = None,
        win_length: builtins.int | None = None,
        window: Tensor | None = None,
        center: builtins.bool = True,
        pad_mode: str = "reflect",
        normalized: builtins.bool = False,
        onesided: builtins.bool | None = None,
        return_complex: builtins.bool | None = None,
        align_to_window: builtins.bool | None = None,
    ) -> Tensor:
        """The spectra, (..., frequencies, frames), of windows every `hop_length` (torch.stft)."""
    def sub(self, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
        """input - alpha * other (torch.sub)."""
    def sub_(self, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
        """In-place form of `sub`; returns the tensor (torch.Tensor.sub_)."""
    def subtract(self, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
        """input - alpha * other (torch.sub)."""
    def subtract_(self, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
        """In-place form of `sub`; returns the tensor (torch.Tensor.sub_)."""
    def sum(
        self,
        dim: Dims | None = None,
        keepdim: builtins.bool = False,
        *,
        dtype: DTypeLike = None,
    ) -> Tensor:
        """The sum; of integers and bools as int64 (torch.sum)."""
    def svd(self, some: builtins.bool = True, compute_uv: builtins.bool = True) -> TorchSVD:
        """U, S, V with U @ diag(S) @ V.mH = input (torch.svd)."""
    def swapaxes(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """Two dimensions exchanged (torch.swapaxes)."""
    def swapaxes_(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """In-place form of `swapaxes`; returns the tensor (torch.Tensor.swapaxes_)."""
    def swapdims(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Two dimensions exchanged (torch.transpose)."""
    def swapdims_(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """In-place form of `transpose`; returns the tensor (torch.Tensor.swapdims_)."""
    def t(self) -> Tensor:
        """The transpose of a matrix; a vector as it is (torch.t)."""
    def t_(self) -> Tensor:
        """In-place form of `t`; returns the tensor (torch.Tensor.t_)."""
    def take(self, index: Tensor) -> Tensor:
        """The elements at indices into the flattened input (torch.take)."""
    def take_along_dim(self, indices: Tensor, dim: builtins.int | None = None) -> Tensor:
        """Like `gather`, with the other dimensions broadcast (torch.take_along_dim)."""
    def tan(self) -> Tensor:
        """The tangent of radians (torch.tan)."""
    def tan_(self) -> Tensor:
        """In-place form of `tan`; returns the tensor (torch.Tensor.tan_)."""
    def tanh(self) -> Tensor:
        """The hyperbolic tangent (torch.tanh)."""
    def tanh_(self) -> Tensor:
        """In-place form of `tanh`; returns the tensor (torch.Tensor.tanh_)."""
    def tensor_split(
        self,
        indices_or_sections: Any = None,
        dim: builtins.int = 0,
        *,
        indices: Any = None,
        sections: Any = None,
        tensor_indices_or_sections: Any = None,
    ) -> tuple[Tensor, ...]:
        """Split into n parts, of which the first may be longer, or at indices (torch.tensor_split)."""
    def tile(self, *counts: Any, dims: Any = None) -> Tensor:
        """Like `repeat`, with 1 for dimensions in front that are not given (torch.tile)."""
    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: builtins.bool = False,
        copy: builtins.bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        """The tensor in another dtype or on another device; itself if it is so (torch.Tensor.to)."""
    def to_dense(self, dtype: DTypeLike = None) -> Tensor:
        """The tensor itself; a sparse one with its zeros (torch.Tensor.to_dense)."""
    def to_sparse(
        self,
        sparse_dim: builtins.int | None = None,
        *,
        layout: Any = None,
    ) -> Tensor:
        """The elements that are not zero, as a sparse tensor (torch.Tensor.to_sparse)."""
    def topk(
        self,
        k: builtins.int,
        dim: builtins.int = -1,
        largest: builtins.bool = True,
        sorted: builtins.bool = True,
    ) -> ValuesAndIndices:
        """The k largest (or smallest) along `dim` in order, and where they were (torch.topk)."""
    def trace(self) -> Tensor:
        """The sum of the diagonal of a matrix (torch.trace)."""
    def transpose(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Two dimensions exchanged (torch.transpose)."""
    def transpose_(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """In-place form of `transpose`; returns the tensor (torch.Tensor.transpose_)."""
    def triangular_solve(
        self,
        A: Tensor,
        upper: builtins.bool = True,
        transpose: builtins.bool = False,
        unitriangular: builtins.bool = False,
    ) -> TriangularSolve:
        """`solve_triangular`, and a copy of A (torch.triangular_solve)."""
    def tril(self, diagonal: builtins.int = 0) -> Tensor:
        """The lower triangle, zeros elsewhere (torch.tril)."""
    def tril_(self, diagonal: builtins.int = 0) -> Tensor:
        """In-place form of `tril`; returns the tensor (torch.Tensor.tril_)."""
    def triu(self, diagonal: builtins.int = 0) -> Tensor:
        """The upper triangle, zeros elsewhere (torch.triu)."""
    def triu_(self, diagonal: builtins.int = 0) -> Tensor:
        """In-place form of `triu`; returns the tensor (torch.Tensor.triu_)."""
    def true_divide(self, other: Tensor | Number) -> Tensor:
        """input / other (torch.true_divide)."""
    def true_divide_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `true_divide`; returns the tensor (torch.Tensor.true_divide_)."""
    def trunc(self) -> Tensor:
        """The integer part, without the fraction. The gradient is 0 (torch.trunc)."""
    def trunc_(self) -> Tensor:
        """In-place form of `trunc`; returns the tensor (torch.Tensor.trunc_)."""
    def type(self, dtype: DTypeLike = None, non_blocking: builtins.bool = False) -> Any:
        """The old name of the tensor's type, or the tensor in another dtype (torch.Tensor.type)."""
    def type_as(self, other: Tensor) -> Tensor:
        """The tensor in the dtype of `other` (torch.Tensor.type_as)."""
    def unbind(self, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Remove a dimension: the tuple of its slices (torch.unbind)."""
    def unflatten(self, dim: builtins.int, sizes: Sequence[builtins.int]) -> Tensor:
        """One dimension made several; one of `sizes` may be -1 (torch.unflatten)."""
    def unfold(self, dimension: builtins.int, size: builtins.int, step: builtins.int) -> Tensor:
        """Windows along a dimension, in a new last one; a view (torch.Tensor.unfold)."""
    def uniform_(
        self,
        a: builtins.float = 0,
        b: builtins.float = 1,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """Fill with uniform random numbers in [a, b); of complex ones, each part (torch.Tensor.uniform_)."""
    @overload
    def unique(
        self,
        sorted: builtins.bool = True,
        return_inverse: Literal[False] = False,
        return_counts: Literal[False] = False,
        dim: builtins.int | None = None,
    ) -> Tensor:
        """The different elements, or slices along `dim`, in ascending order (torch.unique)."""
    @overload
    def unique(
        self,
        sorted: builtins.bool = True,
        return_inverse: builtins.bool = False,
        return_counts: builtins.bool = False,
        dim: builtins.int | None = None,
    ) -> tuple[Tensor, ...]: ...
    @overload
    def unique_consecutive(
        self,
        return_inverse: Literal[False] = False,
        return_counts: Literal[False] = False,
        dim: builtins.int | None = None,
    ) -> Tensor:
        """Each run of equal elements, or slices along `dim`, as one (torch.unique_consecutive)."""
    @overload
    def unique_consecutive(
        self,
        return_inverse: builtins.bool = False,
        return_counts: builtins.bool = False,
        dim: builtins.int | None = None,
    ) -> tuple[Tensor, ...]: ...
    def unsqueeze(self, dim: builtins.int) -> Tensor:
        """With a dimension of length 1 at `dim` (torch.unsqueeze)."""
    def unsqueeze_(self, dim: builtins.int) -> Tensor:
        """In-place form of `unsqueeze`; returns the tensor (torch.Tensor.unsqueeze_)."""
    def values(self) -> Tensor:
        """The values, (n, ...), of a coalesced sparse tensor (torch.Tensor.values)."""
    def var(
        self,
        dim: Dims | None = None,
        correction: builtins.float | None = None,
        keepdim: builtins.bool = False,
        *,
        unbiased: builtins.bool | None = None,
    ) -> Tensor:
        """The variance, over count - correction (torch.var)."""
    def vdot(self, other: Tensor) -> Tensor:
        """The inner product of two vectors, the first conjugated (torch.vdot)."""
    def view(self, *sizes: Any, size: Any = None, dtype: DTypeLike = None) -> Tensor:
        """The same memory in another shape, or in another dtype (torch.Tensor.view)."""
    def view_as(self, other: Tensor) -> Tensor:
        """The same memory in the shape of `other` (torch.Tensor.view_as)."""
    def vsplit(
        self,
        indices_or_sections: Any = None,
        *,
        indices: Any = None,
        sections: Any = None,
    ) -> tuple[Tensor, ...]:
        """Split the rows into equal parts or at indices (torch.vsplit)."""
    def where(self, condition: Tensor, other: Tensor | Number) -> Tensor:
        """`self` where the condition holds, `other` elsewhere (torch.Tensor.where)."""
    def xlogy(self, other: Tensor | Number) -> Tensor:
        """x * log(y); 0 where x is 0, unless y is NaN (torch.xlogy)."""
    def xlogy_(self, other: Tensor | Number) -> Tensor:
        """In-place form of `xlogy`; returns the tensor (torch.Tensor.xlogy_)."""
    def zero_(self) -> Tensor:
        """Set all elements to 0 (torch.Tensor.zero_)."""
