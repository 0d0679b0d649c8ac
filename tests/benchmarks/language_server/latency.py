"""How long the server takes from a keystroke to its findings, and for completion and hover.

    python -m tests.benchmarks.language_server.latency [--json]

Everything is measured inside one process, from the bytes of a message to the bytes of the answer: the server's own
protocol object gets what an editor would send, and its writer notes when it answers. The baseline does for each keystroke
what a server without pieces and memory would: parse and check the whole text anew, and send the same findings. Both are
measured in turns, so that whatever else the machine does meets both. The last column is processor time, which says less of
the machine's other work.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from namel3ss.declarations import check_text
from namel3ss.language_server.handlers import make_server
from namel3ss.language_server.process import spare_collections
from namel3ss.providers.registry import installed_providers

if TYPE_CHECKING:
    from namel3ss.language_server.server import Server

KEYSTROKES = 400
TURN = 20  # keystrokes and their undoing before the baseline has its turn
QUESTIONS = 200
FILES = 200


def program(models: int) -> str:
    """A program of about 21 lines a model: models, and prompts and chains for some of them."""
    parts = []
    for number in range(models):
        parts.append(
            f"# model number {number}\nai model m{number} {{\n    provider: ollama\n    model: llama3:8b\n"
            f'    description: "the one with the number {number}"\n    config: {{\n        temperature: 0.{number % 9}\n'
            f"        top_k: 40\n        num_ctx: 8192\n    }}\n    deployment_config: {{\n        keep_alive: 10m\n"
            f"        num_gpu: {number + 2}\n    }}\n}}\n\n"
        )
        if number % 3 == 0:
            parts.append(
                f"prompt p{number} {{\n    model: m{number}\n    input: {{ text: str, n: int = 3 }}\n"
                '    output: { mood: "good" | "bad" }\n    template: |\n        Say in {{ n }} words how {{ text }} feels.\n'
                "        {% if n > 2 %}Take your time.{% endif %}\n}\n\n"
            )
        if number % 3 == 2:
            parts.append(
                f"chain c{number} {{\n    input: {{ text: str }}\n"
                f'    step one {{ model: m{number - 1}  prompt: p{number - 2}  input: {{ text: "{{{{ input.text }}}}" }}  output: mood }}\n'
                f'    step two {{ model: m{number}  prompt: "Why {{{{ mood }}}}?"  output: why }}\n}}\n\n'
            )
    return "".join(parts)


class Moment(NamedTuple):
    """Milliseconds on the wall's clock and on the processor's."""

    wall: float
    processor: float

    @classmethod
    def now(cls) -> Moment:
        return cls(time.perf_counter() * 1000, time.thread_time() * 1000)

    def since(self, earlier: Moment) -> Moment:
        return Moment(self.wall - earlier.wall, self.processor - earlier.processor)


class Editor:
    """Sends messages to a server in this process, and knows when it answered."""

    def __init__(self, server: Server) -> None:
        self._protocol = server.protocol
        self._protocol.set_writer(self)
        self.answered_at = Moment(0.0, 0.0)
        self.written: list[bytes] = []
        self._number = 0

    def write(self, data: bytes) -> None:
        self.answered_at = Moment.now()
        self.written.append(data)

    def close(self) -> None:
        """Nothing is open."""

    def send(self, method: str, params: dict[str, Any], *, asks: bool = False) -> Moment:
        """The time from the bytes of a message to those of the answer."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if asks:
            self._number += 1
            message["id"] = self._number
        body = json.dumps(message).encode()
        self.written.clear()
        started = Moment.now()
        self._protocol.handle_message(json.loads(body, object_hook=self._protocol.structure_message))
        return self.answered_at.since(started)

    def initialize(self, folder: Path) -> None:
        folders = [{"uri": folder.as_uri(), "name": "files"}]
        params: dict[str, Any] = {
            "processId": None,
            "rootUri": None,
            "workspaceFolders": folders,
            "capabilities": {},
        }
        self.send("initialize", params, asks=True)

    def open(self, uri: str, text: str) -> Moment:
        item = {"uri": uri, "languageId": "namel3ss", "version": 1, "text": text}
        return self.send("textDocument/didOpen", {"textDocument": item})


