"""Error bodies of OpenAI-compatible servers → our categories.

The status alone does not tell a spent quota from a rate limit, or a prompt that is too long from a wrong field: codes
and types do, where a server sends them. Messages are hostile text: one printable line, shortened, and without the key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pytest_llmbench import redaction
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.secret import Secret

_LONGEST_MESSAGE = 300
_READ = 20_000

_BY_CODE = (
    (Category.QUOTA_EXHAUSTED, re.compile(r"insufficient_quota|credit_balance|spend_limit|billing")),
    (Category.CONTEXT_LENGTH, re.compile(r"context_length|exceed_context_size")),
    (Category.CONTENT_FILTER, re.compile(r"content_filter|content_policy")),
    (Category.MODEL_MISSING, re.compile(r"model_not_found")),
)
_BY_MESSAGE = (
    (Category.CONTEXT_LENGTH, re.compile(r"maximum context length|context size (has been )?exceeded")),
    (Category.MODEL_MISSING, re.compile(r"^(the )?model\b.{0,100}\b(does not exist|not found)")),
)
_BY_STATUS = {
    401: Category.AUTH,
    402: Category.QUOTA_EXHAUSTED,
    403: Category.AUTH,
    408: Category.SERVER,
    429: Category.RATE_LIMITED,
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


def error_in(payload: Any) -> Mapping[str, Any] | None:
    """The error object of a parsed body or event, whatever form it has; None where it is no error."""
    if not isinstance(payload, dict):
        return None
    error = payload.get("error")
    if isinstance(error, dict):
        return error
    if error:
        return {"message": str(error)}
    return payload if payload.get("object") == "error" else None


def classify(status: int, error: Mapping[str, Any]) -> Category:
    """The category of an error.

    Args:
        status: of HTTP; 200 where the error came in the body of a success.
        error: from `error_in`; may be empty.
    """
    codes = f"{error.get('code')} {error.get('type')}".lower()
    message = str(error.get("message", "")).lower()
    for table, text in ((_BY_CODE, codes), (_BY_MESSAGE, message)):
        for category, pattern in table:
            if pattern.search(text):
                return category
    if status < 400:
        code = error.get("code")
        status = code if isinstance(code, int) and code >= 400 else 500
    return _BY_STATUS.get(status) or (Category.SERVER if status >= 500 else Category.INVALID_REQUEST)


def refusal(shown: str, status: int, headers: Mapping[str, str], body: bytes, secret: Secret) -> WireError:
    """The error for a response that is no success.

    Args:
        shown: the request as messages name it.
        status: of HTTP.
        headers: names in lower case.
        body: as far as it was read.
        secret: the API key, which no message may contain.
    """
    if 300 <= status < 400:
        target = shorten(headers.get("location", "nowhere"), secret)
        return WireError(
            f"{shown}: HTTP {status}, a redirect to {target}; redirects are not followed",
            category=Category.INVALID_REQUEST,
            status=status,
            hint="configure the address that answers; prompts and keys are not sent on to another",
        )
    error = _parsed_error(body)
    category = classify(status, error)
    told = shorten(str(error.get("message") or body.decode("utf-8", "replace")), secret) or "no message"
    return WireError(f"{shown}: HTTP {status}: {told}", category=category, status=status, hint=_HINTS.get(category, ""))


def shorten(text: str, secret: Secret) -> str:
    """Hostile text made fit for a message: one printable line of bounded length, without the key."""
    if secret:  # however short: the redactor leaves short ones alone
        text = text.replace(secret.reveal(), redaction.MARK)
    text = redaction.redact(text[:_READ])
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"


def _parsed_error(body: bytes) -> Mapping[str, Any]:
    try:
        payload = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    error = error_in(payload)
    if error is None and isinstance(payload, dict):
        return {"message": payload.get("message") or payload.get("detail") or ""}
    return error or {}
