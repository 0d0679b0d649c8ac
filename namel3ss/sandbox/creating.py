"""`POST /api/create`, and the files that models are created from."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.gojson import encode, number, quote
from namel3ss.sandbox.http import Document, Failure, Raw
from namel3ss.sandbox.inference import INVALID_NAME, read_body
from namel3ss.sandbox.library import Blob
from namel3ss.sandbox.listing import blob_path
from namel3ss.sandbox.made_up import made_up_model
from namel3ss.sandbox.models import DEFAULT_TEMPLATE, Layer, Model, manifest_digest
from namel3ss.sandbox.names import ConflictingSourceError, ModelName, ModelReference
from namel3ss.sandbox.pulling import progress_answer, pull_progress
from namel3ss.sandbox.requests import CREATE, CreateRequest, Message
from namel3ss.sandbox.templates import TemplateError, parse_template
from namel3ss.sandbox.tiny import tiny_weights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AsyncExitStack

    from namel3ss.sandbox.http import Answer, Request
    from namel3ss.sandbox.models import Weights
    from namel3ss.sandbox.service import Service

__all__ = ["create_body", "head_blob", "post_blob"]

_DIGEST: Final = re.compile(r"sha256[:-][0-9a-fA-F]{64}")
_HEAD_BYTES: Final = 4
_CONFIG_BYTES: Final = 192
_CONFIG_BYTES_PER_LAYER: Final = 74
"""A configuration names the digest of each layer."""


async def create_body(service: Service, body: bytes, resources: AsyncExitStack) -> Answer:
    """`POST /api/create`."""
    request = read_body(CREATE, body)
    for path, digest in (request.files or {}).items():
        if path.startswith("/") or ".." in path.split("/") or path in ("", "."):
            raise Failure(400, "file path must be relative")
        if not digest:
            raise Failure(400, "invalid digest format")
    name = ModelName.parse(request.model or request.name)
    if not name.is_valid:
        raise Failure(400, INVALID_NAME)
    progress = _progress(service, request, service.library.spelled(name), resources)
    return await progress_answer(progress, stream=request.stream is not False)


async def _progress(
    service: Service, request: CreateRequest, name: ModelName, resources: AsyncExitStack
) -> AsyncIterator[dict[str, object]]:
    if request.source:
        source = _source_name(request.source)
        if service.library.find(source) is None:
            async for line in pull_progress(service, source, resources):
                if line != {"status": "success"}:
                    yield line
        base = service.library.find(source)
        if base is None:
            raise Failure(500, f"model '{request.source}' not found")
    elif request.files is not None:
        if not any(
            path.endswith(".gguf") or _is_gguf(service, digest) for path, digest in request.files.items()
        ):
            raise Failure(400, "unknown type")
        yield {"status": "parsing GGUF"}
        base = _from_files(service, request.files, name)
    else:
        raise Failure(400, "neither 'from' or 'files' was specified")
    if request.adapters is not None and not request.adapters:
        raise Failure(400, "unknown type")
    model = _created(service, request, name, base)
    known = {layer.digest for layer in base.layers} if request.source else {base.layers[0].digest}
    for layer in model.layers:
        existing = layer.digest in known or service.library.blob(layer.digest) is not None
        yield {"status": f"{'using existing' if existing else 'creating new'} layer {layer.digest}"}
    yield {"status": "writing manifest"}
    service.library.add(model)
    yield {"status": "success"}


def _source_name(sent: str) -> ModelName:
    try:
        found = ModelReference.parse(sent)
    except ConflictingSourceError:
        raise Failure(400, INVALID_NAME) from None
    if not found.name.is_valid:
        raise Failure(400, INVALID_NAME)
    return found.name


def _is_gguf(service: Service, digest: str) -> bool:
    blob = service.library.blob(digest)
    return blob is not None and blob.head == b"GGUF"


def _from_files(service: Service, files: Mapping[str, str], name: ModelName) -> Model:
    """A bare model around the uploaded file."""
    digest = next(iter(files.values()))
    if not _DIGEST.fullmatch(digest):
        raise Failure(500, "invalid digest format")
    digest = digest.replace("-", ":")
    blob = service.library.blob(digest)
    if blob is None:
        raise Failure(500, f"open {blob_path(digest)}: no such file or directory")
    if blob.head != b"GGUF":
        raise Failure(500, "supplied file was not in GGUF format")
    weights = _weights(service, digest, blob, name)
    layer = Layer("model", digest, blob.size)
    config = Layer("config", "", _CONFIG_BYTES + len(weights.parameter_size) - 4)
    return Model(
        name=name, weights=weights, modified_ns=0, layers=(layer,), config=config, digest="", parent=""
    )


def _weights(service: Service, digest: str, blob: Blob, name: ModelName) -> Weights:
    """What the file holds: known for the tiny models and for files in use, else made up by the name."""
    known = tiny_weights(digest)
    if known is not None:
        return known
    user = service.library.with_weights(digest)
    if user is not None:
        return user.weights
    return replace(made_up_model(name, 0).weights, digest=digest, size=blob.size)


@dataclass(slots=True)
class _Parts:
    """The layers of the model that is being made, in their order."""

    layers: list[Layer]

    def put(self, kind: str, data: bytes) -> None:
        """Replaces what there was of this kind."""
        self.layers = [layer for layer in self.layers if layer.kind != kind]
        self.layers.append(Layer.of(kind, data))


def _created(service: Service, request: CreateRequest, name: ModelName, base: Model) -> Model:
    parts = _Parts(list(base.layers))
    template = base.template
    if request.template:
        try:
            parse_template(request.template)
        except TemplateError as fault:
            raise Failure(400, f"template error: {fault}") from None
        template = request.template
        parts.put("template", template.encode())
    if request.system:
        parts.put("system", request.system.encode())
    licences = _licences(request.license)
    for licence in licences:
        parts.layers.append(Layer.of("license", licence.encode()))
    parameters = {**base.parameters, **(request.parameters or {})}
    if request.parameters and parameters:
        parts.put("params", _json_line(parameters))
    if request.messages:
        parts.put("messages", encode([_described(each) for each in request.messages]) + b"\n")
    config_size = base.config.size + _CONFIG_BYTES_PER_LAYER * (len(parts.layers) - len(base.layers))
    if not request.source:
        config_size += _CONFIG_BYTES_PER_LAYER * len(base.layers)
    config = Layer.of("config", f"configuration of {name.full} {parts.layers}".encode())
    config = replace(config, size=config_size)
    return Model(
        name=name,
        weights=base.weights,
        modified_ns=service.clock.now_ns(),
        layers=tuple(parts.layers),
        config=config,
        digest=manifest_digest(parts.layers, config),
        parent=base.name.shortest if request.source else "",
        template=template or DEFAULT_TEMPLATE,
        system=request.system or base.system,
        parameters=parameters,
        messages=tuple(request.messages) or base.messages,
        licences=(*base.licences, *licences),
        extra_capabilities=_capabilities(request.info) or base.extra_capabilities,
    )


def _json_line(parameters: Mapping[str, object]) -> bytes:
    plain = {key: parameters[key] for key in sorted(parameters)}
    return (
        encode({key: number(value) if isinstance(value, float) else value for key, value in plain.items()})
        + b"\n"
    )


def _described(message: Message) -> dict[str, object]:
    return {"role": message.role, "content": message.content}


def _licences(value: object) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    return tuple(each for each in found if isinstance(each, str) and each)


def _capabilities(info: Mapping[str, object] | None) -> tuple[str, ...]:
    found = (info or {}).get("capabilities")
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


# --- files


async def head_blob(service: Service, request: Request) -> Answer:
    """`HEAD /api/blobs/DIGEST`."""
    if not _DIGEST.fullmatch(request.parameter):
        raise Failure(400, "invalid digest format")
    if service.library.blob(request.parameter.replace("-", ":")) is None:
        return Document({"error": f"blob {quote(request.parameter)} not found"}, 404)
    return Raw(200, has_length=False)


async def post_blob(service: Service, request: Request) -> Answer:
    """`POST /api/blobs/DIGEST`. The file is measured and thrown away; one that is known is not even read."""
    if not _DIGEST.fullmatch(request.parameter):
        raise Failure(400, "invalid digest format")
    digest = request.parameter.replace("-", ":")
    if service.library.blob(digest) is not None:
        return Raw(200)
    hashed = hashlib.sha256()
    size, head = 0, b""
    async for chunk in request.chunks():
        hashed.update(chunk)
        size += len(chunk)
        if len(head) < _HEAD_BYTES:
            head = (head + chunk)[:_HEAD_BYTES]
    found = f"sha256:{hashed.hexdigest()}"
    if found != digest:
        raise Failure(400, f"digest mismatch, expected {quote(request.parameter)}, got {quote(found)}")
    service.library.store(digest, Blob(size, head))
    return Raw(201)
