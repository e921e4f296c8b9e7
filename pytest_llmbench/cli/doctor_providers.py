"""The part of `llmbench doctor` that goes to the network: keys, who answers, and whether our clock is right."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from pytest_llmbench import clock, http
from pytest_llmbench.cli.finding import Finding, State
from pytest_llmbench.clients.formats import WIRES
from pytest_llmbench.clients.request import Endpoint
from pytest_llmbench.config import Resolved
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, UsageError, WireError
from pytest_llmbench.providers.table import DEMO_URL, PROVIDERS
from pytest_llmbench.providers.targets import Providers
from pytest_llmbench.redaction import redact

DEADLINES = http.Deadlines(connect_s=5, ttft_s=10, idle_s=5, total_s=15)
MOST_CLOCK_OFFSET = timedelta(seconds=60)
"""Beyond it certificates, signatures and the dates of Retry-After stop to mean what they say."""
_CHAT_PATH = re.compile(r"(/deployments/[^/]*)?/(chat/completions|messages)(?=\?|$)")
_REFUSED = frozenset({400, 401, 402, 403})
_MAX_BYTES = 16_000_000
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class _Answer:
    provider: str
    fetched: http.Fetched | None
    at: datetime
    error: WireError | None = None


def findings(resolved: Resolved) -> Iterator[Finding]:
    """What is to be said of every provider that is configured or has a key, and of the clock."""
    providers = Providers(resolved)
    chosen = {*resolved.config.providers, *resolved.config.servers}
    idle: list[str] = []
    endpoints: dict[str, Endpoint] = {}
    for name in providers.known():
        try:
            endpoint = _endpoint(providers, name)
        except UsageError as error:
            if name in chosen:
                yield Finding(f"provider {name}", State.PROBLEM, error.message, error.hint)
            else:
                idle.append(name)
            continue
        if endpoint.base_url != DEMO_URL:
            endpoints[name] = endpoint
    if idle:
        yield Finding("without a key", State.NOTE, f"{', '.join(idle)}; demo/… models answer without one")
    yield from _in_the_open(endpoints)
    if resolved.settings.offline:
        yield Finding("network", State.NOTE, "not looked at: `offline` is set")
        return
    answers = http.run(_asked(endpoints, providers))
    for answer in answers:
        yield _of_answer(answer, endpoints[answer.provider], chosen=answer.provider in chosen)
    yield from _clock(answers)


def _endpoint(providers: Providers, name: str) -> Endpoint:
    return Endpoint(
        base_url=providers.base_url(name),
        api_key=providers.key(name),
        model_id="",
        name=name,
        format=providers.format(name),
    )


def _in_the_open(endpoints: Mapping[str, Endpoint]) -> Iterator[Finding]:
    for name, endpoint in endpoints.items():
        parts = urlsplit(endpoint.base_url)
        is_here = parts.hostname in {"127.0.0.1", "localhost", "::1"}
        if endpoint.api_key and parts.scheme == "http" and not is_here:
            told = f"its key goes over http:// to {parts.hostname}, where anybody on the way can read it"
            yield Finding(f"provider {name}", State.PROBLEM, told, "use its https:// address")


async def _asked(endpoints: Mapping[str, Endpoint], providers: Providers) -> Sequence[_Answer]:
    return await asyncio.gather(
        *(_ask(name, endpoint, has_catalogue=providers.has_catalogue(name)) for name, endpoint in endpoints.items())
    )


async def _ask(name: str, endpoint: Endpoint, *, has_catalogue: bool) -> _Answer:
    """Who we are (OpenRouter shows its models to everybody), or which models there are: neither costs anything."""
    wire = WIRES[endpoint.format]
    url = _CHAT_PATH.sub("/key" if has_catalogue else "/models", wire.url(endpoint))
    headers = {"accept": "application/json", **wire.headers(endpoint)}
    try:
        fetched = await http.fetch(http.Request("GET", url, headers), DEADLINES, max_bytes=_MAX_BYTES)
    except WireError as error:
        return _Answer(name, None, clock.now(), error)
    return _Answer(name, fetched, clock.now())


def _of_answer(answer: _Answer, endpoint: Endpoint, *, chosen: bool) -> Finding:
    subject = f"provider {answer.provider}"
    if answer.fetched is None:
        return _silent(subject, answer, chosen=chosen or bool(endpoint.api_key))
    status = answer.fetched.status
    if status in _REFUSED:
        said = _said(answer.fetched.body)
        fix = f"make a new one, and set it in {_where(answer.provider)}"
        return Finding(subject, State.PROBLEM, f"refuses the key: HTTP {status}{said}", fix)
    if status >= 500:
        told = f"is there and fails: HTTP {status}{_said(answer.fetched.body)}"
        return Finding(subject, State.PROBLEM, told, "look at its status page, and try again")
    if status != 200:
        told = f"answers at {endpoint.base_url}; whether the key is good it does not tell (HTTP {status})"
        return Finding(subject, State.NOTE, told)
    return Finding(subject, State.OK, f"answers at {endpoint.base_url}{', key accepted' if endpoint.api_key else ''}")


def _silent(subject: str, answer: _Answer, *, chosen: bool) -> Finding:
    error = answer.error
    told = error.message if error is not None else ""
    if not chosen and error is not None and error.category is Category.NETWORK_REFUSED:
        return Finding(subject, State.NOTE, "does not run on this machine")
    fix = "check its address (`llmbench config show`), the network, and whether a proxy is demanded: none is used"
    return Finding(subject, State.PROBLEM if chosen else State.NOTE, told, fix if chosen else "")


def _where(provider: str) -> str:
    row = PROVIDERS.get(provider)
    variables = " or ".join(f"${name}" for name in row.key_env) if row else ""
    return variables or "the variable that `key_env` names"


def _said(body: bytes) -> str:
    """The message of an error body, made safe to show; empty where it has none."""
    try:
        answer = json.loads(body)
        told = answer[0] if isinstance(answer, list) else answer
        message = told["error"]["message"] if isinstance(told["error"], dict) else told["error"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return ""
    return f" ({redact(display_safe(str(message)[:_SHOWN], keep=''))})"


def _clock(answers: Sequence[_Answer]) -> Iterator[Finding]:
    """By the Date headers of who answered; the nearest to ours counts, for a proxy's may be old."""
    offsets = [
        answer.at - told
        for answer in answers
        if answer.fetched is not None and (told := _date(answer.fetched.headers.get("date", ""))) is not None
    ]
    if not offsets:
        yield Finding("clock", State.NOTE, "nobody answered who could tell the time")
        return
    offset = min(offsets, key=abs)
    seconds = offset.total_seconds()
    if abs(offset) > MOST_CLOCK_OFFSET:
        off = f"is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} that of those who answered"
        yield Finding("clock", State.PROBLEM, off, "set it: `timedatectl set-ntp true`, or as your system does it")
    else:
        yield Finding("clock", State.OK, f"within {max(1, round(abs(seconds)))} s of those who answered")


def _date(text: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(text)
    except ValueError:
        return None
    return told if told.tzinfo is not None else None
