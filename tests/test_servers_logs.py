"""Logs tell what happened and cannot fill a disk."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_scripts import script
from server_sessions import PATIENCE_S, ServerSession, eventually, spec_of

from pytest_llmbench import redaction
from pytest_llmbench.errors import ServerError
from pytest_llmbench.records import ModelFile
from pytest_llmbench.servers import logs
from pytest_llmbench.servers.logs import BoundedLog, Output, forget_old_runs, new_path


@pytest.fixture
def session() -> Iterator[ServerSession]:
    with ServerSession() as session:
        yield session


def both(path: Path) -> tuple[Path, Path]:
    return path, Path(f"{path}{logs.OLDER}")


def test_a_full_log_is_put_aside_once_and_then_forgotten(tmp_path: Path) -> None:
    """Two files of bounded size hold the last of many lines, in order, none torn."""
    log = BoundedLog(tmp_path / "a.log", limit_bytes=1000)
    for number in range(1000):
        log.write(f"line {number}\n".encode())
    log.close()
    new, old = both(tmp_path / "a.log")
    assert max(new.stat().st_size, old.stat().st_size) <= 1000
    kept = (old.read_text() + new.read_text()).splitlines()
    assert kept == [f"line {number}" for number in range(1000 - len(kept), 1000)]
    assert len(kept) > 100
    assert new.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("lines", [39, 40, 41, 99, 100, 101, 333])
def test_the_tail_is_whole_wherever_the_files_were_changed(tmp_path: Path, lines: int) -> None:
    """An error shows the last lines, whichever file they are in."""
    log = BoundedLog(tmp_path / "a.log", limit_bytes=100)
    for number in range(lines):
        log.write(f"line {number}\n".encode())
    log.close()
    assert log.tail().splitlines() == [f"line {number}" for number in range(max(0, lines - 40), lines)]


def test_a_full_disk_costs_lines_of_the_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tail in memory goes on, and says why the file does not."""
    log = BoundedLog(tmp_path / "a.log")
    log.write(b"first\n")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(logs.os, "write", full)
        log.write(b"second\n")
    log.write(b"third\n")
    log.close()
    assert (tmp_path / "a.log").read_text() == "first\nthird\n"
    assert log.tail().splitlines()[:3] == ["first", "second", "third"]
    assert "No space left on device" in log.tail()


def spoken(tmp_path: Path, writes: Callable[[int], None]) -> tuple[str, list[bytes], str]:
    """What is kept, told of and shown in an error of what somebody writes into the pipe."""

    async def listen() -> tuple[list[bytes], str]:
        heard: list[bytes] = []
        output = Output(BoundedLog(tmp_path / "a.log"), heard.append)
        await asyncio.to_thread(writes, output.write_end)
        os.close(output.write_end)
        await asyncio.sleep(0.6)
        output.close()
        return heard, output.tail()

    heard, tail = asyncio.run(listen())
    return (tmp_path / "a.log").read_text(errors="replace"), heard, tail


def test_a_key_is_taken_out_wherever_the_reads_divide_it(tmp_path: Path) -> None:
    """Written byte by byte, in the middle of a line without end, at its very end."""
    key = "k" * 20 + "0123456789"
    redaction.register(key)

    def write(end: int) -> None:
        for byte in f"Authorization: Bearer {key}\n".encode():
            os.write(end, bytes([byte]))
        os.write(end, b"x" * 65_530 + key.encode() + b"y" * 200_000 + key.encode()[:15])
        os.write(end, key.encode()[15:] + b"\n" + key.encode())

    kept, heard, tail = spoken(tmp_path, write)
    assert kept.count(redaction.MARK) == 4
    for text in (kept, b"".join(heard).decode(), tail):
        assert key[:25] not in text
        assert key[10:] not in text


def test_a_last_line_without_its_end_is_kept_too(tmp_path: Path) -> None:
    """What a dying process says last is what matters."""
    kept, heard, tail = spoken(tmp_path, lambda end: os.write(end, b"one\nGGML_ASSERT failed") and None)
    assert kept.splitlines() == ["one", "GGML_ASSERT failed"]
    assert heard == [b"one", b"GGML_ASSERT failed"]
    assert tail.splitlines() == ["one", "GGML_ASSERT failed"]


