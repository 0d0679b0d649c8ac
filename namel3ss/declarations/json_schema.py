"""The declarations as JSON Schema, made from the models that check them: an ai model, and beside it servers and gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from namel3ss.declarations.drafts import BLOCKS, MODEL_KEYS
from namel3ss.declarations.fallbacks import Fallback
from namel3ss.declarations.gateway_settings import GatewaySettings, ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel

    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["language_schema"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TEXTS: Final = {
    "provider": "What the model runs on.",
    "model": "The provider's name of the model.",
    "extends": "Another ai model whose keys and settings hold where this one writes none.",
    "description": "For people.",
    "system": "The system prompt.",
    "local_model_path": "For providers that load files.",
}


def language_schema(registry: ProviderRegistry, providers: Iterable[str]) -> dict[str, Any]:
    """A schema for one `ai model` as an object, and under ``$defs`` the settings of each of `providers`.

    Under ``declarations`` are schemas for `server` and `gateway`. It describes a model after `extends` and the
    environment are resolved. Raises PluginError for a provider that cannot say its settings.
    """
    settings: dict[str, Any] = {}
    cases: list[dict[str, Any]] = []
    for name in providers:
        model = registry.config_model(name)
        if model is None:
            continue
        schema = model.model_json_schema(ref_template=f"#/$defs/{name}/$defs/{{model}}")
        settings[name] = {**schema, "title": f"Settings of provider: {name}"}
        block = {"$ref": f"#/$defs/{name}"}
        cases.append(
            {
                "if": {"properties": {"provider": {"const": name}}, "required": ["provider"]},
                "then": {"properties": dict.fromkeys(BLOCKS, block)},
            }
        )
    return {
        "$schema": _DIALECT,
        "title": "ai model",
        "type": "object",
        "properties": {
            "provider": {"type": "string", "enum": list(settings), "description": _TEXTS["provider"]},
            **{key: _text(key) for key in MODEL_KEYS if key in _TEXTS and key != "provider"},
            **{key: {"type": "object"} for key in BLOCKS},
            "fallback": _fallback(),
        },
        "required": ["provider", "model"],
        "allOf": cases,
        "$defs": settings,
        "declarations": {
            "server": _declaration("server", ServerSettings),
            "gateway": _declaration("gateway", GatewaySettings),
        },
    }


def _declaration(kind: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=f"#/declarations/{kind}/$defs/{{model}}")
    return {**schema, "title": kind, "description": model.__doc__}


def _fallback() -> dict[str, Any]:
    template = "#/properties/fallback/anyOf/1/$defs/{model}"
    name = {"type": "string", "description": "The ai model that answers when the server is down."}
    return {"anyOf": [name, Fallback.model_json_schema(ref_template=template)]}


def _text(key: str) -> dict[str, Any]:
    return {"type": "string", "description": _TEXTS[key]}
