"""A sample asked of a model: what is known before the test runs, and the replies when it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench import chunking
from pytest_llmbench.asker.question import Question
from pytest_llmbench.bookings import place_hash
from pytest_llmbench.chunking import Fit
from pytest_llmbench.chunking.counters import Counter as TokenCounter
from pytest_llmbench.chunking.fitting import WHOLE
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.clients.request import Message
from pytest_llmbench.datasets import media_needs, refuse_media
from pytest_llmbench.datasets.modalities import server_capabilities
from pytest_llmbench.evaluations.prepared import Prepared
from pytest_llmbench.prompts import Prompt
from pytest_llmbench.prompts.prompt import Label
from pytest_llmbench.records import Reply, Sample
from pytest_llmbench.serving import ApiModel, ServedModel, TakenModel, open_model, subject_of
from pytest_llmbench.session import Session

_REFINE = "refine"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back once."""

    reply: Reply
    """What is scored; of an input that was cut it is put together, and has no id."""
    calls: tuple[Reply, ...]


@dataclass(slots=True)
class Asking:
    """One model asked by one prompt of a use case.

    Args:
        prepared: the use case.
        model: its name.
        variant: of the prompt; empty: the one that its mode chooses.
    """

    prepared: Prepared
    model: str
    variant: str
    _served: ServedModel | None = None
    _counter: TokenCounter | None = None
    _warned: bool = field(default=False)

    @property
    def session(self) -> Session:
        return self.prepared.session

    @property
    def prompt(self) -> Prompt:
        return self.prepared.prompt(self.model, self.variant)[0]

    @property
    def label(self) -> Label:
        """How it is asked, as it stands beside results."""
        return self.prepared.prompt(self.model, self.variant)[1]

    @property
    def served(self) -> ServedModel:
        if self._served is None:
            self._served = open_model(self.session, self.model)
        return self._served

    def foreseen(self, sample: Sample, key: str, repeats: int | None = None) -> list[Question]:
        """What is asked first, in all trials: each piece of the input, or all of it.

        Args:
            sample: it.
            key: the stable key of its test.
            repeats: how many trials; None: as the use case says.
        """
        target = self.session.target(self.model)
        if target is None:
            return []
        requests = [self._request(messages) for messages in self._first(sample)]
        subject = subject_of(target)
        found: list[Question] = []
        asked: Counter[str] = Counter()
        for request in requests * (repeats or self.prepared.case.repeats):
            place = place_hash(request, subject)
            fitting = self.session.fit(target, request)
            number, case = asked[place], self.prepared.case.name
            found.append(Question(fitting, request, key, place, number, case, sample=sample.id))
            asked[place] += 1
        return found

    def later(self, sample: Sample) -> int:
        """How many calls it takes, at least, besides those that are `foreseen`."""
        return chunking.calls_after_first(self._fit(sample), self.prepared.case.chunking) * self.prepared.case.repeats

    def answers(
        self, sample: Sample, planned: Sequence[Question], repeats: int | None = None
    ) -> tuple[list[Answer], str]:
        """Ask it, as often as the use case wants.

        Args:
            sample: it.
            planned: what was asked ahead, see `foreseen`.
            repeats: how often; None: as the use case says.

        Returns:
            An answer a trial; what has to be told of how they came, empty where nothing.
        """
        fit, repeats = self._fit(sample), repeats or self.prepared.case.repeats
        if not fit.is_whole:
            return [self._merged(sample, fit) for _ in range(repeats)], fit.warning
        if planned and isinstance(self.served, ApiModel):
            replies = self.served.answers_to(planned)
        else:
            messages = self.messages(sample)
            self._refuse(messages)
            replies = self.served.answers([self._request(messages)] * repeats)
        return [Answer(reply, (reply,)) for reply in replies], ""

    def is_whole(self, sample: Sample) -> bool:
        """Whether it is asked at once, not in pieces."""
        return self._fit(sample).is_whole

    def answer_shared(self, sample: Sample, key: str) -> Answer:
        """Ask it once, on behalf of the page's own test: an API model answers what that asks, and is paid once.

        Args:
            sample: it.
            key: the stable key of the page's own test.
        """
        if isinstance(self.served, ApiModel) and self.is_whole(sample):
            [question] = self.foreseen(sample, key, repeats=1)
            reply = self.served.answer_shared(question)
            return Answer(reply, (reply,))
        return self.answers(sample, (), repeats=1)[0][0]

    def refuse(self, samples: Iterable[Sample]) -> None:
        """See that the model takes what samples hold besides text, as far as anybody told.

        Raises:
            UsageError: it does not; with file and line.
        """
        target = self.session.target(self.model)
        if target is None:
            return
        for sample in samples:
            needs = frozenset() if isinstance(sample.input, str) else media_needs(self.messages(sample))
            if any(getattr(target.capabilities, need) is False for need in needs):
                refuse_media(needs, self.model, target.capabilities, self.prepared.place_of(sample))

    def _first(self, sample: Sample) -> list[Sequence[Message]]:
        """The conversations that do not depend on an answer."""
        fit = self._fit(sample)
        pieces = fit.samples(sample) or [sample]
        known = pieces[:1] if self.prepared.case.chunking.merge == _REFINE else pieces
        return [self.messages(piece) for piece in known]

    def _fit(self, sample: Sample) -> Fit:
        case = self.prepared.case
        if isinstance(self.served, TakenModel) and self.session.bookings.was_asked(
            self._request(self.messages(sample))
        ):
            return WHOLE
        room = chunking.Room(self.model, self._context_tokens(), case.request.get("max_tokens") or 0)
        fit = chunking.fit(sample, case.chunking, self.messages, room, self._tokens)
        if fit.warning and not self._warned:
            self._warned = True
            self.session.say(f"{case.name}: {fit.warning}; others of it may be cut as well, their results say so")
        return fit

    def _merged(self, sample: Sample, fit: Fit) -> Answer:
        case = self.prepared.case
        found = chunking.merged(
            sample, fit, case.chunking, messages=self.messages, ask=self._ask, counter=self._tokens()
        )
        return Answer(found.reply, found.calls)

    def messages(self, sample: Sample) -> Sequence[Message]:
        """What a sample is asked as."""
        return self.prompt.messages(sample, self.model)

    def _ask(self, conversations: Sequence[Sequence[Message]]) -> Sequence[Reply]:
        return self.served.answers([self._request(messages) for messages in conversations])

    def _request(self, messages: Sequence[Message]) -> ChatRequest:
        return request_of(self.model, messages, **{"stream": True, **self.prepared.case.request})

    def _refuse(self, messages: Sequence[Message]) -> None:
        """Before a model of this machine is asked: its server tells what it takes."""
        needs = media_needs(messages)
        if needs and not isinstance(self.served, ApiModel | TakenModel):
            refuse_media(needs, self.model, server_capabilities(self._props()))

    def _props(self) -> Any:
        from pytest_llmbench.clients.llama_api import LlamaApi  # noqa: PLC0415  only samples with media need it

        return LlamaApi(self.served.endpoint, self.session.deadlines).props()

    def _context_tokens(self) -> int | None:
        target = self.session.target(self.model)
        return target.context_tokens if target is not None else self.session.settings.context

    def _tokens(self) -> TokenCounter:
        """Who counts the model's tokens, found when there is something to be counted."""
        if self._counter is None:
            target = self.session.target(self.model)
            has_server = target is None or target.is_local
            self._counter = chunking.counter_for(
                target,
                server=self.served.endpoint if has_server else None,
                tokenizer=self.prepared.case.chunking.tokenizer,
                offline=self.session.settings.offline,
            )
        return self._counter
