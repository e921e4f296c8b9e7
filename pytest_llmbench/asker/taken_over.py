"""The replies of an earlier run, taken over by one whose models under test are asked nothing."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.errors import NotAskedError
from pytest_llmbench.records import Cost, Reply
from pytest_llmbench.store import Store
from pytest_llmbench.store.replies import Place

SUBJECT = "subject"
SOURCE = "taken_over"
"""Of the cost of a reply that another run paid for."""


class TakenOver:
    """What a stored run holds.

    A model under test is known by what its test asked of it, wherever it was served: with which settings and at which
    address is a matter of that run. Judges are known by their place, as when a run is resumed.

    Args:
        store: the database.
        run_id: the run.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._run_id = run_id
        self._places = store.stored_replies(run_id)
        self._said = _by_content(self._places)

    def reply(self, question: Question) -> Reply | None:
        """The reply to a question; None where it may be asked.

        Raises:
            NotAskedError: a model under test was not asked this, and will not be.
        """
        if question.role == SUBJECT:
            return _paid(self.of_subject(question.test_key, question.request, question.ordinal))
        found = self.at(question.place)
        return None if found is None else _paid(found)

    def answers(self, question: Question) -> bool | None:
        """Whether it holds the reply; None: it does not, and nobody is asked."""
        if question.role != SUBJECT:
            return question.place in self._places
        said = self._said.get((question.test_key, _content(question.request)), ())
        return question.ordinal < len(said) or None

    def at(self, place: Place) -> Reply | None:
        """The reply at this very place."""
        return self._places.get(place)

    def of_subject(self, test_key: str, request: ChatRequest, ordinal: int) -> Reply:
        """What a model under test answered to the same, for the `ordinal`-th time its test asked it.

        Raises:
            NotAskedError: it was not asked this.
        """
        said = self._said.get((test_key, _content(request)), ())
        if ordinal < len(said):
            return said[ordinal]
        times = f" more than {len(said)}×" if said else ""
        raise NotAskedError(
            f"not asked in run {self._run_id}: {request.model} was not asked this there{times}, and a run that takes "
            "its replies from another asks nothing",
            hint="is the prompt another one, or the sample new? `llmbench run` asks it",
        )

    def has(self, test_key: str, request: ChatRequest) -> bool:
        """Whether a model under test was asked this."""
        return (test_key, _content(request)) in self._said


def _by_content(places: dict[Place, Reply]) -> dict[tuple[str, str], list[Reply]]:
    """(test key, what was asked) → the replies of models under test, in their order.

    Where the same was asked of two servers, the later one counts: a resumed run asks anew where settings changed.
    """
    groups: defaultdict[tuple[str, str], dict[str, dict[int, Reply]]] = defaultdict(dict)
    for (test_key, request_hash, ordinal), reply in places.items():
        if reply.role == SUBJECT and reply.request:
            content = test_key, _content(ChatRequest.from_dict(reply.request))
            groups[content].setdefault(request_hash, {})[ordinal] = reply
    return {content: _in_order(max(by_hash.values(), key=_newest)) for content, by_hash in groups.items()}


def _newest(replies: dict[int, Reply]) -> int:
    return max(int(reply.id) for reply in replies.values())


def _in_order(replies: dict[int, Reply]) -> list[Reply]:
    """As far as none is missing between them."""
    found: list[Reply] = []
    while len(found) in replies:
        found.append(replies[len(found)])
    return found


def _content(request: ChatRequest) -> str:
    """A model that was requantized is asked by its name, with and without where it comes from."""
    return dataclasses.replace(request, model=request.model.partition(" (")[0]).hash()


def _paid(reply: Reply) -> Reply:
    """As another run takes it over, which asks and pays nothing for it."""
    if reply.cost.source == "free":
        return dataclasses.replace(reply, id="", attempts=0)
    return dataclasses.replace(reply, id="", attempts=0, cost=Cost(reply.cost.usd, SOURCE))
