"""Pydantic models made from the types of a file, for callers who like attributes better than keys."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Any, Literal, Optional, assert_never, cast

from pydantic import BaseModel, ConfigDict, Field, create_model

from namel3ss.declarations.value_types import (
    ChoiceType,
    ListType,
    ObjectType,
    OptionalType,
    ScalarType,
)

if TYPE_CHECKING:
    from namel3ss.declarations.value_types import ValueType

__all__ = ["model_of"]

_PYTHON: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "object": dict[str, Any]}


class _Output(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, protected_namespaces=())


def model_of(name: str, wanted: ObjectType) -> type[BaseModel]:
    """A frozen model with a field for each key; keys that are no Python names lose what cannot stand in one."""
    fields: dict[str, Any] = {}
    for each in wanted.fields:
        default: Any = each.default if each.has_default else None if not each.is_required else ...
        python_type = _python_type(f"{name}_{each.name}", each.type)
        fields[_attribute(each.name, fields)] = (python_type, Field(default, alias=each.name))
    made = create_model(_class_name(name), __base__=_Output, **fields)
    return cast("type[BaseModel]", made)


def _python_type(name: str, wanted: ValueType) -> Any:
    if isinstance(wanted, ScalarType):
        return _PYTHON[wanted.name]
    if isinstance(wanted, ChoiceType):
        return Literal[wanted.options]
    if isinstance(wanted, ListType):
        return list[_python_type(name, wanted.item)]  # type: ignore[misc]  # made while running
    if isinstance(wanted, OptionalType):
        return Optional[_python_type(name, wanted.inner)]  # noqa: UP045  # the other form needs a type, not a value
    if isinstance(wanted, ObjectType):
        return model_of(name, wanted)
    assert_never(wanted)


def _attribute(key: str, taken: dict[str, Any]) -> str:
    name = re.sub(r"\W", "_", key).lstrip("_") or "field"
    if keyword.iskeyword(name) or name[0].isdigit() or hasattr(BaseModel, name):
        name = f"field_{name}" if name[0].isdigit() else f"{name}_"
    while name in taken:
        name += "_"
    return name


def _class_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", name)) or "Output"
