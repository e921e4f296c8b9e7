"""Error bodies and error events of providers → our categories.

The status alone does not tell a spent quota from a rate limit, or a prompt that is too long from a wrong field: codes
and types do, where a server sends them. Messages are hostile text: one printable line, shortened, and without the key.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmbench import redaction
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.secret import Secret

_LONGEST_MESSAGE = 300
_READ = 20_000

_BY_CODE = (
    (Category.RATE_LIMITED, re.compile(r"in_flight_budget")),
    (
        Category.QUOTA_EXHAUSTED,
        re.compile(r"insufficient_(quota|credits|balance)|credit_balance|spend_limit|billing|perday"),
    ),
    (
        Category.CONTEXT_LENGTH,
        re.compile(r"context_length|exceed_context_size|string_above_max_length|context_window"),
    ),
    (
        Category.CONTENT_FILTER,
        re.compile(r"content_filter|content_policy|responsibleaipolicy|flagged|moderation|data_inspection_failed"),
    ),
    (Category.MODEL_MISSING, re.compile(r"model_not_found|deploymentnotfound")),
    (
        Category.AUTH,
        re.compile(r"authentication_error|permission_error|invalid_api_key|api_key_invalid|unauthenticated"),
    ),
    (Category.OVERLOADED, re.compile(r"overloaded|\bunavailable")),
    (Category.RATE_LIMITED, re.compile(r"rate_limit|ramp_limit|too_?many_?requests|resource_exhausted|throttl")),
)
_BY_MESSAGE = (
    (Category.QUOTA_EXHAUSTED, re.compile(r"(credit )?balance is too low|insufficient (balance|credits|funds)")),
    (
        Category.CONTEXT_LENGTH,
        re.compile(
            r"maximum context length|context size (has been )?exceeded|(prompt|input) is too long"
            r"|exceeds? (the )?(context|maximum number of (input )?tokens)|exceeds the maximum number of tokens"
        ),
    ),
    (
        Category.MODEL_MISSING,
        re.compile(
            r"^(the )?model\b.{0,100}\b(does not exist|not found)|^models/\S+ is not found|is not a valid model"
            r"|^model: \S+$|^no endpoints found for "
        ),
    ),
)
_NOT_BY_MESSAGE = frozenset({401, 403, 429})
"""Statuses that say more than a message which may well name context, tokens and models."""
_BY_STATUS = {
    401: Category.AUTH,
    402: Category.QUOTA_EXHAUSTED,
    403: Category.AUTH,
    408: Category.SERVER,
    409: Category.SERVER,
    429: Category.RATE_LIMITED,
    498: Category.OVERLOADED,
    501: Category.INVALID_REQUEST,
    503: Category.OVERLOADED,
    529: Category.OVERLOADED,
}
_HINTS = {
    Category.AUTH: "check the API key of this server",
    Category.QUOTA_EXHAUSTED: "the account's quota is spent: waiting does not help",
    Category.RATE_LIMITED: "ask less at once",
    Category.CONTEXT_LENGTH: "shorten the prompt, or give the server a larger context",
    Category.MODEL_MISSING: "the server's /v1/models lists what it serves",
}
_NOT_SERVED = frozenset({404, 405, 501})
"""Statuses by which a web server says that an address has nothing to be asked."""
_BARRED = frozenset({401, 403, 407})
_OF_PROVIDERS = frozenset({"code", "type", "status"})
"""What no error has that a web server or a framework makes by itself."""
_OF_THE_MODEL = frozenset({Category.MODEL_MISSING, Category.CONTEXT_LENGTH, Category.QUOTA_EXHAUSTED})
_NO_PATH = re.compile(
    r"^((file|page|path|url|route|resource|endpoint) )?not found|^(method )?not allowed|invalid url|unexpected endpoint"
)
_PAGE = re.compile(r"\s{0,200}<(\?xml|!doctype html|html|head)", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]+)", re.IGNORECASE)
_NOT_TAKEN = re.compile(
    r"unsupported (parameter|value)|is deprecated for this model|(is|are) not supported|does not support"
)
_NOT_TAKEN_HINT = (
    "the model does not take what the message names: leave it out, or say so under `capabilities` of the model in "
    "llmbench.yaml (`temperature: false`, ...)"
)


def error_in(payload: Any) -> Mapping[str, Any] | None:
    """The error object of a parsed body or event, whatever form it has; None where it is no error."""
    if isinstance(payload, list) and payload:  # Gemini's come in an array
        payload = payload[0]
    if not isinstance(payload, dict):
        return None
    error = payload.get("error")
    if isinstance(error, dict):
        return error
    if error:
        return {"message": str(error)}
    return payload if "error" in {_text(payload.get("object")), _text(payload.get("type"))} else None


def classify(status: int, error: Mapping[str, Any]) -> Category:
    """The category of an error.

    Args:
        status: of HTTP; 200 where the error came in the body of a success.
        error: from `error_in`; may be empty.
    """
    codes = " ".join(_codes(error)).lower()
    if (by_code := _found(_BY_CODE, codes)) is not None:
        return by_code
    if status not in _NOT_BY_MESSAGE and (by_message := _found(_BY_MESSAGE, _message(error).lower())) is not None:
        return by_message
    if status < 400:
        code = error.get("code")
        status = code if isinstance(code, int) and code >= 400 else 500
    return _BY_STATUS.get(status) or (Category.SERVER if status >= 500 else Category.INVALID_REQUEST)


def reported(shown: str, status: int, error: Mapping[str, Any], secret: Secret, *, streamed: bool) -> WireError:
    """The error that a provider reports though the status is that of a success.

    Within a stream an unspecific failure has a category of its own: by then something may have been generated.

    Args:
        shown: the request as messages name it.
        status: of HTTP.
        error: from `error_in`.
        secret: the API key, which no message may contain.
        streamed: it came as an event of a stream.
    """
    category = classify(status, error)
    if streamed and category is Category.SERVER:
        category = Category.STREAM_ERROR_EVENT
    told = shorten(_message(error) or "an error without a message", secret)
    return WireError(
        f"{shown}: the provider reports: {told}", category=category, status=status, hint=_hint(category, told)
    )


def refusal(
    shown: str, status: int, headers: Mapping[str, str], body: bytes, secret: Secret, *, wanted: str = ""
) -> WireError:
    """The error for a response that is no success.

    Args:
        shown: the request as messages name it.
        status: of HTTP.
        headers: names in lower case.
        body: as far as it was read.
        secret: the API key, which no message may contain.
        wanted: which server it was sent to (`an OpenAI-compatible`): for a hint where the address may be another's.
    """
    if 300 <= status < 400:
        target = shorten(headers.get("location", "nowhere"), secret)
        return WireError(
            f"{shown}: HTTP {status}, a redirect to {target}; redirects are not followed",
            category=Category.INVALID_REQUEST,
            status=status,
            hint="configure the address that answers; prompts and keys are not sent on to another",
            headers=headers,
        )
    error = _parsed_error(body)
    category = classify(status, error)
    text = body.decode("utf-8", "replace")
    told = shorten(_message(error) or _titled(text) or text, secret) or "no message"
    astray = _hint_astray(status, error, text, wanted) if wanted and category not in _OF_THE_MODEL else ""
    return WireError(
        f"{shown}: HTTP {status}: {told}",
        category=category,
        status=status,
        hint=astray or _hint(category, told),
        headers=headers,
    )


def address_hint(wanted: str) -> str:
    """What to do where something else than a model's server answers.

    Args:
        wanted: which server it should be (`an OpenAI-compatible`).
    """
    return (
        f"is this the address of {wanted} server? it is made from `url` of the provider in llmbench.yaml, which mostly "
        "ends with /v1"
    )


def shorten(text: str, secret: Secret) -> str:
    """Hostile text made fit for a message: one printable line of bounded length, without the key."""
    if not redaction.is_placeholder(key := secret.reveal()):  # however short: the redactor leaves short ones alone
        text = text.replace(key, redaction.MARK)
    text = redaction.redact(text[:_READ])
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"


def _found(table: tuple[tuple[Category, re.Pattern[str]], ...], text: str) -> Category | None:
    return next((category for category, pattern in table if pattern.search(text)), None)


def _codes(error: Mapping[str, Any]) -> Iterator[str]:
    """The words by which providers tell their errors apart; never their prose, which may say anything."""
    yield from (_text(error.get(name)) for name in ("code", "type", "status"))
    for inner in _inner(error):
        yield from (_text(inner.get(name)) for name in ("code", "error_code", "reason", "error_type", "limit_source"))
        yield from inner.keys() & {"flagged_input"}
        violations = inner.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            yield _text(violation.get("quotaId")) if isinstance(violation, dict) else ""


def _inner(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Anthropic's and Google's `details`, Azure's `innererror`, OpenRouter's `metadata`."""
    for name in ("details", "innererror", "metadata"):
        value = error.get(name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                yield each


def _message(error: Mapping[str, Any]) -> str:
    """What it says, and what the provider behind a router said."""
    told = str(error.get("message") or "")
    metadata = error.get("metadata")
    upstream = metadata.get("raw") if isinstance(metadata, dict) else None
    return f"{told}: {upstream}" if isinstance(upstream, str) and upstream else told


def _hint(category: Category, told: str) -> str:
    if category is Category.INVALID_REQUEST and _NOT_TAKEN.search(told.lower()):
        return _NOT_TAKEN_HINT
    return _HINTS.get(category, "")


def _hint_astray(status: int, error: Mapping[str, Any], text: str, wanted: str) -> str:
    """Where it looks as if something else than a model's server answered; empty where it does not."""
    if status in _NOT_SERVED and (not error.keys() & _OF_PROVIDERS or _NO_PATH.search(_message(error).lower())):
        return address_hint(wanted)
    if status in _BARRED and _PAGE.match(text):
        return f"a proxy, a firewall or a login page may have sent this web page; else: {address_hint(wanted)}"
    return ""


def _titled(text: str) -> str:
    """A web page by its title; empty where it is none, or has none."""
    if not _PAGE.match(text) or (title := _TITLE.search(text)) is None:
        return ""
    return f'a web page, "{html.unescape(title[1]).strip()}"'


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else ""


def _parsed_error(body: bytes) -> Mapping[str, Any]:
    try:
        payload = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    error = error_in(payload)
    if error is None and isinstance(payload, dict):
        return {"message": payload.get("message") or payload.get("detail") or ""}
    return error or {}
