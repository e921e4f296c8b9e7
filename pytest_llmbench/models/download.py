"""One file over HTTP: resumed after a cut, hashed on its way, never taken for complete when it is not.

A model is gigabytes, so what is wrong is found out early: an address that leads elsewhere, a web page in the place of a
file, a size or hash that is not the expected one, a disk that is too small.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmbench.errors import Category
from pytest_llmbench.models.draft import Draft, Origin
from pytest_llmbench.models.gguf_types import MAGIC
from pytest_llmbench.models.remote import NOT_A_FILE, RemoteFile, answered, client, refused
from pytest_llmbench.models.remote_errors import TryAgainError, persistently, transport_error
from pytest_llmbench.models.transfer import Progress

if TYPE_CHECKING:
    import httpx

MAX_MODEL_BYTES = 1 << 40
_CHANGED = "the file or the server has changed; pull again"
_AGAIN = "pull again: it goes on from where it was"
_CONTENT_RANGE = re.compile(r"bytes (?P<first>\d{1,18})-\d{1,18}/(?P<size>\d{1,18}|\*)", re.ASCII)
_SIZE_ONLY = re.compile(r"bytes \*/(?P<size>\d{1,18})", re.ASCII)


def fetch(remote: RemoteFile, target: Path, progress: Progress) -> Draft:
    """Download a file, or the rest of one whose beginning is here.

    Args:
        remote: what to download.
        target: where it shall be; the draft beside it is complete when this returns, and not yet called so.
        progress: told what happens.

    Returns:
        The complete draft, its hash and size as they should be where that is known.

    Raises:
        ModelFileError: it cannot be had, or is not what it should be. What is of no use is gone then, what is kept is
            taken up by the next call.
        OSError: the disk is full or may not be written.
    """
    draft = Draft(target)
    total = remote.size_bytes
    draft.resume(
        remote.url, lambda done: progress(done, total, f"reading {remote.shown}"), is_checked=bool(remote.sha256)
    )
    with client() as connections:
        download = _Download(remote, draft, progress, connections)
        persistently(download.attempt, lambda: download.furthest_bytes, lambda: download.tell("retrying"))
    if remote.sha256 and draft.sha256 != remote.sha256:
        found = draft.sha256
        draft.discard()
        raise refused(
            remote,
            f"what arrived has sha256 {found}, {remote.said_by} says {remote.sha256}",
            "pull again; if it stays so, the file was damaged or changed where it is kept",
        )
    return draft


class _Download:
    """The attempts at one file."""

    def __init__(self, remote: RemoteFile, draft: Draft, progress: Progress, connections: httpx.Client) -> None:
        self.furthest_bytes = draft.size_bytes
        """The most that was ever here: a server that makes us start again and again does not count as progress."""
        self._remote = remote
        self._draft = draft
        self._progress = progress
        self._client = connections

    def attempt(self) -> None:
        """Ask for what is missing and take in what comes.

        Raises:
            TryAgainError: it ended early.
            ModelFileError: another try would not help.
        """
        import httpx  # noqa: PLC0415  only a download pays for it

        if self._is_complete():
            return
        start = self._draft.size_bytes
        try:
            with answered(self._client, self._remote, self._asking(start)) as response:
                if response.status_code == 416:
                    self._nothing_after(response, start)
                    return
                self._place(response, start)
                for chunk in response.iter_raw():
                    self._take(chunk)
        except httpx.TransportError as error:
            raise transport_error(error, self._remote.shown) from error
        self._check_end()

    def tell(self, doing: str = "downloading") -> None:
        """Tell how far it is."""
        self._progress(self._draft.size_bytes, self._total(), f"{doing} {self._remote.shown}")

    def _is_complete(self) -> bool:
        known = self._total()
        return known is not None and 0 < known == self._draft.size_bytes

    def _total(self) -> int | None:
        if self._remote.size_bytes is not None:
            return self._remote.size_bytes
        return self._draft.origin.size_bytes if self._draft.origin else None

    def _asking(self, start: int) -> dict[str, str]:
        if not start:
            return {}
        validator = self._draft.origin.validator if self._draft.origin else ""
        if not validator and not self._remote.sha256:
            # Nothing would tell that the file has changed in between.
            self._draft.discard()
            return {}
        return {"Range": f"bytes={start}-"} | ({"If-Range": validator} if validator else {})

    def _place(self, response: httpx.Response, start: int) -> None:
        """Make sure that what comes next belongs at the end of the draft."""
        if response.headers.get("content-encoding", "identity") != "identity":
            encoding = response.headers["content-encoding"]
            raise refused(self._remote, f"it comes compressed ({encoding}), which was not asked for", NOT_A_FILE)
        if response.status_code == 206:
            self._check_range(response, start)
        else:
            expected, announced = self._remote.size_bytes, _length(response)
            self._check_size(announced, expected)
            # Not `_total()`: it may be that of the file that this one takes the place of.
            size = announced if expected is None else expected
            self._draft.begin(Origin(self._remote.url, _validator(response), size))
        self._draft.check_room(self._total())
        self.tell()

    def _nothing_after(self, response: httpx.Response, start: int) -> None:
        """The server says that the file ends before what was asked for."""
        told = _SIZE_ONLY.fullmatch(response.headers.get("content-range", ""))
        size, announced = int(told["size"]) if told else None, self._total()
        if size == start and announced is None:
            return
        self._draft.discard()
        # It may have announced that to an earlier call, and tell the truth by now.
        problem = f"the server has nothing after byte {start}"
        if size == start:
            problem = f"the server announced {announced} bytes and has {size}"
        raise TryAgainError(refused(self._remote, problem, _CHANGED))

    def _check_range(self, response: httpx.Response, start: int) -> None:
        told = response.headers.get("content-range", "")
        found, known = _CONTENT_RANGE.fullmatch(told), self._draft.origin
        if not start or not found or int(found["first"]) != start:
            problem = f"asked for the bytes from {start} on, the server sent {told or 'others'}"
        elif known and known.validator and _validator(response) not in {"", known.validator}:
            problem = "the file changed while it was downloaded"
        elif self._total() is not None and found["size"] not in {"*", str(self._total())}:
            problem = f"the file had {self._total()} bytes, now it has {found['size']}"
        else:
            return
        self._draft.discard()
        raise TryAgainError(refused(self._remote, problem, _CHANGED))

    def _check_size(self, announced: int | None, expected: int | None) -> None:
        if announced is not None and announced != (announced if expected is None else expected):
            self._draft.discard()
            raise refused(self._remote, f"the server announces {announced} bytes, it has to be {expected}", _CHANGED)
        if announced is not None and announced > MAX_MODEL_BYTES:
            raise refused(self._remote, f"the server announces {announced} bytes, no model is that large", NOT_A_FILE)

    def _take(self, chunk: bytes) -> None:
        if self._draft.size_bytes == 0 and chunk[:4] != MAGIC[: len(chunk)]:
            self._draft.discard()
            page = chunk.lstrip()[:1] == b"<"
            raise refused(self._remote, "it is a web page" if page else "it is not a GGUF file", NOT_A_FILE)
        if self._draft.size_bytes + len(chunk) > (self._total() or MAX_MODEL_BYTES):
            self._draft.discard()
            raise refused(self._remote, "more bytes came than the file should have", _CHANGED)
        self._draft.append(chunk)
        self.furthest_bytes = max(self.furthest_bytes, self._draft.size_bytes)
        self.tell()

    def _check_end(self) -> None:
        total = self._total()
        if total is not None and self._draft.size_bytes < total:
            told = f"it ended after {self._draft.size_bytes} of {total} bytes"
            raise TryAgainError(refused(self._remote, told, _AGAIN, Category.STREAM_TRUNCATED))


def _validator(response: httpx.Response) -> str:
    etag: str = response.headers.get("etag", "")
    if etag and not etag.startswith("W/"):
        return etag
    modified: str = response.headers.get("last-modified", "")
    return modified


def _length(response: httpx.Response) -> int | None:
    return whole_number(response.headers.get("content-length", ""))


def whole_number(told: str) -> int | None:
    """What a header says of a size; None where it says nothing that makes sense."""
    return int(told) if re.fullmatch(r"\d{1,18}", told, re.ASCII) else None
