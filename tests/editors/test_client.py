"""The language server from the other side: a client in Node over standard input and output, a recorded Ollama behind."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer

if TYPE_CHECKING:
    from tests.editors.conftest import Node

pytestmark = pytest.mark.long


def test_a_node_client_finds_fixes_completes_and_pulls(node: Node, tmp_path: Path) -> None:
    program = Path(sysconfig.get_path("scripts"), "namel3ss")
    options = SandboxOptions(installed=("llama3:8b",), tiny=False, pull_seconds=0.1)
    with SandboxServer(options) as server:
        printed = node.run("client.js", program, tmp_path, environ={"NAMEL3SS_OLLAMA_BASE_URL": server.url})

    told = json.loads(printed)
    assert told["server"] == "namel3ss"
    assert [finding["code"] for finding in told["broken"]] == ["N3201"]
    (edits,) = told["fix"]["edit"]["changes"].values()
    assert [edit["newText"] for edit in edits] == ["temperature"]
    installed = {item["label"] for item in told["completed"] if item["detail"] != "not installed"}
    assert installed == {"llama3:8b"}
    assert told["outcome"]["success"]
    assert told["progress"][0] == "begin"
    assert told["progress"][-1] == "end"
    assert "report" in told["progress"]
    assert told["code"] == 0
