"""What single values of llmbench.yaml must look like: each function returns the value or says what is allowed."""

from __future__ import annotations

import re
import shlex
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from pytest_llmbench.config import source_forms
from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.option_kinds import DURATION

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def name(text: str) -> str:
    if not re.fullmatch(NAME, text, re.ASCII):
        raise ValueError("a name is letters, digits, '.', '_' and '-', and begins with a letter or digit")
    return text


def metric(text: str) -> str:
    if text not in METRICS:
        raise ValueError(f"{text!r} is no metric{did_you_mean(text, METRICS)} (allowed: {', '.join(METRICS)})")
    return text


def source(text: str) -> str:
    return source_forms.check(text)


def server_url(text: str) -> str:
    """The address without a trailing slash and without /v1."""
    return provider_url(text).removesuffix("/v1")


def provider_url(text: str) -> str:
    """The address without a trailing slash; a version in its path says where requests go, and stays."""
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
    return text.rstrip("/")


def sha256(value: object) -> str | tuple[str, ...] | None:
    """One hash, or one for each part of a split file."""
    if isinstance(value, list | tuple) and value:
        return tuple(_one_sha256(item) for item in value)
    return None if value is None else _one_sha256(value)


def _one_sha256(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text; quote it")  # noqa: TRY004  pydantic turns only ValueError into a sentence
    if not re.fullmatch(r"[0-9a-f]{64}", value.lower(), re.ASCII):
        raise ValueError("must be 64 hexadecimal digits")
    return value.lower()


def variable(text: str) -> str:
    # The text is not repeated: people put the key itself here by mistake.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text, re.ASCII):
        raise ValueError("must be the name of an environment variable, such as LAB_KEY, not the key itself")
    return text


def word(text: str) -> str:
    if not text.strip() or len(text) > 60 or not text.isprintable():
        raise ValueError("must be one line of 1 to 60 printable characters")
    return text


_OF_KEYS = frozenset({"authorization", "auth", "key", "apikey", "token", "secret", "password", "cookie"})


def carries_a_key(header: str) -> bool:
    """Whether a header's name says that a key is in it: `Authorization`, `x-api-key`, `X-Auth-Token`."""
    return not _OF_KEYS.isdisjoint(re.split(r"[-_]", header.lower()))


def usd(value: object) -> str:
    """Decimal text of an amount in US dollars."""
    return format(_amount(value), "f")


def usd_per_million(value: object) -> str:
    """Decimal text of US dollars for a million tokens."""
    amount = _amount(value)
    if 0 < amount < Decimal("0.001"):
        raise ValueError(f"is in US dollars for a million tokens, so {amount:f} would be next to nothing: multiply it")
    return format(amount, "f")


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be an amount in US dollars, like 2.50")  # noqa: TRY004  pydantic wants ValueError
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError("must be an amount in US dollars, like 2.50") from error
    if not (amount.is_finite() and 0 <= amount < 10**9):
        raise ValueError("must be an amount in US dollars, 0 or more")
    return amount


def model_pattern(text: str) -> str:
    """A glob over `provider/model`."""
    if not text or len(text) > 200 or not text.isprintable():
        raise ValueError("must be a model's name or a glob over such, like openai/gpt-5*")
    return text


def model_id(text: str) -> str:
    """What a provider calls a model: anything without blanks."""
    if not text or len(text) > 200 or not text.isprintable() or " " in text:
        raise ValueError("must be a model as its provider calls it, without blanks")
    return text


def command(value: object) -> tuple[str, ...] | None:
    """A program and its arguments, as a text that is split like a shell's line or as a list."""
    if value is None:
        return None
    words = tuple(shlex.split(value)) if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError("must be a command: a text, or a list of texts")
    return tuple(words)


SIZE = r"^\d+(\.\d+)?\s*([KMGkmg]i?)?[Bb]?$"
_UNITS_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def duration(value: object) -> str:
    """A length of time as text, as it was written; `option_kinds.DURATION` makes seconds of it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {DURATION.allowed}")  # noqa: TRY004  pydantic turns only ValueError into a sentence
    DURATION(str(value))
    return str(value)


def size(value: object) -> str:
    """An amount of memory or disk as text, as it was written."""
    text = str(value)
    try:
        found = 0 if isinstance(value, bool) else size_bytes(text)
    except ValueError:
        found = 0
    if not 0 < found < 2**63:
        raise ValueError("must be a size above 0, like 512MiB, 8GiB or 8GB")
    return text


def size_bytes(text: str) -> int:
    """Of a text as people write it (`8GiB`, `512 MiB`, `8GB`, `1.5GiB`), in bytes.

    Raises:
        ValueError: it is no such text.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip(), re.ASCII)
    if found is None or found[2].upper() not in _UNITS_BYTES:
        raise ValueError(text)
    return round(float(found[1]) * _UNITS_BYTES[found[2].upper()])
