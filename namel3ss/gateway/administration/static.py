"""The panel's files, read once: nothing outside this list can be asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

__all__ = ["PAGE", "PanelFiles"]

PAGE: Final = "index.html"

_TYPES: Final[Mapping[str, str]] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    content_type: str
    tag: str


class PanelFiles:
    """Answers with the panel's page and its parts. Browsers ask each time whether a part is still the same."""

    def __init__(self) -> None:
        folder = files("namel3ss.gateway.administration") / "panel"
        self._files = {
            file.name: _read(file.name, file.read_bytes())
            for file in folder.iterdir()
            if file.name.rpartition(".")[2] in _TYPES
        }

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._files)

    def answer(self, request: Request, name: str) -> Response:
        """The file of that name, which is one of `names`."""
        file = self._files[name]
        headers = {"etag": file.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers={**headers, "content-type": file.content_type})


def _read(name: str, content: bytes) -> _File:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return _File(content, _TYPES[name.rpartition(".")[2]], tag)
