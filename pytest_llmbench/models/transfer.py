"""What travels between the model store and the kinds of sources: an order, and what was fetched for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench.config import LOCK_NAME
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError

Progress = Callable[[int, int | None, str], None]
"""Called with bytes done, bytes in total (None: not known) and what is being done."""

CATALOGUE = "the built-in catalogue"
"""What pins the models that come with the plugin, for messages."""

FREE_SPACE = "free some space, or set LLMBENCH_MODELS_DIR to a folder on another disk"


@dataclass(frozen=True, slots=True)
class Pin:
    """What a model's files have to be."""

    said_by: str
    """What says so, for messages: llmbench.yaml, llmbench.lock, the built-in catalogue."""
    hashes: tuple[str, ...]
    """The sha256 of each part."""
    revision: str = ""
    """The commit to fetch, where the source has commits."""


@dataclass(frozen=True, slots=True)
class Order:
    """One model to be fetched."""

    name: str
    source: str
    files: tuple[Path, ...]
    """Where to write its parts: in a folder of this order's own, whose `*.part` files outlive a killed process."""
    progress: Progress
    pin: Pin | None = None
    here: tuple[str, ...] = ()
    """The hashes of the files that are here already; a source that has the same ones need not send them."""

    def said_how_to_update(self) -> str:
        """For a pinned commit that cannot be had any more."""
        said_by = self.pin.said_by if self.pin else ""
        return f"{said_by} pins this commit, `llmbench models pull --update {self.name}` takes what is there now"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of an order."""

    hashes: tuple[str, ...]
    """The sha256 of each part, computed over the bytes that were written; those of `Order.here` if nothing was."""
    revision: str = ""


def check_pin(order: Order, hashes: Sequence[str], where: str) -> None:
    """Hold hashes against the order's pin.

    Args:
        order: what was to be fetched.
        hashes: one for each part.
        where: what has these hashes, for the message.

    Raises:
        ModelFileError: they are not those that were pinned; both are named.
    """
    if order.pin and tuple(hashes) != order.pin.hashes:
        raise not_as_pinned(order.name, order.pin, hashes, where)


def not_as_pinned(name: str, pin: Pin, found: Sequence[str], where: str, otherwise: str = "") -> ModelFileError:
    """The error for a file that is not the pinned one."""
    if len(found) != len(pin.hashes):
        told = f"{where} has {len(found)} parts, {pin.said_by} pins {len(pin.hashes)}"
    else:
        got, wanted = next(pair for pair in zip(found, pin.hashes, strict=True) if pair[0] != pair[1])
        told = f"{where} has sha256 {got}, wanted is {wanted}"
    mend = f"correct its sha256 in {pin.said_by}"
    if pin.said_by == LOCK_NAME:
        mend = f"`llmbench models pull --update {name}` moves the pin"
    elif pin.said_by == CATALOGUE:
        mend = "define it in llmbench.yaml under a name of its own"
    return ModelFileError(
        display_safe(f"{name} is not the file that was pinned in {pin.said_by}: {told}", keep=""),
        category=Category.LOCAL_CORRUPT_MODEL,
        hint=f"if this file is meant, {mend}; if not, {otherwise or f'`llmbench models pull {name}`'}",
    )


def check_room(folder_free_bytes: int, needed_bytes: int) -> None:
    """Refuse a download that will not fit.

    Raises:
        ModelFileError: it would not (`local.disk_full`).
    """
    if needed_bytes > folder_free_bytes:
        raise ModelFileError(
            f"no room for the model file: it needs {needed_bytes} more bytes, {folder_free_bytes} are free",
            category=Category.LOCAL_DISK_FULL,
            hint=FREE_SPACE,
        )
