"""Where the database is, and that nobody else can read it.

A file of SQLite is made with mode 0600 in a folder made with mode 0700 before SQLite sees it; SQLite gives its side
files the same mode. A symbolic link in place of the file, of a side file, or of a folder between the program and a
relative path is refused: somebody else may have laid it.
"""

from __future__ import annotations

import importlib
import os
import stat
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from namel3ss.errors import UsageError
from namel3ss.gateway.store.errors import StoreError

__all__ = ["locate", "make_private_file", "secure_file"]

_SIDE_FILES: Final = ("-wal", "-shm", "-journal")


def locate(database: str, folder: Path) -> URL:
    """The database that a setting means; a relative path of SQLite is read from `folder`. Raises UsageError."""
    try:
        url = make_url(database)
    except ArgumentError:
        url = None
    if url is not None and url.get_backend_name() == "postgresql" and url.host:
        _require_driver()
        return url.set(drivername="postgresql+psycopg")
    if url is not None and url.get_backend_name() == "sqlite" and not url.query and _is_path(url.database):
        path = Path(os.path.abspath(folder)) / str(url.database)
        return url.set(drivername="sqlite+pysqlite", database=str(path))
    raise UsageError(
        "The database is not one that the gateway can use.",
        suggestion="Write sqlite:///gateway.db or postgresql://USER@HOST/NAME",
    )


def _require_driver() -> None:
    try:
        importlib.import_module("psycopg")
    except ImportError:
        raise UsageError(
            "The gateway needs the package psycopg for PostgreSQL, and it is not installed, or lacks libpq.",
            suggestion="pip install 'namel3ss[postgres]'",
        ) from None


def _is_path(name: str | None) -> bool:
    # SQLite takes some names for something else than files, and what they mean would be gone with the process.
    return bool(name) and name != ":memory:" and not str(name).startswith("file:")


def secure_file(path: Path, folder: Path, *, creates: bool) -> None:
    """See to it that only its owner can read the file, and make it if it is not there. Raises StoreError."""
    try:
        if not creates and not path.exists():
            raise StoreError(
                f"There is no database {path} yet.",
                suggestion="`namel3ss serve` makes it, and so does `namel3ss gateway user create`.",
            )
        _refuse_links(path, Path(os.path.abspath(folder)))
        _make_folder(path.parent)
        _make_file(path)
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be used: {error.strerror or error}.",
            suggestion="Name a file in a folder that the user who runs the gateway may write.",
        ) from error


def make_private_file(path: Path, text: str) -> None:
    """Write a new file that only its owner can read. Raises OSError, also where something has that name already."""
    _make_folder(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _refuse_links(path: Path, folder: Path) -> None:
    beside = [path, *(Path(f"{path}{ending}") for ending in _SIDE_FILES)]
    between = [parent for parent in path.parents if folder in parent.parents]
    for each in (*beside, *between):
        if each.is_symlink():
            raise StoreError(
                f"{each} is a symbolic link, and the gateway's keys are never kept behind one.",
                suggestion="Name the place that it leads to in `database`, or remove the link.",
            )


def _make_folder(folder: Path) -> None:
    """Folders that are made are their owner's alone. One that everybody may write into is refused."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & stat.S_IWOTH:
        raise StoreError(
            f"Everybody may write into the folder {folder}, so the gateway's keys are not safe there.",
            suggestion="Name a file in a folder of its own.",
        )


def _make_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path} is not a file.", suggestion="Name a file in `database`.")
        if stat.S_IMODE(found.st_mode) != 0o600 and found.st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
