"""The program, its environment, and how a process is known again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from namel3ss.providers.local.ollama._process import (
    ServerProcess,
    find_executable,
    how_to_install,
    server_environment,
)
from namel3ss.providers.local.ollama._process_table import ProcessTable, ProcTable, PsTable
from namel3ss.providers.local.ollama._server_files import ServerFiles, ServerRecord

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no server is started on Windows")


def program(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "ollama"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


# -- finding it -----------------------------------------------------------------------------------------------


def test_the_program_is_found_on_the_path(tmp_path):
    file = program(tmp_path / "bin")

    assert find_executable({"PATH": f"/nowhere{os.pathsep}{file.parent}"}) == str(file)


@pytest.mark.security(43)
@pytest.mark.parametrize("path", ["", ".", "bin", f"{os.pathsep}.", f"relative{os.pathsep}./bin"])
def test_the_program_is_never_taken_from_the_current_directory(tmp_path, monkeypatch, path):
    program(tmp_path)
    program(tmp_path / "bin")
    monkeypatch.chdir(tmp_path)

    found = find_executable({"PATH": path})

    assert found is None or not Path(found).is_relative_to(tmp_path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="usual places differ")
def test_the_program_is_found_in_a_usual_place_of_the_user(tmp_path):
    file = program(tmp_path / ".local/bin")
    found = find_executable({"HOME": str(tmp_path)})

    # A machine where Ollama is installed for everybody has it in an earlier place.
    assert found == str(file) or shutil.which("ollama") is not None


@pytest.mark.parametrize(
    ("platform", "words"), [("linux", "install.sh"), ("darwin", "brew install"), ("win32", "download")]
)
def test_installing_is_explained_for_each_platform(platform, words):
    assert words in how_to_install(platform)


@pytest.mark.security(43, 44)
def test_a_server_gets_what_it_needs_and_no_secrets():
    given = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "LC_ALL": "C",
        "OLLAMA_KEEP_ALIVE": "10m",
        "OLLAMA_HOST": "0.0.0.0",
        "HSA_OVERRIDE_GFX_VERSION": "10.3.0",
        "NO_PROXY": "localhost",
        "OLLAMA_API_KEY": "x",
        "HF_TOKEN": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PYTHONPATH": "x",
        "LD_PRELOAD": "x",
    }

    assert server_environment(given, "127.0.0.1:11434") == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "LC_ALL": "C",
        "OLLAMA_KEEP_ALIVE": "10m",
        "OLLAMA_HOST": "127.0.0.1:11434",
        "HSA_OVERRIDE_GFX_VERSION": "10.3.0",
        "NO_PROXY": "localhost",
    }


# -- knowing it again -----------------------------------------------------------------------------------------

TABLES = [
    pytest.param(
        ProcTable(), id="proc", marks=pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
    ),
    pytest.param(PsTable(), id="ps", marks=pytest.mark.skipif(shutil.which("ps") is None, reason="no ps")),
]  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_a_process_is_known_while_it_lives(table: ProcessTable):
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    mark = table.mark(child.pid)

    assert mark
    assert table.mark(child.pid) == mark
    assert table.group(child.pid) == [child.pid]
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert table.mark(child.pid) is None
    assert table.group(child.pid) == []
    child.wait()
    assert table.mark(child.pid) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_a_process_is_known_by_its_environment():
    child = subprocess.Popen(
        ["/bin/cat"], env={"TOKEN_OF_OURS": "abc"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    table = ProcTable()
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        # Between `exec` and the first answer of the program the kernel may show no environment yet.
        child.stdin.write(b"x\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"x\n"

        assert table.has_variable(child.pid, "TOKEN_OF_OURS=abc")
        assert not table.has_variable(child.pid, "TOKEN_OF_OURS=ab")
    finally:
        child.kill()
        child.communicate()
    assert not table.has_variable(child.pid, "TOKEN_OF_OURS=abc")


class Scripted(ProcessTable):
    """Processes as a test wants them."""

    def __init__(self, marks: dict[int, str], group: list[int], marked: set[int] | None = None) -> None:
        self._marks, self._group, self._marked = marks, group, marked or set()

    def mark(self, pid: int) -> str | None:
        return self._marks.get(pid)

    def group(self, group_id: int) -> list[int]:
        return list(self._group)

    def has_variable(self, pid: int, assignment: str) -> bool:
        return pid in self._marked


OURS = ServerProcess(pid=10, mark="boot/1", token="t")


@pytest.mark.parametrize(
    ("table", "left"),
    [
        (Scripted({10: "boot/1"}, [10, 11]), [10, 11]),
        (Scripted({10: "boot/2"}, [10, 11]), []),
        (Scripted({}, [11, 12], marked={12}), [11, 12]),
        (Scripted({}, [11, 12]), []),
        (Scripted({}, []), []),
    ],
    ids=["ours", "the number was used again", "runners of ours", "a group of somebody else", "gone"],
)
def test_a_group_is_ours_by_its_leader_or_by_its_environment(table, left):
    assert OURS.left(table) == left


# -- its files ------------------------------------------------------------------------------------------------


def record() -> ServerRecord:
    return ServerRecord(process=OURS, base_url="http://127.0.0.1:1", executable="/ollama", started_at="now")


def test_a_record_is_read_as_it_was_written(tmp_path):
    files = ServerFiles(tmp_path / "new", "127.0.0.1:1")

    assert files.read() is None
    files.write(record())
    assert files.read() == record()
    assert sorted(file.name for file in files.folder.iterdir()) == ["server-127.0.0.1-1.json"]
    files.forget()
    files.forget()
    assert files.read() is None


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"process": {"pid": "1"}}', b"\xff"])
def test_a_damaged_record_is_none(tmp_path, damaged):
    files = ServerFiles(tmp_path, "127.0.0.1:1")
    files.record.write_bytes(damaged)

    assert files.read() is None


def test_only_one_holds_the_lock(tmp_path):
    one, other = ServerFiles(tmp_path, "[::1]:1"), ServerFiles(tmp_path, "[::1]:1")

    with one.try_lock() as first, other.try_lock() as second:
        assert (first, second) == (True, False)
    with other.try_lock() as third:
        assert third


@pytest.mark.security(45)
def test_a_folder_that_others_may_read_is_closed_to_them(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)

    ServerFiles(folder, "127.0.0.1:1").write(record())

    assert folder.stat().st_mode & 0o077 == 0


def test_a_log_that_has_grown_too_large_is_cut_while_it_is_written_to(tmp_path):
    files = ServerFiles(tmp_path, "127.0.0.1:1")
    writer = files.open_log()
    os.write(writer, b"x" * (11 * 1024 * 1024) + b"last")

    files.bound_log()
    os.write(writer, b"next")
    os.close(writer)

    assert files.log.read_bytes() == b"next"
    kept = (tmp_path / f"{files.log.name}.1").read_bytes()
    assert len(kept) == 1024 * 1024
    assert kept.endswith(b"last")


def test_the_end_of_a_log_is_bounded_and_hides_passwords(tmp_path):
    files = ServerFiles(tmp_path, "127.0.0.1:1")
    files.log.write_text(
        'level=INFO msg="server config" env="map[HTTPS_PROXY:http://me:pw@proxy]"\n'
        + "".join(f"line {number}\n" for number in range(30))
        + f"Get http://me:pw@proxy/\x1b[31m{'y' * 1000}\n\n"
    )

    tail = files.log_tail().splitlines()

    assert tail[0] == "line 21"
    assert len(tail) == 10
    assert tail[-1].startswith("Get http://***@proxy/ [31m")
    assert len(tail[-1]) < 310
    assert ServerFiles(tmp_path, "127.0.0.1:2").log_tail() == ""


@pytest.mark.security(25)
def test_the_end_of_a_log_is_rid_of_secrets_before_it_is_cut(tmp_path):
    files = ServerFiles(tmp_path, "127.0.0.1:1")
    line = "Get http://me:ZQXZQXZQX@proxy/\n"
    for shown in range(len(line) + 1):
        files.log.write_text(f"{'y' * shown}\n{line}{'y' * (16 * 1024 - shown - 1)}\n")
        assert set("ZQX").isdisjoint(files.log_tail())
    for before in range(270, 302):
        files.log.write_text(f"{'y' * before} {line}")
        assert set("ZQX").isdisjoint(files.log_tail())


def test_the_end_of_a_log_begins_where_this_start_began(tmp_path):
    files = ServerFiles(tmp_path, "127.0.0.1:1")
    files.log.write_text("of an earlier start\n")
    size = files.log_size()
    with files.log.open("a") as log:
        log.write("of this one\n")

    assert files.log_tail(size) == "of this one"


def test_what_a_record_holds_is_plain_json(tmp_path):
    files = ServerFiles(tmp_path, "127.0.0.1:1")
    files.write(record())

    assert msgspec.json.decode(files.record.read_bytes())["process"] == {
        "pid": 10,
        "mark": "boot/1",
        "token": "t",
    }
