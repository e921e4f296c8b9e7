"""Keys taken out of text before it reaches anything that is kept or shown. Standard library only.

Two strengths. `redact_exact` takes out what was registered, also in the forms in which it travels (base64, URL, JSON,
hexadecimal): it cannot be wrong, so everything goes through it, what is stored of a model's reply included. `redact`
also takes out pieces of a registered key and whatever merely looks like one: for logs, errors and terminals. A reply
that is measured is never changed because it looks like a key.
"""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MARK = "[redacted]"

MIN_LENGTH = 8
"""Shorter values are not searched for: text would be shredded, and no provider's key is that short."""

PLAIN_LENGTH = 16
"""Values below this without a digit (`lm-studio`, `not-needed`) are placeholders and not searched for either, nor those
without a letter: a password of eight zeros stands within many a measured number, which would be one no longer."""

FRAGMENT = 12
"""A piece of this many characters of a registered key is taken out, too: pytest shortens long texts in the middle."""

_PLACEHOLDERS = frozenset(
    {
        *("0", "1", "123", "1234", "change-me", "changeme", "dummy-key", "dummy_key", "fake-key", "lm-studio"),
        *("no-api-key", "no-key-needed", "no-key-required", "not-needed", "not-required", "not-used", "placeholder"),
        *("sk-dummy", "sk-no-key-required", "test-key", "your-api-key", "your-key-here", "your_api_key"),
    }
)
"""What servers that want no key are given by their own instructions, in lower case: no secret to anybody."""

_FRAGMENT_FROM = 20
_GRAM = FRAGMENT // 2
_SECRET_NAME = re.compile(r"(?i)(?:^|_)(?:api_?key|access_?key|key|token|secret|password|passwd|credentials?)$")
_HEADERS_NAME = re.compile(r"OTEL_EXPORTER_OTLP_(?:[A-Z]+_)?HEADERS")
_SECRET_HEADER = re.compile(
    r"(?i)(?:key|token|secret|passw(?:or)?d|cookie|credentials?|(?:^|[-_])auth(?:orization|entication)?|dsn"
    r"|honeycomb-team)(?:$|[-_])"
)
_SCHEME = re.compile(r"(?i)(?:bearer|basic)\s")
_BESIDE = r"[A-Za-z0-9+/_-]"
_NO_ESCAPE = r"(?<!\\)" + "".join(rf"(?<!\\u[0-9A-Fa-f]{{{digits}}})" for digits in range(4))
"""What follows is no part of `\\n` or `\\u00e9`: JSON that is written already stays JSON."""


