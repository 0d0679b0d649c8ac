"""The routes that describe models and change which are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.clock import timestamp
from namel3ss.sandbox.gojson import number, quote
from namel3ss.sandbox.http import Document, Failure, Raw
from namel3ss.sandbox.inference import read_body, reference
from namel3ss.sandbox.names import ConflictingSourceError, ModelName, ModelReference
from namel3ss.sandbox.requests import COPY, DELETE, SHOW, ShowRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.sandbox.models import Model
    from namel3ss.sandbox.service import Service

__all__ = ["blob_path", "copy_body", "delete_body", "processes", "show_body", "shown_model", "tags"]

_BLOBS_FOLDER: Final = "/usr/share/ollama/.ollama/models/blobs"


def blob_path(digest: str) -> str:
    """Where a real server would keep the file."""
    return f"{_BLOBS_FOLDER}/{digest.replace(':', '-')}"


def tags(service: Service) -> Document:
    """`GET /api/tags`: the installed models."""
    models = []
    for model in service.library:
        listed: dict[str, object] = {
            "name": model.name.shortest,
            "model": model.name.shortest,
            "modified_at": timestamp(model.modified_ns),
            "size": model.size,
            "digest": model.digest,
            "details": _details(model, newer=service.newer),
        }
        if service.newer:
            listed["capabilities"] = model.capabilities
        models.append(listed)
    return Document({"models": models})


def _details(model: Model, *, newer: bool = False, parent: str = "") -> dict[str, object]:
    weights = model.weights
    details: dict[str, object] = {
        "parent_model": _parent(model) if newer else parent,
        "format": "gguf",
        "family": weights.family,
        "families": [weights.family],
        "parameter_size": weights.parameter_size,
        "quantization_level": weights.stored_as if newer else weights.quantization,
    }
    if newer:
        details["context_length"] = weights.context_length
        details["embedding_length"] = weights.embedding_length
    return details


def _parent(model: Model) -> str:
    return model.parent or blob_path(model.weights.digest)


def processes(service: Service) -> Document:
    """`GET /api/ps`: the loaded models."""
    models = [
        {
            "name": runner.model.name.shortest,
            "model": runner.model.name.shortest,
            "size": runner.memory,
            "digest": runner.model.digest,
            "details": _details(runner.model),
            "expires_at": timestamp(runner.expires_ns),
            "size_vram": 0,
            "context_length": runner.context,
        }
        for runner in service.memory.loaded()
    ]
    return Document({"models": models})


def show_body(service: Service, body: bytes) -> Document:
    """`POST /api/show`: everything about one model."""
    return _show(service, read_body(SHOW, body))


def shown_model(service: Service, sent: str) -> Model:
    """The model that `show` is asked about. Raises Failure."""
    missing = Failure(400, "model is required")
    if not sent:
        raise missing
    found = reference(sent, missing=missing, remote="remote model details are unavailable")
    model = service.library.find(found.name)
    if model is None:
        shown = found.name.shortest if service.newer else found.base
        raise Failure(404, f"model '{shown}' not found")
    return model


def _show(service: Service, request: ShowRequest) -> Document:
    model = shown_model(service, request.model or request.name)
    system = request.system or model.system
    answer: dict[str, object] = {
        "license": "\n".join(model.licences),
        "modelfile": _modelfile(model, system, {**model.parameters, **(request.options or {})}),
        "parameters": _parameters(model.parameters),
        "template": model.template,
        "system": system,
        "details": _details(model, parent=_parent(model)),
        "messages": [{"role": each.role, "content": each.content} for each in model.messages],
        "model_info": {key: _plain(value) for key, value in sorted(model.weights.info.items())},
        "tensors": [
            {"name": tensor.name, "type": tensor.type, "shape": tensor.shape}
            for tensor in model.weights.tensors
        ],
        "capabilities": model.capabilities,
        "modified_at": timestamp(model.modified_ns),
    }
    optional = ("license", "parameters", "template", "system", "messages", "tensors")
    return Document({key: value for key, value in answer.items() if value or key not in optional})


def _plain(value: object) -> object:
    return number(value) if isinstance(value, float) else value


def _parameters(parameters: Mapping[str, object]) -> str:
    return "\n".join(
        f"{name:<30} {_go_syntax(each)}"
        for name, value in sorted(parameters.items())
        for each in (value if isinstance(value, list) else [value])
    )


def _go_syntax(value: object) -> str:
    return quote(value) if isinstance(value, str) else _go_value(value)


def _go_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return bytes(number(float(value))).decode()
    return str(value)


def _modelfile(model: Model, system: str, parameters: Mapping[str, object]) -> str:
    name = model.name.shortest
    lines = [
        '# Modelfile generated by "ollama show"',
        "# To build a new Modelfile based on this, replace FROM with:",
        f"# FROM {name}",
        "",
        f"FROM {blob_path(model.weights.digest)}",
        f"TEMPLATE {_quoted(model.template)}",
    ]
    if system:
        lines.append(f"SYSTEM {_quoted(system)}")
    for key, value in sorted(parameters.items()):
        values = value if isinstance(value, list) else [value]
        lines += [f"PARAMETER {key} {_quoted(_go_value(each))}" for each in values]
    lines += [f"LICENSE {_quoted(licence)}" for licence in model.licences]
    lines += [f"MESSAGE {each.role} {_quoted(each.content)}" for each in model.messages]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Text as a Modelfile holds it: quoted only where its blanks would be lost."""
    if "\n" not in text and text == text.strip(" "):
        return text
    return f'"""{text}"""' if '"' in text else f'"{text}"'


def copy_body(service: Service, body: bytes) -> Raw:
    """`POST /api/copy`: a second name for a model."""
    request = read_body(COPY, body)
    source = ModelName.parse(request.source)
    if not source.is_valid:
        raise Failure(400, f"source {quote(request.source)} is invalid")
    destination = ModelName.parse(request.destination)
    if not destination.is_valid:
        raise Failure(400, f"destination {quote(request.destination)} is invalid")
    model = service.library.find(source)
    if model is None:
        raise Failure(404, f"model {quote(request.source)} not found")
    service.library.copy(model, service.library.spelled(destination))
    return Raw(200)


def delete_body(service: Service, body: bytes) -> Raw:
    """`DELETE /api/delete`."""
    request = read_body(DELETE, body)
    sent = request.model or request.name
    try:
        found = ModelReference.parse(sent)
    except ConflictingSourceError:
        raise Failure(400, f"use either :local or :cloud, not both: {quote(sent.strip())}") from None
    if not found.original:
        raise Failure(400, "model is required")
    if not found.pull_name.is_valid:
        raise Failure(400, f"name {quote(sent)} is invalid")
    model = service.library.find(found.pull_name)
    if model is None:
        raise Failure(404, f"model '{sent}' not found")
    service.library.remove(model)
    return Raw(200)