def position(text: str, offset: int) -> dict[str, int]:
    return {"line": text.count("\n", 0, offset), "character": offset - text.rfind("\n", 0, offset) - 1}


def p(share: float, times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def keystrokes(server: Server, editor: Editor) -> dict[str, list[Moment]]:
    """Random letters typed and taken back, in turns with the baseline."""
    text, uri = program(48), "untitled:big.ai"
    editor.open(uri, text)
    choose, version = random.Random(1), 1
    times: dict[str, list[Moment]] = {"keystroke": [], "baseline": []}
    for number in range(KEYSTROKES // 2):
        offset = choose.randrange(len(text))
        letter = choose.choice("ax09 _")
        for change, end in ((letter, offset), ("", offset + 1)):
            version += 1
            place = {"start": position(text, offset), "end": position(text, end)}
            text = text[:offset] + change + text[end:]
            params = {
                "textDocument": {"uri": uri, "version": version},
                "contentChanges": [{"range": place, "text": change}],
            }
            times["keystroke"].append(editor.send("textDocument/didChange", params))
        if number % TURN == TURN - 1:
            times["baseline"] += [baseline(server, uri, text) for _ in range(TURN // 4)]
    return times


def baseline(server: Server, uri: str, text: str) -> Moment:
    """The same findings by a parse and a check of the whole text."""
    from lsprotocol import types

    from namel3ss.language_server.features.diagnostics import as_diagnostic

    document = server.document(uri)
    started = Moment.now()
    found = check_text(text, document.path, environ=server.environ, registry=server.registry)
    told = [as_diagnostic(server.session.workspace, document, finding) for finding in found.diagnostics]
    server.publish(types.PublishDiagnosticsParams(uri, told))
    return Moment.now().since(started)


def questions(editor: Editor, folder: Path) -> dict[str, list[Moment]]:
    """Completion and hover in one file of a workspace whose files all belong to one program."""
    main = "".join(f'import "./part{number}.ai"\n' for number in range(FILES - 1)) + program(6)
    uri = (folder / "app.ai").as_uri()
    editor.open(uri, main)
    places = {
        "completion of keys": main.index("        top_k"),
        "completion of names": main.index("model: m0") + len("model: "),
        "hover": main.index("num_ctx") + 2,
    }
    times: dict[str, list[Moment]] = {}
    for what, offset in places.items():
        method = f"textDocument/{what.split()[0]}"
        params = {"textDocument": {"uri": uri}, "position": position(main, offset)}
        editor.send(method, params, asks=True)  # the caches are warm from here on
        times[what] = [editor.send(method, params, asks=True) for _ in range(QUESTIONS)]
    return times


async def measure() -> dict[str, list[Moment]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(FILES - 1):
            text = program(1).replace("m0", f"part{number}").replace("p0", f"ask{number}")
            (folder / f"part{number}.ai").write_text(text)
        server = make_server({}, installed_providers())
        editor = Editor(server)
        editor.initialize(folder)
        for _ in server.session.workspace.find_files():
            pass
        gc.collect()
        spare_collections()
        times = keystrokes(server, editor)
        times |= questions(editor, folder)
        await server.session.close()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    times = asyncio.run(measure())
    rows = {what: row(each) for what, each in times.items()}
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'milliseconds':22}" + "".join(f"{name:>16}" for name in next(iter(rows.values()))))
    for what, columns in rows.items():
        print(f"{what:22}" + "".join(f"{value:16.2f}" for value in columns.values()))


def row(times: list[Moment]) -> dict[str, float]:
    wall, processor = [each.wall for each in times], [each.processor for each in times]
    return {
        "p50": p(0.5, wall),
        "p95": p(0.95, wall),
        "max": max(wall),
        "processor p50": p(0.5, processor),
        "processor p95": p(0.95, processor),
    }


if __name__ == "__main__":
    main()
