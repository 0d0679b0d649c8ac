"""The recorded exchanges, as data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Recording", "all_recordings", "recording"]

_FOLDER = Path(__file__).parent / "wire"


@dataclass(frozen=True)
class Recording:
    """One exchange; `name` is as in `ollama-0.24.0/chat/plain`."""

    name: str
    request: dict[str, Any]
    response: dict[str, Any]

    @property
    def version(self) -> str:
        return self.name.split("/")[0].removeprefix("ollama-")

    @property
    def case(self) -> str:
        return self.name.split("/", 1)[1]

    @property
    def group(self) -> str:
        return self.case.split("/")[0]

    @property
    def body(self) -> bytes | None:
        """What was sent."""
        if "json" in self.request:
            return json.dumps(self.request["json"]).encode()
        if "raw_body" in self.request:
            return str(self.request["raw_body"]).encode()
        return None


@cache
def all_recordings() -> tuple[Recording, ...]:
    found = []
    for path in sorted(_FOLDER.glob("ollama-*/*/*.json")):
        document = json.loads(path.read_text())
        name = path.relative_to(_FOLDER).with_suffix("").as_posix()
        found.append(Recording(name, document["request"], document["response"]))
    return tuple(found)


def recording(name: str) -> Recording:
    return next(each for each in all_recordings() if each.name == name)
