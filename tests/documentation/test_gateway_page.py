"""A newcomer follows docs/gateway.md, command by command, in terminals of their own."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sysconfig
import uuid
from typing import TYPE_CHECKING, Final

import pytest

from namel3ss.declarations.gateway_settings import GatewaySettings, QueueSettings
from namel3ss.gateway.errors import Reason
from tests.documentation.pages import ROOT, commands, snippets
from tests.gateway.end_to_end.served import served
from tests.support.command_line import on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.documentation.pages import Snippet
    from tests.gateway.end_to_end.served import Served
    from tests.support.command_line import Terminal

OURS: Final = "the test of this page runs it"
SERVE: Final = "namel3ss serve team.ai --sandbox"
TOP: Final = "NAMEL3SS_GATEWAY_KEY=$BOB namel3ss top"


class Reader:
    """Somebody with the page before them: a shell, and a further terminal for each command that stays."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.gateway: Served | None = None
        self.top: Terminal | None = None
        self._folder = folder
        self._stack = stack
        self._addresses = dict(zip(("127.0.0.1:8080", "127.0.0.1:8081"), _free_addresses(), strict=True))
        self._shell = stack.enter_context(
            subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=folder,
                env={
                    **os.environ,
                    "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
                    "NO_COLOR": "1",
                },
            )
        )

    def follow(self, snippet: Snippet) -> None:
        text = self._placed(snippet.text)
        if snippet.title:
            (self._folder / snippet.title).write_text(text, encoding="utf-8")
        if snippet.not_run != OURS:
            return
        if snippet.language == "python":
            code, printed = self.say(f"python - <<'END'\n{text}\nEND")
            assert code == 0, f"{snippet}\n{printed}"
            assert "made-up" in printed, f"{snippet}\n{printed}"
            return
        for command in commands(snippet):
            self._do(snippet, self._placed(command.line), command.is_followed_by if command.output else None)

    def _do(self, snippet: Snippet, line: str, is_followed_by: object) -> None:
        if line.startswith(SERVE):
            # As the page has it, but faster: its pace is for people who watch.
            self.gateway = self._stack.enter_context(
                served(self._folder / "team.ai", "--sandbox", "--tokens-per-second", "25")
            )
        elif line == TOP:
            _, key = self.say("echo $BOB")
            environ = {**os.environ, "NAMEL3SS_GATEWAY_KEY": key, "TERM": "xterm"}
            self.top = self._stack.enter_context(
                on_terminal(
                    "top",
                    "--interval",
                    "0.2",
                    "--url",
                    f"http://{self._addresses['127.0.0.1:8080']}",
                    environ=environ,
                    columns=140,
                )
            )
            self.top.read_until("Nobody waits and nothing runs")
        else:
            code, printed = self.say(line)
            assert code == 0, f"{snippet}: {line}\n{printed}"
            assert not callable(is_followed_by) or is_followed_by(printed), f"{snippet}: {line}\n{printed}"

    def say(self, line: str) -> tuple[int, str]:
        """Type a command into the shell: its exit code, and what it prints."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        end = uuid.uuid4().hex
        self._shell.stdin.write(f"{line}\necho; echo {end} $?\n")
        self._shell.stdin.flush()
        printed = ""
        for found in self._shell.stdout:
            if found.startswith(end):
                return int(found.split()[1]), printed.strip()
            printed += found
        raise AssertionError(f"the shell ended: {printed}")

    def leave(self) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.close()

    def _placed(self, text: str) -> str:
        """With addresses that are free on this machine."""
        return re.sub(
            "|".join(map(re.escape, self._addresses)), lambda found: self._addresses[found[0]], text
        )


def _free_addresses() -> list[str]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second)]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with contextlib.ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        yield reader
        reader.leave()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_newcomer_gets_from_nothing_to_two_users_who_see_their_places(reader: Reader) -> None:
    for snippet in snippets(ROOT / "docs/gateway.md"):
        reader.follow(snippet)

    assert reader.top is not None
    reader.top.read_until(r"ada +chat_interface [^\n]*\n[12] +\S+ +bob +direct_api")
    reader.top.interrupt()
    assert reader.top.wait() == 0
    assert reader.gateway is not None
    assert reader.gateway.stop() == 0


def test_the_page_says_each_reason_with_its_status() -> None:
    page = (ROOT / "docs/gateway.md").read_text(encoding="utf-8")
    table = page[page.index("## Refusals") : page.index("## When servers fail")]

    settings = {*GatewaySettings.model_fields, *QueueSettings.model_fields}
    rows = re.findall(r"^\| ([\d, ]+) \| (.*) \|$", table, re.MULTILINE)
    assert rows
    for statuses, text in rows:
        for name in re.findall(r"`([a-z]+_?[a-z_]*)`", text):
            if name not in settings:
                assert str(Reason[name].status) in statuses.split(", "), name
