"""Vectors of float32 for compiled loops: a numba type whose values stay in registers of the processor.

A loop over single numbers leaves the choice of vector instructions to the compiler, which takes half of the
registers' width on many processors and none if it cannot exclude that arrays overlap. A `Vector` has LANES
numbers on every processor; LLVM splits it where registers are shorter. Compiled functions use +, -, * and
the functions of this module; `simd_math` has more.
"""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import extending
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

intrinsic: Any = extending.intrinsic  # its type would not let compiled functions call the result


def _lanes() -> int:
    features = binding.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8


LANES = _lanes()
FLOAT, INT = ir.FloatType(), ir.IntType(32)
BYTES = ir.IntType(8).as_pointer()
FLUSH_RESULTS, FLUSH_INPUTS = 0x8000, 0x0040  # bits of the control register MXCSR
FLOATS, INTS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT, LANES)


class _VectorType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


VECTOR = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, numba_type) -> None:
        super().__init__(manager, numba_type, FLOATS)


for _operator, _instruction in (
    (operator.add, ir.IRBuilder.fadd),
    (operator.sub, ir.IRBuilder.fsub),
    (operator.mul, ir.IRBuilder.fmul),
):

    @infer_global(_operator)
    class _Binary(ConcreteTemplate):
        cases = [signature(VECTOR, VECTOR, VECTOR)]  # noqa: RUF012 - numba's interface

    def _lower(context, builder, sig, args, instruction=_instruction):
        return instruction(builder, *args)

    lower_builtin(_operator, VECTOR, VECTOR)(_lower)


@infer_global(operator.neg)
class _Unary(ConcreteTemplate):
    cases = [signature(VECTOR, VECTOR)]  # noqa: RUF012 - numba's interface


@lower_builtin(operator.neg, VECTOR)
def _negate(context, builder, sig, args):
    return builder.fneg(*args)


def _call(builder, name: str, arguments, result=FLOATS):
    """A call of an LLVM intrinsic."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _has_avx512(context) -> bool:
    """Whether code is generated for a processor with AVX-512."""
    return "+avx512f" in context.codegen().magic_tuple()[-1]


def _constant(value: float):
    return ir.Constant(FLOATS, [float(np.float32(value))] * LANES)


def _splat(builder, value):
    one = builder.insert_element(ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined), value, INT(0))
    zeros = ir.Constant(INTS, [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(one.type, ir.Undefined), zeros)


def _address(context, builder, array_type, element, kind):
    """A pointer to values of a `kind` from an array's element on, given as the array and its index."""
    array, index = element
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


@intrinsic
def load(typing, array, index):
    """array[index : index + LANES] of a contiguous array (N,); the index is not checked."""

    def generate(context, builder, sig, args):
        return builder.load(_address(context, builder, sig.args[0], args, FLOATS), align=4)

    return VECTOR(array, types.intp), generate


@intrinsic
def store(typing, array, index, value):
    """array[index : index + LANES] = value; the index is not checked."""

    def generate(context, builder, sig, args):
        address = _address(context, builder, sig.args[0], args[:2], FLOATS)
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, VECTOR), generate


@intrinsic
def broadcast(typing, array, index):
    """array[index] in all lanes; the index is not checked."""

    def generate(context, builder, sig, args):
        address = _address(context, builder, sig.args[0], args, FLOAT)
        return _splat(builder, builder.load(address, align=4))

    return VECTOR(array, types.intp), generate


@intrinsic
def splat(typing, value):
    """A number in all lanes."""

    def generate(context, builder, sig, args):
        return _splat(builder, args[0])

    return VECTOR(types.float32), generate


@intrinsic
def fma(typing, a, b, c):
    """a b + c, rounded once where the processor has such an instruction."""

    def generate(context, builder, sig, args):
        return _call(builder, f"llvm.fmuladd.v{LANES}f32", args)

    return VECTOR(VECTOR, VECTOR, VECTOR), generate


