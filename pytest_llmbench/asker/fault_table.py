"""What becomes of a question when something goes wrong: each fault that the demo provider can play, and some in a row.

Written down, not derived: tests ask the demo provider and hold what happens against it, for whole replies and streams,
in OpenAI's format and in Anthropic's. `docs/reference/faults.md` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmbench.errors import Category

_LIMITED_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_WAITS_S = (0.5, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What one fault leads to, where a question is asked alone, with the usual settings."""

    fault: str
    """A key of the demo provider's `FAULTS`."""
    category: Category
    """Of a streamed reply."""
    whole: Category | None
    """Of a reply in one piece; None: that is answered."""
    waits_s: tuple[float, ...] = ()
    """The longest wait before each further request, where it goes wrong each time."""
    goes_on: bool = False
    """Whether it is asked again for minutes then; else it has failed after the last wait."""
    cost: str = "unknown"
    """Of each failed attempt: `refused`, which costs nothing, or `unknown`."""

    @property
    def requests(self) -> int:
        """How many are made in all, where it goes wrong each time and does not go on."""
        return 1 + len(self.waits_s)

    @property
    def is_answered(self) -> bool:
        """Whether it is answered where only the first attempt goes wrong."""
        return bool(self.waits_s)


def _refused(fault: str, category: Category) -> Expected:
    return Expected(fault=fault, category=category, whole=category, cost="refused")


def _limited(fault: str, category: Category) -> Expected:
    limited = _LIMITED_WAITS_S
    return Expected(fault=fault, category=category, whole=category, waits_s=limited, goes_on=True, cost="refused")


def _broken(fault: str, category: Category, whole: Category | None) -> Expected:
    return Expected(fault=fault, category=category, whole=whole, waits_s=_WAITS_S)


EXPECTED = (
    _limited("rate-limit", Category.RATE_LIMITED),
    _refused("quota", Category.QUOTA_EXHAUSTED),
    _broken("server-error", Category.SERVER, Category.SERVER),
    _limited("overloaded", Category.OVERLOADED),
    _broken("bad-gateway", Category.SERVER, Category.SERVER),
    _refused("auth", Category.AUTH),
    _refused("context-length", Category.CONTEXT_LENGTH),
    _broken("slow-headers", Category.TIMEOUT_TTFT, None),
    _broken("stall", Category.TIMEOUT_IDLE, Category.TIMEOUT_IDLE),
    _broken("truncated", Category.STREAM_TRUNCATED, Category.STREAM_TRUNCATED),
    _broken("cut", Category.STREAM_TRUNCATED, Category.STREAM_MALFORMED),
    _broken("reset", Category.NETWORK_RESET, Category.NETWORK_RESET),
    _broken("malformed", Category.STREAM_MALFORMED, Category.STREAM_MALFORMED),
    _broken("error-event", Category.STREAM_ERROR_EVENT, Category.SERVER),
    Expected(fault="huge", category=Category.STREAM_TOO_LARGE, whole=Category.STREAM_TOO_LARGE),
    _broken("expired", Category.SERVER, Category.SERVER),
    _broken("empty", Category.STREAM_TRUNCATED, Category.STREAM_MALFORMED),
)
"""Every fault, in the order of `FAULTS`. Of `slow-headers`: later than the first token may come."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """Several faults in a row, an attempt each; whatever comes then is well."""

    faults: tuple[str, ...]
    requests: int
    """How many are made in all."""
    costs: tuple[str, ...]
    """Of each failed attempt."""
    ends_as: Category | None
    """None: it is answered."""
    why: str


MIXED = (
    Mixed(
        ("rate-limit", "server-error", "truncated"),
        4,
        ("refused", "unknown", "unknown"),
        None,
        "a refusal is no attempt, and no two failures are the same",
    ),
    Mixed(
        ("server-error", "stall", "server-error", "reset"),
        5,
        ("unknown",) * 4,
        None,
        "five attempts are made where failures differ",
    ),
    Mixed(
        ("truncated", "server-error", "malformed", "reset", "bad-gateway"),
        5,
        ("unknown",) * 5,
        Category.SERVER,
        "the fifth attempt was the last one",
    ),
    Mixed(
        ("cut", "cut", "cut"),
        3,
        ("unknown",) * 3,
        Category.STREAM_TRUNCATED,
        "three times the same: the fourth would have been well, and is not made",
    ),
    Mixed(
        ("overloaded", "rate-limit", "overloaded", "auth"),
        4,
        ("refused",) * 4,
        Category.AUTH,
        "nobody asks again with a key that is refused",
    ),
    Mixed(
        ("rate-limit", "quota"),
        2,
        ("refused",) * 2,
        Category.QUOTA_EXHAUSTED,
        "both are a 429, and only one of them passes",
    ),
)
