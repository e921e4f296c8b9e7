"""The format of the database: its migrations, its version, and what opening costs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import store_samples as samples
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert

from pytest_llmbench.store import Store, database, sqlite_file
from pytest_llmbench.store.check import check
from pytest_llmbench.store.rows import row_of
from pytest_llmbench.store.tables import metadata, runs


def test_the_migrations_make_the_tables_that_the_code_expects(tmp_path: Path) -> None:
    """A table changed without a migration, or the other way round, shows as a difference."""
    path = tmp_path / "results.db"
    Store.open(path).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_new_database_is_what_the_migrations_make(tmp_path: Path) -> None:
    """It is made at once, from the tables of today; its columns, keys, indices and marks are a migrated one's."""
    new, migrated = tmp_path / "new.db", tmp_path / "migrated.db"
    Store.open(new).close()
    _of_format("0001", migrated)
    Store.open(migrated).close()

    assert _described(new) == _described(migrated)


def _described(path: Path) -> dict[str, object]:
    with closing(sqlite3.connect(path)) as plain:
        objects = plain.execute("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        facts: dict[str, object] = {
            name: {
                part: sorted(repr(row[1:]) for row in plain.execute(f"PRAGMA {part}({name})"))
                for part in ("table_info", "foreign_key_list", "index_list", "index_info")
            }
            | {"kind": kind, "never reuses ids": "AUTOINCREMENT" in sql}
            for name, kind, sql in objects
            if not name.startswith("sqlite_")
        }
        for mark in ("application_id", "auto_vacuum", "user_version"):
            facts[mark] = plain.execute(f"PRAGMA {mark}").fetchone()
        facts["version"] = plain.execute("SELECT version_num FROM alembic_version").fetchall()
    return facts


def test_the_format_version_is_the_newest_migration() -> None:
    """Opening trusts FORMAT_VERSION instead of asking Alembic."""
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))

    assert ScriptDirectory.from_config(config).get_heads() == [database.FORMAT_VERSION]


def test_an_older_database_is_migrated_when_it_is_opened(tmp_path: Path) -> None:
    """Before the first migration there is only Alembic's empty version table; opening brings it up to date."""
    path = tmp_path / "results.db"
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")

    with Store.open(path) as store:
        store.ensure_run(samples.run())
        assert store.load_run("last").id == "run-1"


def _of_format(version: str, path: Path) -> None:
    """A database as the version of this package that had this format left it, with a run in it."""
    sqlite_file.create_blank(path)
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.execute(insert(runs).values(row_of(runs, samples.run())))
    engine.dispose()


def test_a_database_of_the_first_format_keeps_its_runs(tmp_path: Path) -> None:
    """What 0001 stored is read by today's code, which adds its tables and its mark in the header."""
    path = tmp_path / "results.db"
    _of_format("0001", path)
    assert check(path).is_older

    with Store.open(path) as store:
        assert store.runs() == [samples.run()]
        store.save_failed_attempt("run-1", "t1", samples.failed_attempt())
    found = check(path)
    assert (found.problems, found.format_version, found.is_older) == ((), database.FORMAT_VERSION, False)
    assert path.read_bytes()[68:72] == b"LLMB"


OPENER = """
import sys, warnings
from pathlib import Path
from pytest_llmbench.store import Store
import alembic.command
print("ready", flush=True)
sys.stdin.readline()
with Store.open(Path(sys.argv[1])) as store:
    print(store.load_run("last").id)
"""


def test_four_processes_that_open_an_older_database_at_once_migrate_it_once(tmp_path: Path) -> None:
    """Whoever has the write lock first migrates, the others find it done: no error, no table made twice."""
    path = tmp_path / "results.db"
    _of_format("0001", path)
    openers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OPENER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
    told = [opener.communicate("go\n", timeout=120) for opener in openers]

    assert told == [("run-1\n", "")] * 4
    assert check(path).problems == ()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Migrations run in one transaction: the tables made before the failure are gone again."""
    path = tmp_path / "results.db"
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        plain.execute("CREATE TABLE gates (id)")
    schema = "SELECT name FROM sqlite_master ORDER BY name"
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from pathlib import Path; from pytest_llmbench.store import Store; Store.open(Path({str(path)!r}))",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "table gates already exists" in result.stderr
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute(schema).fetchall() == [("alembic_version",), ("gates",)]


def test_opening_an_up_to_date_database_imports_neither_alembic_nor_filelock(tmp_path: Path) -> None:
    """Each worker opens the store: what only creation needs stays unloaded."""
    path = tmp_path / "results.db"
    Store.open(path).close()
    code = (
        "import sys; from pathlib import Path; from pytest_llmbench.store import Store\n"
        f"Store.open(Path({str(path)!r})).close()\n"
        "print(sorted({'alembic', 'filelock', 'mako'} & set(sys.modules)))"
    )
    opened = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, check=True
    )

    assert opened.stdout == "[]\n"
