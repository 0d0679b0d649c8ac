"""Changes of what a server has: delete, copy, create, push, and the files that models are made of.

Whatever is sent to a server is written anew from what was understood here, so that a field that the server reads
differently, or that only later versions know, never gets there: neither `insecure`, nor a registry or a host.
"""

from __future__ import annotations

import asyncio
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss.gateway.answering import send_document, send_empty, while_connected
from namel3ss.gateway.authority import name_matches
from namel3ss.gateway.dialects.cleaning import clean_error
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.management.bodies import is_streamed, model_field, read_fields, text_field
from namel3ss.gateway.management.fleet import ask, chosen_server, failed, one_server, usable
from namel3ss.gateway.management.known_models import may_manage
from namel3ss.gateway.management.names import check_digest, registry_name
from namel3ss.gateway.management.passing import Upload, pass_answer
from namel3ss.gateway.routes import Action
from namel3ss.gateway.upstream import UpstreamError
from namel3ss.providers.local.ollama import model_key, parse_model_name
from namel3ss.scheduling.errors import SchedulingError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from namel3ss.gateway.backends.asking import Answer
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.management.audit import AuditLog
    from namel3ss.gateway.management.fleet import Fleet
    from namel3ss.gateway.management.known_models import KnownModels
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.scheduling import Scheduler

__all__ = ["LANES", "Changes"]

_LANE: Final = "changes"
LANES: Final[Mapping[str, int]] = MappingProxyType({_LANE: 2})
"""The lanes that the queue's policy must have for changes, with how many run at a time."""

_LARGEST_FILE: Final = 256 * 1024**3
# Making a model may read and write all of it before the server says a word.
_SILENCE_S: Final = 600.0
_JSON: Final = b"application/json"
_A_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*", re.ASCII)
# What a new model may be made of. `remote_host` is missing: such a model would send prompts there.
_OF_A_MODEL: Final = (
    "template", "license", "system", "parameters", "messages", "renderer", "parser", "requires", "info", "quantize",
    "quantization",
)  # fmt: skip


