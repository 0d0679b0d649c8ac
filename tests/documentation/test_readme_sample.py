"""What the README shows of a mistake is what the command prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.documentation.pages import ROOT, snippets
from tests.support.command_line import call

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_shown_diagnostic_is_what_check_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = snippets(ROOT / "README.md")
    program = next(block.text for block in blocks if block.title == "app.ai")
    shown = next(
        block.text for block in blocks if block.language == "text" and block.text.startswith("error[")
    )
    (tmp_path / "app.ai").write_text(program.replace("temperature", "temprature"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    done = call("check", "app.ai")

    assert (shown, 1) == (done.stdout, done.code)
