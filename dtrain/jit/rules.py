"""`trace_rule`: the array code of a primitive and of its vjps, as a list of calls.

A compiled graph runs these calls one after the other, without the primitive's own Python: shapes,
closures and the choice of kernels are worked out once. The rule runs on `ArrayProxy`s of made-up
values. One that reads a value, or makes arrays of its own, cannot be traced; nor one whose calls do
not give the bits of the rule itself. The graph then runs the rule as it is.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtrain.autograd.op import as_array
from dtrain.autograd.primitive import OUTPUT, Primitive
from dtrain.backend.tracing import recording
from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.array_proxies import ArrayProxy
from dtrain.jit.graph import Call, Ref, Value, rebuild
from dtrain.jit.proxies import real
from dtrain.jit.rule_tracer import RuleTracer
from dtrain.primitives import linalg, triangular

#: Not traced: LAPACK takes their time, not Python; and SciPy loses a reference to a dtype where an
#: argument refuses its values.
_LAPACK = (linalg.__name__, triangular.__name__)
_PLAIN = (bool, int, float, str, type(None))


@dataclass
class Rule:
    """What a primitive does with arguments of certain shapes and dtypes.

    Values have numbers of their own. Those of the graph that are arguments: `arguments`.

    examples : of each value its shape and dtype
    forward, output : the calls that compute the output, and its number
    grad : the number of the gradient of the output
    backward : for each wanted input in turn the calls that compute its gradient, and its number
    names : what messages call the arguments
    layouts : the strides of the values for which they are known
    """

    primitive: Primitive
    arguments: dict[int, int]
    examples: list[Example] = field(default_factory=list)
    forward: list[ArrayCall] = field(default_factory=list)
    output: int = -1
    grad: int = -1
    backward: list[tuple[list[ArrayCall], int]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    layouts: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @functools.cached_property
    def kept(self) -> list[int]:
        """The values of the forward pass that the backward pass uses."""
        used = {ref.value for calls, _ in self.backward for call in calls for ref in call.refs()}
        used |= {value for _, value in self.backward}
        return sorted(value for value in used if value < self.grad)

    def kept_name(self, saved: Sequence[Any], array: Any) -> str | None:
        """The name in messages of the kept value that shares memory with an array."""
        for value, other in zip(self.kept, saved):
            if isinstance(other, np.ndarray) and np.may_share_memory(array, other):
                return self.names.get(value, self.primitive.value_name(OUTPUT))
        return None

    def with_arguments(self, values: Sequence[int]) -> Rule:
        """The rule of another call of the same form; `values` are the graph's, in order."""
        arguments = dict(zip(values, self.arguments.values(), strict=True))
        return dataclasses.replace(self, arguments=arguments, layouts={})


def call_form(
    primitive: Primitive, call: Call, values: Sequence[Value], wanted: Sequence[int]
) -> tuple[Any, list[int]]:
    """What the rule of a call depends on, to be compared with that of others of a graph, and the
    values that are its arguments."""
    order: dict[int, int] = {}

    def leaf(item: Any) -> Any:
        if not isinstance(item, Ref):
            return id(item) if type(item) not in _PLAIN else (type(item), repr(item))
        value = values[item.value]
        return "value", order.setdefault(item.value, len(order)), value.shape, value.dtype

    arguments = rebuild((call.args, call.kwargs), leaf)
    return (primitive.name, repr(arguments), tuple(wanted)), list(order)


def trace_rule(
    primitive: Primitive, call: Call, values: Sequence[Value], wanted: Sequence[int]
) -> Rule | None:
    """The rule of a primitive for a call of a graph; None if it cannot be traced.

    values : those of the graph, of which the call has Refs
    wanted : the positional arguments whose gradients are computed
    """
    if primitive.function.__module__ in _LAPACK:
        return None
    tracer = RuleTracer(call)
    given, kwargs = _stand_ins(tracer, call, values)
    args = (*given, *[None] * (len(primitive.inputs) - len(given)))
    rule = Rule(primitive, tracer.arguments)
    try:
        with np.errstate(all="ignore"):
            with recording(tracer):
                out, vjps = primitive.function(*args, **kwargs)
                rule.output, rule.forward = tracer.number_of(out), tracer.take_calls()
                grad = tracer.add(_example(as_array(real(out)).shape, real(out).dtype))
                rule.grad = grad.ref.value
                for n in wanted:
                    part = tracer.number_of(vjps[n](grad))
                    rule.backward.append((tracer.take_calls(), part))
            if not _has_bits_of(rule, tracer.examples, (real(args), real(kwargs)), wanted):
                return None
        rule.examples = [_described(example) for example in tracer.examples]
    except Exception:  # whatever made-up values lead to
        return None
    finally:
        tracer.forget()
    rule.names = {
        proxy.ref.value: primitive.value_name(n)
        for n, proxy in reversed([*enumerate(args)])
        if type(proxy) is ArrayProxy
    }
    expected = values[call.outputs[0][1]]
    return rule if rule.examples[rule.output][:2] == (expected.shape, expected.dtype) else None


def _described(example: Any) -> Example:
    if type(example) is float:
        return Example((), None, False)
    is_array = isinstance(example, np.ndarray)
    ordered = is_array and example.flags.c_contiguous
    return Example(example.shape, example.dtype, is_array, ordered)


def _stand_ins(tracer: RuleTracer, call: Call, values: Sequence[Value]) -> Any:
    made: dict[int, Any] = {}

    def leaf(item: Any) -> Any:
        if not isinstance(item, Ref):
            return item
        if item.value not in made:
            value = values[item.value]
            example = 0.5 if value.dtype is None else _example(value.shape, value.dtype)
            made[item.value] = tracer.add(example)
            tracer.arguments[item.value] = made[item.value].ref.value
        return made[item.value]

    return rebuild(call.args, leaf), rebuild(call.kwargs, leaf)


def _example(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array of values that most functions are defined for; indices are 0."""
    if dtype.kind not in "fc":
        return np.zeros(shape, dtype)
    pattern = np.random.default_rng(0).uniform(0.1, 0.9, 251)
    return np.resize(pattern.astype(dtype), shape)


def _has_bits_of(rule: Rule, examples: Sequence[Any], given: Any, wanted: Sequence[int]) -> bool:
    """Whether the traced calls computed what the primitive itself does with the same arrays."""
    args, kwargs = given
    out, vjps = rule.primitive.function(*args, **kwargs)
    if not _same(out, examples[rule.output]):
        return False
    parts = [examples[value] for _, value in rule.backward]
    return all(_same(vjps[n](examples[rule.grad]), part) for n, part in zip(wanted, parts))


def _same(first: Any, second: Any) -> bool:
    if type(first) is not type(second) or first.dtype != second.dtype:
        return False
    # The search for NaN takes ten times as long as the comparison.
    return np.array_equal(first, second) or (
        first.dtype.kind in "fc" and np.array_equal(first, second, equal_nan=True)
    )
