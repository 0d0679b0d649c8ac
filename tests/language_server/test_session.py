"""The real server process over pipes: what only a process shows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.support.editor import open_editor

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = "ai model a {\n    provider: ollama\n    model: tiny\n    config: { temprature: 0.5 }\n}\n"


async def test_a_file_is_checked_while_it_is_typed(tmp_path: Path) -> None:
    uri = (tmp_path / "app.ai").as_uri()
    async with open_editor(os.environ) as editor:
        result = await editor.initialize(tmp_path, options={"onlineChecks": False})
        assert result["serverInfo"]["name"] == "namel3ss"
        editor.open(uri, BROKEN)
        (finding,) = await editor.diagnostics(uri)
        assert finding["code"] == "N3201"
        editor.change(
            uri,
            {
                "range": {"start": {"line": 3, "character": 14}, "end": {"line": 3, "character": 24}},
                "text": "temperature",
            },
        )

        assert await editor.diagnostics(uri) == []
        assert await editor.shut_down() == 0
        assert editor.noise == []
