"""All judges of a jury on one matter: who is to be asked next, until each has said its word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_llmbench.evaluations.inquiry import Inquiry
from pytest_llmbench.evaluations.jury import Asked, Behalf, Jury
from pytest_llmbench.judges import asking, panel
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.records import Score

Number = Callable[[Asked], int]
"""What is put to a route → how many times the same was put to it before."""


class Sitting:
    """Of one matter.

    Args:
        jury: who judges.
        matter: what.
        behalf: on whose behalf.
        number: see there.

    Raises:
        UsageError: no model of a route can take it.
    """

    def __init__(self, jury: Jury, matter: Matter, behalf: Behalf, number: Number) -> None:
        self.lacking = asking.lacking(jury.rubric, matter)
        """Why nobody is asked; empty: they are."""
        self.inquiries = [Inquiry(jury, put, number(put)) for put in jury.first([matter], [behalf])]
        """One a judge, in the order of the jury's models; none where nobody is asked."""
        self._jury = jury
        self._was_divided = False

    def due(self) -> list[Inquiry]:
        """Those that are to be asked something now; once all have said their word and are not of one mind, those whose
        doubt that is. None: all is said."""
        return [each for each in self.inquiries if each.asked is not None] or self.reopened()

    def reopened(self) -> list[Inquiry]:
        """Those whom the others of the panel make doubt, where all have said their word; once."""
        scores = [each.score for each in self.inquiries if each.score is not None]
        if self._was_divided or len(scores) < len(self.inquiries) or not self._is_divided(scores):
            return []
        self._was_divided = True
        for each in self.inquiries:
            each.dissents()
        return [each for each in self.inquiries if each.asked is not None]

    def scores(self) -> list[Score]:
        """What each says, in the order of the jury's models."""
        return [each.score for each in self.inquiries if each.score is not None]

    def _is_divided(self, scores: Sequence[Score]) -> bool:
        votes = {panel.vote_of(score, self._jury.rubric.pass_at) for score in scores}
        return {True, False} <= votes
