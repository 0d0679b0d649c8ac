"""One editor's session: its files, what is known of its servers, and what it was told last."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from lsprotocol import types

from namel3ss.language_server.cursor import find_cursor
from namel3ss.language_server.features.diagnostics import as_diagnostic, find_problems
from namel3ss.language_server.features.online import ServerQuestions, find_online_problems
from namel3ss.language_server.machine import Machine, ServerFacts
from namel3ss.language_server.schema import provider_of
from namel3ss.language_server.trust import Address, Trust
from namel3ss.language_server.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.features.online import AskServer
    from namel3ss.language_server.positions import Encoding
    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["Options", "Outlet", "Session"]

_logger = logging.getLogger("namel3ss.language_server")
_USERS_OWN: Final = Address(None)
_ADDRESS_KEYS: Final = re.compile(r"\b(?:base_url|hosts?|port)\b")
_OTHERS_S: Final = 0.15  # after the last keystroke the other open files are looked at again


@dataclass(frozen=True, slots=True)
class Options:
    """What the editor says of its user's own settings when it starts the server.

    Nothing of this is read from settings that a workspace could bring along.
    """

    allowed_hosts: frozenset[str] = frozenset()
    online: bool = True

    @classmethod
    def read(cls, given: object) -> Options:
        """The options of an `initialize` request; what is not understood is left out."""
        if not isinstance(given, dict):
            return cls()
        hosts = given.get("allowedHosts")
        names = [host.lower() for host in hosts if isinstance(host, str)] if isinstance(hosts, list) else []
        return cls(frozenset(names), given.get("onlineChecks") is not False)


class Outlet(Protocol):
    """Where the session speaks to the editor."""

    def publish(self, params: types.PublishDiagnosticsParams) -> None: ...

    def inform(self, text: str) -> None: ...

    def refresh(self) -> None:
        """Ask the editor to ask again for what depends on the servers."""


class Session:
    """Everything of one editor. Used on one event loop."""

    def __init__(
        self,
        outlet: Outlet,
        *,
        folders: Sequence[str],
        encoding: Encoding,
        options: Options,
        environ: Mapping[str, str],
        registry: ProviderRegistry,
    ) -> None:
        self.options = options
        self.trust = Trust(options.allowed_hosts)
        self.workspace = Workspace(folders, encoding=encoding, environ=environ, registry=registry)
        self.machine = Machine(registry, self.trust, self._servers_changed)
        self._questions = ServerQuestions(self.workspace, self.machine)
        self._outlet = outlet
        self._editor_pulls = False
        self._later: asyncio.TimerHandle | None = None
        self._results: dict[str, tuple[str, list[types.Diagnostic]]] = {}
        self._result_number = 0
        self._indexing: asyncio.Task[None] | None = None

    # -- files ----------------------------------------------------------------------------------------------------

    def opened(self, item: types.TextDocumentItem) -> None:
        document = self.workspace.open(item.uri, item.text, item.version)
        for refusal in document.refusals:
            self._outlet.inform(f"{document.path}: {refusal.message}; namel3ss leaves it alone.")
        self.publish(document)
        self._look_at_others_later()

    def changed(self, params: types.DidChangeTextDocumentParams) -> None:
        document = self.workspace.change(
            params.text_document.uri, params.text_document.version, params.content_changes
        )
        if document is None:
            _logger.warning("a change of %s, which is not open", params.text_document.uri)
            return
        self.publish(document)
        self._look_at_others_later()

    def closed(self, uri: str) -> None:
        if self.workspace.close(uri) is not None:
            self._results.pop(uri, None)
            self._outlet.publish(types.PublishDiagnosticsParams(uri, []))
            self._look_at_others_later()

    def files_changed(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.workspace.forget(path)
        self._look_at_all_later()

    def start_indexing(self) -> None:
        """Read the files of the workspace, one at a time between other things."""

        async def index() -> None:
            for _ in self.workspace.find_files():
                await asyncio.sleep(0)
            self.look_at_all()

        self._indexing = asyncio.get_running_loop().create_task(index(), name="index of the workspace")

    async def close(self) -> None:
        if self._later is not None:
            self._later.cancel()
        if self._indexing is not None:
            self._indexing.cancel()
        await self.machine.close()

    # -- findings -------------------------------------------------------------------------------------------------

    def problems(self, document: Document) -> list[types.Diagnostic]:
        """All that is known to be wrong with a document by now."""
        found = [
            as_diagnostic(self.workspace, document, finding)
            for finding in find_problems(self.workspace, document)
        ]
        if self.options.online and not document.refusals:
            found += [
                problem.as_diagnostic(document)
                for problem in find_online_problems(self.workspace, document, self._questions.of_all)
            ]
        return found

    def publish(self, document: Document) -> None:
        """Tell the editor, unless it asks by itself."""
        if not self._editor_pulls:
            problems = self.problems(document)
            self._outlet.publish(types.PublishDiagnosticsParams(document.uri, problems, document.version))

    def pulled(self, uri: str, known: str | None) -> types.DocumentDiagnosticReport:
        """The answer to an editor that asks for findings. From now on it is not told any more: it would show all twice."""
        if not self._editor_pulls:
            self._editor_pulls = True
            for document in self.workspace.open_documents():
                self._outlet.publish(types.PublishDiagnosticsParams(document.uri, [], document.version))
        asked = self.workspace.document(uri)
        problems = self.problems(asked) if asked is not None else []
        last = self._results.get(uri)
        if last is not None and last[0] == known and last[1] == problems:
            return types.RelatedUnchangedDocumentDiagnosticReport(result_id=last[0])
        self._result_number += 1
        result = str(self._result_number)
        self._results[uri] = (result, problems)
        return types.RelatedFullDocumentDiagnosticReport(items=problems, result_id=result)

    def look_at_all(self) -> None:
        """Tell of every open document again."""
        if self._editor_pulls:
            self._outlet.refresh()
            return
        for document in self.workspace.open_documents():
            self.publish(document)

    def _look_at_others_later(self) -> None:
        if len(self.workspace.open_documents()) > 1:
            self._look_at_all_later()

    def _look_at_all_later(self) -> None:
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(_OTHERS_S, self.look_at_all)

    # -- servers --------------------------------------------------------------------------------------------------

    @property
    def ask(self) -> AskServer | None:
        """How features learn what is known of servers; None where the user wants no look-ups."""
        return self._questions.of_one if self.options.online else None

    def facts_at(self, document: Document, position: types.Position) -> ServerFacts | None:
        """What is known of the server of the ai model around a position, healthy or not."""
        ask = self.ask
        if ask is None or document.refusals:
            return None
        cursor = find_cursor(document, document.offset(position))
        declaration = cursor.declaration
        if declaration is None or declaration.kind != "ai model":
            return None
        program = self.workspace.program(document)
        name = declaration.name.text if declaration.name is not None else "default"
        model = program.file.models.get(name)
        if model is not None:
            return ask(model)
        provider = provider_of(cursor, program)
        written = cursor.piece.source.text[declaration.span.start : declaration.span.end]
        if provider is None or _ADDRESS_KEYS.search(written) or declaration.block.get("extends") is not None:
            return None  # half written: which server it means is not known yet
        facts = self.machine.facts(provider, _USERS_OWN)
        pair = declaration.block.get("model")
        meant = getattr(pair.value, "value", None) if pair is not None else None
        if facts is not None and isinstance(meant, str) and facts.find(meant) is not None:
            facts = self.machine.facts(provider, _USERS_OWN, meant)
        return facts

    def _servers_changed(self) -> None:
        self.look_at_all()
        self._outlet.refresh()
