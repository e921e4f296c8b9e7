"""Of which failures another model can help, and which are the fault of the question itself."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_llmbench.errors import Category, LlmbenchError

TARGETS = 2
"""On so many models a question may fail in a way that can be its own fault; no third one is asked."""

HELPS: Mapping[Category, str] = {
    Category.AUTH: "another account has another key",
    Category.QUOTA_EXHAUSTED: "another account has a quota of its own",
    Category.RATE_LIMITED: "another model has limits of its own",
    Category.OVERLOADED: "another model may have a place free",
    Category.SERVER: "another server may do it",
    Category.TIMEOUT_CONNECT: "another address may answer",
    Category.TIMEOUT_TTFT: "another model may be quicker",
    Category.TIMEOUT_IDLE: "another model may not stall",
    Category.TIMEOUT_TOTAL: "another model may be quicker",
    Category.NETWORK_DNS: "another name may be known",
    Category.NETWORK_TLS: "another certificate may be good",
    Category.NETWORK_REFUSED: "another server may listen",
    Category.NETWORK_RESET: "another server may not hang up",
    Category.STREAM_TRUNCATED: "another server may finish",
    Category.STREAM_MALFORMED: "another server may keep to the format",
    Category.STREAM_ERROR_EVENT: "another server may not fail",
    Category.STREAM_TOO_LARGE: "another model may be briefer",
    Category.CONTEXT_LENGTH: "another model may have a larger context",
    Category.CONTENT_FILTER: "another provider filters otherwise",
    Category.MODEL_MISSING: "another model is there",
    Category.LOCAL_SERVER_CRASH: "another model is served elsewhere",
    Category.LOCAL_SERVER_HANG: "another model is served elsewhere",
    Category.LOCAL_SERVER_START: "another model is served elsewhere",
    Category.LOCAL_MISMATCH: "another model is served elsewhere",
    Category.LOCAL_LOAD_TIMEOUT: "another model is served elsewhere",
    Category.LOCAL_OOM: "another model needs less memory, or none here",
    Category.LOCAL_PORT: "another model is served elsewhere",
    Category.LOCAL_CORRUPT_MODEL: "another file may be whole",
    Category.LOCAL_MODEL_UNSUPPORTED: "the engine may know another model",
    Category.LOCAL_ENGINE_MISSING: "another model needs no engine here",
    Category.LOCAL_ENGINE_UNUSABLE: "another model needs no engine here",
    Category.LOCAL_BAD_FLAG: "another model needs no engine here",
    Category.LOCAL_REFUSED: "another model needs no room here",
    Category.CASSETTE_MISS: "the cassette may hold the reply of another",
}
"""Category → why another model is asked. Not here: a wrong request, which is wrong everywhere; what concerns this
machine or this run, whoever is asked; money."""

BLAMED = frozenset(
    {
        Category.SERVER,
        Category.TIMEOUT_TTFT,
        Category.TIMEOUT_IDLE,
        Category.TIMEOUT_TOTAL,
        Category.STREAM_TRUNCATED,
        Category.STREAM_MALFORMED,
        Category.STREAM_ERROR_EVENT,
        Category.STREAM_TOO_LARGE,
        Category.CONTENT_FILTER,
        Category.LOCAL_SERVER_CRASH,
        Category.LOCAL_SERVER_HANG,
    }
)
"""What a question looks like that no server can stand."""

LASTING = frozenset(
    {
        Category.AUTH,
        Category.QUOTA_EXHAUSTED,
        Category.NETWORK_TLS,
        Category.MODEL_MISSING,
        Category.LOCAL_CORRUPT_MODEL,
        Category.LOCAL_MODEL_UNSUPPORTED,
        Category.LOCAL_ENGINE_MISSING,
        Category.LOCAL_ENGINE_UNUSABLE,
        Category.LOCAL_BAD_FLAG,
    }
)
"""What will not be otherwise for the next question: the model is asked last from then on."""

REFUSING = frozenset({Category.RATE_LIMITED, Category.OVERLOADED})
"""What will be otherwise before long: the model is asked last for a while."""


def may_be_blamed(error: LlmbenchError) -> bool:
    """Whether a failure can be the question's own fault; not where nothing was sent.

    Args:
        error: the failure, after all attempts that help.
    """
    return getattr(error, "category", None) in BLAMED and not getattr(error, "unsent", False)


def is_blamed(error: LlmbenchError) -> bool:
    """Whether the asker knows that the question fails wherever it is sent."""
    return bool(getattr(error, "blamed", False))