def test_a_server_that_logs_without_end_does_not_fill_the_disk(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves meanwhile; its files stay below their limit, and the end of its log is in the error when it dies."""
    floods = (
        "import os, threading\n"
        "def flood():\n"
        "    for number in range(10**9):\n"
        "        sys.stderr.write(f'flood {number} ' + 'x' * 200 + chr(10))\n"
        "threading.Thread(target=flood, daemon=True).start()"
    )
    client = session.client(engine="llama-server", binary=str(script(tmp_path, serves=True, before=floods)))
    info = client.claim([spec_of(smollm2)], wait=True)[0]
    assert info.pid is not None
    log, older = both(Path(info.log_path))
    assert eventually(older.exists)
    assert log.stat().st_size <= logs.FILE_BYTES
    assert older.stat().st_size <= logs.FILE_BYTES
    os.kill(info.pid, 9)
    died = client.crash(spec_of(smollm2), settle_s=PATIENCE_S)
    assert died is not None
    numbers = [int(line.split()[1]) for line in died.log_tail.splitlines() if line.startswith("flood")]
    assert len(numbers) >= 30
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert sorted(path.name for path in session.logs.iterdir()) == sorted([log.name, older.name, "supervisor.log"])


def test_what_a_server_prints_cannot_steer_the_terminal_of_who_reads_the_error(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path
) -> None:
    """Metadata of a hostile model stand in its log: escapes become visible, long lines are cut, few lines are shown."""
    hostile = "\\x1b]52;c;aGk=\\x07\\x1b[2J\\u202eevil\\r"
    says = (
        "sys.stderr.reconfigure(encoding='utf-8')\n"
        f"for n in range(100): print('{hostile}' + 'z' * 5000, file=sys.stderr)\n"
        "sys.exit(1)"
    )
    client = session.client(engine="llama-server", binary=str(script(tmp_path, before=says)))
    with pytest.raises(ServerError) as raised:
        client.claim([spec_of(smollm2)], wait=True)
    told = str(raised.value)
    assert "evil" in told
    assert not set(told) & set("\x1b\x07\r\u202e")
    assert len(told) < 25_000
    assert len(raised.value.log_tail.splitlines()) <= 41


def test_logs_of_old_starts_go(tmp_path: Path) -> None:
    """A server that is started again and again keeps the logs of its last ten starts; other logs are left alone."""
    (tmp_path / "other.1.log").touch()
    for number in range(1, 26):
        assert new_path(str(tmp_path / "a")) == tmp_path / f"a.{number}.log"
        (tmp_path / f"a.{number}.log.1").touch()
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {f"a.{n}.log{older}" for n in range(16, 26) for older in ("", ".1")} | {"other.1.log"}


def test_logs_of_old_runs_go_and_nothing_else(tmp_path: Path) -> None:
    """The folders of the last used runs stay; a folder that is no run's, a link and a file are not touched."""
    for number in range(25):
        run = tmp_path / f"20261121-0000{number:02}-abcdef"
        run.mkdir()
        (run / "supervisor.log").touch()
        os.utime(run / "supervisor.log", (number, number))
    os.utime(tmp_path / "20261121-000000-abcdef" / "supervisor.log", (99, 99))
    (tmp_path / "mine").mkdir()
    (tmp_path / "20251121-000000-abcdef").symlink_to(tmp_path / "mine")
    forget_old_runs(tmp_path)
    kept = sorted(path.name for path in tmp_path.iterdir())
    runs = ["20261121-000000-abcdef", *(f"20261121-0000{number:02}-abcdef" for number in range(6, 25))]
    assert kept == ["20251121-000000-abcdef", *runs, "mine"]
    forget_old_runs(tmp_path / "nothing here")


def test_chats_take_no_runs_logs_and_a_run_under_way_keeps_its(tmp_path: Path) -> None:
    """Of chats as many stay as of runs; a folder stays that was written to within the hour, however old it is."""
    now = time.time()

    def logged(number: int, name: str, age_s: float) -> str:
        run = tmp_path / f"20261121-0000{number:02}-abcdef"
        run.mkdir()
        (run / name).touch()
        os.utime(run / name, (now - age_s, now - age_s))
        os.utime(run, (number, number))
        return run.name

    old = [logged(number, "requests-main.jsonl", 90_000 - number) for number in range(3)]
    under_way = [logged(number, "requests-main.jsonl", 3000) for number in range(3, 6)]
    chats = [logged(number, "requests-chat.jsonl", 80_000 - number) for number in range(6, 12)]
    forget_old_runs(tmp_path, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [old[2], *under_way, *chats[2:]]
    forget_old_runs(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*under_way, chats[-1]]


def test_the_supervisors_own_log_is_bounded(tmp_path: Path) -> None:
    """Whatever it prints, and whatever a broken part of it prints."""
    code = (
        "import sys; from pathlib import Path; from pytest_llmbench.servers.logs import bound_own_output; "
        f"bound_own_output(Path({str(tmp_path / 'supervisor.log')!r}))\n"
        "for n in range(20_000): print('line', n, 'x' * 150, file=(sys.stdout, sys.stderr)[n % 2], flush=True)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_S)
    log, older = both(tmp_path / "supervisor.log")
    assert max(log.stat().st_size, older.stat().st_size) <= logs.OWN_FILE_BYTES
    assert "line 19999 " in log.read_text()


def test_a_log_that_was_readable_by_all_is_its_owners_again(tmp_path: Path) -> None:
    """One that an earlier version left."""
    path = tmp_path / "supervisor.log"
    path.write_text("old\n")
    path.chmod(0o644)
    with logs.opened_private(path) as log:
        log.write(b"new\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "old\nnew\n"
