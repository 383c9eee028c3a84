"""The operations of Tensor.

Made by scripts/generate_stubs.py from the tables of functions; do not edit.
"""

from collections.abc import Sequence
from dtrain.autograd.tensor import Tensor
from dtrain.backend.random import Generator
from dtrain.functions.creation.base import DeviceLike
from dtrain.functions.linalg.factorizations import QR, TorchSVD
from dtrain.functions.linalg.norms import Slogdet
from dtrain.functions.linalg.triangular import TriangularSolve
from dtrain.functions.operands import Number
from dtrain.functions.reductions import MinAndMax, ValuesAndIndices
from dtrain.functions.rounding import MantissaAndExponent
from dtrain.functions.statistics import CountsAndEdges
from typing import Any
import builtins

class TensorMethods:
    @property
    def H(self) -> Tensor:
        """One matrix transposed (torch.Tensor.H)."""
    @property
    def T(self) -> Tensor:
        """The dimensions in reverse (torch.Tensor.T)."""
    @property
    def mH(self) -> Tensor:
        """Matrices transposed (torch.adjoint)."""
    @property
    def mT(self) -> Tensor:
        """Matrices transposed (torch.adjoint)."""
    def __abs__(self) -> Tensor: ...
    def __add__(self, other: Any) -> Tensor: ...
    def __and__(self, other: Any) -> Tensor: ...
    def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __floordiv__(self, other: Any) -> Tensor: ...
    def __ge__(self, other: Any) -> Tensor: ...
    def __getitem__(self, index: Any) -> Tensor: ...
    def __gt__(self, other: Any) -> Tensor: ...
    def __iadd__(self, other: Any) -> Tensor: ...
    def __iand__(self, other: Any) -> Tensor: ...
    def __ifloordiv__(self, other: Any) -> Tensor: ...
    def __ilshift__(self, other: Any) -> Tensor: ...
    def __imod__(self, other: Any) -> Tensor: ...
    def __imul__(self, other: Any) -> Tensor: ...
    def __invert__(self) -> Tensor: ...
    def __ior__(self, other: Any) -> Tensor: ...
    def __ipow__(self, exponent: Any) -> Tensor: ...
    def __irshift__(self, other: Any) -> Tensor: ...
    def __isub__(self, other: Any) -> Tensor: ...
    def __itruediv__(self, other: Any) -> Tensor: ...
    def __ixor__(self, other: Any) -> Tensor: ...
    def __le__(self, other: Any) -> Tensor: ...
    def __lshift__(self, other: Any) -> Tensor: ...
    def __lt__(self, other: Any) -> Tensor: ...
    def __matmul__(self, other: Tensor) -> Tensor: ...
    def __mod__(self, other: Any) -> Tensor: ...
    def __mul__(self, other: Any) -> Tensor: ...
    def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __neg__(self) -> Tensor: ...
    def __or__(self, other: Any) -> Tensor: ...
    def __pos__(self) -> Tensor: ...
    def __pow__(self, exponent: Any) -> Tensor: ...
    def __radd__(self, other: Any) -> Any: ...
    def __rand__(self, other: Any) -> Any: ...
    def __rdiv__(self, other: Any) -> Any: ...
    def __rfloordiv__(self, other: Any) -> Any: ...
    def __rlshift__(self, other: Any) -> Any: ...
    def __rmatmul__(self, other: Any) -> Any: ...
    def __rmod__(self, other: Any) -> Any: ...
    def __rmul__(self, other: Any) -> Any: ...
    def __ror__(self, other: Any) -> Any: ...
    def __rpow__(self, other: Any) -> Any: ...
    def __rrshift__(self, other: Any) -> Any: ...
    def __rshift__(self, other: Any) -> Tensor: ...
    def __rsub__(self, other: Any) -> Any: ...
    def __rtruediv__(self, other: Any) -> Any: ...
    def __rxor__(self, other: Any) -> Any: ...
    def __setitem__(self, index: Any, value: Any) -> None: ...
    def __sub__(self, other: Any) -> Tensor: ...
    def __truediv__(self, other: Any) -> Tensor: ...
    def __xor__(self, other: Any) -> Tensor: ...
    def abs(self) -> Tensor:
        """|x|; the gradient at 0, and at NaN, is 0."""
    def abs_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`abs`, written into this tensor; returns it."""
    def absolute(self) -> Tensor:
        """|x|; the gradient at 0, and at NaN, is 0."""
    def absolute_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`abs`, written into this tensor; returns it."""
    def acos(self) -> Tensor:
        """The angle in [0, pi] of which x is the cosine."""
    def acos_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`acos`, written into this tensor; returns it."""
    def acosh(self) -> Tensor:
        """The number of which x, at least 1, is the hyperbolic cosine."""
    def acosh_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`acosh`, written into this tensor; returns it."""
    def add(self, other: Any, *, alpha: Number = 1) -> Tensor:
        """input + alpha * other (torch.add)."""
    def add_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`add`, written into this tensor; returns it."""
    def addbmm(
        self,
        batch1: Tensor,
        batch2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """beta * input + alpha * the sum of batch1 @ batch2 over the batch (torch.addbmm)."""
    def addbmm_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`addbmm`, written into this tensor; returns it."""
    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
        """input + value * tensor1 / tensor2 (torch.addcdiv)."""
    def addcdiv_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`addcdiv`, written into this tensor; returns it."""
    def addcmul(self, tensor1: Any, tensor2: Any, *, value: Number = 1) -> Tensor:
        """input + value * tensor1 * tensor2 (torch.addcmul)."""
    def addcmul_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`addcmul`, written into this tensor; returns it."""
    def addmm(
        self,
        mat1: Tensor,
        mat2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """beta * input + alpha * mat1 @ mat2 (torch.addmm)."""
    def addmm_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`addmm`, written into this tensor; returns it."""
    def addmv(self, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
        """beta * input + alpha * mat @ vec (torch.addmv)."""
    def addmv_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`addmv`, written into this tensor; returns it."""
    def addr(
        self,
        vec1: Tensor,
        vec2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """beta * input + alpha * outer(vec1, vec2) (torch.addr)."""
    def addr_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`addr`, written into this tensor; returns it."""
    def adjoint(self) -> Tensor:
        """Matrices transposed (torch.adjoint)."""
    def all(self, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
        """Whether all are nonzero."""
    def allclose(
        self,
        other: Tensor,
        rtol: builtins.float = 1e-05,
        atol: builtins.float = 1e-08,
        equal_nan: builtins.bool = False,
    ) -> builtins.bool:
        """Whether all elements are close, as a bool (torch.allclose)."""
    def amax(self, dim: Any = (), keepdim: builtins.bool = False) -> Tensor:
        """The maximum; equal maxima share the gradient."""
    def amin(self, dim: Any = (), keepdim: builtins.bool = False) -> Tensor:
        """The minimum; equal minima share the gradient."""
    def aminmax(
        self,
        *,
        dim: builtins.int | None = None,
        keepdim: builtins.bool = False,
    ) -> MinAndMax:
        """(minimum, maximum) of all, or along `dim` (torch.aminmax)."""
    def angle(self) -> Tensor:
        """pi of what is negative, 0 of what is not, NaN of NaN (torch.angle)."""
    def any(self, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
        """Whether one is nonzero."""
    def arccos(self) -> Tensor:
        """The angle in [0, pi] of which x is the cosine."""
    def arccos_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`acos`, written into this tensor; returns it."""
    def arccosh(self) -> Tensor:
        """The number of which x, at least 1, is the hyperbolic cosine."""
    def arccosh_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`acosh`, written into this tensor; returns it."""
    def arcsin(self) -> Tensor:
        """The angle in [-pi/2, pi/2] of which x is the sine."""
    def arcsin_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`asin`, written into this tensor; returns it."""
    def arcsinh(self) -> Tensor:
        """The number of which x is the hyperbolic sine."""
    def arcsinh_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`asinh`, written into this tensor; returns it."""
    def arctan(self) -> Tensor:
        """The angle in (-pi/2, pi/2) of which x is the tangent."""
    def arctan2(self, other: Any) -> Tensor:
        """The angle of the point (y, x), its second coordinate first; the gradient at (0, 0) is 0."""
    def arctan2_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`atan2`, written into this tensor; returns it."""
    def arctan_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`atan`, written into this tensor; returns it."""
    def arctanh(self) -> Tensor:
        """The number of which x is the hyperbolic tangent."""
    def arctanh_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`atanh`, written into this tensor; returns it."""
    def argmax(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor:
        """Where the first maximum is (torch.argmax)."""
    def argmin(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor:
        """Where the first minimum is (torch.argmin)."""
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
        """The angle in [-pi/2, pi/2] of which x is the sine."""
    def asin_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`asin`, written into this tensor; returns it."""
    def asinh(self) -> Tensor:
        """The number of which x is the hyperbolic sine."""
    def asinh_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`asinh`, written into this tensor; returns it."""
    def atan(self) -> Tensor:
        """The angle in (-pi/2, pi/2) of which x is the tangent."""
    def atan2(self, other: Any) -> Tensor:
        """The angle of the point (y, x), its second coordinate first; the gradient at (0, 0) is 0."""
    def atan2_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`atan2`, written into this tensor; returns it."""
    def atan_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`atan`, written into this tensor; returns it."""
    def atanh(self) -> Tensor:
        """The number of which x is the hyperbolic tangent."""
    def atanh_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`atanh`, written into this tensor; returns it."""
    def baddbmm(
        self,
        batch1: Tensor,
        batch2: Tensor,
        *,
        beta: Number = 1,
        alpha: Number = 1,
    ) -> Tensor:
        """beta * input + alpha * batch1 @ batch2, pair by pair (torch.baddbmm)."""
    def baddbmm_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`baddbmm`, written into this tensor; returns it."""
    def bernoulli(
        self,
        p: builtins.float | None = None,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """1 with the probabilities in `input`, or p for all, else 0 (torch.bernoulli)."""
    def bernoulli_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_bernoulli`, written into this tensor; returns it."""
    def bfloat16(self, memory_format: Any = None) -> Any: ...
    def bincount(self, weights: Tensor | None = None, minlength: builtins.int = 0) -> Tensor:
        """How often each number is there, or the sum of its weights (torch.bincount)."""
    def bitwise_and(self, other: Any) -> Tensor:
        """numpy.bitwise_and of each pair."""
    def bitwise_and_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`bitwise_and`, written into this tensor; returns it."""
    def bitwise_left_shift(self, other: Any) -> Tensor:
        """numpy.left_shift of each pair."""
    def bitwise_left_shift_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`bitwise_left_shift`, written into this tensor; returns it."""
    def bitwise_not(self) -> Tensor:
        """Each bit, or each truth value, turned over (torch.bitwise_not)."""
    def bitwise_not_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`bitwise_not`, written into this tensor; returns it."""
    def bitwise_or(self, other: Any) -> Tensor:
        """numpy.bitwise_or of each pair."""
    def bitwise_or_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`bitwise_or`, written into this tensor; returns it."""
    def bitwise_right_shift(self, other: Any) -> Tensor:
        """numpy.right_shift of each pair."""
    def bitwise_right_shift_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`bitwise_right_shift`, written into this tensor; returns it."""
    def bitwise_xor(self, other: Any) -> Tensor:
        """numpy.bitwise_xor of each pair."""
    def bitwise_xor_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`bitwise_xor`, written into this tensor; returns it."""
    def bmm(self, mat2: Tensor) -> Tensor:
        """Products of matrices, pair by pair of two batches (torch.bmm)."""
    def bool(self, memory_format: Any = None) -> Any: ...
    def broadcast_to(self, *sizes: Any, size: Any = None) -> Tensor:
        """Broadcast without a copy (torch.broadcast_to)."""
    def byte(self, memory_format: Any = None) -> Any: ...
    def cauchy_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_cauchy`, written into this tensor; returns it."""
    def ceil(self) -> Tensor:
        """The smallest integer not below. The gradient is 0."""
    def ceil_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`ceil`, written into this tensor; returns it."""
    def char(self, memory_format: Any = None) -> Any: ...
    def cholesky(self, upper: builtins.bool = False) -> Tensor:
        """The Cholesky factor (torch.cholesky)."""
    def cholesky_inverse(self, upper: builtins.bool = False) -> Tensor:
        """The inverse of the matrix whose Cholesky factor is L (torch.cholesky_inverse)."""
    def cholesky_solve(self, L: Tensor, upper: builtins.bool = False) -> Tensor:
        """X with L @ L.mT @ X = B, or L.mT @ L @ X = B if `upper` (torch.cholesky_solve)."""
    def chunk(self, chunks: builtins.int, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """At most `chunks` parts of equal size, the last may be shorter (torch.chunk)."""
    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """input limited to [min, max] (torch.clamp); limits are numbers or tensors."""
    def clamp_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`clamp`, written into this tensor; returns it."""
    def clamp_max(self, max: Any) -> Tensor:
        """input, at most `max` (torch.clamp_max)."""
    def clamp_max_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`clamp_max`, written into this tensor; returns it."""
    def clamp_min(self, min: Any) -> Tensor:
        """input, at least `min` (torch.clamp_min)."""
    def clamp_min_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`clamp_min`, written into this tensor; returns it."""
    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """input limited to [min, max] (torch.clamp); limits are numbers or tensors."""
    def clip_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`clamp`, written into this tensor; returns it."""
    def clone(self, *, memory_format: Any = None) -> Tensor:
        """A copy of the tensor (torch.clone)."""
    def conj(self) -> Tensor:
        """The tensor itself (torch.conj)."""
    def conj_physical(self) -> Tensor:
        """The tensor itself (torch.conj)."""
    def contiguous(self, *, memory_format: Any = None) -> Tensor:
        """Itself if its elements lie in order in memory, else a copy (torch.Tensor.contiguous)."""
    def copy_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_copy`, written into this tensor; returns it."""
    def copysign(self, other: Any) -> Tensor:
        """The size of x with the sign of y; no gradient where x is 0, nor for y."""
    def copysign_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`copysign`, written into this tensor; returns it."""
    def corrcoef(self) -> Tensor:
        """The correlations of variables, the rows, over observations (torch.corrcoef)."""
    def cos(self) -> Tensor:
        """The cosine of radians."""
    def cos_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`cos`, written into this tensor; returns it."""
    def cosh(self) -> Tensor:
        """The hyperbolic cosine."""
    def cosh_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`cosh`, written into this tensor; returns it."""
    def count_nonzero(self, dim: Any = None) -> Tensor:
        """How many are not zero (torch.count_nonzero)."""
    def cov(
        self,
        *,
        correction: builtins.int = 1,
        fweights: Tensor | None = None,
        aweights: Tensor | None = None,
    ) -> Tensor:
        """The covariances of variables, the rows, over observations, the columns (torch.cov)."""
    def cpu(self) -> Any: ...
    def cross(self, other: Tensor, dim: builtins.int | None = None) -> Tensor:
        """Cross products along a dimension of size 3, the first there is if None (torch.cross)."""
    def cuda(self, device: Any = "cuda") -> Any: ...
    def cummax(self, dim: builtins.int) -> ValuesAndIndices:
        """The maximum up to each position along `dim`, and its index (torch.cummax)."""
    def cummin(self, dim: builtins.int) -> ValuesAndIndices:
        """The minimum up to each position along `dim`, and its index (torch.cummin)."""
    def cumprod(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """Running products along `dim` (torch.cumprod)."""
    def cumprod_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`cumprod`, written into this tensor; returns it."""
    def cumsum(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """Running sums along `dim` (torch.cumsum)."""
    def cumsum_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`cumsum`, written into this tensor; returns it."""
    def deg2rad(self) -> Tensor:
        """Degrees in radians."""
    def deg2rad_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`deg2rad`, written into this tensor; returns it."""
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
    def digamma_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`digamma`, written into this tensor; returns it."""
    def dist(self, other: Tensor, p: builtins.float = 2) -> Tensor:
        """The p-norm of the difference (torch.dist)."""
    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """input / other, rounded to "floor", or "trunc" towards zero, if so wished (torch.div)."""
    def div_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`div`, written into this tensor; returns it."""
    def divide(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """input / other, rounded to "floor", or "trunc" towards zero, if so wished (torch.div)."""
    def divide_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`div`, written into this tensor; returns it."""
    def dot(self, tensor: Tensor) -> Tensor:
        """The inner product of two vectors (torch.dot)."""
    def double(self, memory_format: Any = None) -> Any: ...
    def dsplit(
        self,
        indices_or_sections: Any = None,
        *,
        indices: Any = None,
        sections: Any = None,
    ) -> tuple[Tensor, ...]:
        """Parts in depth, along dimension 2, equal or cut at indices (torch.dsplit)."""
    def eq(self, other: Any) -> Tensor:
        """numpy.equal of each pair."""
    def eq_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`eq`, written into this tensor; returns it."""
    def equal(self, other: Tensor) -> builtins.bool:
        """Whether shapes and elements are the same, as a bool (torch.equal)."""
    def erf(self) -> Tensor:
        """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    def erf_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`erf`, written into this tensor; returns it."""
    def erfc(self) -> Tensor:
        """1 - erf(x), exact where that is small."""
    def erfc_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`erfc`, written into this tensor; returns it."""
    def erfinv(self) -> Tensor:
        """The number of which x is the error function."""
    def erfinv_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`erfinv`, written into this tensor; returns it."""
    def exp(self) -> Tensor:
        """e ** x"""
    def exp2(self) -> Tensor:
        """2 ** x"""
    def exp2_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`exp2`, written into this tensor; returns it."""
    def exp_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`exp`, written into this tensor; returns it."""
    def expand(self, *sizes: Any, size: Any = None) -> Tensor:
        """Broadcast without a copy; -1 keeps a dimension (torch.Tensor.expand)."""
    def expand_as(self, other: Any) -> Any: ...
    def expm1(self) -> Tensor:
        """e ** x - 1, exact near 0."""
    def expm1_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`expm1`, written into this tensor; returns it."""
    def exponential_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_exponential`, written into this tensor; returns it."""
    def fill_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_fill`, written into this tensor; returns it."""
    def fill_diagonal_(self, fill_value: builtins.float, wrap: builtins.bool = False) -> Tensor:
        """Write a number on the diagonal, of a matrix that is tall and with `wrap` on further ones"""
    def fix(self) -> Tensor:
        """The integer part, without the fraction. The gradient is 0."""
    def fix_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`trunc`, written into this tensor; returns it."""
    def flatten(self, start_dim: builtins.int = 0, end_dim: builtins.int = -1) -> Tensor:
        """The dimensions from start_dim to end_dim made one (torch.flatten)."""
    def flip(self, *axes: Any, dims: Any = None) -> Tensor:
        """A copy with the order reversed along `dims` (torch.flip)."""
    def fliplr(self) -> Tensor:
        """The order reversed along dimension 1 (torch.fliplr)."""
    def flipud(self) -> Tensor:
        """The order reversed along dimension 0 (torch.flipud)."""
    def float(self, memory_format: Any = None) -> Any: ...
    def float_power(self, exponent: Any) -> Tensor:
        """input ** exponent in float64 (torch.float_power)."""
    def float_power_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`float_power`, written into this tensor; returns it."""
    def floor(self) -> Tensor:
        """The largest integer not above. The gradient is 0."""
    def floor_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`floor`, written into this tensor; returns it."""
    def floor_divide(self, other: Any) -> Tensor:
        """floor(input / other) (torch.floor_divide)."""
    def floor_divide_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`floor_divide`, written into this tensor; returns it."""
    def fmax(self, other: Any) -> Tensor:
        """The larger of each pair, of a NaN and a number the number; x where they are equal."""
    def fmin(self, other: Any) -> Tensor:
        """The smaller of each pair, of a NaN and a number the number; x where they are equal."""
    def fmod(self, other: Any) -> Tensor:
        """What division towards zero leaves, of the sign of `input` (torch.fmod)."""
    def fmod_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`fmod`, written into this tensor; returns it."""
    def frac(self) -> Tensor:
        """input without its integer part (torch.frac)."""
    def frac_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`frac`, written into this tensor; returns it."""
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
        """The greatest common divisor."""
    def gcd_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`gcd`, written into this tensor; returns it."""
    def ge(self, other: Any) -> Tensor:
        """numpy.greater_equal of each pair."""
    def ge_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`ge`, written into this tensor; returns it."""
    def geometric_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_geometric`, written into this tensor; returns it."""
    def ger(self, vec2: Tensor) -> Tensor:
        """The outer product of two vectors (torch.outer)."""
    def greater(self, other: Any) -> Tensor:
        """numpy.greater of each pair."""
    def greater_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`gt`, written into this tensor; returns it."""
    def greater_equal(self, other: Any) -> Tensor:
        """numpy.greater_equal of each pair."""
    def greater_equal_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`ge`, written into this tensor; returns it."""
    def gt(self, other: Any) -> Tensor:
        """numpy.greater of each pair."""
    def gt_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`gt`, written into this tensor; returns it."""
    def half(self, memory_format: Any = None) -> Any: ...
    def heaviside(self, values: Tensor) -> Tensor:
        """0 where input is negative, 1 where positive, `values` where 0 (torch.heaviside)."""
    def heaviside_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`heaviside`, written into this tensor; returns it."""
    def histc(
        self,
        bins: builtins.int = 100,
        min: builtins.float = 0,
        max: builtins.float = 0,
    ) -> Tensor:
        """How many are in each of `bins` equal parts of [min, max] (torch.histc)."""
    def histogram(
        self,
        bins: Any,
        *,
        range: Any = None,
        weight: Tensor | None = None,
        density: builtins.bool = False,
    ) -> CountsAndEdges:
        """How many are in each bin, or their weight, and the bins' edges (torch.histogram)."""
    def hsplit(
        self,
        indices_or_sections: Any = None,
        *,
        indices: Any = None,
        sections: Any = None,
    ) -> tuple[Tensor, ...]:
        """Columns, in equal parts or cut at indices; parts of a vector (torch.hsplit)."""
    def hypot(self, other: Any) -> Tensor:
        """sqrt(x * x + y * y), without overflow."""
    def hypot_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`hypot`, written into this tensor; returns it."""
    def i0(self) -> Tensor:
        """The modified Bessel function of order 0."""
    def i0_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`i0`, written into this tensor; returns it."""
    def index_add(
        self,
        dim: builtins.int,
        index: Tensor,
        source: Tensor,
        *,
        alpha: Any = 1,
    ) -> Tensor:
        """The input with slices of `source` added at `index` along `dim` (torch.index_add)."""
    def index_add_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`index_add`, written into this tensor; returns it."""
    def index_copy(self, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """The input with slices of `source` written at `index` along `dim` (torch.index_copy)."""
    def index_copy_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`index_copy`, written into this tensor; returns it."""
    def index_fill(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """The input with one value at `index` along `dim` (torch.index_fill)."""
    def index_fill_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`index_fill`, written into this tensor; returns it."""
    def index_put(
        self,
        indices: Sequence[Any],
        values: Tensor,
        accumulate: builtins.bool = False,
    ) -> Tensor:
        """input[indices] = values, or += with accumulate, in a copy (torch.index_put)."""
    def index_put_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`index_put`, written into this tensor; returns it."""
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
    def index_reduce_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`index_reduce`, written into this tensor; returns it."""
    def index_select(self, dim: builtins.int, index: Tensor) -> Tensor:
        """The slices at `index` along `dim` (torch.index_select)."""
    def inner(self, other: Tensor) -> Tensor:
        """Inner products over the last dimensions (torch.inner)."""
    def int(self, memory_format: Any = None) -> Any: ...
    def inverse(self) -> Tensor:
        """The inverse (torch.linalg.inv)."""
    def is_nonzero(self) -> builtins.bool:
        """Whether the only element is not zero (torch.is_nonzero)."""
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
        """Whether each is neither NaN nor infinite."""
    def isinf(self) -> Tensor:
        """Whether each is infinite."""
    def isnan(self) -> Tensor:
        """Whether each is NaN."""
    def isneginf(self) -> Tensor:
        """Whether each is negative infinity (torch.isneginf)."""
    def isposinf(self) -> Tensor:
        """Whether each is positive infinity (torch.isposinf)."""
    def isreal(self) -> Tensor:
        """True everywhere: there are no complex numbers (torch.isreal)."""
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
        """The least common multiple."""
    def lcm_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`lcm`, written into this tensor; returns it."""
    def ldexp(self, other: Tensor) -> Tensor:
        """input * 2 ** other (torch.ldexp)."""
    def ldexp_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`ldexp`, written into this tensor; returns it."""
    def le(self, other: Any) -> Tensor:
        """numpy.less_equal of each pair."""
    def le_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`le`, written into this tensor; returns it."""
    def lerp(self, end: Tensor, weight: Any) -> Tensor:
        """input + weight * (end - input) (torch.lerp)."""
    def lerp_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`lerp`, written into this tensor; returns it."""
    def less(self, other: Any) -> Tensor:
        """numpy.less of each pair."""
    def less_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`lt`, written into this tensor; returns it."""
    def less_equal(self, other: Any) -> Tensor:
        """numpy.less_equal of each pair."""
    def less_equal_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`le`, written into this tensor; returns it."""
    def lgamma(self) -> Tensor:
        """log |gamma(x)|"""
    def lgamma_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`lgamma`, written into this tensor; returns it."""
    def log(self) -> Tensor:
        """The natural logarithm."""
    def log10(self) -> Tensor:
        """The logarithm to base 10."""
    def log10_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`log10`, written into this tensor; returns it."""
    def log1p(self) -> Tensor:
        """log(1 + x), exact near 0."""
    def log1p_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`log1p`, written into this tensor; returns it."""
    def log2(self) -> Tensor:
        """The logarithm to base 2."""
    def log2_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`log2`, written into this tensor; returns it."""
    def log_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`log`, written into this tensor; returns it."""
    def log_normal_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_log_normal`, written into this tensor; returns it."""
    def log_softmax(self, dim: builtins.int, dtype: Any = None) -> Tensor:
        """log(softmax(x)) along `dim` (torch.log_softmax)."""
    def logaddexp(self, other: Any) -> Tensor:
        """log(exp(x) + exp(y)), without overflow."""
    def logaddexp2(self, other: Any) -> Tensor:
        """log2(2 ** x + 2 ** y), without overflow."""
    def logcumsumexp(self, dim: builtins.int) -> Tensor:
        """log(cumsum(exp(input))) along `dim`, without overflow (torch.logcumsumexp)."""
    def logdet(self) -> Tensor:
        """The logarithm of the determinant; NaN if that is negative (torch.logdet)."""
    def logical_and(self, other: Any) -> Tensor:
        """numpy.logical_and of each pair."""
    def logical_and_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`logical_and`, written into this tensor; returns it."""
    def logical_not(self) -> Tensor:
        """Whether each is zero or False."""
    def logical_not_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`logical_not`, written into this tensor; returns it."""
    def logical_or(self, other: Any) -> Tensor:
        """numpy.logical_or of each pair."""
    def logical_or_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`logical_or`, written into this tensor; returns it."""
    def logical_xor(self, other: Any) -> Tensor:
        """numpy.logical_xor of each pair."""
    def logical_xor_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`logical_xor`, written into this tensor; returns it."""
    def logit(self, eps: builtins.float | None = None) -> Tensor:
        """log(input / (1 - input)), of the input limited to [eps, 1 - eps] (torch.logit)."""
    def logit_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`logit`, written into this tensor; returns it."""
    def logsumexp(self, dim: Any, keepdim: builtins.bool = False) -> Tensor:
        """log(sum(exp(input))) over `dim` (torch.logsumexp)."""
    def long(self, memory_format: Any = None) -> Any: ...
    def lt(self, other: Any) -> Tensor:
        """numpy.less of each pair."""
    def lt_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`lt`, written into this tensor; returns it."""
    def lu_solve(self, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
        """`lu_solve` with its arguments in another order (torch.lu_solve)."""
    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        """`value` where the mask holds, else `input` (torch.masked_fill)."""
    def masked_fill_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`masked_fill`, written into this tensor; returns it."""
    def masked_scatter(self, mask: Tensor, source: Tensor) -> Tensor:
        """The input with the first elements of `source` where the mask holds (torch.masked_scatter)."""
    def masked_scatter_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`masked_scatter`, written into this tensor; returns it."""
    def masked_select(self, mask: Tensor) -> Tensor:
        """The elements where the mask holds, as a vector (torch.masked_select)."""
    def matmul(self, other: Tensor) -> Tensor:
        """Matrix product, with vectors and batches as in torch.matmul."""
    def matrix_exp(self) -> Tensor:
        """The sum of A^k / k! (torch.linalg.matrix_exp), by scaling and squaring (Higham, 2005)."""
    def matrix_power(self, n: builtins.int) -> Tensor:
        """A @ A @ ..., n times; of the inverse if n is negative (torch.linalg.matrix_power)."""
    def max(self, dim: Any = None, keepdim: builtins.bool = False, *, other: Any = None) -> Any:
        """The maximum; with `dim` (values, indices); of two tensors `maximum` (torch.max)."""
    def maximum(self, other: Any) -> Tensor:
        """The larger of each pair; where they are equal each gets half of the gradient."""
    def mean(
        self,
        dim: Any = None,
        keepdim: builtins.bool = False,
        *,
        dtype: Any = None,
    ) -> Tensor:
        """The mean; NaN of nothing."""
    def median(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Any:
        """The lower median of all, or (values, indices) along `dim`; NaN if one is (torch.median)."""
    def min(self, dim: Any = None, keepdim: builtins.bool = False, *, other: Any = None) -> Any:
        """The minimum; with `dim` (values, indices); of two tensors `minimum` (torch.min)."""
    def minimum(self, other: Any) -> Tensor:
        """The smaller of each pair; where they are equal each gets half of the gradient."""
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
    def mul(self, other: Any) -> Tensor:
        """x * y"""
    def mul_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`mul`, written into this tensor; returns it."""
    def multinomial(
        self,
        num_samples: builtins.int,
        replacement: builtins.bool = False,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """Places drawn in proportion to the weights in a vector, or in each row (torch.multinomial)."""
    def multiply(self, other: Any) -> Tensor:
        """x * y"""
    def multiply_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`mul`, written into this tensor; returns it."""
    def mv(self, vec: Tensor) -> Tensor:
        """A matrix times a vector (torch.mv)."""
    def mvlgamma(self, p: builtins.int) -> Tensor:
        """The logarithm of the gamma function of p dimensions (torch.mvlgamma)."""
    def mvlgamma_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`mvlgamma`, written into this tensor; returns it."""
    def nan_to_num(
        self,
        nan: builtins.float | None = None,
        posinf: builtins.float | None = None,
        neginf: builtins.float | None = None,
    ) -> Tensor:
        """Numbers in place of NaN, 0, and the infinities, the dtype's limits (torch.nan_to_num)."""
    def nan_to_num_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`nan_to_num`, written into this tensor; returns it."""
    def nanmean(
        self,
        dim: Any = None,
        keepdim: builtins.bool = False,
        *,
        dtype: Any = None,
    ) -> Tensor:
        """The mean of what is not NaN (torch.nanmean)."""
    def nanmedian(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Any:
        """The lower median of what is not NaN, as `median` (torch.nanmedian)."""
    def nanquantile(
        self,
        q: Any,
        dim: builtins.int | None = None,
        keepdim: builtins.bool = False,
        *,
        interpolation: str = "linear",
    ) -> Tensor:
        """The quantiles of what is not NaN, as `quantile` (torch.nanquantile)."""
    def nansum(
        self,
        dim: Any = None,
        keepdim: builtins.bool = False,
        *,
        dtype: Any = None,
    ) -> Tensor:
        """The sum of what is not NaN (torch.nansum)."""
    def narrow(self, dim: builtins.int, start: Any, length: builtins.int) -> Tensor:
        """`length` elements from `start` along a dimension (torch.narrow)."""
    def ndimension(self) -> builtins.int:
        """The number of dimensions."""
    def ne(self, other: Any) -> Tensor:
        """numpy.not_equal of each pair."""
    def ne_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`ne`, written into this tensor; returns it."""
    def neg(self) -> Tensor:
        """-input (torch.neg)."""
    def neg_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`neg`, written into this tensor; returns it."""
    def negative(self) -> Tensor:
        """-input (torch.neg)."""
    def negative_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`neg`, written into this tensor; returns it."""
    def nelement(self) -> builtins.int:
        """The number of elements."""
    def new_empty(
        self,
        *args: Any,
        dtype: Any = None,
        device: DeviceLike = None,
        **kwargs: Any,
    ) -> Tensor:
        """`empty`, like this tensor (torch.Tensor.new_empty)."""
    def new_empty_strided(
        self,
        *args: Any,
        dtype: Any = None,
        device: DeviceLike = None,
        **kwargs: Any,
    ) -> Tensor:
        """`empty_strided`, like this tensor (torch.Tensor.new_empty_strided)."""
    def new_full(
        self,
        *args: Any,
        dtype: Any = None,
        device: DeviceLike = None,
        **kwargs: Any,
    ) -> Tensor:
        """`full`, like this tensor (torch.Tensor.new_full)."""
    def new_ones(
        self,
        *args: Any,
        dtype: Any = None,
        device: DeviceLike = None,
        **kwargs: Any,
    ) -> Tensor:
        """`ones`, like this tensor (torch.Tensor.new_ones)."""
    def new_tensor(
        self,
        *args: Any,
        dtype: Any = None,
        device: DeviceLike = None,
        **kwargs: Any,
    ) -> Tensor:
        """`tensor`, like this tensor (torch.Tensor.new_tensor)."""
    def new_zeros(
        self,
        *args: Any,
        dtype: Any = None,
        device: DeviceLike = None,
        **kwargs: Any,
    ) -> Tensor:
        """`zeros`, like this tensor (torch.Tensor.new_zeros)."""
    def nextafter(self, other: Tensor) -> Tensor:
        """The next number after `input` towards `other` (torch.nextafter)."""
    def nextafter_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`nextafter`, written into this tensor; returns it."""
    def nonzero(self, *, as_tuple: builtins.bool = False) -> Any:
        """Indices of nonzero elements: a row each, or a vector for each dim (torch.nonzero)."""
    def norm(
        self,
        p: Any = "fro",
        dim: Any = None,
        keepdim: builtins.bool = False,
        dtype: Any = None,
    ) -> Tensor:
        """The p-norm of all elements or over `dim`; "nuc" is that of matrices (torch.norm)."""
    def normal_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_normal`, written into this tensor; returns it."""
    def not_equal(self, other: Any) -> Tensor:
        """numpy.not_equal of each pair."""
    def not_equal_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`ne`, written into this tensor; returns it."""
    def outer(self, vec2: Tensor) -> Tensor:
        """The outer product of two vectors (torch.outer)."""
    def permute(self, *order: Any, dims: Any = None) -> Tensor:
        """The dimensions in another order (torch.permute)."""
    def pinverse(self, rcond: builtins.float = 1e-15) -> Tensor:
        """The pseudoinverse (torch.pinverse)."""
    def polygamma(self, n: Any) -> Any: ...
    def polygamma_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`<lambda>`, written into this tensor; returns it."""
    def positive(self) -> Tensor:
        """The tensor itself (torch.positive)."""
    def pow(self, exponent: Any) -> Tensor:
        """input ** exponent (torch.pow)."""
    def pow_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`pow`, written into this tensor; returns it."""
    def prod(
        self,
        dim: Any = None,
        keepdim: builtins.bool = False,
        *,
        dtype: Any = None,
    ) -> Tensor:
        """The product; the gradient is right where elements are 0 too."""
    def put(self, index: Tensor, source: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """`source` written at, or added at, indices into the flattened input (torch.put)."""
    def put_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`put`, written into this tensor; returns it."""
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
        """The quantiles q, a number or a vector, in a first dimension then (torch.quantile)."""
    def rad2deg(self) -> Tensor:
        """Radians in degrees."""
    def rad2deg_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`rad2deg`, written into this tensor; returns it."""
    def random_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_random`, written into this tensor; returns it."""
    def ravel(self) -> Tensor:
        """All elements in one dimension (torch.ravel)."""
    def real(self) -> Tensor:
        """The tensor itself (torch.real)."""
    def reciprocal(self) -> Tensor:
        """1 / x"""
    def reciprocal_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`reciprocal`, written into this tensor; returns it."""
    def relu(self) -> Any:
        """max(x, 0); the gradient at 0 is 0."""
    def relu_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`relu`, written into this tensor; returns it."""
    def remainder(self, other: Any) -> Tensor:
        """What floor division leaves, of the sign of `other` (torch.remainder)."""
    def remainder_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`remainder`, written into this tensor; returns it."""
    def renorm(self, p: builtins.float, dim: builtins.int, maxnorm: builtins.float) -> Tensor:
        """Slices along `dim` scaled down to a p-norm of at most `maxnorm` (torch.renorm)."""
    def renorm_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`renorm`, written into this tensor; returns it."""
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
    def reshape(self, *sizes: Any, shape: Any = None) -> Tensor:
        """The same elements in another shape, shared if that can be (torch.reshape)."""
    def reshape_as(self, other: Any) -> Any: ...
    def resolve_conj(self) -> Tensor:
        """The tensor itself (torch.conj)."""
    def resolve_neg(self) -> Tensor:
        """The tensor itself (torch.real)."""
    def roll(self, shifts: Any, dims: Any = None) -> Tensor:
        """Elements shifted along `dims`, around the end (torch.roll)."""
    def rot90(self, k: builtins.int = 1, dims: Sequence[builtins.int] = ...) -> Tensor:
        """Turned k times by a right angle, from the first of two dimensions on (torch.rot90)."""
    def round(self, *, decimals: builtins.int = 0) -> Tensor:
        """The nearest multiple of 10 ** -decimals, halves to even (torch.round)."""
    def round_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`round`, written into this tensor; returns it."""
    def rsqrt(self) -> Tensor:
        """1 / sqrt(x)"""
    def rsqrt_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`rsqrt`, written into this tensor; returns it."""
    def scatter(
        self,
        dim: builtins.int,
        index: Tensor,
        src: Any = None,
        **options: Any,
    ) -> Tensor:
        """`src`, a tensor or a number (`value`), written at `index` along `dim` (torch.scatter)."""
    def scatter_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`scatter`, written into this tensor; returns it."""
    def scatter_add(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """`src` added at `index` along `dim` (torch.scatter_add)."""
    def scatter_add_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`scatter_add`, written into this tensor; returns it."""
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
    def scatter_reduce_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`scatter_reduce`, written into this tensor; returns it."""
    def select(self, dim: builtins.int, index: builtins.int) -> Tensor:
        """The slice at one index along `dim`, a view (torch.select)."""
    def select_scatter(self, src: Tensor, dim: builtins.int, index: builtins.int) -> Tensor:
        """The input with `src` as its slice at `index` along `dim` (torch.select_scatter)."""
    def sgn(self) -> Tensor:
        """-1, 0 or 1; 0 for NaN. The gradient is 0."""
    def sgn_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`sign`, written into this tensor; returns it."""
    def short(self, memory_format: Any = None) -> Any: ...
    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x))"""
    def sigmoid_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`sigmoid`, written into this tensor; returns it."""
    def sign(self) -> Tensor:
        """-1, 0 or 1; 0 for NaN. The gradient is 0."""
    def sign_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`sign`, written into this tensor; returns it."""
    def signbit(self) -> Tensor:
        """Whether each is negative; of floats whether the bit of the sign is set, as in -0.0."""
    def sin(self) -> Tensor:
        """The sine of radians."""
    def sin_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`sin`, written into this tensor; returns it."""
    def sinc(self) -> Tensor:
        """sin(pi x) / (pi x), 1 at 0."""
    def sinc_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`sinc`, written into this tensor; returns it."""
    def sinh(self) -> Tensor:
        """The hyperbolic sine."""
    def sinh_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`sinh`, written into this tensor; returns it."""
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
    def softmax(self, dim: builtins.int, dtype: Any = None) -> Tensor:
        """exp(x) / sum(exp(x)) along `dim` (torch.softmax)."""
    def sort(
        self,
        dim: builtins.int = -1,
        descending: builtins.bool = False,
        stable: builtins.bool = False,
    ) -> ValuesAndIndices:
        """(sorted values, where they were) along `dim`; equal ones keep their order (torch.sort)."""
    def split(self, split_size: Any, dim: Any = 0) -> Any: ...
    def split_with_sizes(
        self,
        split_sizes: Sequence[builtins.int],
        dim: builtins.int = 0,
    ) -> tuple[Tensor, ...]:
        """Parts of the sizes given along a dimension (torch.split_with_sizes)."""
    def sqrt(self) -> Tensor:
        """The square root."""
    def sqrt_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`sqrt`, written into this tensor; returns it."""
    def square(self) -> Tensor:
        """input * input (torch.square)."""
    def square_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`square`, written into this tensor; returns it."""
    def squeeze(self, dim: Any = None) -> Tensor:
        """Without the dimensions of length 1, or those of them in `dim` (torch.squeeze)."""
    def squeeze_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`squeeze` of the tensor itself; returns it."""
    def std(
        self,
        dim: Any = None,
        correction: builtins.float | None = None,
        keepdim: builtins.bool = False,
        *,
        unbiased: builtins.bool | None = None,
    ) -> Any:
        """The standard deviation, the root of `var` (torch.std)."""
    def sub(self, other: Any, *, alpha: Number = 1) -> Tensor:
        """input - alpha * other (torch.sub)."""
    def sub_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`sub`, written into this tensor; returns it."""
    def subtract(self, other: Any, *, alpha: Number = 1) -> Tensor:
        """input - alpha * other (torch.sub)."""
    def subtract_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`sub`, written into this tensor; returns it."""
    def sum(
        self,
        dim: Any = None,
        keepdim: builtins.bool = False,
        *,
        dtype: Any = None,
    ) -> Tensor:
        """The sum; of integers and bools as int64."""
    def svd(self, some: builtins.bool = True, compute_uv: builtins.bool = True) -> TorchSVD:
        """U, S, V with U @ diag(S) @ V.mT = input (torch.svd)."""
    def swapaxes(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """Two dimensions exchanged (torch.swapaxes)."""
    def swapaxes_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`swapaxes` of the tensor itself; returns it."""
    def swapdims(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Two dimensions exchanged (torch.transpose)."""
    def swapdims_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`transpose` of the tensor itself; returns it."""
    def t(self) -> Tensor:
        """The transpose of a matrix; a vector as it is (torch.t)."""
    def t_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`t` of the tensor itself; returns it."""
    def take(self, index: Tensor) -> Tensor:
        """The elements at indices into the flattened input (torch.take)."""
    def take_along_dim(self, indices: Tensor, dim: builtins.int | None = None) -> Tensor:
        """Like `gather`, with the other dimensions broadcast (torch.take_along_dim)."""
    def tan(self) -> Tensor:
        """The tangent of radians."""
    def tan_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`tan`, written into this tensor; returns it."""
    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
    def tanh_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`tanh`, written into this tensor; returns it."""
    def tensor_split(
        self,
        indices_or_sections: Any = None,
        dim: builtins.int = 0,
        *,
        indices: Any = None,
        sections: Any = None,
        tensor_indices_or_sections: Any = None,
    ) -> tuple[Tensor, ...]:
        """That many parts, the first ones longer, or parts cut at indices (torch.tensor_split)."""
    def tile(self, *counts: Any, dims: Any = None) -> Tensor:
        """Like `repeat`, with 1 for dimensions in front that are not given (torch.tile)."""
    def to(self, *args: Any, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
        """The tensor in another dtype or on another device; itself if it is so (torch.Tensor.to)."""
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
    def transpose_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`transpose` of the tensor itself; returns it."""
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
    def tril_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`tril`, written into this tensor; returns it."""
    def triu(self, diagonal: builtins.int = 0) -> Tensor:
        """The upper triangle, zeros elsewhere (torch.triu)."""
    def triu_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`triu`, written into this tensor; returns it."""
    def true_divide(self, other: Any) -> Tensor:
        """input / other (torch.true_divide)."""
    def true_divide_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`true_divide`, written into this tensor; returns it."""
    def trunc(self) -> Tensor:
        """The integer part, without the fraction. The gradient is 0."""
    def trunc_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`trunc`, written into this tensor; returns it."""
    def type(self, dtype: Any = None, non_blocking: builtins.bool = False) -> Any:
        """The old name of the tensor's type, or the tensor in another dtype (torch.Tensor.type)."""
    def type_as(self, other: Any) -> Any: ...
    def unbind(self, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """The slices along a dimension, without it (torch.unbind)."""
    def unflatten(self, dim: builtins.int, sizes: Sequence[builtins.int]) -> Tensor:
        """One dimension made several; one of `sizes` may be -1 (torch.unflatten)."""
    def unfold(self, dimension: builtins.int, size: builtins.int, step: builtins.int) -> Tensor:
        """Windows along a dimension, in a new last one; a view (torch.Tensor.unfold)."""
    def uniform_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_uniform`, written into this tensor; returns it."""
    def unique(
        self,
        sorted: builtins.bool = True,
        return_inverse: builtins.bool = False,
        return_counts: builtins.bool = False,
        dim: builtins.int | None = None,
    ) -> Any:
        """The different elements, or slices along `dim`, in order (torch.unique)."""
    def unique_consecutive(
        self,
        return_inverse: builtins.bool = False,
        return_counts: builtins.bool = False,
        dim: builtins.int | None = None,
    ) -> Any:
        """Each run of equal elements, or slices along `dim`, as one (torch.unique_consecutive)."""
    def unsqueeze(self, dim: builtins.int) -> Tensor:
        """With a dimension of length 1 at `dim` (torch.unsqueeze)."""
    def unsqueeze_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`unsqueeze` of the tensor itself; returns it."""
    def var(
        self,
        dim: Any = None,
        correction: builtins.float | None = None,
        keepdim: builtins.bool = False,
        *,
        unbiased: builtins.bool | None = None,
    ) -> Any:
        """The variance, over count - correction (torch.var)."""
    def vdot(self, other: Tensor) -> Tensor:
        """The inner product of two vectors (torch.vdot)."""
    def view(self, *sizes: Any, size: Any = None, dtype: Any = None) -> Tensor:
        """The same memory in another shape, or in another dtype (torch.Tensor.view)."""
    def view_as(self, other: Any) -> Any: ...
    def vsplit(
        self,
        indices_or_sections: Any = None,
        *,
        indices: Any = None,
        sections: Any = None,
    ) -> tuple[Tensor, ...]:
        """Rows, in equal parts or cut at indices (torch.vsplit)."""
    def where(self, condition: Any, other: Any) -> Any: ...
    def xlogy(self, other: Any) -> Tensor:
        """x * log(y); 0 where x is 0, unless y is NaN."""
    def xlogy_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`xlogy`, written into this tensor; returns it."""
    def zero_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`_zero`, written into this tensor; returns it."""
