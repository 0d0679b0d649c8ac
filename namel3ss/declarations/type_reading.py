"""From the syntax of a type to the type, with everything wrong said at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from namel3ss.declarations.layers import Layer, blocks_of, layered_pairs
from namel3ss.declarations.places import Location
from namel3ss.declarations.value_types import (
    SCALARS,
    ChoiceType,
    Field,
    ListType,
    ObjectType,
    OptionalType,
    ScalarType,
    describe_type,
    fit,
)
from namel3ss.declarations.written import read_value, shortened
from namel3ss.language import BareWord, Block, Fix, String, TextEdit, TypeForm
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.layers import Layers
    from namel3ss.declarations.value_types import ValueType
    from namel3ss.language import Pair, Source, Value

__all__ = ["read_object_type", "read_type"]

# What other languages call them.
_ELSEWHERE = {
    "string": "str",
    "text": "str",
    "integer": "int",
    "number": "float",
    "double": "float",
    "boolean": "bool",
    "dict": "object",
    "map": "object",
    "any": "object",
    "json": "object",
    "list": "list[str]",
    "array": "list[str]",
}
_FORMS = 'Types are str, int, float, bool, object, list[…], { name: type }, "a" | "b", each with ? if null is allowed.'


class _Typed(NamedTuple):
    type: ValueType
    default: Value | None


def read_object_type(layers: Layers, findings: Findings) -> ObjectType:
    """The fields of a map of types. One that cannot be read is reported, and of it no more than the name is known."""
    fields: list[Field] = []
    unread: set[str] = set()
    for pairs in layered_pairs(layers, findings).values():
        pair, source = pairs[-1]
        if inner := blocks_of(pairs):
            typed: _Typed | None = _Typed(read_object_type(inner, findings), None)
        else:
            typed = _read(pair.value, source, findings) if pair.value is not None else None
        if typed is not None:
            fields.append(_field(pair, typed, source, findings))
        else:
            unread.add(pair.key.text)
    return ObjectType(tuple(fields), frozenset(unread))


def read_type(value: Value, source: Source, findings: Findings) -> ValueType | None:
    """The type that stands where an answer's type belongs; None where it is none. A default has no meaning there."""
    typed = _read(value, source, findings)
    if typed is None:
        return None
    if typed.default is not None:
        findings.report(
            "N3506", "An answer has no default.", Location(source, typed.default.span), help="Leave it out."
        )
    return typed.type


def _field(pair: Pair, typed: _Typed, source: Source, findings: Findings) -> Field:
    name, place = pair.key.text, Location(source, pair.key.span)
    if typed.default is None:
        return Field(name, typed.type, place)
    errors_before = findings.errors
    written = read_value(typed.default, source, findings)
    if findings.errors > errors_before:
        return Field(name, typed.type, place, has_default=True)
    default, problems = _fitted(written.plain(), typed.type)
    for problem in problems:
        findings.report(
            "N3506",
            f"The default of `{shortened(name)}` does not fit its type: {problem}.",
            written.place,
            label=f"not {describe_type(typed.type)}",
        )
    return Field(name, typed.type, place, has_default=True, default=default)


def _fitted(value: object, wanted: ValueType) -> tuple[object, tuple[str, ...]]:
    fitted = fit(value, wanted, "it")
    return fitted.value, fitted.problems


def _read(value: Value, source: Source, findings: Findings) -> _Typed | None:
    if isinstance(value, BareWord):
        word = _word(value, source, findings)
        return _Typed(word, None) if word is not None else None
    if isinstance(value, Block):
        return _Typed(read_object_type([Layer(value, source)], findings), None)
    if isinstance(value, String):
        return _Typed(ChoiceType((value.value,)), None)
    if isinstance(value, TypeForm):
        return _form(value, source, findings)
    findings.report(
        "N3505", "A type belongs here.", Location(source, value.span), label="not a type", help=_FORMS
    )
    return None


def _form(form: TypeForm, source: Source, findings: Findings) -> _Typed | None:
    inner: ValueType | None
    if isinstance(form.base, tuple):
        inner = ChoiceType(tuple(dict.fromkeys(option.value for option in form.base)))
    elif isinstance(form.base, Block):
        inner = read_object_type([Layer(form.base, source)], findings)
    elif form.base.value == "list" and form.argument is not None:
        argument = _read(form.argument, source, findings)
        inner = ListType(argument.type) if argument is not None else None
    else:
        inner = _word(form.base, source, findings)
    if inner is None:
        return None
    return _Typed(OptionalType(inner) if form.optional else inner, form.default)


def _word(word: BareWord, source: Source, findings: Findings) -> ValueType | None:
    for name in SCALARS:
        if word.value == name:
            return ScalarType(name)
    bare = word.value.rstrip("?")
    near = _ELSEWHERE.get(bare.lower()) or next(iter(closest(bare, SCALARS)), None)
    if near is not None and word.value.endswith("?"):
        near += "?"
    findings.report(
        "N3505",
        f"There is no type `{shortened(word.value)}`.",
        Location(source, word.span),
        label="not a type",
        help=f"Did you mean `{near}`?" if near else _FORMS,
        fixes=(Fix(f"Write {near}", (TextEdit(word.span, near),), safe=False),) if near else (),
    )
    return None
