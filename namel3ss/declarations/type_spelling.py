"""Types as the language writes them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, assert_never

from namel3ss.declarations.value_types import (
    ChoiceType,
    ListType,
    ObjectType,
    OptionalType,
    ScalarType,
)

if TYPE_CHECKING:
    from namel3ss.declarations.value_types import Field, ValueType

__all__ = ["spell_type"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def spell_type(value_type: ValueType) -> str:
    """A type on one line; reading it gives the same type."""
    if isinstance(value_type, ScalarType):
        return value_type.name
    if isinstance(value_type, ChoiceType):
        return " | ".join(json.dumps(option, ensure_ascii=False) for option in value_type.options)
    if isinstance(value_type, ListType):
        return f"list[{spell_type(value_type.item)}]"
    if isinstance(value_type, OptionalType):
        return f"{spell_type(value_type.inner)}?"
    if isinstance(value_type, ObjectType):
        inner = ", ".join(map(_field, value_type.fields))
        return f"{{ {inner} }}" if inner else "{}"
    assert_never(value_type)


def _field(field: Field) -> str:
    name = field.name if _NAME.match(field.name) else json.dumps(field.name, ensure_ascii=False)
    default = f" = {json.dumps(field.default, ensure_ascii=False)}" if field.has_default else ""
    return f"{name}: {spell_type(field.type)}{default}"
