"""Where chats are kept: a database of their own beside the results, so that no history of runs is touched by them."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmbench.chat.conversation import Conversation
from pytest_llmbench.errors import Category, InfraError, UsageError, did_you_mean
from pytest_llmbench.records.record import MalformedRecordError

if TYPE_CHECKING:
    from pytest_llmbench.records import Run
    from pytest_llmbench.store import Store

DATABASE = "chats.db"
LAST = "last"
RUN_NODE = "chat"
"""What stands in place of a test where its calls are kept."""

_KEY = "chat"
"""Under which a run of `DATABASE` holds its conversation, among its settings."""
_SHORTEST_ID = 8
"""Characters of an id: fewer would fit many."""
_NAME = re.compile(r"[\w][\w .+-]{0,59}")


@dataclass(frozen=True, slots=True)
class KeptChat:
    """A chat as it is stored."""

    run_id: str
    started_at: str
    """ISO 8601, UTC."""
    conversation: Conversation

    @property
    def used_at(self) -> str:
        """When something was asked in it last; else when it began. ISO 8601, UTC."""
        return self.conversation.used_at or self.started_at


def listed(folder: Path) -> list[KeptChat]:
    """All chats, those that were used last first; makes no file.

    Args:
        folder: of the results.

    Raises:
        StoreError: the database cannot be read.
    """
    if not (folder / DATABASE).is_file():
        return []
    from pytest_llmbench.store import Store  # noqa: PLC0415 - a first chat needs no database before it asks

    with Store.open(folder / DATABASE) as store:
        chats = [chat for run in store.runs() if (chat := _chat_of(run)) is not None]
    return sorted(chats, key=lambda chat: chat.used_at, reverse=True)


def find(folder: Path, wanted: str) -> KeptChat | None:
    """The chat of a name, or with an id or the beginning of one; `last` is the one that was used last.

    Returns:
        None: there is none.
    """
    chats = listed(folder)
    if wanted == LAST:
        return chats[0] if chats else None
    named = [chat for chat in chats if chat.conversation.name == wanted]
    fitting = (chat for chat in chats if len(wanted) >= _SHORTEST_ID and chat.run_id.startswith(wanted))
    return next(iter(named), None) or next(fitting, None)


def existing(folder: Path, wanted: str) -> KeptChat:
    """As `find`.

    Raises:
        UsageError: there is none, or what was said in it was not kept.
    """
    chat = find(folder, wanted)
    if chat is None:
        chats = listed(folder)
        names = [name for each in chats for name in (each.conversation.name, each.run_id) if name]
        told = did_you_mean(wanted, names) if wanted != LAST else ""
        raise UsageError(
            f"there is no chat {wanted!r} in {folder / DATABASE}{told}",
            hint="`llmbench chat --list` names them" if chats else "`llmbench chat` begins one",
        )
    if not chat.conversation.has_texts:
        raise UsageError(
            f"the chat {chat.conversation.name or chat.run_id} cannot go on: its texts were not kept (keep_prompts)"
        )
    return chat


@contextmanager
def held(folder: Path, run_id: str) -> Iterator[None]:
    """Keep a chat to this process: two that go on with it would overwrite each other. Ends with the process at last.

    Raises:
        UsageError: another one has it open.
        InfraError: the file that tells so cannot be made.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - as above

    place, owner = _locks(folder, run_id)
    lock = FileLock(place)
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        owner.write_text(str(os.getpid()), "utf-8")
    except Timeout:
        pid = owner.read_text("utf-8").strip() if owner.is_file() else ""
        raise UsageError(
            f"this chat is open in {f'process {pid}' if pid.isdecimal() else 'another process'}",
            hint="end it there first; `llmbench chat` without --session or --continue begins another one",
        ) from None
    except OSError as error:
        lock.release()
        raise InfraError(
            f"{place} cannot be written: {error.strerror}",
            category=Category.STORE,
            hint="--results-dir names a folder for chats and results",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _locks(folder: Path, run_id: str) -> tuple[Path, Path]:
    """What whoever has a chat open holds, and who that is: beside it, for who opens a lock may empty it."""
    place = folder / "chats" / f"{Path(run_id).name}.lock"
    return place, place.with_suffix(".pid")


def save(store: Store, run_id: str, conversation: Conversation) -> None:
    """Write how the conversation stands."""
    settings = {**store.header(run_id).settings, _KEY: conversation.as_dict()}
    store.save_settings(run_id, settings)


def forget(folder: Path, wanted: str) -> KeptChat:
    """Remove a chat with all that was said in it, and its logs.

    Raises:
        UsageError: there is none, or somebody has it open.
    """
    from pytest_llmbench.store import Store  # noqa: PLC0415 - as above

    chat = find(folder, wanted) or existing(folder, wanted)
    with held(folder, chat.run_id), Store.open(folder / DATABASE) as store:
        store.remove_run(chat.run_id)
        shutil.rmtree(folder / "logs" / Path(chat.run_id).name, ignore_errors=True)
    for left in _locks(folder, chat.run_id):  # who gets the lock now finds no chat
        left.unlink(missing_ok=True)
    return chat


def checked_name(text: str) -> str:
    """A name for a chat.

    Raises:
        UsageError: it cannot be one.
    """
    name = text.strip()
    if not _NAME.fullmatch(name) or name == LAST:
        raise UsageError(
            f"a chat cannot be called {name!r:.80}",
            hint="letters, digits, spaces and . + - _, up to 60 of them, beginning with a letter or digit; not `last`",
        )
    return name


def check_free(folder: Path, name: str, run_id: str) -> None:
    """See that no other chat is called so: `--session` would find one of them alone.

    Raises:
        UsageError: another one is.
    """
    if any(chat.conversation.name == name and chat.run_id != run_id for chat in listed(folder)):
        raise UsageError(
            f"another chat is called {name!r} already",
            hint=f"give this one another name; `llmbench chat --forget {shlex.quote(name)}` removes that one",
        )


def _chat_of(run: Run) -> KeptChat | None:
    told: Any = run.settings.get(_KEY)
    try:
        return KeptChat(run.id, run.started_at, Conversation.from_dict(told)) if told else None
    except MalformedRecordError:
        return None


def reopened(chat: KeptChat) -> Conversation:
    """Its conversation, opened once more."""
    return dataclasses.replace(chat.conversation, openings=chat.conversation.openings + 1)
