"""`CodeText`: the source text of generated functions, and the constants that it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.backend.generated_code import make_function
from dtrain.jit.graph import Call, Ref, refs_in

_PLAIN = (bool, int, float, str, type(None), type(Ellipsis))


class CodeText:
    """Lines of a function in the making.

    Parameters
    ----------
    ref : the text of a value of the graph
    namespace : the globals of the function; constants are added to it
    """

    def __init__(self, ref: Callable[[Ref], str], namespace: dict[str, Any]):
        self._ref = ref
        self.namespace = namespace
        self.lines: list[str] = []
        self._names: dict[str, str] = {}

    def constant(self, value: Any) -> str:
        """The name of a constant; equal plain values have one name."""
        key = repr(value) if _is_plain(value) else f"object {id(value)}"
        if key not in self._names:
            name = self._names[key] = f"k{len(self.namespace)}"
            self.namespace[name] = value
        return self._names[key]

    def text(self, argument: Any) -> str:
        """An argument of a call."""
        if isinstance(argument, Ref):
            return self._ref(argument)
        if not any(refs_in(argument)):
            if argument is None or type(argument) in (bool, int, str):
                return repr(argument)
            if not isinstance(argument, (list, dict)):
                return self.constant(argument)
        if isinstance(argument, tuple) and hasattr(argument, "_fields"):
            return f"{self.constant(type(argument))}({', '.join(map(self.text, argument))})"
        if isinstance(argument, tuple):
            return f"({''.join(self.text(item) + ', ' for item in argument)})"
        if isinstance(argument, list):
            return f"[{', '.join(map(self.text, argument))}]"
        if isinstance(argument, slice):
            ends = (argument.start, argument.stop, argument.step)
            return f"slice({', '.join(map(self.text, ends))})"
        assert isinstance(argument, dict)
        items = ", ".join(
            f"{self.constant(key)}: {self.text(item)}" for key, item in argument.items()
        )
        if type(argument) is dict:
            return f"{{{items}}}"
        return f"{self.constant(type(argument))}({{{items}}})"

    def call(self, function: Any, args: Any, kwargs: dict[str, Any]) -> str:
        """A call of a function."""
        arguments = [self.text(argument) for argument in args]
        arguments += [
            f"{name}={self.text(argument)}"
            if name.isidentifier()
            else f"**{{{name!r}: {self.text(argument)}}}"
            for name, argument in kwargs.items()
        ]
        return f"{self.constant(function)}({', '.join(arguments)})"

    def call_lines(self, call: Call, called: str) -> list[str]:
        """The lines that run `called`, the text of a call, and store its outputs."""
        if not call.outputs:
            return [called]
        if [path for path, _ in call.outputs] == [()]:
            return [f"{self._ref(Ref(call.outputs[0][1]))} = {called}"]
        return [f"r = {called}"] + [
            f"{self._ref(Ref(value))} = r" + "".join(f"[{key!r}]" for key in path)
            for path, value in call.outputs
        ]

    def make(self, filename: str) -> Any:
        """The function."""
        return make_function("\n".join(self.lines) + "\n", filename, self.namespace)


def _is_plain(value: Any) -> bool:
    if isinstance(value, slice):
        return all(map(_is_plain, (value.start, value.stop, value.step)))
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_plain, value)))
