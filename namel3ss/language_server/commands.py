"""What the editor's user may have done by a click: pull, remove, start, run, chat, ask a server.

Nothing here runs by itself. Each gives ``{"success": …, "message": …}`` and what belongs to it, and never raises for
what can go wrong with a server, a model or a file.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final, Protocol

from lsprotocol import types

from namel3ss.declarations.checking import check_program
from namel3ss.declarations.folders import FolderReader
from namel3ss.errors import N3Error
from namel3ss.language_server.features import actions
from namel3ss.language_server.programs import file_of
from namel3ss.language_server.trust import Address
from namel3ss.providers.base import ProviderMessage
from namel3ss.runtime import Program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.session import Session
    from namel3ss.providers.base import ProviderStream

__all__ = ["Commands", "Progress"]

_NOTHING: Final = type(None)
_ARGUMENTS: Final[dict[str, tuple[type, ...]]] = {
    **dict.fromkeys(("provider", "name", "uri", "kind", "model", "host"), (str,)),
    **dict.fromkeys(("url", "run"), (str, _NOTHING)),
    "inputs": (dict, _NOTHING),
    "messages": (list, _NOTHING),
}
_NO_TOOLS: Final = "The provider offers nothing of the kind to editors."


class Progress(Protocol):
    """A bar in the editor. `report` moves it; `cancelled` is done when the user has enough of it."""

    cancelled: asyncio.Event

    async def begin(self, title: str) -> None: ...

    def report(self, message: str, percentage: int | None) -> None: ...

    def end(self, message: str) -> None: ...


class Desk(Protocol):
    """What commands need of the editor."""

    def new_bar(self) -> Progress: ...

    def notify(self, method: str, params: object) -> None: ...

    def show(self, message: str, kind: types.MessageType) -> None: ...


class Commands:
    """The commands of one session."""

    def __init__(self, session: Session, desk: Desk) -> None:
        self._session = session
        self._desk = desk
        self._methods: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            actions.PULL: self.pull,
            actions.REMOVE: self.remove,
            actions.START: self.start,
            actions.STATUS: self.status,
            actions.ALLOW: self.allow,
            actions.RUN: self.run,
            actions.CHAT: self.chat,
        }

    async def execute(self, command: str, arguments: Sequence[object]) -> dict[str, Any]:
        """Do what a command says, unless its arguments are not what it takes."""
        method = self._methods[command]
        try:
            bound = inspect.signature(method).bind(*arguments)
        except TypeError as error:
            return _failed(f"{command} does not take these arguments: {error}.")
        for name, value in bound.arguments.items():
            if not isinstance(value, _ARGUMENTS[name]):
                return _failed(f"{command} does not take {value!r} as its {name}.")
        return await method(*bound.args)

    # -- servers and models ---------------------------------------------------------------------------------------

    async def pull(self, provider: str, name: str, url: str | None = None) -> dict[str, Any]:
        """Download a model, with a bar that can be cancelled."""
        tools = self._session.machine.tools(provider)
        if tools is None:
            return _failed(_NO_TOOLS)
        if not self._session.trust.may_ask(Address(url)):
            return _failed(f"{Address(url).host} is not asked without leave: allow it first.")
        bar = self._desk.new_bar()
        await bar.begin(f"Pulling {name}")

        def report(progress: Any) -> None:
            fraction = getattr(progress, "fraction", None)
            percentage = int(fraction * 100) if isinstance(fraction, float) else None
            bar.report(str(getattr(progress, "status", "") or ""), percentage)

        pulling = asyncio.ensure_future(tools.pull_model(name, report, url))
        stopping = asyncio.ensure_future(bar.cancelled.wait())
        try:
            await asyncio.wait((pulling, stopping), return_when=asyncio.FIRST_COMPLETED)
            outcome = pulling.result() if pulling.done() else _failed(f"The pull of {name} was cancelled.")
        finally:
            for task in (pulling, stopping):
                task.cancel()
            await asyncio.gather(pulling, stopping, return_exceptions=True)
        bar.end(str(outcome.get("message", "")))
        return self._told(outcome)

    async def remove(self, provider: str, name: str, url: str | None = None) -> dict[str, Any]:
        """Remove a model from a server."""
        tools = self._session.machine.tools(provider)
        if tools is None or not self._session.trust.may_ask(Address(url)):
            return _failed(_NO_TOOLS)
        return self._told(await tools.remove_model(name, url))

    async def start(self, provider: str, url: str | None = None) -> dict[str, Any]:
        """Start the server of this machine."""
        tools = self._session.machine.tools(provider)
        start = getattr(tools, "start_server", None)
        if start is None or not self._session.trust.may_ask(Address(url)):
            return self._told(_failed(_NO_TOOLS))
        return self._told(await start(url))

    async def status(self, provider: str = "ollama") -> dict[str, Any]:
        """What the user's own server has: for a status bar and a list of models."""
        tools = self._session.machine.tools(provider)
        if tools is None or not self._session.options.online:
            return {"reachable": False, "models": []}
        status, models = await asyncio.gather(tools.check_status(), tools.list_available_models())
        return {**status, "models": models}

    async def allow(self, host: str) -> dict[str, Any]:
        """From now on, in this workspace, that host may be asked about its models."""
        self._session.trust.allow(host)
        self._session.look_at_all()
        return {"success": True, "message": f"{host} is asked about its models from now on."}

    def _told(self, outcome: Mapping[str, Any]) -> dict[str, Any]:
        """The outcome, said to the user; what is known of the servers is old now."""
        text = " ".join(str(outcome[key]) for key in ("message", "suggestion") if outcome.get(key))
        kind = types.MessageType.Info if outcome.get("success") else types.MessageType.Warning
        self._desk.show(text, kind)
        self._session.machine.refresh()
        self._session.look_at_all()
        return dict(outcome)

    # -- running --------------------------------------------------------------------------------------------------

    async def run(
        self, uri: str, kind: str, name: str, inputs: Mapping[str, Any] | None = None, run: str | None = None
    ) -> dict[str, Any]:
        """Run a prompt or chain as the editor has it. `needs` lists the inputs that are missing.

        With a `run`, pieces of the answer are sent as `namel3ss/output` while they come.
        """
        document = self._session.workspace.document(uri)
        if document is None:
            return _failed("The file is not open.")
        given = dict(inputs or {})
        try:
            async with self._program(document) as program:
                if kind == "chain":
                    chain = program.chain(name)
                    missing = _missing(chain.declaration.input.fields, given)
                    if missing:
                        return _needs(missing)
                    result = await chain.run(given)
                    return {"success": True, "message": "", "output": result.output}
                prompt = program.prompt(name)
                missing = _missing(prompt.declaration.input.fields, given)
                if missing:
                    return _needs(missing)
                if prompt.declaration.output is not None:
                    answer = await prompt.run(given)
                    return {"success": True, "message": "", "output": answer.output}
                question = prompt.question(given)
                return await self._streamed(question.stream(), run)
        except N3Error as error:
            return _failed(error.message, error.suggestion)

    async def chat(
        self,
        uri: str,
        model: str,
        messages: Sequence[Mapping[str, str]] | None = None,
        run: str | None = None,
    ) -> dict[str, Any]:
        """The answer of a model to a conversation; pieces of it are sent as `namel3ss/output` while they come."""
        document = self._session.workspace.document(uri)
        if document is None:
            return _failed("The file is not open.")
        try:
            said = [ProviderMessage(role=each["role"], content=each["content"]) for each in messages or ()]  # type: ignore[arg-type]  # checked by the provider
            async with self._program(document) as program:
                return await self._streamed(program.model(model).stream(said), run)
        except (KeyError, TypeError) as error:
            return _failed(f"These are no messages: {error}")
        except N3Error as error:
            return _failed(error.message, error.suggestion)

    async def _streamed(self, stream: ProviderStream, run: str | None) -> dict[str, Any]:
        pieces: list[str] = []
        async with stream:
            async for chunk in stream:
                if chunk.output_text:
                    pieces.append(chunk.output_text)
                    if run is not None:
                        self._desk.notify("namel3ss/output", {"run": run, "text": chunk.output_text})
        return {"success": True, "message": "", "output": "".join(pieces)}

    def _program(self, document: Document) -> Program:
        """The program as the editor has it, read as a whole, so that places in messages are those of the file."""
        workspace = self._session.workspace
        checked = workspace.program(document)
        reader = FolderReader(workspace.root_folder(checked.main), workspace.load)
        file = check_program(
            file_of(checked.main),
            environ=workspace.environ,
            registry=workspace.registry,
            read_import=reader if document.is_on_disk else None,
            profile=file_of(checked.profile) if checked.profile is not None else None,
        )
        return Program(file, environ=workspace.environ, registry=workspace.registry)


def _missing(fields: Sequence[Any], given: Mapping[str, Any]) -> list[str]:
    return [each.name for each in fields if each.is_required and each.name not in given]


def _needs(names: list[str]) -> dict[str, Any]:
    return {**_failed(f"It needs {', '.join(names)}."), "needs": names}


def _failed(message: str, suggestion: str | None = None) -> dict[str, Any]:
    return {"success": False, "message": message, "suggestion": suggestion}