class _Register:
    """The known values of this process, ready to be searched for; replaced as a whole when one is added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self.forms: tuple[tuple[str, re.Pattern[str] | None], ...] = ()
        """(a form, what is taken out with it, if more), longest first: a value is replaced before a part of it."""
        self.grams: tuple[tuple[str, str], ...] = ()
        """(a piece, the value it is of): every run of `FRAGMENT` characters of a long value holds one of its pieces."""

    def add(self, values: Iterable[str]) -> None:
        with self._lock:
            forms = dict(self.forms)
            for value in values:
                self._values.add(value)
                forms |= _in_base64(value) | dict.fromkeys(_forms_of(value))
            self.forms = tuple(sorted(forms.items(), key=lambda each: (-len(each[0]), each[0])))
            self.grams = tuple(
                (value[at : at + _GRAM], value)
                for value in sorted(self._values)
                if len(value) >= _FRAGMENT_FROM
                for at in range(0, len(value) - _GRAM + 1, _GRAM)
            )

    def knows(self, value: str) -> bool:
        return value in self._values

    def known(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._values)


_register = _Register()


def register(value: str) -> None:
    """From now on `value` is taken out of every text of this process; placeholders and short values are left alone."""
    candidates = {value.strip(), *(line.strip() for line in value.splitlines())}
    if new := [each for each in candidates if _is_key(each) and not _register.knows(each)]:
        _register.add(new)


def registered() -> frozenset[str]:
    """All that is taken out of the texts of this process: for another process of ours that is to do the same."""
    return _register.known()


def register_environment(environ: Mapping[str, str]) -> None:
    """Register what variables hold whose names say that it is secret: `OPENAI_API_KEY`, `HF_TOKEN`, `DB_PASSWORD`.

    Headers that spans are sent with are, too, as far as they are called so or hold a scheme: keys of hosted collectors
    stand there.
    """
    for name, value in environ.items():
        if _SECRET_NAME.search(name) and not value.startswith(("/", "~", "$")):
            register(value)
    for name, value in _exporters_headers(environ):
        if _SECRET_HEADER.search(name) or _SCHEME.match(value):
            _register_header(value)


def register_headers(environ: Mapping[str, str]) -> None:
    """Register all headers that spans are sent with, whatever they are called: for a process that does send some."""
    for _, value in _exporters_headers(environ):
        _register_header(value)


def register_address(url: str) -> None:
    """Register an address that holds a password, and the password.

    One that holds none is no secret: pieces of a mere host or path stand in many a text.
    """
    if "@" in url or "?" in url:
        register(url)
    with contextlib.suppress(ValueError):
        register(urllib.parse.unquote(urllib.parse.urlsplit(url).password or ""))


def redact_exact(text: str) -> str:
    """The text without registered values, in whatever form; everything else as it was."""
    for form, more in _register.forms:
        if form in text:
            text = more.sub(MARK, text) if more else text.replace(form, MARK)
    return text


def redact_values(value: Any) -> Any:
    """`redact_exact` on every text of nested lists, tuples and mappings; anything else stays as it is."""
    if isinstance(value, str):
        return redact_exact(value)
    if isinstance(value, list | tuple):
        return type(value)([redact_values(each) for each in value])
    if isinstance(value, dict):
        return {key: redact_values(each) for key, each in value.items()}
    return value


def redact(text: str) -> str:
    """The text without registered values, pieces of them, and anything that looks like a key of a known kind."""
    text = _without_fragments(redact_exact(text))
    lower = text.lower()
    for sign, pattern, shown in _PATTERNS:
        if sign in lower:
            text = pattern.sub(shown, text)
    return text


def is_placeholder(value: str) -> bool:
    """Whether a value stands where no key is needed: a word of a few letters (`x`, `ollama`), or a well-known one.

    Whatever else is given as a key is kept out of what its own server says, however short it is.
    """
    is_word = len(value) < MIN_LENGTH and not any(map(str.isdigit, value))
    return is_word or value.lower() in _PLACEHOLDERS


def _is_key(value: str) -> bool:
    if is_placeholder(value):
        return False
    mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return len(value) >= PLAIN_LENGTH or (len(value) >= MIN_LENGTH and mixed)


def _forms_of(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    yield value
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], value.replace("/", "\\/"))
    yield from (repr(value)[1:-1], html.escape(value), data.hex(), data.hex().upper())
    quoted = urllib.parse.quote(data, safe="")
    yield from (
        quoted,
        urllib.parse.quote(data),
        quoted.replace("%20", "+"),
        re.sub("%..", lambda found: found[0].lower(), quoted),
    )


def _exporters_headers(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(name, value) of each header in OpenTelemetry's variables."""
    for variable, headers in environ.items():
        for pair in headers.split(",") if _HEADERS_NAME.fullmatch(variable) else ():
            name, _, value = pair.partition("=")
            yield urllib.parse.unquote(name).strip(), urllib.parse.unquote(value).strip()


def _register_header(value: str) -> None:
    register(value)
    register(value.rpartition(" ")[2])  # Bearer KEY, Basic KEY


def _in_base64(value: str) -> dict[str, re.Pattern[str] | None]:
    """The value in base64, which looks different at each of three places within what is encoded → that, and what stands
    beside it: a character there may be of the value and of its neighbour."""
    data = value.encode("utf-8", "surrogatepass")
    found: dict[str, re.Pattern[str] | None] = {}
    for before in range(3):
        head, tail = (0, 2, 3)[before], (len(data) + before) % 3
        first, last = f"(?:{_NO_ESCAPE}{_BESIDE})?" if head else "", f"{_BESIDE}?={{0,2}}" if tail else ""
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            form = encode(bytes(before) + data).decode().rstrip("=")[head : -1 if tail else None]
            found[form] = re.compile(f"{first}{re.escape(form)}{last}")
    return found


