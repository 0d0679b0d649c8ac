"""A small editor: speaks the Language Server Protocol with a real `namel3ss lsp` over pipes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

__all__ = ["CAPABILITIES", "Editor", "ServerError", "open_editor"]

PATIENCE_S = 20.0  # a guard against waiting for ever on a slow machine; nothing is decided by it

CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "window": {"workDoneProgress": True},
    "workspace": {"workspaceEdit": {"documentChanges": False}},
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
        "hover": {"contentFormat": ["markdown"]},
    },
}


class ServerError(Exception):
    """The server answered with an error."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]


class Editor:
    """One session. Requests of the server are answered with null, and kept in `asked`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.capabilities: dict[str, Any] = {}
        self.texts: dict[str, str] = {}
        self.heard: list[dict[str, Any]] = []  # notifications, in their order
        self.asked: list[dict[str, Any]] = []
        self.lost: list[dict[str, Any]] = []  # answers to nobody
        self.noise: list[bytes] = []  # what came on stdout and is no protocol
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._news = asyncio.Event()
        self._number = 0
        self._versions: dict[str, int] = {}
        self._reading = asyncio.create_task(self._read())

    # -- messages -------------------------------------------------------------------------------------------------

    @property
    def last_request(self) -> int:
        """The number of the request that was sent last, to cancel it by."""
        return self._number

    async def request(self, method: str, params: object) -> Any:
        """The result of a request. Raises ServerError."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return await asyncio.wait_for(answer, PATIENCE_S)

    def notify(self, method: str, params: object) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def wait_for(self, method: str, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        """The parameters of the first notification from now on, or not yet taken, that is wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for number, message in enumerate(self.heard):
                    if message["method"] == method and wanted(message["params"]):
                        del self.heard[: number + 1]
                        return message["params"]
                self._news.clear()
                await self._news.wait()

    def _send(self, message: object) -> None:
        self.send_bytes(json.dumps(message).encode())

    def send_bytes(self, body: bytes) -> None:
        """Send a message that may be none."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _read(self) -> None:
        stdout = self.process.stdout
        assert stdout is not None
        while line := await stdout.readline():
            if not line.startswith(b"Content-Length: "):
                self.noise.append(line)
                continue
            length = int(line.split(b":")[1])
            while (await stdout.readline()).strip():
                pass
            self._take(json.loads(await stdout.readexactly(length)))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the server has ended"))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("id", 0) is None:
            self.lost.append(message)
        elif "method" not in message:
            answer = self._answers.pop(message["id"])
            if not answer.done():
                if "error" in message:
                    answer.set_exception(ServerError(message["error"]))
                else:
                    answer.set_result(message["result"])
        elif "id" in message:
            self.asked.append(message)
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": None})
        else:
            self.heard.append(message)
        self._news.set()

    # -- a session ------------------------------------------------------------------------------------------------

    async def initialize(
        self,
        folder: Path | None = None,
        *,
        capabilities: Mapping[str, Any] = CAPABILITIES,
        options: Mapping[str, Any] | None = None,
        process_id: int | None = None,
    ) -> dict[str, Any]:
        folders = None if folder is None else [{"uri": folder.as_uri(), "name": folder.name}]
        result: dict[str, Any] = await self.request(
            "initialize",
            {
                "processId": process_id,
                "rootUri": None if folder is None else folder.as_uri(),
                "workspaceFolders": folders,
                "capabilities": capabilities,
                "initializationOptions": options,
            },
        )
        self.capabilities = result["capabilities"]
        self.notify("initialized", {})
        return result

    def open(self, uri: str, text: str) -> None:
        self.texts[uri] = text
        self._versions[uri] = 1
        item = {"uri": uri, "languageId": "namel3ss", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(self, uri: str, *changes: Mapping[str, Any]) -> None:
        self._versions[uri] += 1
        document = {"uri": uri, "version": self._versions[uri]}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def rewrite(self, uri: str, text: str) -> None:
        """Put another text in the place of the whole one."""
        self.texts[uri] = text
        self.change(uri, {"text": text})

    async def diagnostics(self, uri: str, wanted: Callable[[list[Any]], bool] = lambda _: True) -> list[Any]:
        """The next findings about the present version that are wanted."""
        version = self._versions[uri]
        found = await self.wait_for(
            "textDocument/publishDiagnostics",
            lambda told: (
                told["uri"] == uri and told.get("version") == version and wanted(told["diagnostics"])
            ),
        )
        return list(found["diagnostics"])

    async def at(self, method: str, uri: str, marked: str, **more: object) -> Any:
        """The answer about the place of `¦` in `marked`, which is otherwise a part of the text."""
        return await self.request(
            f"textDocument/{method}",
            {"textDocument": {"uri": uri}, "position": self.position(uri, marked), **more},
        )

    def position(self, uri: str, marked: str) -> dict[str, int]:
        before, _, after = marked.partition("¦")
        text = self.texts[uri]
        at = text.index(before + after) + len(before)
        line_start = text.rfind("\n", 0, at) + 1
        units = len(text[line_start:at].encode("utf-16-le")) // 2
        return {"line": text.count("\n", 0, at), "character": units}

    def apply(self, edit: Mapping[str, Any]) -> None:
        """Make a workspace edit in the texts, and tell the server."""
        for uri, edits in edit["changes"].items():
            text = self.texts[uri]
            for each in sorted(edits, key=lambda each: _key(each["range"]["start"]), reverse=True):
                start, end = (self._offset(text, each["range"][side]) for side in ("start", "end"))
                text = text[:start] + each["newText"] + text[end:]
            self.rewrite(uri, text)

    @staticmethod
    def _offset(text: str, position: Mapping[str, int]) -> int:
        lines = text.split("\n")
        start = sum(len(line) + 1 for line in lines[: position["line"]])
        if position["line"] >= len(lines):
            return len(text)
        units = lines[position["line"]].encode("utf-16-le")[: 2 * position["character"]]
        return start + len(units.decode("utf-16-le"))

    async def shut_down(self) -> int:
        """End the session as an editor does; the exit code of the server."""
        await self.request("shutdown", None)
        self.notify("exit", None)
        return await asyncio.wait_for(self.process.wait(), PATIENCE_S)

    async def close(self) -> None:
        """End the process, whatever state it is in."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        await self.process.wait()
        await asyncio.gather(self._reading, return_exceptions=True)
        transport = getattr(
            self.process, "_transport", None
        )  # asyncio keeps the pipes open until it is collected
        if transport is not None:
            transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _key(position: Mapping[str, int]) -> tuple[int, int]:
    return position["line"], position["character"]


@contextlib.asynccontextmanager
async def open_editor(environ: Mapping[str, str]) -> AsyncIterator[Editor]:
    """An editor with a server process of its own, which is gone at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "namel3ss", "lsp", "--stdio"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=dict(environ),
        limit=2**24,
    )
    async with Editor(process) as editor:
        yield editor
