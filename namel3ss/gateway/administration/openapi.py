"""The OpenAPI document of the administration address, made from the table of its operations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from namel3ss._version import __version__
from namel3ss.gateway.administration.calls import Nothing
from namel3ss.gateway.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from namel3ss.gateway.administration.calls import AnyDescription

__all__ = ["Document", "administration_document", "describe_refusals"]

Document: TypeAlias = "dict[str, Any]"

_REFERENCE: Final = "#/components/schemas/{name}"
_PLACES: Final = re.compile(r"\{(\w+)\}")
_EVERYWHERE: Final = (
    Reason.no_key, Reason.forbidden, Reason.not_found, Reason.wrong_host, Reason.rate_limited, Reason.internal,
    Reason.store_down,
)  # fmt: skip
_WITH_BODY: Final = (Reason.bad_request, Reason.body_too_large, Reason.unsupported_media)

_REFUSAL: Final[Document] = {
    "type": "object",
    "description": "Why a request was refused, and what to do.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["reason", "message", "request_id"],
            "properties": {
                "reason": {"type": "string", "enum": sorted(Reason.__members__)},
                "message": {"type": "string"},
                "suggestion": {"type": "string"},
                "request_id": {"type": "string"},
            },
        }
    },
}


def administration_document(operations: Sequence[AnyDescription]) -> Document:
    """OpenAPI 3.1. Schemas are those that msgspec decodes and encodes by."""
    types = {
        kind
        for operation in operations
        for kind in (operation.takes, operation.answers)
        if kind is not Nothing and operation.method != "GET"
    } | {operation.answers for operation in operations if operation.answers is not Nothing}
    _, schemas = msgspec.json.schema_components(
        sorted(types, key=lambda kind: kind.__name__), ref_template=_REFERENCE
    )
    paths: Document = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "namel3ss gateway: administration",
            "version": __version__,
            "description": "For administrators: users, keys, servers, usage. Every change is in the audit log.",
        },
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Refusal": _REFUSAL},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key with the scope `admin`."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "namel3ss",
                    "description": "The panel's cookie, over TLS named __Host-namel3ss. Every change also needs"
                    " X-CSRF-Token, from GET /api/session.",
                },
            },
        },
    }


def _described(operation: AnyDescription) -> Document:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PLACES.findall(operation.path)
    ]
    reasons = [*_EVERYWHERE, *operation.refusals]
    described: Document = {
        "summary": operation.summary,
        "operationId": f"{operation.method.lower()} {operation.path}",
    }
    if operation.method == "GET":
        parameters += _query_parameters(operation.takes)
        if operation.takes is not Nothing:
            reasons.append(Reason.invalid)
    else:
        reasons += [*_WITH_BODY, Reason.invalid]
        if operation.takes is not Nothing:
            described["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": _reference(operation.takes)}},
            }
    if parameters:
        described["parameters"] = parameters
    if operation.is_open:
        described["security"] = []
    described["responses"] = _answers(operation) | describe_refusals(reasons)
    return described


def _answers(operation: AnyDescription) -> Document:
    if operation.answers is Nothing:
        return {"204": {"description": "Done."}}
    content = {"application/json": {"schema": _reference(operation.answers)}}
    return {str(operation.status): {"description": "Done.", "content": content}}


def _reference(kind: type[msgspec.Struct]) -> Document:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _query_parameters(kind: type[msgspec.Struct]) -> list[Document]:
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(property_)}
        for name, property_ in schema["properties"].items()
    ]


def _without_null(schema: Document) -> Document:
    """What may be left out of an address cannot be null in it."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    return (
        choices[0] if len(choices) == 1 else {key: value for key, value in schema.items() if key != "default"}
    )


def describe_refusals(reasons: Iterable[Reason]) -> Document:
    """The statuses of some refusals, each with the reasons it stands for."""
    by_status: dict[str, list[str]] = {}
    for reason in dict.fromkeys(reasons):
        by_status.setdefault(str(reason.status), []).append(reason.name)
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {
        status: {"description": ", ".join(names) + ".", "content": content}
        for status, names in sorted(by_status.items())
    }