def _without_fragments(text: str) -> str:
    for gram, value in _register.grams:
        at = text.find(gram)
        while at >= 0:
            start, end = _run(text, at, value, value.index(gram))
            if end - start >= FRAGMENT:
                text = text[:start] + MARK + text[end:]
                end = start + len(MARK)
            at = text.find(gram, end)
    return text


def _run(text: str, at: int, value: str, place: int) -> tuple[int, int]:
    """How far the text agrees with the value around a piece that stands at `at` and `place`: (start, end) in `text`."""
    before = after = 0
    while before < min(at, place) and text[at - before - 1] == value[place - before - 1]:
        before += 1
    while after < min(len(text) - at, len(value) - place) and text[at + after] == value[place + after]:
        after += 1
    return at - before, at + after


def _pattern(sign: str, pattern: str, shown: str = MARK) -> tuple[str, re.Pattern[str], str]:
    return sign, re.compile(pattern), shown


# What the text in lower case has to hold for the search to be worth it, what to search for, and what to put there.
# Every repetition is bounded or of one character class: hostile text must not make a search slow.
_PATTERNS = (
    _pattern("sk-", r"\bsk-[A-Za-z0-9_-]{16,200}"),
    _pattern("akia", r"\bAKIA[A-Z0-9]{16}\b"),
    _pattern("asia", r"\bASIA[A-Z0-9]{16}\b"),
    _pattern("gh", r"\bgh[pousr]_[A-Za-z0-9]{30,255}"),
    _pattern("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{40,255}"),
    _pattern("glpat-", r"\bglpat-[A-Za-z0-9_-]{20,255}"),
    _pattern("hf_", r"\bhf_[A-Za-z0-9]{30,100}"),
    _pattern("gsk_", r"\bgsk_[A-Za-z0-9]{30,100}"),
    _pattern("r8_", r"\br8_[A-Za-z0-9]{30,100}"),
    _pattern("nvapi-", r"\bnvapi-[A-Za-z0-9_-]{40,200}"),
    _pattern("pplx-", r"\bpplx-[A-Za-z0-9]{30,100}"),
    _pattern("xai-", r"\bxai-[A-Za-z0-9]{40,200}"),
    _pattern("xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}"),
    _pattern("aiza", r"\bAIza[A-Za-z0-9_-]{35}"),
    _pattern("pypi-", r"\bpypi-AgE[A-Za-z0-9_-]{50,1000}"),
    _pattern("npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    _pattern("eyj", r"\beyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{0,2000}"),
    _pattern(
        "private key-----",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-(?!----)){1,16000}-----END [A-Z ]{0,30}PRIVATE KEY-----",
    ),
    _pattern("bearer", r"(?i)\b(bearer[ \t]{1,8})(?=[^\s]{0,200}\d)[A-Za-z0-9._~+/=-]{12,4000}", rf"\1{MARK}"),
    _pattern("basic", r"(?i)\b(basic[ \t]{1,8})(?=[^\s]{0,200}\d)[A-Za-z0-9+/=]{12,4000}", rf"\1{MARK}"),
    _pattern("://", r"(?i)\b([a-z][a-z0-9+.-]{0,20}://[^\s/@:\"']{0,200}:)[^\s/@\"']{1,500}@", rf"\1{MARK}@"),
    _pattern(
        "=",
        r"(?i)([?&](?:(?:api|access)?[_-]?key|(?:access[_-]|auth[_-]|x-amz-security-)?token|(?:x-amz-)?sig(?:nature)?"
        r"|x-amz-credential|password|secret)=)[^\s&\"'<>#]{6,2000}",
        rf"\1{MARK}",
    ),
    _pattern(
        "api",
        r"(?i)(\b(?:x-)?(?:goog-)?api[_-]?key(?:b?[\"'])?[ \t]{0,4}[:=,][ \t]{0,4}b?[\"'])[^\"'\n]{8,500}(?=[\"'])",
        rf"\1{MARK}",
    ),
    _pattern("api", r"(?im)^([<> \t]{0,8}(?:x-)?(?:goog-)?api-key:[ \t]{0,4})\S{8,500}", rf"\1{MARK}"),
    _pattern(
        "ookie",
        r"(?i)(\b(?:set-)?cookie(?:b?[\"'])?[ \t]{0,4}[:,][ \t]{0,4}(?:b?[\"'])?)[^\"'\n]{8,4000}",
        rf"\1{MARK}",
    ),
)
