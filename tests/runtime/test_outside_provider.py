"""A provider from an outside package: installed, found by its entry point, checked and run from a `.ai` file."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import textwrap
import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_MODULE = '''
"""Shouts back what it is told."""

from namel3ss.providers.base import N3Provider, ProviderChunk, ProviderResponse, ProviderStream
from namel3ss.providers.settings import ProviderConfig, setting


class Config(ProviderConfig):
    volume: int = setting(1, doc="How loud.", unit="marks", ge=1, le=11)


class Shouter(N3Provider):
    def __init__(self, name, model, config):
        self.name, self.model, self.config = name, model, Config.model_validate(dict(config))

    async def generate(self, messages, **overrides):
        text = messages[-1].content.upper() + "!" * self.config.volume
        return ProviderResponse(text, self.model, metadata={"provider": "shout"})

    def stream(self, messages, **overrides):
        raise NotImplementedError

    async def aclose(self):
        print("closed")


class Plugin:
    summary = "shouts"

    def config_model(self):
        return Config

    def create(self, name, model, config, *, environ):
        return Shouter(name, model, config)

    def override_address(self, config, base_url):
        return config

    def editor_tools(self):
        return None


PLUGIN = Plugin()
'''

_FILES = {
    "shout_provider.py": _MODULE,
    "shout_provider-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: shout-provider\nVersion: 1.0\n",
    "shout_provider-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "shout_provider-1.0.dist-info/entry_points.txt": "[namel3ss.providers]\nshout = shout_provider:PLUGIN\n",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed into it from a wheel."""
    folder = tmp_path_factory.mktemp("outside")
    wheel = folder / "shout_provider-1.0-py3-none-any.whl"
    _build_wheel(wheel)
    target = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command = [*install, "--target", str(target), str(wheel)]
    subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    return target


def _build_wheel(path: Path) -> None:
    record = "shout_provider-1.0.dist-info/RECORD"
    lines = []
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in _FILES.items():
            wheel.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(text.encode())}\n")
        wheel.writestr(record, "".join([*lines, f"{record},,\n"]))


def _run(installed: Path, program: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        check=True,
        env=environ,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_a_file_runs_on_an_outside_provider(installed: Path, tmp_path: Path):
    path = tmp_path / "app.ai"
    path.write_text("ai model m { provider: shout, model: loud, config: { volume: 3 } }")

    said = _run(
        installed,
        f"""
        import namel3ss
        with namel3ss.load({str(path)!r}).sync as program:
            answer = program.run("hello")
            print(answer.output_text, answer.model)
        """,
    )

    assert said == "HELLO!!! loud\nclosed\n"


def test_its_settings_are_checked_like_our_own(installed: Path):
    said = _run(
        installed,
        """
        from namel3ss.declarations import check_text
        text = "ai model m { provider: shout, model: loud, config: { volume: 12, volum: 1 } }"
        for found in check_text(text, "app.ai").diagnostics:
            print(found.location, found.code, found.message, "-", found.help)
        for found in check_text("ai model m { provider: shot, model: x }").diagnostics:
            print(found.help, found.notes)
        """,
    )

    assert said == (
        "app.ai:1:62 N3202 volume must be a whole number from 1 to 11 (marks), not 12 - None\n"
        "app.ai:1:66 N3201 unknown setting `volum` in config - did you mean `volume`?\n"
        "did you mean `shout`? ('installed providers: anthropic, local_ai, ollama, openai, openai_compatible, scripted, shout, vllm',)\n"
    )
