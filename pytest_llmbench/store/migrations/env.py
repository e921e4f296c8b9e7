"""Alembic's entry: runs the revisions in `versions/` inside the caller's transaction.

The caller (store/sqlite_file.py) puts an open connection into `config.attributes`, with its write lock already taken,
so that two processes that migrate at the same moment take turns and a killed one leaves nothing half done.
"""

from __future__ import annotations

from alembic import context

from pytest_llmbench.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
