"""Who only advised, and why, in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_llmbench.records import Score
from pytest_llmbench.results.stand_ins import seat_of

_MOST = 3


def advice_of(scores: Iterable[Score]) -> str:
    """`demo/judge only advises (no calibration): `binding: true` lets it count`; empty where nobody advised.

    Args:
        scores: of replies; those of panels with their members as parts.
    """
    found = dict(_advisers(scores))
    if not found:
        return ""
    alike: dict[str, list[str]] = {}
    for name, why in list(found.items())[:_MOST]:
        alike.setdefault(why, []).append(name)
    told = [f"{', '.join(names)} only advise{'s' * (len(names) == 1)} ({why})" for why, names in alike.items()]
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"{', '.join(told)}{more}: `binding: true` lets {'it' if len(found) == 1 else 'them'} count"


def _advisers(scores: Iterable[Score]) -> Iterator[tuple[str, str]]:
    for score in scores:
        if score.advisory and "judge" in score.details:
            yield seat_of(score), str(score.details.get("not_calibrated") or "no calibration")
        elif score.advisory:
            yield from _advisers(score.parts)
