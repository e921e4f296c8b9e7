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
    └── ReplyFormatError      a reply is not what was asked for (`reply.json[...]`): the reply is wrong

An error says what happened, where, and what to do next (`hint`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import Self


class ExitCode(IntEnum):
    """Every exit status of `pytest`, `llmbench run` and the other verbs; 0 to 5 are pytest's own.

    When no test failed plainly the first that applies of 12, 11, 10, 13 is the status.
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
    INTERRUPTED = 2, "Ctrl-C. What had finished is stored; `--resume` goes on from there."
    INTERNAL = 3, "An internal error of pytest or of a plugin."
    USAGE = 4, "Wrong command line, configuration or model name; nothing was run."
    NO_TESTS = 5, "No tests were collected."
    GATE_FAILED = 10, "No test failed, but a gate did."
    INFRA_ERRORS = 11, "The share of tests that ended as infra errors is above `max_error_rate`."
    OVER_BUDGET = 12, "The budget of the run was spent before all tests had run."
    INCONCLUSIVE = 13, "A gate could not decide, and `inconclusive` is `fail`."


class Category(StrEnum):
    """What kind of infrastructure failure it was; one list for retries, reports and metrics."""

    AUTH = "auth"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER = "server"
    TIMEOUT_CONNECT = "timeout.connect"
    TIMEOUT_TTFT = "timeout.ttft"
    TIMEOUT_IDLE = "timeout.idle"
    TIMEOUT_TOTAL = "timeout.total"
    NETWORK_DNS = "network.dns"
    NETWORK_TLS = "network.tls"
    NETWORK_REFUSED = "network.refused"
    NETWORK_RESET = "network.reset"
    STREAM_TRUNCATED = "stream.truncated"
    STREAM_MALFORMED = "stream.malformed"
    STREAM_ERROR_EVENT = "stream.error_event"
    STREAM_TOO_LARGE = "stream.too_large"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    MODEL_MISSING = "model_missing"
    MEASUREMENT_INVALID = "measurement.invalid"
    LOCAL_SERVER_CRASH = "local.server_crash"
    LOCAL_SERVER_START = "local.server_start"
    LOCAL_LOAD_TIMEOUT = "local.load_timeout"
    LOCAL_OOM = "local.oom"
    LOCAL_PORT = "local.port"
    LOCAL_CORRUPT_MODEL = "local.corrupt_model"
    LOCAL_DISK_FULL = "local.disk_full"
    LOCAL_ENGINE_MISSING = "local.engine_missing"
    LOCAL_SUPERVISOR = "local.supervisor"
    LOCAL_WORKER_CRASH = "local.worker_crash"
    LOCAL_REFUSED = "local.refused"
    STORE = "store"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


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
        log_tail: the last lines of its log.
    """

    def __init__(
        self, message: str, *, category: Category, hint: str = "", exit_code: int | None = None, log_tail: str = ""
    ) -> None:
        super().__init__(message, category=category, hint=hint)
        self.exit_code = exit_code
        self.log_tail = log_tail

    def __str__(self) -> str:
        tail = f"\n  last lines of its log:\n{_indented(self.log_tail)}" if self.log_tail else ""
        return super().__str__() + tail


class WireError(InfraError):
    """An HTTP exchange failed.

    Args:
        message: what happened and where.
        category: the kind of failure.
        hint: what the reader can do next.
        status: the HTTP status, where one was received.
        partial_text: what had arrived before a stream broke; kept for the log, never scored.
    """

    def __init__(
        self, message: str, *, category: Category, hint: str = "", status: int | None = None, partial_text: str = ""
    ) -> None:
        super().__init__(message, category=category, hint=hint)
        self.status = status
        self.partial_text = partial_text


class ModelFileError(InfraError):
    """A model file is missing, corrupt, or not the one that was pinned."""


class StoreError(InfraError):
    """The results database cannot be read or written."""


class ReplyFormatError(LlmbenchError):
    """A reply does not have the form that was asked for: the reply is wrong, not the machinery."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'near'?` where a known word resembles `word`, else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415  only a wrong name pays for it

    names = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
