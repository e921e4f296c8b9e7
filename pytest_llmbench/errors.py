"""Every error we raise, and the categories by which infrastructure failures are counted.

    LlmbenchError
    ├── UsageError            the caller can mend it before anything runs (exit code 4)
    │   ├── ConfigError       llmbench.yaml, ini, environment, flags: file, line, key, what is allowed
    │   ├── UnknownModelError a model name nobody knows; near names are offered
    │   └── MissingExtraError a feature whose optional dependency is not installed
    ├── InfraError            the machinery failed, the model is not to blame: never a score of 0
    │   ├── ServerError       a local server did not start, or died (exit code, log tail)
    │   ├── WireError         the HTTP exchange failed (deadline, reset, truncated stream, error status)
    │   ├── ModelFileError    a GGUF is missing, corrupt or not what was pinned
    │   └── StoreError        the results database cannot be read or written
    ├── CacheError            the response cache cannot be used: told once, asking goes on without it
    │   └── SpoiltCacheError  its file is of no use as it lies there, and may be deleted
    ├── OverBudgetError       a call was not made, because it could have cost more than is left
    ├── PendingError          a reply is still with the provider's batch API
    └── ReplyFormatError      a reply is not what was asked for (`reply.json[...]`): the reply is wrong

An error says what happened, where, and what to do next (`hint`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum
from typing import Any, Self

_SHOWN = 200
"""Characters of a broken reply in an error's text."""


class ExitCode(IntEnum):
    """Every exit status of `pytest`, `llmbench run` and the other verbs; 0 to 5 are pytest's own.

    When no test failed plainly the first that applies of 12, 11, 10, 13, 14 is the status.
    """

    meaning: str
    """For docs/reference/exit-codes.md."""

    def __new__(cls, value: int, meaning: str) -> Self:
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    OK = 0, "Everything passed; a verb did what it was asked to do."
    TESTS_FAILED = 1, "A test failed plainly. For verbs other than `run`: the machinery failed (file, network, server)."
    INTERRUPTED = (
        2,
        (
            "Ctrl-C: what had finished is stored, `--resume` goes on from there. Or a test file could not be collected "
            "(an unknown model name in a marker, an import that fails): nothing was run."
        ),
    )
    INTERNAL = 3, "An internal error of pytest or of a plugin."
    USAGE = 4, "Wrong command line, setting or llmbench.yaml, or results cannot be kept; nothing was run."
    NO_TESTS = 5, "No tests were collected."
    GATE_FAILED = 10, "No test failed, but a gate did."
    INFRA_ERRORS = 11, "The share of tests that ended as infra errors is above `max_error_rate`."
    OVER_BUDGET = 12, "The budget of the run was spent before all tests had run."
    INCONCLUSIVE = 13, "A gate could not decide, and `inconclusive` is `fail`."
    PENDING = 14, "Requests were submitted to a batch API (`--batch`); `--resume` collects their replies."


class Category(StrEnum):
    """What kind of infrastructure failure it was; one list for retries, reports and metrics."""

    meaning: str
    """For docs/reference/exit-codes.md."""

    def __new__(cls, value: str, meaning: str) -> Self:
        category = str.__new__(cls, value)
        category._value_ = value
        category.meaning = meaning
        return category

    AUTH = "auth", "The API key is missing or was refused (401, 403)."
    QUOTA_EXHAUSTED = "quota_exhausted", "The account has no quota left; waiting does not help."
    RATE_LIMITED = "rate_limited", "Too many requests at once (429)."
    OVERLOADED = "overloaded", "The server has no slot free or is still loading (503)."
    SERVER = "server", "The server failed (other 5xx)."
    TIMEOUT_CONNECT = "timeout.connect", "No connection before the deadline."
    TIMEOUT_TTFT = "timeout.ttft", "No generated token before the deadline."
    TIMEOUT_IDLE = "timeout.idle", "The stream fell silent for too long."
    TIMEOUT_TOTAL = "timeout.total", "The request as a whole took too long."
    NETWORK_DNS = "network.dns", "The host name could not be resolved."
    NETWORK_TLS = "network.tls", "No secure connection: certificate or protocol."
    NETWORK_REFUSED = "network.refused", "Nobody listens at the address."
    NETWORK_RESET = "network.reset", "The connection broke before an answer began."
    STREAM_TRUNCATED = "stream.truncated", "The stream ended without its last frame."
    STREAM_MALFORMED = "stream.malformed", "The answer is not in the format that was expected."
    STREAM_ERROR_EVENT = "stream.error_event", "The server reported an error within the stream."
    STREAM_TOO_LARGE = "stream.too_large", "The answer is larger than what is read."
    INVALID_REQUEST = "invalid_request", "The server refused the request (other 4xx)."
    CONTEXT_LENGTH = "context_length", "Prompt and answer do not fit into the context."
    CONTENT_FILTER = "content_filter", "The provider's filter stopped the answer."
    MODEL_MISSING = "model_missing", "The model's file is not here, or the server does not know the model."
    MEASUREMENT_INVALID = (
        "measurement.invalid",
        "The measurement broke its own conditions (a cached prompt, too few tokens).",
    )
    LOCAL_SERVER_CRASH = "local.server_crash", "A local server crashed, while it was loading or in use."
    LOCAL_SERVER_HANG = "local.server_hang", "A local server lived and did nothing any more; it was killed."
    LOCAL_SERVER_START = "local.server_start", "A local server did not start, for a reason that only its log tells."
    LOCAL_MISMATCH = "local.mismatch", "A local server runs with other settings than it was asked for."
    LOCAL_LOAD_TIMEOUT = "local.load_timeout", "A local server did not become ready before the deadline."
    LOCAL_OOM = "local.oom", "A local server ran out of memory, or would have."
    LOCAL_PORT = "local.port", "A local server could not listen at its address."
    LOCAL_CORRUPT_MODEL = "local.corrupt_model", "A model file is corrupt, or not the one that was pinned."
    LOCAL_SOCKETS = "local.sockets", "This process or machine has no file or port left for another connection."
    LOCAL_MODEL_UNSUPPORTED = "local.model_unsupported", "The engine does not know this kind of model."
    LOCAL_DISK_FULL = "local.disk_full", "No space left on the disk for a model file, a log or the results."
    LOCAL_ENGINE_MISSING = "local.engine_missing", "The engine for local models is not there."
    LOCAL_ENGINE_UNUSABLE = "local.engine_unusable", "The engine does not run on this machine, or is no llama-server."
    LOCAL_BAD_FLAG = "local.bad_flag", "The engine does not take a flag it was given, or its value."
    LOCAL_SUPERVISOR = "local.supervisor", "The process that starts servers cannot be reached."
    LOCAL_ASKER = "local.asker", "The process that asks APIs for all xdist workers died, or cannot be reached."
    LOCAL_WORKER_CRASH = "local.worker_crash", "An xdist worker died during the test."
    LOCAL_REFUSED = "local.refused", "A server was refused because waiting for it would never end."
    CASSETTE_MISS = "cassette.miss", "The cassette that is replayed holds no reply to this request."
    STORE = "store", "The results database cannot be read or written."
    CANCELLED = "cancelled", "The request was cancelled, by Ctrl-C or because the session ended."
    INTERNAL = "internal", "A fault of our own; please report it."


