"""`POST /api/pull` and `/api/push`, against a registry that is made up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.gojson import quote
from namel3ss.sandbox.http import PLAIN_JSON, Document, Failure, Lines
from namel3ss.sandbox.inference import INVALID_NAME, read_body
from namel3ss.sandbox.library import Blob, model_named
from namel3ss.sandbox.models import digest_of
from namel3ss.sandbox.names import ConflictingSourceError, ModelName, ModelReference
from namel3ss.sandbox.options import Fault
from namel3ss.sandbox.requests import PULL, PUSH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AsyncExitStack

    from namel3ss.sandbox.http import Answer
    from namel3ss.sandbox.models import Layer, Model
    from namel3ss.sandbox.service import Service

__all__ = ["progress_answer", "pull_body", "pull_progress", "push_body"]

_TICK_S: Final = 0.06
_ENDING_LINES: Final = 2
"""A real server repeats the last line of a layer."""
_MANIFESTS_FOLDER: Final = "/usr/share/ollama/.ollama/models/manifests"


async def pull_body(service: Service, body: bytes, resources: AsyncExitStack) -> Answer:
    """`POST /api/pull`."""
    request = read_body(PULL, body)
    name = _pulled_name(request.model or request.name)
    name = service.library.spelled(name)
    progress = pull_progress(service, name, resources, insecure=request.insecure)
    return await progress_answer(progress, stream=request.stream is not False)


def _pulled_name(sent: str) -> ModelName:
    try:
        found = ModelReference.parse(sent)
    except ConflictingSourceError:
        raise Failure(400, f"use either :local or :cloud, not both: {quote(sent.strip())}") from None
    if not found.original or not found.pull_name.is_valid:
        raise Failure(400, INVALID_NAME)
    return found.pull_name


async def progress_answer(progress: AsyncIterator[dict[str, object]], *, stream: bool) -> Answer:
    """Lines of progress, or only the last of them."""
    if stream:
        return Lines(progress)
    last: dict[str, object] = {}
    try:
        async for line in progress:
            last = line
    except Failure as failure:
        return Document({"error": failure.message}, failure.status, PLAIN_JSON)
    return Document(last, content_type=PLAIN_JSON)


async def pull_progress(
    service: Service, name: ModelName, resources: AsyncExitStack, *, insecure: bool = False
) -> AsyncIterator[dict[str, object]]:
    """Pulls a model, telling what has arrived. Raises Failure as a registry or the server would.

    Downloads stop, and keep what they have, when `resources` are given back.
    """
    yield {"status": "pulling manifest"}
    # The first line is on its way before the registry is asked.
    await asyncio.sleep(0)
    _fail_at_manifest(service, name, insecure=insecure)
    model = model_named(name, service.clock.now_ns())
    for layer in (*model.layers, model.config):
        async for line in _layer_progress(service, model, layer, resources):
            yield line
    yield {"status": "verifying sha256 digest"}
    _fail_at_digest(service, model)
    yield {"status": "writing manifest"}
    old = service.library.find(name)
    service.library.add(model_named(name, service.clock.now_ns()))
    if old is not None and {each.digest for each in old.layers} - {each.digest for each in model.layers}:
        yield {"status": "removing unused layers"}
    yield {"status": "success"}


def _fail_at_manifest(service: Service, name: ModelName, *, insecure: bool) -> None:
    faults = service.options.faults
    scheme = "http" if insecure else "https"
    url = f"{scheme}://{name.host}/v2/{name.namespace}/{name.model}/manifests/{name.tag}"
    trouble = None
    if Fault.REGISTRY_DOWN in faults:
        trouble = f'Get "{url}": dial tcp {name.host}: connect: connection refused'
    elif Fault.REGISTRY_UNRESOLVED in faults:
        trouble = f'Get "{url}": dial tcp: lookup {name.host} on 127.0.0.53:53 no such host'
    elif Fault.REGISTRY_PLAIN_HTTP in faults and not insecure:
        trouble = f'Get "{url}": EOF'
    elif any(ModelName.parse(each).key == name.key for each in service.options.unknown_models):
        trouble = "file does not exist"
    if trouble is not None:
        raise Failure(500, f"pull model manifest: {trouble}")


def _fail_at_digest(service: Service, model: Model) -> None:
    if Fault.CORRUPT_LAYER not in service.options.faults:
        return
    wanted = model.layers[0].digest
    found = digest_of(f"damaged {wanted}".encode())
    raise Failure(500, f"digest mismatch, file must be downloaded again: want {wanted}, got {found}")


async def _layer_progress(
    service: Service, model: Model, layer: Layer, resources: AsyncExitStack
) -> AsyncIterator[dict[str, object]]:
    if service.library.blob(layer.digest) is not None:
        yield _layer_line(layer, layer.size)
        return
    seconds = service.options.pull_seconds
    download = resources.enter_context(
        service.downloads.joined(layer.digest, layer.size, model.size, seconds)
    )
    arrived = download.arrived(service.clock.ticks_ns())
    while arrived < layer.size:
        yield _layer_line(layer, arrived)
        await service.clock.sleep(min(_TICK_S, seconds))
        arrived = download.arrived(service.clock.ticks_ns())
    for _ in range(_ENDING_LINES):
        yield _layer_line(layer, layer.size)
    if Fault.CORRUPT_LAYER not in service.options.faults:
        service.library.store(layer.digest, Blob(layer.size, b"GGUF" if layer.kind == "model" else b""))


def _layer_line(layer: Layer, arrived: int) -> dict[str, object]:
    short = layer.digest.removeprefix("sha256:")[:12]
    line: dict[str, object] = {"status": f"pulling {short}", "digest": layer.digest, "total": layer.size}
    # Go leaves out what is zero.
    return line | ({"completed": arrived} if arrived else {})


async def push_body(service: Service, body: bytes) -> Answer:
    """`POST /api/push`: there is nowhere to push to, which is said in the stream."""
    request = read_body(PUSH, body)
    sent = request.model or request.name
    if not sent:
        raise Failure(400, "model is required")
    return await progress_answer(_push_progress(service, sent), stream=request.stream is not False)


async def _push_progress(service: Service, sent: str) -> AsyncIterator[dict[str, object]]:
    yield {"status": "retrieving manifest"}
    name = ModelName.parse(sent)
    model = service.library.find(name)
    if model is None:
        yield {"status": "couldn't retrieve manifest"}
        path = f"{_MANIFESTS_FOLDER}/{name.host}/{name.namespace}/{name.model}/{name.tag}"
        raise Failure(500, f"open {path}: no such file or directory")
    digest = model.layers[0].digest
    url = f"https://{name.host}/v2/{name.namespace}/{name.model}/blobs/{digest}"
    raise Failure(500, f'Head "{url}": dial tcp: lookup {name.host} on 127.0.0.53:53: no such host')
