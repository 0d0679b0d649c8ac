"""One switch chooses who answers: `provider:` in a `.ai` file, or in an application's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from namel3ss.bridge.settings import from_settings
from namel3ss.bridge.yaml_settings import read_yaml, read_yaml_file
from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from namel3ss.bridge.base import Bridge
    from namel3ss.bridge.declared import LoadedProgram
    from namel3ss.caching import ResponseCache
    from namel3ss.scheduling import RequestQueue

__all__ = ["bridge_for"]

_FILES: Final = (".ai", ".yml", ".yaml")


_Source: TypeAlias = "Mapping[str, Any] | str | os.PathLike[str] | LoadedProgram"


def bridge_for(
    source: _Source,
    *,
    model: str | None = None,
    queue: RequestQueue | None = None,
    cache: ResponseCache | None = None,
    allow_fallback: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Bridge:
    """The bridge that is asked for.

    `source` is one of these:

    * a `.ai` file, by its path (a text that ends in ``.ai``, or a `Path`), or a loaded program: `model` is the name of
      one of its models, which may be left out where it has one, or one called ``default``;
    * an application's settings, a dict or YAML (its text, or the path of a file): a map with an ``api`` section, or that
      section itself. Keys: ``provider``, ``ollama_url``, ``ollama_model`` or, for Anthropic, ``model``; ``temperature``,
      ``max_tokens``, ``timeout`` (seconds).

    `allow_fallback` lets calls that do not say otherwise use the `fallback` that the model declares. `environ` takes the
    place of the process's environment. Raises UsageError, and ProgramError for a file that cannot be used: a missing or
    misspelt provider is an error, and nothing falls back to a cloud.
    """
    variables = os.environ if environ is None else environ
    if isinstance(source, Mapping):
        settings = source
    elif isinstance(source, str | os.PathLike):
        path = _path(source)
        if path is not None and path.suffix == ".ai":
            # Here, so that an application with settings of its own does not load the language.
            from namel3ss.bridge.declared import ProgramModels, from_models
            from namel3ss.declarations import read_program

            program = ProgramModels(read_program(path, environ=variables), variables)
            return from_models(program, model, queue=queue, cache=cache, allow_fallback=allow_fallback)
        settings = read_yaml(str(source)) if path is None else read_yaml_file(path)
    elif hasattr(source, "models") and hasattr(source, "model"):
        from namel3ss.bridge.declared import from_models

        return from_models(source, model, queue=queue, cache=cache, allow_fallback=allow_fallback)
    else:
        raise UsageError(
            f"A bridge is made from settings, YAML, a `.ai` file or a loaded program, not from a value of type"
            f" {type(source).__name__}."
        )
    if model is not None:
        raise UsageError("model goes with a `.ai` file; settings declare no ai models.")
    return from_settings(settings, queue=queue, cache=cache, environ=variables)


def _path(source: str | os.PathLike[str]) -> Path | None:
    """The path that is meant; None for a text of YAML."""
    if isinstance(source, str) and ("\n" in source or not source.strip().endswith(_FILES)):
        return None
    return Path(os.fspath(source))
