"""What earlier runs tell about a model that is about to be asked again."""

from __future__ import annotations

from sqlalchemy import Connection, select

from pytest_llmbench.records import Reply
from pytest_llmbench.store.tables import replies

_COLUMNS = (replies.c.model, replies.c.text, replies.c.usage, replies.c.timing, replies.c.request)


def recent_replies(connection: Connection, model: str, limit: int) -> list[Reply]:
    """The last replies of a model, of all runs, the newest first; without what nobody needs for an estimate."""
    newest = select(*_COLUMNS).where(replies.c.model == model).order_by(replies.c.id.desc()).limit(limit)
    return [Reply.from_dict({**row}) for row in connection.execute(newest).mappings()]
