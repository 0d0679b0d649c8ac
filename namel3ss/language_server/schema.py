"""What may stand where: the keys of every block with their documentation, and the values of a key.

The settings come from the providers' own config models, which also check them; the words for the language's own keys
stand here.
"""

from __future__ import annotations

import functools
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args, get_origin

from pydantic import BaseModel

from namel3ss.declarations.chain_check import CHAIN_KEYS
from namel3ss.declarations.drafts import BLOCKS, MODEL_KEYS
from namel3ss.declarations.fallbacks import Fallback
from namel3ss.declarations.gateway_settings import GatewaySettings, ServerSettings
from namel3ss.declarations.prompts import PROMPT_KEYS
from namel3ss.declarations.step_check import STEP_KEYS
from namel3ss.providers.registry import PluginError
from namel3ss.providers.settings import is_union, setting_infos, without_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.language_server.cursor import Cursor
    from namel3ss.language_server.programs import CheckedProgram
    from namel3ss.providers.registry import ProviderRegistry
    from namel3ss.providers.settings import SettingInfo

__all__ = [
    "TYPES",
    "KeyInfo",
    "choices_of",
    "config_model_of",
    "key_infos",
    "provider_of",
    "settings_model_at",
]

_WORDS: Final[Mapping[str, str]] = {
    "provider": "Who runs the model, such as `ollama`.",
    "model": "The model, as its provider calls it, such as `llama3:8b`.",
    "extends": "Another ai model, whose keys and settings hold where this one says nothing.",
    "description": "What it is for, for people.",
    "system": "What the model is told before every question.",
    "config": "Settings of the answers: temperature, window, lengths.",
    "deployment_config": "Settings of the server and of how the model is run there.",
    "local_model_path": "A file with the model, for providers that read one.",
    "fallback": "The ai model that answers in this one's place, and when it may.",
}
_OF_PARTS: Final[Mapping[str, str]] = {
    "model": "The ai model to ask. It may be left out where the program has only one, or one called `default`.",
    "input": "The values that it takes, each with its type: `{ text: str, n: int = 3 }`.",
    "output": "The form of the answer: text unless given, or a map of names and types that the answer is held to.",
    "system": "What the model is told before the question; a template.",
    "template": "The question; a template with `{{ name }}` for each input.",
    "prompt": "The question as a template, or in a step the name of a prompt.",
    "description": "What it is for, for people.",
    "if": "A condition; where it is false the step is skipped.",
    "retry": "How many more tries a failed step has.",
    "timeout": "How long one try may take, such as `30s`.",
}
TYPES: Final = ("str", "int", "float", "bool", "object", "list[str]")


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key: what it means, what may be written, and whether its value is a block or a text of its own."""

    name: str
    documentation: str
    form: str = ""
    info: SettingInfo | None = None
    opens: Literal["", "block", "text"] = ""
    is_usual: bool = True


def provider_of(cursor: Cursor, program: CheckedProgram) -> str | None:
    """The provider of the ai model around the cursor: its own, or that of what it extends."""
    declaration = cursor.declaration
    if declaration is None:
        return None
    own = declaration.block.get("provider")
    if own is not None and isinstance(value := getattr(own.value, "value", None), str):
        return value
    origins = program.file.origins
    name = declaration.name.text if declaration.name is not None else "default"
    for layer in reversed(origins.layers(name) if origins is not None else ()):
        written = layer.draft.keys.get("provider")
        if written is not None and isinstance(written.content, str):
            return written.content
    return None


def config_model_of(registry: ProviderRegistry, provider: str | None) -> type[BaseModel] | None:
    """The model of a provider's settings; None where nobody knows the provider."""
    if provider is None:
        return None
    try:
        return registry.config_model(provider)
    except PluginError:
        return None


