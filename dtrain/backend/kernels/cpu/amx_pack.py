"""Float32 matrices as tiles of bfloat16 numbers, which the instructions of `amx.py` multiply.

A float32 number has 24 bits, a bfloat16 number 8: each number is the sum of three bfloat16 parts,
exactly. A tile holds a part of 16 lanes (rows of the left factor, columns of the right one) and of
32 of the numbers k over which a product adds. The numbers k and k + 16 are one 32-bit word. A lane
of the left factor is a row of words, one of the right factor a column.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from dtrain.backend.kernels.cpu.amx import ROW_BYTES, TILE_BYTES, prefetch
from dtrain.backend.kernels.cpu.compiler import inlined

LANES = 16  # of a tile
DEPTH = 32  # numbers k of a tile
PARTS = 3
#: What packing finds: a number that is more than its first part, and one that has no finite parts.
HAS_MORE_PARTS, NOT_FINITE = 1, 2
#: The bits of the least absolute value that would round to a bfloat16 infinity, below those of
#: infinity and NaN.
_LIMIT = 0x7F7F8000

_FLAG = ir.IntType(1)
SIZE: Any = ir.IntType(64)
WORD: Any = ir.IntType(32)
MASK: Any = ir.IntType(LANES)
WORDS: Any = ir.VectorType(WORD, LANES)
NUMBERS: Any = ir.VectorType(ir.FloatType(), LANES)
_FLAGS = ir.VectorType(_FLAG, LANES)


def splat(bits: int) -> Any:
    return ir.Constant(WORDS, [bits] * LANES)


def emit_mask(builder: Any, count: Any) -> Any:
    """Emit the mask, a 16-bit number, of the first `count` lanes; of all if it is 16 or more, of
    none if it is negative."""
    zero, most = ir.Constant(SIZE, 0), ir.Constant(SIZE, LANES)
    count = builder.select(builder.icmp_signed(">", count, most), most, count)
    count = builder.select(builder.icmp_signed("<", count, zero), zero, count)
    one = ir.Constant(SIZE, 1)
    return builder.trunc(builder.sub(builder.shl(one, count), one), MASK)


def _emit_load(builder: Any, address: Any, mask: Any) -> Any:
    """Emit a load of the 16 numbers at an address; those outside of the mask are 0."""
    pointer, align = NUMBERS.as_pointer(), ir.Constant(WORD, 4)
    of = ir.FunctionType(NUMBERS, [pointer, WORD, _FLAGS, NUMBERS])
    load = cgutils.get_or_insert_function(builder.module, of, "llvm.masked.load.v16f32.p0")
    flags, zeros = builder.bitcast(mask, _FLAGS), ir.Constant(NUMBERS, None)
    return builder.call(load, [builder.inttoptr(address, pointer), align, flags, zeros])


def emit_store(builder: Any, numbers: Any, address: Any, mask: Any) -> None:
    """Emit a store of the numbers of the mask to an address."""
    pointer, align = NUMBERS.as_pointer(), ir.Constant(WORD, 4)
    of = ir.FunctionType(ir.VoidType(), [NUMBERS, pointer, WORD, _FLAGS])
    store = cgutils.get_or_insert_function(builder.module, of, "llvm.masked.store.v16f32.p0")
    flags = builder.bitcast(mask, _FLAGS)
    builder.call(store, [numbers, builder.inttoptr(address, pointer), align, flags])


def emit_transpose(builder: Any, rows: list[Any]) -> list[Any]:
    """Emit the columns of 16 vectors: off-diagonal blocks are swapped, 8 by 8 to 1 by 1."""
    rows = list(rows)
    for width in (8, 4, 2, 1):
        left = [j + LANES - width if j & width else j for j in range(LANES)]
        right = [j + LANES if j & width else j + width for j in range(LANES)]
        for i in (i for i in range(LANES) if not i & width):
            above, below = rows[i], rows[i + width]
            rows[i] = builder.shuffle_vector(above, below, ir.Constant(WORDS, left))
            rows[i + width] = builder.shuffle_vector(above, below, ir.Constant(WORDS, right))
    return rows


def _emit_parts(builder: Any, numbers: Any) -> list:
    """Emit the three parts of a vector of numbers, as words whose lower halves are zero."""
    parts = []
    for _ in range(PARTS - 1):
        rounded = builder.add(builder.bitcast(numbers, WORDS), splat(1 << 15))
        parts.append(builder.and_(rounded, splat(0xFFFF0000)))
        numbers = builder.fsub(numbers, builder.bitcast(parts[-1], NUMBERS))
    return [*parts, builder.bitcast(numbers, WORDS)]


def _emit_greater(builder: Any, words: Any, others: Any) -> Any:
    return builder.select(builder.icmp_unsigned(">", words, others), words, others)


def _emit_any(builder: Any, flags: Any, value: int) -> Any:
    """Emit `value` if any of the flags is set, 0 otherwise."""
    any_set = builder.icmp_unsigned("!=", builder.bitcast(flags, MASK), ir.Constant(MASK, 0))
    return builder.select(any_set, ir.Constant(WORD, value), ir.Constant(WORD, 0))


def _emit_rows(builder: Any, block: list, stride: Any, transposes: Any) -> list:
    """Emit loads of a block's rows, or columns if it is to be transposed."""
    start, count, columns = block
    mask, none = emit_mask(builder, columns), ir.Constant(MASK, 0)
    rows = []
    for i in range(LANES):
        is_row = builder.icmp_signed(">", count, ir.Constant(SIZE, i))
        rows.append(_emit_load(builder, start, builder.select(is_row, mask, none)))
        start = builder.add(start, stride)
    before = builder.block
    with builder.if_then(transposes):
        columns, inside = emit_transpose(builder, rows), builder.block
    chosen = []
    for row, column in zip(rows, columns):
        phi = builder.phi(NUMBERS)
        phi.add_incoming(row, before)
        phi.add_incoming(column, inside)
        chosen.append(phi)
    return chosen


