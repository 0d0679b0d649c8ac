"""How plug-ins are found, and what a broken one leads to."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest

from namel3ss.providers.registry import GROUP, PluginError, ProviderRegistry, installed_providers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PLUGINS = """
class Plugin:
    summary = "a sample"

    def config_model(self):
        from pydantic import BaseModel
        return BaseModel

    def create(self, name, model, config, *, environ): ...
    def override_address(self, config, base_url): ...
    def editor_tools(self): ...

class Failing(Plugin):
    def config_model(self):
        raise RuntimeError("its own bug")

class NoModel(Plugin):
    def config_model(self):
        return dict

GOOD, FAILING, NO_MODEL, WRONG = Plugin(), Failing(), NoModel(), object()
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderRegistry]:
    (tmp_path / "sample_plugins.py").write_text(_PLUGINS)
    (tmp_path / "broken_plugins.py").write_text("raise ImportError('a package is missing')")
    monkeypatch.syspath_prepend(str(tmp_path))
    targets = {
        "good": "sample_plugins:GOOD",
        "failing": "sample_plugins:FAILING",
        "no_model": "sample_plugins:NO_MODEL",
        "wrong": "sample_plugins:WRONG",
        "absent": "sample_plugins:NOTHING",
        "broken": "broken_plugins:PLUGIN",
    }
    yield ProviderRegistry({name: EntryPoint(name, value, GROUP) for name, value in targets.items()})
    sys.modules.pop("sample_plugins", None)


def test_names_are_sorted_and_asking_for_them_loads_nothing(registry: ProviderRegistry):
    assert registry.names() == ("absent", "broken", "failing", "good", "no_model", "wrong")
    assert "good" in registry
    assert "other" not in registry
    assert "sample_plugins" not in sys.modules


def test_a_plugin_is_loaded_once(registry: ProviderRegistry):
    assert registry.get("good") is registry.get("good")
    assert registry.config_model("good") is not None


def test_an_unknown_name_is_none(registry: ProviderRegistry):
    assert registry.get("other") is None
    assert registry.config_model("other") is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "cannot be loaded: a package is missing"),
        ("absent", "cannot be loaded"),
        ("wrong", "is not a provider plug-in"),
    ],
)
def test_a_plugin_that_cannot_be_used_says_why(registry: ProviderRegistry, name: str, message: str):
    with pytest.raises(PluginError, match=message) as caught:
        registry.get(name)
    assert caught.value.suggestion


@pytest.mark.parametrize(
    ("name", "message"), [("failing", "its own bug"), ("no_model", "is no pydantic model")]
)
def test_a_plugin_without_a_config_model_says_so(registry: ProviderRegistry, name: str, message: str):
    with pytest.raises(PluginError, match=message):
        registry.config_model(name)


def test_ollama_is_installed_as_a_plugin_among_others():
    assert "ollama" in installed_providers()
