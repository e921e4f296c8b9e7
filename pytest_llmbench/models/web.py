"""Model files at a web address: `https://host/file.gguf`, and `http:` on this machine or with a pinned sha256."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from pytest_llmbench.models.part_names import names_of_parts
from pytest_llmbench.models.parts import fetch_parts
from pytest_llmbench.models.remote import RemoteFile
from pytest_llmbench.models.transfer import Fetched, Order


def parts(source: str) -> int:
    """How many files the source has.

    Raises:
        ConfigError: it names another part of a split file than the first.
    """
    return len(_addresses(source))


def fetch(order: Order) -> Fetched:
    """Download the files of a `https:` or `http:` source.

    Raises:
        ModelFileError: they cannot be had, or are not what they should be.
        OSError: they cannot be written.
    """
    hashes = order.pin.hashes if order.pin else ()
    addresses = _addresses(order.source)
    known = hashes if len(hashes) == len(addresses) else ("",) * len(addresses)
    said_by = order.pin.said_by if order.pin else ""
    return fetch_parts(
        order,
        [
            RemoteFile(url, urlunsplit(urlsplit(url)._replace(query="")), sha256=sha256, said_by=said_by)
            for url, sha256 in zip(addresses, known, strict=True)
        ],
    )


def _addresses(source: str) -> list[str]:
    address = urlsplit(source)
    path = PurePosixPath(address.path)
    return [urlunsplit(address._replace(path=str(path.with_name(name)))) for name in names_of_parts(path.name, source)]
