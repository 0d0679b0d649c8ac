"""The database's file is its owner's alone, and nobody can put another in its place."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.errors import UsageError
from namel3ss.gateway.store import Store, StoreError
from namel3ss.gateway.store.location import locate, make_private_file
from tests.gateway.store.places import DATABASE, database_file, opened

pytestmark = pytest.mark.security(45)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def refusal(folder: Path, database: str = DATABASE) -> str:
    with pytest.raises(StoreError) as caught:
        await Store.open(database, folder)
    return str(caught.value)


async def test_files_and_folders_that_are_made_are_their_owner_s_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with opened(tmp_path, "sqlite:///new/folders/gateway.db"):
            files = list((tmp_path / "new/folders").iterdir())
            assert {path.name for path in files} == {"gateway.db", "gateway.db-wal", "gateway.db-shm"}
            assert {mode(path) for path in files} == {0o600}
            assert mode(tmp_path / "new") == mode(tmp_path / "new/folders") == 0o700
    finally:
        os.umask(before)


async def test_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    database_file(tmp_path).chmod(0o644)

    async with opened(tmp_path):
        assert mode(database_file(tmp_path)) == 0o600


async def test_relative_path_is_read_from_the_file_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    elsewhere.mkdir()
    home.mkdir()
    monkeypatch.chdir(elsewhere)

    async with opened(home):
        pass

    assert database_file(home).is_file()
    assert list(elsewhere.iterdir()) == []


async def test_absolute_path_is_used_as_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path / "program", f"sqlite:///{tmp_path}/data/gateway.db"):
        pass

    assert (tmp_path / "data/gateway.db").is_file()


@pytest.mark.parametrize("name", ["gateway.db", "gateway.db-wal", "gateway.db-shm", "gateway.db-journal"])
async def test_link_in_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    folder, victim = tmp_path / ".namel3ss", tmp_path / "victim"
    folder.mkdir(mode=0o700)
    victim.write_text("precious")
    (folder / name).symlink_to(victim)

    assert "symbolic link" in await refusal(tmp_path)
    assert victim.read_text() == "precious"


async def test_link_to_nothing_is_refused_and_nothing_is_made_behind_it(tmp_path: Path) -> None:
    (tmp_path / ".namel3ss").mkdir()
    database_file(tmp_path).symlink_to(tmp_path / "made")

    assert "symbolic link" in await refusal(tmp_path)
    assert not (tmp_path / "made").exists()


async def test_link_in_place_of_a_folder_below_the_program_is_refused(tmp_path: Path) -> None:
    program, elsewhere = tmp_path / "program", tmp_path / "elsewhere"
    program.mkdir()
    elsewhere.mkdir()
    (program / ".namel3ss").symlink_to(elsewhere)

    assert "symbolic link" in await refusal(program)
    assert list(elsewhere.iterdir()) == []


async def test_link_above_the_program_is_the_owner_s_own_affair(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    async with opened(tmp_path / "link"):
        assert database_file(tmp_path / "real").is_file()


async def test_folder_that_everybody_may_write_into_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)

    assert "Everybody may write" in await refusal(tmp_path, "sqlite:///open/gateway.db")


async def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    database_file(tmp_path).mkdir(parents=True)
    assert "cannot be used" in await refusal(tmp_path)

    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in await refusal(tmp_path, "sqlite:///pipe")


@pytest.mark.parametrize(
    "database",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///x.db?vfs=unix",
        "mysql://host/name",
        "no database",
        "postgresql:///name",
    ],
)
def test_what_would_not_last_or_is_no_database_is_refused(database: str) -> None:
    with pytest.raises(UsageError):
        locate(database, Path("/program"))


@given(st.text())
def test_any_text_is_a_database_or_a_wrong_call(text: str) -> None:
    try:
        url = locate(text, Path("/program"))
    except UsageError:
        return
    assert url.get_backend_name() in ("sqlite", "postgresql")


def test_postgresql_without_its_driver_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from pathlib import Path\n"
        "from namel3ss.gateway.store.location import locate\n"
        "try: locate('postgresql://host/name', Path('/'))\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "pip install 'namel3ss[postgres]'" in done.stdout


async def test_password_of_a_database_is_not_shown(tmp_path: Path) -> None:
    url = locate("postgresql://me:s3cr3t-canary@127.0.0.1:1/name", tmp_path)
    assert "s3cr3t-canary" not in repr(url)

    message = await refusal(tmp_path, "postgresql://me:s3cr3t-canary@127.0.0.1:1/name")
    assert "me:***@127.0.0.1" in message
    assert "s3cr3t-canary" not in message


def test_private_file_is_new_and_follows_no_link(tmp_path: Path) -> None:
    path = tmp_path / "key"
    make_private_file(path, "n3k")

    assert (mode(path), path.read_text()) == (0o600, "n3k")
    with pytest.raises(FileExistsError):
        make_private_file(path, "again")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="File exists"):
        make_private_file(tmp_path / "link", "n3k")
    assert not (tmp_path / "target").exists()