class Changes:
    """The handlers. Each change is noted, then done, and then the server's list is read again."""

    def __init__(
        self,
        plan: GatewayPlan,
        known: KnownModels,
        fleet: Fleet,
        scheduler: Scheduler,
        audit: AuditLog,
    ) -> None:
        self._allowed = plan.settings.pull.allow
        self._known = known
        self._fleet = fleet
        self._scheduler = scheduler
        self._audit = audit

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        return {
            Action.DELETE: self.delete,
            Action.REMOVE_MODEL: self.remove_model,
            Action.COPY: self.copy,
            Action.CREATE: self.create,
            Action.PUSH: self.push,
            Action.BLOB: self.blob,
        }

    async def delete(self, exchange: Exchange) -> None:
        """`/api/delete`, on every server that has the model or on the one that is named. Its answer is empty, as Ollama's."""
        fields = await read_fields(exchange)
        await self._delete(exchange, model_field(fields))
        await send_empty(exchange, 200)

    async def remove_model(self, exchange: Exchange) -> None:
        """The same, for the managed list."""
        name = exchange.parameters["name"]
        servers = await self._delete(exchange, name)
        await send_document(
            exchange,
            {"success": True, "message": f"Model '{name}' deleted", "model": name, "servers": servers},
        )

    async def copy(self, exchange: Exchange) -> None:
        """`/api/copy`, on one server."""
        fields = await read_fields(exchange)
        server = one_server(self._fleet, exchange)
        source = self._known.named(exchange.caller, text_field(fields, "source"))
        destination = self._own_name(exchange, text_field(fields, "destination"))
        await self._note(exchange, "model.copy", destination, {"source": source, "servers": [server]})
        answer = await ask(
            self._fleet, server, "POST", "/api/copy", {"source": source, "destination": destination}
        )
        await self._fleet.refresh(server)
        if answer.body:
            await exchange.reply(answer.status, clean_error(answer.body), answer.content_type or _JSON)
        else:
            await send_empty(exchange, answer.status)

    async def create(self, exchange: Exchange) -> None:
        """`/api/create`, on one server."""
        fields = await read_fields(exchange)
        server = one_server(self._fleet, exchange)
        body: dict[str, object] = {
            "model": self._own_name(exchange, model_field(fields)),
            "stream": is_streamed(fields, by_default=True),
        }
        body |= {field: fields[field] for field in _OF_A_MODEL if fields.get(field) is not None}
        if base := text_field(fields, "from"):
            body["from"] = await self._base(exchange, server, base)
        for field in ("files", "adapters"):
            if fields.get(field) is not None:
                body[field] = _checked_files(field, fields[field])
        await self._note(exchange, "model.create", str(body["model"]), {"servers": [server]})
        await self._run(exchange, server, "/api/create", body)

    async def push(self, exchange: Exchange) -> None:
        """`/api/push`: to the default registry, which knows the server by its own key."""
        fields = await read_fields(exchange)
        server = one_server(self._fleet, exchange)
        model = self._own_name(exchange, model_field(fields))
        await self._note(exchange, "model.push", model, {"servers": [server]})
        streamed = is_streamed(fields, by_default=True)
        await self._run(exchange, server, "/api/push", {"model": model, "stream": streamed})

    async def blob(self, exchange: Exchange) -> None:
        """`/api/blobs/{digest}`: whether a server has a file, or the file itself, which is passed on as it comes."""
        digest = check_digest(exchange.parameters["digest"])
        server = one_server(self._fleet, exchange)
        path = f"/api/blobs/{digest}"
        if exchange.method == "HEAD":
            answer = await ask(self._fleet, server, "HEAD", path)
            await send_empty(exchange, answer.status, answer.content_type)
            return
        upload = Upload(exchange, _LARGEST_FILE)
        await self._note(exchange, "model.file", digest, {"servers": [server]})
        await self._send(exchange, server, path, upload.pieces(), upload)

    async def _delete(self, exchange: Exchange, name: str) -> list[str]:
        """Delete a model wherever it is; the servers that had it."""
        model = self._known.named(exchange.caller, name)
        chosen = chosen_server(self._fleet, exchange)
        servers = usable(self._fleet) if chosen is None else (chosen,)
        shown = str(parse_model_name(model))
        await self._note(exchange, "model.delete", shown, {"servers": list(servers)})
        answers = await asyncio.gather(
            *(ask(self._fleet, server, "DELETE", "/api/delete", {"model": model}) for server in servers),
            return_exceptions=True,
        )
        await asyncio.gather(*map(self._fleet.refresh, servers))
        # Only now: whatever one server says, the others were asked, and have been looked at.
        statuses = [_status(answer) for answer in answers]
        for server, status in zip(servers, statuses, strict=True):
            if status not in (200, 404):
                raise Refusal(
                    Reason.bad_upstream, f"The server {server} could not delete '{name}' (status {status})."
                )
        had = [server for server, status in zip(servers, statuses, strict=True) if status == 200]
        if not had:
            raise Refusal(Reason.model_not_found, f"model '{name}' not found")
        return had

    def _own_name(self, exchange: Exchange, name: str) -> str:
        """The name that a model is to have, or to be pushed under. Raises Refusal."""
        asked = str(registry_name(name))
        if not may_manage(exchange.caller, asked):
            raise Refusal(Reason.model_not_allowed, f"This key may not change the model '{name}'.")
        return asked

    async def _base(self, exchange: Exchange, server: str, name: str) -> str:
        """What a new model is made from. The server would pull one that it lacks, so that one must be allowed."""
        model = self._known.named(exchange.caller, name)
        installed = (await self._known.installed()).get(model_key(model))
        if installed is not None and server in installed.digests:
            return model
        asked = str(registry_name(model))
        if not any(name_matches(pattern, asked) for pattern in self._allowed):
            raise Refusal(Reason.model_not_found, f"model '{name}' not found")
        return asked

    async def _run(self, exchange: Exchange, server: str, path: str, body: Mapping[str, object]) -> None:
        """Have a server do what takes a while, in its turn; it is stopped where the caller leaves."""
        principal = exchange.caller

        async def work() -> None:
            async with self._scheduler.admit(model=server, user=principal.user, lane=_LANE):
                await self._send(exchange, server, path, msgspec.json.encode(body), None)

        try:
            await while_connected(exchange, work())
        except SchedulingError as error:
            raise Refusal(
                Reason.queue_full, error.message, suggestion=error.suggestion, retry_after_s=30.0
            ) from error

    async def _send(
        self,
        exchange: Exchange,
        server: str,
        path: str,
        body: bytes | AsyncIterator[bytes],
        upload: Upload | None,
    ) -> None:
        content_type = _JSON if upload is None else b"application/octet-stream"
        try:
            answer = await self._fleet.upstream(server).send(
                "POST", path, body, content_type=content_type, read_timeout_s=_SILENCE_S
            )
        except UpstreamError as error:
            if upload is not None and upload.trouble is not None:
                raise upload.trouble from error
            raise failed(server, error) from error

        async def look_again() -> None:
            # Before the caller hears of the end: what it asks next is to find the model.
            answer.close()
            if upload is None:
                await self._fleet.refresh(server)

        await pass_answer(exchange, server, answer, at_end=look_again)

    async def _note(self, exchange: Exchange, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        await self._audit.record(exchange.caller.user, action, subject, detail)


def _status(answer: Answer | BaseException) -> int:
    """Raises what was raised instead of an answer."""
    if isinstance(answer, BaseException):
        raise answer
    return answer.status


def _checked_files(field: str, files: object) -> dict[str, str]:
    """Names of files with the digests of their blobs. Raises Refusal for a name that leads anywhere else."""
    if not isinstance(files, dict):
        raise Refusal(Reason.bad_request, f"{field} must be an object of names and digests.")
    for name, digest in files.items():
        if not isinstance(digest, str):
            raise Refusal(Reason.bad_request, "invalid digest format")
        check_digest(digest)
        if not _A_FILE.fullmatch(name) or ".." in name:
            raise Refusal(Reason.bad_request, f"{name[:100]!r} is no name of a file of a model.")
    return files