def _define_packer(module: Any) -> Any:
    """Define the function `pack` of an LLVM module: one, as it is long."""
    function = ir.Function(module, ir.FunctionType(WORD, [SIZE] * 9 + [_FLAG]), "pack_tile")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    *blocks, stride, target, step, transposes = function.args
    rows = [_emit_rows(builder, blocks[i : i + 3], stride, transposes) for i in (0, 3)]
    greatest = more = splat(0)
    for i, pair in enumerate(zip(*rows)):
        at = builder.add(target, ir.Constant(SIZE, i * ROW_BYTES))
        parts = [_emit_parts(builder, numbers) for numbers in pair]
        for numbers, of_number in zip(pair, parts):
            bits = builder.and_(builder.bitcast(numbers, WORDS), splat(0x7FFFFFFF))
            greatest = _emit_greater(builder, bits, greatest)
            more = builder.or_(more, of_number[1])  # a third part comes with a second
        for left, right in zip(*parts):
            words = builder.or_(builder.lshr(left, splat(16)), right)
            pointer = builder.inttoptr(at, WORDS.as_pointer())
            builder.store(words, pointer).align = ROW_BYTES
            at = builder.add(at, step)
    has_more = builder.icmp_unsigned("!=", more, splat(0))
    not_finite = builder.icmp_unsigned(">=", greatest, splat(_LIMIT))
    found = _emit_any(builder, has_more, HAS_MORE_PARTS)
    builder.ret(builder.or_(found, _emit_any(builder, not_finite, NOT_FINITE)))
    return function


@intrinsic
def _pack(
    typing_context: Any, lower: Any, upper: Any, stride: Any, target: Any, step: Any,
    transposes: Any,
) -> Any:  # fmt: skip
    """Pack two blocks of up to 16 x 16 numbers as the tiles of three parts.

    lower, upper : address of each block's first number, its numbers of rows and columns
    stride : bytes between rows. A row is a row of words or, if it `transposes`, a column
    target : address of the first tile; the next ones are `step` bytes apart

    It returns what it finds, HAS_MORE_PARTS and NOT_FINITE.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        blocks = [x for block in arguments[:2] for x in cgutils.unpack_tuple(builder, block, 3)]
        function = builder.module.globals.get("pack_tile") or _define_packer(builder.module)
        return builder.zext(builder.call(function, [*blocks, *arguments[2:]]), SIZE)

    n = types.intp
    block = types.UniTuple(n, 3)
    return n(block, block, n, n, n, types.boolean), build


@intrinsic
def copy_numbers(typing_context: Any, source: Any, target: Any, count: Any) -> Any:
    """Copy up to 16 float32 numbers from an address to another; none if count is negative."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target, count = arguments
        mask = emit_mask(builder, count)
        emit_store(builder, _emit_load(builder, source, mask), target, mask)
        return context.get_dummy_value()

    n = types.intp
    return types.void(n, n, n), build


@inlined
def pack_panel(
    source: int, stride: int, has_lanes: bool, transposes: bool, lanes: int, tiles: int,
    depth: int, target: int,
) -> int:  # fmt: skip
    """Pack up to 16 lanes a tile, of `depth` numbers each, as a panel (depth / 32, 3 parts, tiles);
    what is missing is zero. Returns what it finds, HAS_MORE_PARTS and NOT_FINITE.

    source : address of the first number
    stride : bytes between rows, which are lanes if `has_lanes`, or else numbers k
    transposes : whether a row of the source is a column of words
    lanes : of this panel and those that follow
    """
    found, block = 0, PARTS * tiles * TILE_BYTES
    for tile in range(tiles):
        here, to = source + tile * LANES * (stride if has_lanes else 4), target + tile * TILE_BYTES
        width = lanes - tile * LANES
        follows = width >= (tiles + 1) * LANES  # the next panel's lanes
        ahead = tiles * LANES * (stride if has_lanes else 4)
        for numbers in range(depth, 0, -DEPTH):
            if has_lanes:
                lower, upper = (here, width, numbers), (here + 64, width, numbers - LANES)
            else:
                lower = here, numbers, width
                upper = here + LANES * stride, numbers - LANES, width
            if follows:
                for i in range(LANES):
                    prefetch(lower[0] + i * stride + ahead)
                    prefetch(upper[0] + i * stride + ahead)
            found |= _pack(lower, upper, stride, to, tiles * TILE_BYTES, transposes)
            here += 4 * DEPTH if has_lanes else DEPTH * stride
            to += block
    return found
