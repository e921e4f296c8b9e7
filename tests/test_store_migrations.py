"""The format of the database: its migrations, its version, and what opening costs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import store_samples as samples
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from pytest_llmbench.store import Store, database
from pytest_llmbench.store.tables import metadata


def test_the_migrations_make_the_tables_that_the_code_expects(tmp_path: Path) -> None:
    """A table changed without a migration, or the other way round, shows as a difference."""
    path = tmp_path / "results.db"
    Store.open(path).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


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
