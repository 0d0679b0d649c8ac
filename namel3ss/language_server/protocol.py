"""The protocol of pygls with this server's own documents in place of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.language_server import lsp_method

if TYPE_CHECKING:
    from collections.abc import Generator

    from namel3ss.language_server.server import Server

__all__ = ["Protocol"]


class Protocol(LanguageServerProtocol):
    """Hands documents to the session. pygls would keep each text a second time, and cut lines where editors do not."""

    _server: Server

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self._server.session.opened(params.text_document)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self._server.session.changed(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self._server.session.closed(params.text_document.uri)

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(  # type: ignore[override]  # a handler may be of either kind
        self, params: types.ExecuteCommandParams
    ) -> object:
        """A command as the task of its request, so that an editor's cancel ends the work.

        pygls would run it in a task apart: nobody would hear the answer any more, but the model would write it.
        """
        command = self.fm.commands.get(params.command)
        if command is None:
            raise JsonRpcInvalidParams.of(ValueError(f"there is no command {params.command!r}"))
        return await command(*(params.arguments or ()))

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *args: object) -> Generator[Any, Any, None]:
        """Cancels what is still asked for. pygls would walk over the requests themselves while those cancelled leave them."""
        own = self.msg_id
        yield self.fm.features[types.SHUTDOWN], args, None
        for number, future in list(self._request_futures.items()):
            if number != own and not future.done():
                future.cancel()
        self._shutdown = True
