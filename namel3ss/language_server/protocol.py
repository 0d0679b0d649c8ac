"""The protocol of pygls with this server's own documents in place of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcParseError,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.json_rpc import RPCNotification, RPCRequest
from pygls.protocol.language_server import lsp_method

if TYPE_CHECKING:
    from collections.abc import Generator

    from namel3ss.language_server.server import Server

__all__ = ["Protocol"]


class Protocol(LanguageServerProtocol):
    """Hands documents to the session. pygls would keep each text a second time, and cut lines where editors do not.

    And every request has an answer: pygls leaves those without one whose parameters cannot be read, and those that come
    after `shutdown`, for which an editor would wait for ever.
    """

    _server: Server

    def structure_message(self, data: dict[str, Any]) -> Any:
        try:
            return super().structure_message(data)
        except JsonRpcException:
            number, method = data.get("id"), data.get("method")
            if isinstance(number, int | str) and method is not None:
                unreadable = JsonRpcInvalidParams(f"The parameters of {method!r:.80} cannot be read.")
                self._send_response(number, error=unreadable.to_response_error())
            raise

    def handle_message(self, message: Any) -> None:
        if isinstance(message, RPCRequest):
            if (error := self._refusal(message.method)) is not None:
                self._send_response(message.id, error=error.to_response_error())
                return
        elif isinstance(message, RPCNotification) and self._is_early(message.method):
            return
        super().handle_message(message)

    def refuse_unreadable(self) -> None:
        """Answer to what is no JSON: nobody knows whose answer it is."""
        error = JsonRpcParseError("The message is not JSON.").to_response_error()
        self._send_data({"jsonrpc": self.VERSION, "id": None, "error": error})

    def _refusal(self, method: str) -> JsonRpcException | None:
        """Why a request cannot be answered at this time of the server's life."""
        if self._shutdown:
            return JsonRpcInvalidRequest("The server was asked to shut down.")
        if method == types.INITIALIZE:
            return JsonRpcInvalidRequest("initialize comes once only.") if self._server.has_begun else None
        if not self._server.has_begun:
            return JsonRpcServerNotInitialized("initialize comes before every other request.")
        return None

    def _is_early(self, method: str) -> bool:
        return not self._server.has_begun and method != types.EXIT

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
