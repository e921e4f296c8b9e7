"""The one sticky comment of a pull request, over GitHub's REST API.

A comment is ours when it begins with our marker and its author is who we are: anybody may write the marker, and could
then change what we said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from pytest_llmbench import clock, http
from pytest_llmbench.asker.rate_headers import retry_after_s
from pytest_llmbench.asker.retry import PASSING
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import Category, UsageError, WireError
from pytest_llmbench.secret import Secret

_Told = TypeVar("_Told")

DEADLINES = http.Deadlines(connect_s=10, ttft_s=30, idle_s=30, total_s=60)
ATTEMPTS = 6
LONGEST_WAIT_S = 300.0
"""In all; a job that waits longer costs more than a comment is worth."""
_SECONDARY_WAIT_S = 60.0
"""What GitHub asks for where a secondary limit does not say how long."""
_PAGE = 100
_MOST_PAGES = 100
_SHOWN = 200
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class RefusedError(WireError):
    """The token may not do that."""


class _AgainError(Exception):
    """Not now."""

    def __init__(self, error: WireError, wait_s: float | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class GitHub:
    """A repository on GitHub, and the right to write to it.

    Args:
        api_url: `https://api.github.com`, or that of an Enterprise server.
        repository: `owner/name`.
        token: what the workflow was given.

    Raises:
        UsageError: the token would go over the network where anybody can read it.
    """

    api_url: str
    repository: str
    token: Secret

    def __post_init__(self) -> None:
        parts = urlsplit(self.api_url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise UsageError(f"{self.api_url} is no https:// address: the token would go in the open")

    def keep_comment(self, pull: int, marker: str, body: str, author: str) -> str:
        """Write the comment, in the place of our earlier one where there is one.

        Each attempt looks for it anew: a request that broke may have made it all the same.

        Returns:
            `created` or `updated`, and its address.

        Raises:
            RefusedError: the token may not write comments.
            WireError: GitHub does not answer, or not as it should.
        """
        return _patiently(lambda: self._kept(pull, marker, body, author))

    def pull_of(self, head: str, commit: str) -> int | None:
        """The open pull request whose head this commit is; None: there is none (any more).

        Args:
            head: `owner:branch`.
            commit: its sha.

        Raises:
            WireError: GitHub does not answer, or not as it should.
        """
        path = f"pulls?state=open&per_page={_PAGE}&head={quote(head, safe='')}"
        found = _patiently(lambda: self._asked("GET", path))
        return next((each["number"] for each in found if each.get("head", {}).get("sha") == commit), None)

    async def _kept(self, pull: int, marker: str, body: str, author: str) -> str:
        own = await self._own(pull, marker, author)
        if own is None:
            told = await self._asked("POST", f"issues/{pull}/comments", {"body": body})
            return f"created {told.get('html_url', '')}".strip()
        told = await self._asked("PATCH", f"issues/comments/{own}", {"body": body})
        return f"updated {told.get('html_url', '')}".strip()

    async def _own(self, pull: int, marker: str, author: str) -> int | None:
        for page in range(1, _MOST_PAGES + 1):
            listed = await self._asked("GET", f"issues/{pull}/comments?per_page={_PAGE}&page={page}")
            for each in listed:
                is_ours = (each.get("user") or {}).get("login") == author
                if is_ours and str(each.get("body") or "").startswith(marker):
                    return int(each["id"])
            if len(listed) < _PAGE:
                return None
        return None

    async def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {self.token.reveal()}",
            "x-github-api-version": "2022-11-28",
            **({"content-type": "application/json"} if body is not None else {}),
        }
        data = b"" if body is None else json.dumps(body).encode()
        request = http.Request(method, f"{self.api_url}/repos/{self.repository}/{path}", headers, data)
        try:
            fetched = await http.fetch(request, DEADLINES)
        except WireError as error:
            raise _AgainError(error, None) if error.category in PASSING else error from error
        return _read(request, fetched)


def _patiently(ask: Callable[[], Coroutine[Any, Any, _Told]]) -> _Told:
    waited_s = 0.0
    for attempt in range(ATTEMPTS):
        try:
            return http.run(ask())
        except _AgainError as again:
            wait_s = 2.0**attempt if again.wait_s is None else again.wait_s
            waited_s += wait_s
            if attempt == ATTEMPTS - 1 or waited_s > LONGEST_WAIT_S:
                raise again.error from None
            clock.sleep(wait_s)
    raise AssertionError("the last attempt returns or raises")


def _read(request: http.Request, fetched: http.Fetched) -> Any:
    """What a good answer holds.

    Raises:
        _AgainError: a later attempt may do.
        RefusedError: the token may not.
        WireError: nothing helps.
    """
    if fetched.status in {200, 201}:
        try:
            return json.loads(fetched.body)
        except ValueError as error:
            raise _failure(request, fetched, Category.STREAM_MALFORMED) from error
    if fetched.status >= 500:
        raise _AgainError(_failure(request, fetched, Category.SERVER), retry_after_s(fetched.headers))
    if fetched.status in {403, 429} and (wait_s := _limited_s(fetched)) is not None:
        raise _AgainError(_failure(request, fetched, Category.RATE_LIMITED), wait_s)
    if fetched.status in {401, 403, 404}:
        hint = "give the job `permissions: pull-requests: write`; the token of a fork's pull request may only read"
        raise RefusedError(_told(request, fetched), category=Category.AUTH, hint=hint, status=fetched.status)
    raise _failure(request, fetched, Category.INVALID_REQUEST)


def _limited_s(fetched: http.Fetched) -> float | None:
    """How long a limit on the rate holds; None: it is another refusal."""
    if (wait_s := retry_after_s(fetched.headers)) is not None:
        return wait_s
    if fetched.headers.get("x-ratelimit-remaining") == "0":
        reset = fetched.headers.get("x-ratelimit-reset", "")
        left_s = float(reset) - clock.now().timestamp() if reset.isdecimal() else _SECONDARY_WAIT_S
        return max(1.0, left_s)
    is_limit = fetched.status == 429 or b"rate limit" in fetched.body.lower()
    return _SECONDARY_WAIT_S if is_limit else None


def _failure(request: http.Request, fetched: http.Fetched, category: Category) -> WireError:
    return WireError(
        _told(request, fetched),
        category=category,
        status=fetched.status,
        hint="look at the status page of GitHub, and run the job again",
    )


def _told(request: http.Request, fetched: http.Fetched) -> str:
    try:
        said = str(json.loads(fetched.body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        said = ""
    shown = f": {terminal_safe(said[:_SHOWN], keep='')}" if said else ""
    return f"{request.shown}: HTTP {fetched.status}{shown}"
