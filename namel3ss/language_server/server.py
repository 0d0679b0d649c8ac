"""The server: pygls around a session, and what it says to the editor."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from typing import TYPE_CHECKING, Any, Final

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidRequest
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from namel3ss._version import __version__
from namel3ss.language_server.commands import Commands
from namel3ss.language_server.editor_process import wait_until_gone
from namel3ss.language_server.progress import Bar
from namel3ss.language_server.protocol import Protocol
from namel3ss.language_server.session import Options, Session
from namel3ss.language_server.words import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.positions import Encoding
    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["Server"]

_logger = logging.getLogger("namel3ss.language_server")
_ENCODINGS: Final[dict[str, Encoding]] = {"utf-8": "utf-8", "utf-16": "utf-16", "utf-32": "utf-32"}


class Server(LanguageServer):
    """One editor's server. `session` and `commands` exist from `initialize` on, which `has_begun` tells."""

    protocol: Protocol
    session: Session
    commands: Commands

    def __init__(self, environ: Mapping[str, str], registry: ProviderRegistry) -> None:
        super().__init__("namel3ss", __version__, protocol_cls=Protocol, max_workers=2)
        self.environ = environ
        self.registry = registry
        self.has_begun = False
        self.was_shut_down = False
        self.tokens: dict[str, tuple[str, list[int]]] = {}
        self._token_number = 0
        self._watching: asyncio.Task[None] | None = None
        self._refreshing: set[asyncio.Future[Any]] = set()

    def begin(self, params: types.InitializeParams) -> None:
        """The editor has said who it is."""
        folders = [folder.uri for folder in params.workspace_folders or ()]
        if not folders and params.root_uri:
            folders = [params.root_uri]
        paths = [path for uri in folders if (path := to_fs_path(uri)) is not None]
        encoding = str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding))
        self.session = Session(
            self,
            folders=paths,
            encoding=_ENCODINGS.get(encoding, "utf-16"),
            options=Options.read(params.initialization_options),
            environ=self.environ,
            registry=self.registry,
        )
        self.commands = Commands(self.session, self)
        self.has_begun = True
        if params.process_id is not None:
            self._watching = asyncio.get_running_loop().create_task(self._end_with(params.process_id))

    async def _end_with(self, process_id: int) -> None:
        await wait_until_gone(process_id)
        # The thread that reads standard input cannot be interrupted: nothing gentler ends this process.
        os._exit(1)

    def document(self, uri: str) -> Document:
        """An open document. Raises for one that the editor never opened."""
        found = self.session.workspace.document(uri)
        if found is None:
            raise JsonRpcInvalidRequest(f"{uri} is not open.")
        return found

    @property
    def has_snippets(self) -> bool:
        """Whether the editor understands places to fill in."""
        text = self.client_capabilities.text_document
        item = text.completion.completion_item if text is not None and text.completion is not None else None
        return bool(item is not None and item.snippet_support)

    @staticmethod
    def in_words_of_the_editor(
        text: types.MarkupContent, kinds: Sequence[types.MarkupKind] | None
    ) -> types.MarkupContent | str:
        """A text without marks for an editor that does not show them, and bare for one that knows of no kinds."""
        if types.MarkupKind.Markdown in (kinds or ()):
            return text
        value = plain(text.value)
        return types.MarkupContent(types.MarkupKind.PlainText, value) if kinds else value

    def note_tokens(self, uri: str, data: list[int]) -> str:
        """Remember the tokens that the editor has now; the name to call them by."""
        self._token_number += 1
        self.tokens[uri] = (str(self._token_number), data)
        return str(self._token_number)

    # -- to the editor --------------------------------------------------------------------------------------------

    def publish(self, params: types.PublishDiagnosticsParams) -> None:
        self.text_document_publish_diagnostics(params)

    def inform(self, text: str) -> None:
        self.show(text, types.MessageType.Info)

    def show(self, message: str, kind: types.MessageType) -> None:
        self.window_show_message(types.ShowMessageParams(kind, message))

    def notify(self, method: str, params: object) -> None:
        self.protocol.notify(method, params)

    def new_bar(self) -> Bar:
        window = self.client_capabilities.window
        return Bar(self, is_shown=bool(window is not None and window.work_done_progress))

    def refresh(self) -> None:
        workspace = self.client_capabilities.workspace
        if workspace is None:
            return
        if workspace.diagnostics is not None and workspace.diagnostics.refresh_support:
            self.ask(self.workspace_diagnostic_refresh_async(None))
        if workspace.code_lens is not None and workspace.code_lens.refresh_support:
            self.ask(self.workspace_code_lens_refresh_async(None))
        if workspace.inlay_hint is not None and workspace.inlay_hint.refresh_support:
            self.ask(self.workspace_inlay_hint_refresh_async(None))

    def ask(self, request: Any) -> None:
        """Send a request whose answer says nothing, and which an editor may refuse."""
        asked = asyncio.ensure_future(request)
        self._refreshing.add(asked)
        asked.add_done_callback(self._answered)

    def _answered(self, asked: asyncio.Future[Any]) -> None:
        self._refreshing.discard(asked)
        if not asked.cancelled() and asked.exception() is not None:
            _logger.info("the editor refused a request: %s", asked.exception())

    def report_server_error(self, error: Exception, source: Any) -> None:
        """A handler failed: that is for the log; a window would only be in the way of somebody who types."""
        _logger.error("%s: %s", getattr(source, "__name__", source), error)
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            self.protocol.refuse_unreadable()
