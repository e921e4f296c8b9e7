"""The only SQL: what runs leave behind, in one SQLite file that several processes write at once."""

from pytest_llmbench.store.store import Store

__all__ = ["Store"]
