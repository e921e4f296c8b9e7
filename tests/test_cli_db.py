"""`llmbench db`: checking the results database, and saving what can be read of a damaged one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import store_samples as samples

from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.store import Store


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one run, and we stand in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    path = tmp_path / ".llmbench" / "results.db"
    with Store.open(path) as store:
        store.ensure_run(samples.run())
        for n in range(60):
            store.save_reply("run-1", "t1", n, {}, samples.reply("word " * 200))
            store.save_result("run-1", samples.result(f"t{n}"))
    return path


def _garble(path: Path) -> None:
    """Overwrite the last page that holds replies."""
    with closing(sqlite3.connect(path)) as plain:
        (page,) = plain.execute(
            "SELECT max(pageno) FROM dbstat WHERE name = 'replies' AND pagetype = 'leaf'"
        ).fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)


def test_a_sound_database_is_called_sound(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The project's own database by default; what is in it, and which run has no end."""
    assert main(["db", "check"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"file      {path}"
    assert "60 replies" in out
    assert "1 (under way, or killed; --resume goes on with one): run-1" in out
    assert out.endswith("\nsound\n")


def test_a_damaged_database_ends_with_one_and_says_what_next(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named as a file; as JSON for programs."""
    _garble(path)
    assert main(["db", "check", str(path)]) == ExitCode.TESTS_FAILED
    out = capsys.readouterr().out
    assert "\nproblem   damage: " in out
    assert out.splitlines()[-1].startswith("not sound: `llmbench db recover`")

    assert main(["db", "check", "--json"]) == ExitCode.TESTS_FAILED
    told = json.loads(capsys.readouterr().out)
    assert told["problems"]
    assert told["rows"]["results"] == 60


def test_a_database_that_waits_for_its_migration_is_sound(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An older format is no damage."""
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("DROP TABLE failed_attempts")
        plain.execute("UPDATE alembic_version SET version_num = '0001'")

    assert main(["db", "check"]) == ExitCode.OK
    assert "0001, brought up to date when it is opened next" in capsys.readouterr().out


def test_recovering_makes_the_project_usable_again(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was saved and where the damaged file went is told; `runs list` and the next run find the new one."""
    _garble(path)
    assert main(["runs", "show", "last"]) == ExitCode.TESTS_FAILED
    assert f"llmbench db recover {path}" in capsys.readouterr().err

    assert main(["db", "recover"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "60 results" in out
    assert f"now in    {path}\n" in out
    assert f"damaged   {path}.damaged-" in out
    assert main(["db", "check"]) == main(["runs", "show", "last"]) == ExitCode.OK


def test_recovering_elsewhere_leaves_all_as_it_is(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--to` makes a copy; a file that is there is never overwritten."""
    _garble(path)
    damaged = path.read_bytes()
    assert main(["db", "recover", "--to", "saved.db", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"]["results"], told["damaged_file"]) == (60, str(path))
    assert path.read_bytes() == damaged
    assert main(["db", "check", "saved.db"]) == ExitCode.OK

    assert main(["db", "recover", "--to", "saved.db"]) == ExitCode.TESTS_FAILED
    assert "it exists already" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("db", "check"), ("db", "recover"), ("db", "check", "elsewhere.db")])
def test_a_database_that_is_not_there_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Looking must not make one."""
    monkeypatch.chdir(tmp_path)
    assert main([*words]) == ExitCode.USAGE
    assert "there is no" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
