"""A workspace in memory and on the disk, and texts with the cursor marked by `¦`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.language_server.machine import InstalledModel, ModelDetails, ServerFacts
from namel3ss.language_server.workspace import Workspace
from namel3ss.providers.registry import installed_providers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lsprotocol import types

    from namel3ss.language_server.documents import Document

__all__ = ["FACTS", "at", "labels", "make_workspace", "opened", "spelled"]

FACTS = ServerFacts(
    is_reachable=True,
    models=(
        InstalledModel("llama3:8b", 4_700_000_000, "Q4_0", "8B", ("completion", "tools"), True),
        InstalledModel("tiny:latest", 12_000, "F32", None, ("completion",), False),
    ),
    suggestions=("mistral:7b",),
    details={"llama3:8b": ModelDetails(8192, ("completion", "tools"))},
)


def make_workspace(*folders: Path, environ: Mapping[str, str] | None = None) -> Workspace:
    return Workspace(
        [str(folder) for folder in folders], environ=environ or {}, registry=installed_providers()
    )


def opened(
    text: str, workspace: Workspace | None = None, uri: str = "untitled:app.ai"
) -> tuple[Workspace, Document]:
    """A document with a text, whose `¦` is taken out."""
    workspace = workspace or make_workspace()
    return workspace, workspace.open(uri, text.replace("¦", ""), 1)


def at(document: Document, text: str) -> types.Position:
    """The position of `¦` in a text that is otherwise the document's."""
    return document.lines.position(text.index("¦"))


def labels(completion: types.CompletionList) -> list[str]:
    return [item.label for item in completion.items]


def spelled(document: Document, place: types.Range) -> str:
    span = document.lines.span(place)
    return document.text[span.start : span.end]
