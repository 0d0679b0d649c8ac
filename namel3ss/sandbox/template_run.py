"""Running a template: the values it works on, Go's notion of truth and of printing, and the functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from namel3ss.sandbox.gojson import encode
from namel3ss.sandbox.template_tree import (
    Assignment,
    Block,
    Branch,
    Call,
    Constant,
    Field,
    Jump,
    Operand,
    Output,
    Pipeline,
    Text,
)
from namel3ss.sandbox.templates import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GoDocument", "GoStruct", "execute"]


class GoStruct(dict[str, object]):
    """A Go struct: fields by name, printed as `{value value}`."""


class GoDocument(dict[str, object]):
    """A Go map that prints itself as JSON, its keys sorted."""


class _Break(Exception):  # noqa: N818  # leaves the loop, is no error
    pass


class _Continue(Exception):  # noqa: N818  # same
    pass


@dataclass
class _Scope:
    """The variables in force; an inner scope sees and may set those around it."""

    dot: object
    names: dict[str, object] = field(default_factory=dict)
    outer: _Scope | None = None

    def find(self, name: str) -> _Scope:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope
            scope = scope.outer
        raise TemplateError(f'template: :1: undefined variable "{name}"')


def execute(block: Block, data: Mapping[str, object]) -> str:
    """The template's text for `data`. Raises TemplateError for what Go could not run either."""
    out: list[str] = []
    _run(block, _Scope(data, {"$": data}), out)
    return "".join(out)


def _run(block: Block, scope: _Scope, out: list[str]) -> None:
    for node in block:
        if isinstance(node, Text):
            out.append(node.text)
        elif isinstance(node, Output):
            out.append(_printed(_evaluate(node.value, scope)))
        elif isinstance(node, Assignment):
            target = scope if node.declares else scope.find(node.name)
            target.names[node.name] = _evaluate(node.value, scope)
        elif isinstance(node, Jump):
            raise _Break if node.kind == "break" else _Continue
        else:
            _branch(node, scope, out)


def _branch(node: Branch, scope: _Scope, out: list[str]) -> None:
    value = _evaluate(node.value, scope)
    if not _is_true(value):
        _run(node.otherwise, _Scope(scope.dot, {}, scope), out)
    elif node.kind == "range":
        _range(node, value, scope, out)
    else:
        names = {node.variables[0]: value} if node.variables else {}
        _run(node.body, _Scope(value if node.kind == "with" else scope.dot, names, scope), out)


def _range(node: Branch, value: object, scope: _Scope, out: list[str]) -> None:
    for key, item in _items(value):
        names = dict(zip(node.variables, (key, item) if len(node.variables) > 1 else (item,), strict=False))
        try:
            _run(node.body, _Scope(item, names, scope), out)
        except _Continue:
            continue
        except _Break:
            return


def _items(value: object) -> list[tuple[object, object]]:
    if isinstance(value, dict):
        return sorted(value.items())
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, int):
        return [(number, number) for number in range(value)]
    raise TemplateError(f"template: :1: range can't iterate over {_printed(value)}")


def _evaluate(operand: Operand, scope: _Scope) -> object:
    if isinstance(operand, Constant):
        return operand.value
    if isinstance(operand, Field):
        return _field(operand, scope)
    if isinstance(operand, Call):
        return _call(operand.function, [_evaluate(each, scope) for each in operand.arguments])
    value = _evaluate(operand.commands[0], scope)
    for command in operand.commands[1:]:
        if not isinstance(command, Call):
            raise TemplateError("template: :1: non executable command in pipeline")
        value = _call(command.function, [*(_evaluate(each, scope) for each in command.arguments), value])
    return value


def _field(operand: Field, scope: _Scope) -> object:
    if operand.root is None:
        value = scope.dot
    elif isinstance(operand.root, Pipeline):
        value = _evaluate(operand.root, scope)
    else:
        value = scope.find(operand.root).names[operand.root]
    for name in operand.path:
        if not isinstance(value, dict):
            raise TemplateError(f"template: :1: can't evaluate field {name}")
        value = value.get(name)
    return value


def _is_true(value: object) -> bool:
    return bool(value)


def _printed(value: object) -> str:
    if value is None:
        return "<no value>"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, GoStruct):
        return "{" + " ".join("<nil>" if each is None else _printed(each) for each in value.values()) + "}"
    if isinstance(value, GoDocument):
        return _json(value)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_printed(each) for each in value) + "]"
    return str(value)


def _json(value: object) -> str:
    # A GoStruct keeps its order and lower-case names, a map is sorted.
    return encode(_sorted_maps(value)).decode()


def _sorted_maps(value: object) -> object:
    if isinstance(value, GoDocument):
        return {key: value[key] for key in sorted(value)}
    if isinstance(value, GoStruct):
        return {key.lower(): _sorted_maps(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_sorted_maps(item) for item in value]
    return value


def _call(name: str, arguments: list[object]) -> object:  # noqa: C901  # one arm a function
    match name:
        case "and" | "or":
            for value in arguments[:-1]:
                if _is_true(value) == (name == "or"):
                    return value
            return arguments[-1] if arguments else None
        case "not":
            return not _is_true(arguments[0])
        case "eq":
            return any(arguments[0] == other for other in arguments[1:])
        case "ne":
            return arguments[0] != arguments[1]
        case "lt" | "le" | "gt" | "ge":
            return _ordered(name, *arguments)
        case "len":
            [value] = arguments
            return len(value) if isinstance(value, str | list | dict) else 0
        case "index":
            return _index(arguments)
        case "slice":
            return _slice(arguments)
        case "json":
            return _json(arguments[0])
        case "currentDate":
            return date.today().isoformat()
        case "yesterdayDate":
            return (date.today() - timedelta(days=1)).isoformat()
        case "toTypeScriptType":
            return _typescript_type(arguments[0])
        case "printf":
            return _formatted(arguments)
        case _:
            return " ".join(_printed(each) for each in arguments) + ("\n" if name == "println" else "")


def _ordered(name: str, *values: object) -> bool:
    left, right = values
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        raise TemplateError("template: :1: incompatible types for comparison")
    return {"lt": left < right, "le": left <= right, "gt": left > right, "ge": left >= right}[name]


def _index(arguments: list[object]) -> object:
    value, *keys = arguments
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
            value = value[key]
        else:
            raise TemplateError(f"template: :1: error calling index: index out of range: {key}")
    return value


def _slice(arguments: list[object]) -> object:
    value, *bounds = arguments
    if not isinstance(value, str | list):
        raise TemplateError("template: :1: error calling slice: can't slice item")
    start, *end = [each for each in bounds if isinstance(each, int)] or [0]
    return value[start : end[0]] if end else value[start:]


def _formatted(arguments: list[object]) -> str:
    pattern, *values = arguments
    pieces = iter(values)
    text = str(pattern)
    for mark in ("%s", "%v", "%d", "%q"):
        while mark in text:
            text = text.replace(mark, _printed(next(pieces, "")), 1)
    return text


_TYPESCRIPT = {"integer": "number", "array": "any[]", "object": "Record<string, any>"}


def _typescript_type(value: object) -> str:
    kinds = value.get("type") if isinstance(value, dict) else None
    if isinstance(kinds, str):
        kinds = [kinds]
    if not isinstance(kinds, list):
        return "any"
    return " | ".join(_TYPESCRIPT.get(str(kind), str(kind)) for kind in kinds)
