"""Opened stores for tests."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.store import Classes, KeyAdministration, Keyring, Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DATABASE: Final = "sqlite:///.namel3ss/gateway.db"
CLASSES: Final = Classes.of({"coding": 0, "chat": 5, "batch": 9})


def database_file(folder: Path) -> Path:
    return folder / ".namel3ss" / "gateway.db"


@contextlib.asynccontextmanager
async def opened(folder: Path, database: str = DATABASE) -> AsyncIterator[Store]:
    async with await Store.open(database, folder, timeout_s=5.0) as store:
        yield store


@contextlib.asynccontextmanager
async def keys_of(folder: Path) -> AsyncIterator[tuple[KeyAdministration, Keyring]]:
    """A store with its keyring following it, and those who change it."""
    async with opened(folder) as store, Keyring(store, CLASSES) as keyring:
        yield KeyAdministration(store, applied=keyring.refresh), keyring
