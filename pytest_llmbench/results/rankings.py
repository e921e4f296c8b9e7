"""Who is preferred to whom, as tests ask for it."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_llmbench.errors import UsageError
from pytest_llmbench.stats.preference import Comparison, Preferred, Strength, bradley_terry

_WINNERS: tuple[Preferred, ...] = ("a", "b", "tie")


def ranking(comparisons: Iterable[tuple[str, str, str | None]]) -> list[Strength]:
    """How strong each is among those that it was compared with (Bradley and Terry), the strongest first.

    Args:
        comparisons: the names of a and b, and the better one: `a`, `b`, `tie`; None, where nothing was decided, is left
            out.

    Returns:
        A row a name: `name`, `strength` with the 95 % interval `low` to `high`, and `rank`, the same of equal
        strengths. Names that were never compared, not even through others, are in groups of their own (`group`): each
        has its own ranks.

    Raises:
        UsageError: a winner is none of these.
    """
    return bradley_terry([_known(*each) for each in comparisons if each[2] is not None])


def _known(a: str, b: str, winner: str | None) -> Comparison:
    for known in _WINNERS:
        if winner == known:
            return a, b, known
    raise UsageError(
        f"{a} and {b}: the winner is {winner!r}; known are 'a', 'b' and 'tie'",
        hint="ranking([(name_a, name_b, judge.compare(reply_a, reply_b, sample).winner), ...])",
    )