@intrinsic
def largest(typing, a, b):
    """The larger of two numbers, lane by lane."""

    def generate(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return VECTOR(VECTOR, VECTOR), generate


@intrinsic
def magnitude(typing, v):
    """|v|."""

    def generate(context, builder, sig, args):
        return _call(builder, f"llvm.fabs.v{LANES}f32", args)

    return VECTOR(VECTOR), generate


@intrinsic
def where_negative(typing, v, yes, no):
    """`yes` where v < 0, else `no`."""

    def generate(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", args[0], _constant(0.0)), *args[1:])

    return VECTOR(VECTOR, VECTOR, VECTOR), generate


@intrinsic
def scaled(typing, v, exponent):
    """v 2^exponent for whole exponents <= 127; exponents below -126 count as -126 or give 0."""

    def generate(context, builder, sig, args):
        v, exponent = args
        if _has_avx512(context) and LANES == 16:
            rest = [v, ir.Constant(ir.IntType(16), -1), INT(4)]  # all lanes, the current rounding
            return _call(builder, "llvm.x86.avx512.mask.scalef.ps.512", [v, exponent, *rest])
        lowest = _constant(-126.0)
        exponent = builder.select(builder.fcmp_ordered(">", exponent, lowest), exponent, lowest)
        bias, shift = (ir.Constant(INTS, [n] * LANES) for n in (127, 23))
        bits = builder.shl(builder.add(builder.fptosi(exponent, INTS), bias), shift)
        return builder.fmul(v, builder.bitcast(bits, FLOATS))

    return VECTOR(VECTOR, VECTOR), generate


@intrinsic
def reciprocal(typing, v):
    """1 / v, relative error below 3e-7, for normal numbers."""

    def generate(context, builder, sig, args):
        v, one = args[0], _constant(1.0)
        if not (_has_avx512(context) and LANES == 16):
            return builder.fdiv(one, v)
        rest = [_constant(0.0), ir.Constant(ir.IntType(16), -1)]
        near = _call(builder, "llvm.x86.avx512.rcp14.ps.512", [v, *rest])
        left = builder.fsub(one, builder.fmul(v, near, flags=["contract"]), flags=["contract"])
        return builder.fadd(builder.fmul(near, left, flags=["contract"]), near, flags=["contract"])

    return VECTOR(VECTOR), generate


@intrinsic
def flush_subnormals(typing):
    """From now on, numbers below 1e-38 are 0 on this thread of an x86 processor; the mode before.

    A state that decays without input comes below it, and each operation would then take 100 times as long.
    """

    def generate(context, builder, sig, args):
        if not _is_x86(context):
            return INT(0)
        mode = cgutils.alloca_once(builder, INT)
        _call(builder, "llvm.x86.sse.stmxcsr", [builder.bitcast(mode, BYTES)], ir.VoidType())
        before = builder.load(mode)
        _set_mode(builder, builder.or_(before, INT(FLUSH_RESULTS | FLUSH_INPUTS)))
        return before

    return types.int32(), generate


@intrinsic
def restore(typing, mode):
    """Return to the mode that `flush_subnormals` gave."""

    def generate(context, builder, sig, args):
        if _is_x86(context):
            _set_mode(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int32), generate


def _is_x86(context) -> bool:
    return context.codegen().magic_tuple()[0].startswith("x86_64")


def _set_mode(builder, mode) -> None:
    address = cgutils.alloca_once_value(builder, mode)
    _call(builder, "llvm.x86.sse.ldmxcsr", [builder.bitcast(address, BYTES)], ir.VoidType())


@intrinsic
def store_sums(typing, array, index, a, b, c, d):
    """array[index : index + 4] = the sums over the lanes of four vectors; the index is not checked."""

    def generate(context, builder, sig, args):
        vectors = args[2:]
        address = _address(context, builder, sig.args[0], args[:2], ir.VectorType(FLOAT, 4))
        builder.store(_four_sums(builder, vectors), address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, *[VECTOR] * 4), generate


def _shuffle(builder, a, b, lanes):
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT, len(lanes)), lanes))


def _four_sums(builder, vectors):
    """The sums of four vectors as one vector of 4: halves are added until each vector has one lane left."""
    part = LANES  # lanes of each vector's part
    while len(vectors) > 1:
        half, pairs = part // 2, range(0, LANES, part)
        low = [at + i for at in pairs for i in range(half)]
        low += [LANES + i for i in low]
        vectors = [
            builder.fadd(_shuffle(builder, a, b, low), _shuffle(builder, a, b, [i + half for i in low]))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        part = half
    total = vectors[0]
    while part > 1:
        part //= 2
        total = builder.fadd(total, _shuffle(builder, total, total, [i ^ part for i in range(LANES)]))
    return _shuffle(builder, total, total, [i * (LANES // 4) for i in range(4)])