def key_infos(cursor: Cursor, config_model: type[BaseModel] | None) -> list[KeyInfo]:
    """The keys that the block around the cursor takes, the usual ones first."""
    declaration = cursor.declaration
    if declaration is None:
        return []
    if declaration.kind == "ai model" and cursor.path[:1] != ("fallback",):
        return _of_model(cursor.path, config_model)
    settings = settings_model_at(cursor, config_model)
    if settings is not None:
        return [_of_setting(info, "") for info in setting_infos(settings).values()]
    if cursor.path:
        return []
    if declaration.kind == "prompt":
        return [_of_part(key) for key in PROMPT_KEYS if key != "prompt"]
    if declaration.kind == "chain":
        return [_of_part(key) for key in (STEP_KEYS if cursor.step is not None else CHAIN_KEYS)]
    return []


def settings_model_at(cursor: Cursor, config_model: type[BaseModel] | None) -> type[BaseModel] | None:
    """The model of the settings that the block around the cursor holds; None for a block of anything else."""
    declaration = cursor.declaration
    if declaration is None:
        return None
    path = cursor.path
    if declaration.kind == "ai model":
        if path[:1] == ("fallback",):
            return _inside(Fallback, path[1:])
        return config_model if len(path) == 1 and path[0] in BLOCKS else None
    roots: dict[str, type[BaseModel]] = {"server": ServerSettings, "gateway": GatewaySettings}
    root = roots.get(declaration.kind)
    return _inside(root, path) if root is not None else None


def _inside(model: type[BaseModel], path: tuple[str, ...]) -> type[BaseModel] | None:
    """The model that keys lead to from another one."""
    for key in path:
        field = model.model_fields.get(key)
        inner = _model_in(field.annotation) if field is not None else None
        if inner is None:
            return None
        model = inner
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    plain = without_none(annotation)
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        return plain
    if get_origin(plain) is Annotated or is_union(plain):
        return next((found for member in get_args(plain) if (found := _model_in(member))), None)
    return None


def _of_model(path: tuple[str, ...], config_model: type[BaseModel] | None) -> list[KeyInfo]:
    if not path:
        return [
            KeyInfo(key, _WORDS.get(key, ""), opens="block" if key in BLOCKS else "") for key in MODEL_KEYS
        ]
    if config_model is None:
        return []
    infos = setting_infos(config_model)
    if len(path) == 1 and path[0] in BLOCKS:
        found = [_of_setting(info, path[0]) for info in infos.values() if _may_stand(info, path[0])]
        return sorted(found, key=lambda key: not key.is_usual)
    info = infos.get(path[-1])
    return [KeyInfo(key, "") for key in info.holds] if info is not None else []


def _may_stand(info: SettingInfo, block: str) -> bool:
    return info.place in (block, "either") or info.is_movable


def _of_setting(info: SettingInfo, block: str) -> KeyInfo:
    is_map = info.form.startswith("a map")
    is_usual = not block or info.place in (block, "either")
    return KeyInfo(
        info.name,
        info.description,
        info.form,
        info,
        opens="block" if is_map else "",
        is_usual=is_usual,
    )


def _of_part(key: str) -> KeyInfo:
    opens: Literal["", "block", "text"] = "block" if key == "input" else "text" if key == "template" else ""
    return KeyInfo(key, _OF_PARTS.get(key, ""), opens=opens)


@functools.lru_cache(maxsize=512)
def choices_of(config_model: type[BaseModel], setting: str) -> tuple[str, ...]:
    """The words that a setting takes: `true` and `false`, or the values of an enumeration; none for free values."""
    field = config_model.model_fields.get(setting)
    return tuple(dict.fromkeys(_choices(field.annotation))) if field is not None else ()


def _choices(annotation: object) -> list[str]:
    plain = without_none(annotation)
    origin, arguments = get_origin(plain), get_args(plain)
    if plain is bool:
        return ["true", "false"]
    if origin is Literal:
        return [str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in arguments]
    if origin is Annotated:
        return _choices(arguments[0])
    if is_union(plain) or origin is types.UnionType:
        return [choice for member in arguments for choice in _choices(member)]
    return []