class LlmbenchError(Exception):
    """Root of all errors of this package.

    Args:
        message: what happened and where.
        hint: what the reader can do next; shown on its own line.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(LlmbenchError):
    """The caller asked for something that cannot be done; nothing was run."""


class ConfigError(UsageError):
    """A setting or a configuration file is not valid."""


class UnknownModelError(UsageError):
    """No model has this name."""


class MissingExtraError(UsageError):
    """An optional dependency is needed and not installed; the hint names the extra."""


class InfraError(LlmbenchError):
    """The machinery failed. Stored as an infra error, never as a wrong answer.

    Args:
        message: what happened and where.
        category: the kind of failure, see `Category`.
        hint: what the reader can do next.
    """

    blamed = False
    """Whether the request itself is at fault: it failed alike on two targets."""
    unsent = False
    """Whether nothing was sent for the question at all."""

    def __init__(self, message: str, *, category: Category, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.category = category


class ServerError(InfraError):
    """A local server did not start or died.

    Args:
        message: what happened and where.
        category: one of the `local.*` categories.
        hint: what the reader can do next.
        exit_code: the process's exit status; negative for a signal, None while it lives.
        log_tail: the last lines of its log, fit to be shown.
        partial_text: what the model had said when the server died; kept for the log, never scored.
    """

    def __init__(
        self,
        message: str,
        *,
        category: Category,
        hint: str = "",
        exit_code: int | None = None,
        log_tail: str = "",
        partial_text: str = "",
    ) -> None:
        super().__init__(message, category=category, hint=hint)
        self.exit_code = exit_code
        self.log_tail = log_tail
        self.partial_text = partial_text

    def __str__(self) -> str:
        said = f"\n  it had said, which is not scored: {self.partial_text[:_SHOWN]!r}" if self.partial_text else ""
        tail = f"\n  last lines of its log:\n{_indented(self.log_tail)}" if self.log_tail else ""
        return super().__str__() + said + tail


class WireError(InfraError):
    """An HTTP exchange failed.

    Args:
        message: what happened and where.
        category: the kind of failure.
        hint: what the reader can do next.
        status: the HTTP status, where one was received.
        partial_text: what had arrived before a stream broke; kept for the log, never scored.
        headers: of the response, names in lower case: what the provider says about its limits.
        usage: what was used all the same, where the provider told; a `Usage` record.
    """

    def __init__(
        self,
        message: str,
        *,
        category: Category,
        hint: str = "",
        status: int | None = None,
        partial_text: str = "",
        headers: Mapping[str, str] | None = None,
        usage: Any = None,
    ) -> None:
        super().__init__(message, category=category, hint=hint)
        self.status = status
        self.partial_text = partial_text
        self.headers = headers or {}
        self.usage = usage


class ModelFileError(InfraError):
    """A model file is missing, corrupt, or not the one that was pinned."""


class StoreError(InfraError):
    """The results database cannot be read or written."""


class CacheError(LlmbenchError):
    """The response cache cannot be reached, read or written; no question fails for it."""


class SpoiltCacheError(CacheError):
    """The cache's own file is damaged, of another format, or others may write to it: a new one is the way out."""


class OverBudgetError(LlmbenchError):
    """A call was not made: its worst case does not fit into what is left of the budget."""


class PendingError(LlmbenchError):
    """The reply is still with the provider's batch API."""


class NotAskedError(LlmbenchError):
    """A run that takes its replies from another does not ask what that one did not; its test is skipped."""


class UnscoredError(LlmbenchError):
    """Nobody can tell whether a reply is right: nothing could be scored, or a validator failed."""


class ReplyFormatError(LlmbenchError):
    """A reply does not have the form that was asked for: the reply is wrong, not the machinery."""


class GroundTruthWarning(UserWarning):
    """What replies are held against contradicts itself, or is likely not what was meant."""


class InconclusiveWarning(UserWarning):
    """A comparison in a test could not be decided: what it would take stands in the text."""


class NoUseCaseWarning(UserWarning):
    """A document happens to have the name of a use case's page."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'near'?` where a known word resembles `word`, else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415  only a wrong name pays for it

    names = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
