"""Jobs of a compiled loop on the threads of an OpenMP library, without a word of Python between them.

A thread that enters Python waits for its lock, which takes longer than many a loop.
"""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba import extending
from numba.core import cgutils, types

intrinsic: Any = extending.intrinsic  # its type would not let compiled functions call the result

BYTES, INT, VOID = ir.IntType(8).as_pointer(), ir.IntType(32), ir.VoidType()
_BODY = ir.FunctionType(VOID, [BYTES])
_PARALLEL = ir.FunctionType(VOID, [_BODY.as_pointer(), BYTES, INT, INT])  # GOMP_parallel


class _Call(NamedTuple):
    """The numba types of a kernel and of its signature."""

    kernel: types.Dispatcher
    signature: Any


@intrinsic
def share(typing, kernel, arguments, team):
    """Call kernel(*arguments, first, last) for parts of the jobs.

    team: the first job, the end, the number of threads, and the address of GNU OpenMP's GOMP_parallel, or 0
    to stay on this thread. The kernel must not raise.
    """
    index = types.intp
    called = kernel.get_call_type(typing, (*arguments.types, index, index), {})

    def generate(context, builder, sig, args):
        given, numbers = args[1], cgutils.unpack_tuple(builder, args[2], 4)
        first, end, threads, region = numbers
        word = first.type
        fields = ir.LiteralStructType([given.type, word, word, word, word])  # the last: parts taken
        slot = cgutils.alloca_once(builder, fields)
        for place, value in enumerate((given, first, end, threads, word(0))):
            builder.store(value, cgutils.gep_inbounds(builder, slot, 0, place))
        body = _body(context, builder.module, _Call(kernel, called), fields)
        data = builder.bitcast(slot, BYTES)
        with builder.if_else(builder.icmp_signed("==", region, word(0))) as (alone, together):
            with alone:
                builder.call(body, [data])
            with together:
                parallel = builder.inttoptr(region, _PARALLEL.as_pointer())
                builder.call(parallel, [body, data, builder.trunc(threads, INT), INT(0)])
        return context.get_dummy_value()

    return types.void(kernel, arguments, types.UniTuple(index, 4)), generate


def _body(context, module, call, fields):
    """A function of a pointer to the fields that `share` stored: it takes parts until none is left."""
    function = ir.Function(module, _BODY, module.get_unique_name("shared_jobs"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    slot = builder.bitcast(function.args[0], fields.as_pointer())
    given, first, end, threads = (
        builder.load(cgutils.gep_inbounds(builder, slot, 0, place)) for place in range(4)
    )
    taken, one = cgutils.gep_inbounds(builder, slot, 0, 4), first.type(1)
    test, work, leave = (function.append_basic_block() for _ in range(3))
    builder.branch(test)
    builder.position_at_end(test)
    part = builder.atomic_rmw("add", taken, one, "monotonic")
    builder.cbranch(builder.icmp_signed("<", part, threads), work, leave)
    builder.position_at_end(work)
    jobs = builder.sub(end, first)
    ends = (
        builder.add(first, builder.sdiv(builder.mul(jobs, number), threads))
        for number in (part, builder.add(part, one))
    )
    _call_kernel(context, builder, call, (*cgutils.unpack_tuple(builder, given), *ends))
    builder.branch(test)
    builder.position_at_end(leave)
    builder.ret_void()
    return function


def _call_kernel(context, builder, call, values):
    compiled = call.kernel.dispatcher.get_compile_result(call.signature)
    context.add_linking_libs([compiled.library])
    callee = context.declare_function(builder.module, compiled.fndesc)
    signature = call.signature
    context.call_conv.call_function(builder, callee, signature.return_type, signature.args, values)
