"""From which state each recording started: the options of the sandbox, and the requests sent before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from namel3ss.sandbox import Fault, OllamaVersion, SandboxOptions

if TYPE_CHECKING:
    from tests.contract.recordings import Recording

__all__ = ["Start", "starting_state"]

_PULL_SECONDS = 0.2


@dataclass(frozen=True)
class Step:
    """A request sent before the recorded one."""

    method: str
    path: str
    body: dict[str, object] | bytes
    leave_after_lines: int | None = None


@dataclass(frozen=True)
class Start:
    options: SandboxOptions
    steps: tuple[Step, ...] = ()
    leave_after_lines: int | None = None
    """Where the client hung up in the recorded exchange."""


def _load(model: str, **more: object) -> Step:
    return Step("POST", "/api/generate", {"model": model, **more})


_TINY_FILE = "sha256:bdc9a63b7c50d76d2ca26d5be8cc300aec47bcc4430abc4cad3986d2f9664d1a"
_TEXT_FILE = "sha256:708811ccb1510c6d6c6e6379ef09be39bdbb0e7edcf44fefcca21c6228ee6d89"
_CREATED = {
    "made": Step(
        "POST",
        "/api/create",
        {"model": "made", "files": {"chat.gguf": _TINY_FILE}, "template": "{{ .Prompt }}"},
    ),
    "made2": Step(
        "POST",
        "/api/create",
        {
            "model": "made2",
            "from": "tiny",
            "system": "You are brief.",
            "parameters": {"temperature": 0.1, "stop": ["###"], "num_ctx": 512},
        },
    ),
    "made3": Step("POST", "/api/create", {"model": "made3", "from": "tiny"}),
}
_REGISTRY = "registry.example/library"
_THINKER_PULL = {"model": f"http://{_REGISTRY}/tiny-thinker", "insecure": True}

_STEPS: dict[str, tuple[Step, ...]] = {
    "models/ps": (_load("tiny-endless"), _load("tiny-tools"), _load("tiny")),
    "models/ps-forever": (_load("tiny-endless"), _load("tiny-thinker"), _load("tiny", keep_alive=-1)),
    "models/ps-num-ctx-above-trained": (
        _load("tiny-endless"),
        _load("tiny", options={"num_ctx": 128}),
        _load("tiny-short:64", options={"num_ctx": 100_000}),
    ),
    "models/show-parameters": (_CREATED["made2"],),
    "models/tags": (_CREATED["made"], _CREATED["made2"], _CREATED["made3"]),
    "models/delete": (Step("POST", "/api/copy", {"source": "tiny", "destination": "team/tiny-copy:v1"}),),
    "create/not-gguf": (Step("POST", f"/api/blobs/{_TEXT_FILE}", b"not a model"),),
    "pull/resumed": (Step("POST", "/api/pull", _THINKER_PULL, leave_after_lines=3),),
}
_NEWER_STEPS: dict[str, tuple[Step, ...]] = {
    "models/delete": (Step("POST", "/api/copy", {"source": "tiny", "destination": "copy"}),),
    "models/tags": (),
    "openai/models": (_CREATED["made2"],),
}

_BARE = frozenset({"server/tags-empty", "openai/models-empty", "models/tags-private-registry"})
_INSTALLED = {
    "models/tags-private-registry": tuple(
        f"{_REGISTRY}/{name}" for name in ("tiny", "tiny-tools", "tiny-thinker")
    ),
    "pull/again": (f"{_REGISTRY}/tiny",),
}
_FAULTS = {
    "generate/load-failed": Fault.NO_RUNNER,
    "generate/load-failed-plain": Fault.NO_RUNNER,
    "chat/load-failed": Fault.NO_RUNNER,
    "died/server-killed-stream": Fault.SERVER_DIES,
    "pull/corrupt-layer": Fault.CORRUPT_LAYER,
    "pull/http-without-insecure": Fault.REGISTRY_PLAIN_HTTP,
    "pull/registry-down": Fault.REGISTRY_DOWN,
    "pull/registry-down-plain": Fault.REGISTRY_DOWN,
    "pull/registry-unresolved": Fault.REGISTRY_UNRESOLVED,
}
_GROUP_FAULTS = {"busy": Fault.QUEUE_FULL, "died": Fault.RUNNER_DIES}


def starting_state(recording: Recording) -> Start:
    case, group = recording.case, recording.group
    version = next(each for each in get_args(OllamaVersion) if each == recording.version)
    fault = _FAULTS.get(case, _GROUP_FAULTS.get(group))
    options = SandboxOptions(
        tiny=group != "pull" and case not in _BARE,
        installed=_INSTALLED.get(case, ()),
        ollama_version=version,
        pull_seconds=_PULL_SECONDS,
        unknown_models=(f"{_REGISTRY}/nope",),
        faults=frozenset({fault} if fault else ()),
    )
    steps = _STEPS.get(case, ())
    if recording.version != "0.24.0":
        steps = _NEWER_STEPS.get(case, steps)
    return Start(options, steps, leave_after_lines=3 if case == "pull/cancelled-by-client" else None)
