"""The budget, hard: the worst case is reserved before a call and settled after it.

A call is made only when its worst case fits, so that calls under way can never cost more than what is left, however
many there are. What is reserved is committed to the database before the call: whoever is killed meanwhile leaves it
reserved. An attempt that ended without a word of its cost stays reserved for good.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import OverBudgetError
from pytest_llmbench.records import Cost
from pytest_llmbench.store.spending import Spending, Spent

Save = Callable[[Spending], Future[Any]]
"""Writes an entry of the account; resolved once it is committed."""


@dataclass(slots=True)
class _Pot:
    """What one cap holds."""

    name: str
    cap_usd: Decimal
    gone_usd: Decimal = Decimal(0)
    """Settled, and reserved for good."""
    held_usd: Decimal = Decimal(0)
    """Reserved for calls under way."""

    @property
    def left_usd(self) -> Decimal:
        return self.cap_usd - self.gone_usd - self.held_usd


@dataclass(slots=True)
class Reservation:
    """What one attempt may cost at most, taken from every cap that it falls under."""

    entry: Spending
    usd: Decimal
    saved: Future[Any]
    """To be waited for before the call is made."""
    pots: tuple[_Pot, ...]
    over: bool = False
    """Whether it was settled."""


class Budget:
    """Reserves and settles; belongs to one thread.

    Args:
        caps: at least one.
        save: writes an entry of the account.
        earlier: what the run spent before.
    """

    def __init__(self, caps: Caps, *, save: Save, earlier: Spent | None = None) -> None:
        self._save = save
        self.caps = caps
        self._run = None if caps.run is None else _Pot("the run", caps.run)
        self._models = {glob: _Pot(f"models {glob!r}", usd) for glob, usd in caps.models.items()}
        self._use_cases = {name: _Pot(f"the use case {name!r}", usd) for name, usd in caps.use_cases.items()}
        self._attempts: Counter[str] = Counter()
        self._count_earlier(earlier or Spent())

    @property
    def left_usd(self) -> Decimal | None:
        """Of the run's cap, reservations taken off; None where there is none."""
        return None if self._run is None else self._run.left_usd

    def reserve(self, question: Question, usd: Decimal) -> Reservation | None:
        """Take the worst case of one attempt out of every cap it falls under.

        Args:
            question: what is going to be asked.
            usd: its worst case, see `worst_case_of`.

        Returns:
            None where it does not fit now, but may once calls under way are settled.

        Raises:
            OverBudgetError: it can not fit any more.
        """
        pots = self._pots(question.target.name, question.use_case)
        for pot in pots:
            if usd > pot.cap_usd - pot.gone_usd:
                raise _over(question, usd, pot)
        if any(usd > pot.left_usd for pot in pots):
            return None
        for pot in pots:
            pot.held_usd += usd
        self._attempts[question.id] += 1
        entry = Spending(
            question.id,
            self._attempts[question.id],
            question.target.name,
            question.use_case,
            question.role,
            str(usd),
            "reserved",
            clock.now().isoformat(),
        )
        return Reservation(entry, usd, self._save(entry), pots)

    def settle(self, reserved: Reservation, cost: Cost) -> Future[Any]:
        """The attempt is over.

        Args:
            reserved: from `reserve`; each is settled once.
            cost: what it cost; where unknown, it counts with its worst case from now on.

        Returns:
            Resolved once that is committed.
        """
        known, reserved.over = cost.amount is not None, True
        for pot in reserved.pots:
            pot.held_usd -= reserved.usd
            pot.gone_usd += cost.spent if known else reserved.usd
        entry = reserved.entry
        return self._save(
            Spending(
                entry.question,
                entry.attempt,
                entry.model,
                entry.use_case,
                entry.role,
                entry.reserved_usd,
                "settled" if known else "unknown",
                clock.now().isoformat(),
                str(cost.spent) if known else None,
            )
        )

    def _pots(self, model: str, use_case: str) -> tuple[_Pot, ...]:
        pots = [pot for glob, pot in self._models.items() if fnmatchcase(model, glob)]
        if self._run is not None:
            pots.append(self._run)
        if use_case in self._use_cases:
            pots.append(self._use_cases[use_case])
        return tuple(pots)

    def _count_earlier(self, earlier: Spent) -> None:
        """Stored replies tell what was spent, also by a session without a budget; rows what stays reserved, and what
        was settled for a reply that a killed session had no time to store."""
        for model, usd in spent_by_model(earlier).items():
            for pot in self._pots(model, ""):
                pot.gone_usd += usd
        for row in earlier.rows:
            self._attempts[row.question] = max(self._attempts[row.question], row.attempt)
            settled = row.settled_usd is not None
            usd = Decimal(row.settled_usd if row.settled_usd is not None else row.reserved_usd)
            # What was settled is counted by model already; not for which use case.
            touched = self._use_cases.get(row.use_case)
            for pot in self._pots(row.model, row.use_case):
                if not settled or pot is touched:
                    pot.gone_usd += usd


def spent_by_model(earlier: Spent) -> Mapping[str, Decimal]:
    """The larger of what replies and failed attempts tell and of what was settled, by model, in US dollars."""
    settled: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in earlier.rows:
        settled[row.model] += Decimal(row.settled_usd or 0)
    told = earlier.by_model
    return {model: max(told.get(model, Decimal(0)), settled[model]) for model in {*told, *settled}}


def _over(question: Question, usd: Decimal, pot: _Pot) -> OverBudgetError:
    left = max(Decimal(0), pot.cap_usd - pot.gone_usd)
    return OverBudgetError(
        f"{question.target.name} was not asked: the request may cost up to {usd.normalize():f} USD, and of the "
        f"{pot.cap_usd.normalize():f} USD for {pot.name} {left.normalize():f} USD are left",
        hint="raise --llmbench-max-cost or `budget:` of llmbench.yaml, lower max_tokens, and go on with --resume",
    )
