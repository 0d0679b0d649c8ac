"""Settings in YAML. The library is optional: whoever has a YAML file has one that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from yaml.nodes import Node

__all__ = ["read_yaml", "read_yaml_file"]

# Settings are short. This is far above any, and far below what hurts.
_MAX_CHARACTERS: Final = 1_000_000


def read_yaml_file(path: Path) -> Mapping[str, Any]:
    """The map that a file holds. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The settings in {path} cannot be read: {error}") from error
    return read_yaml(text, str(path))


def read_yaml(text: str, place: str = "the settings") -> Mapping[str, Any]:
    """The map that a text holds, of plain values only. Raises UsageError."""
    try:
        import yaml
    except ImportError as error:
        raise UsageError(
            "Settings in YAML need PyYAML, which is not installed.",
            suggestion="pip install 'namel3ss[yaml]', or pass the settings as a dict.",
        ) from error
    if len(text) > _MAX_CHARACTERS:
        raise UsageError(f"{place} has more than {_MAX_CHARACTERS:,} characters.")
    try:
        _refuse_repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader))
        read = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{place} cannot be read as YAML: {error}") from error
    except RecursionError as error:
        raise UsageError(f"{place} is nested too deeply.") from error
    if not isinstance(read, dict):
        raise UsageError(
            f"{place} must hold a map, not {type(read).__name__}.",
            suggestion="For example:\napi:\n  provider: ollama\n  ollama_model: llama3:8b",
        )
    return read


def _refuse_repeated_keys(root: Node | None) -> None:
    """Of a key that stands twice YAML takes the last, without a word: it could be the provider."""
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode

    left, known = [root], set[int]()
    while left:
        node = left.pop()
        if id(node) in known:  # an alias
            continue
        known.add(id(node))
        if isinstance(node, SequenceNode):
            left += node.value
        if isinstance(node, MappingNode):
            names = set[str]()
            for key, value in node.value:
                left.append(value)
                if isinstance(key, ScalarNode):
                    if key.value in names:
                        line = key.start_mark.line + 1
                        raise UsageError(f"`{key.value}` stands twice in the settings, again in line {line}.")
                    names.add(key.value)
