"""Who judges a use case's replies, and what they are asked."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pytest_llmbench.asker.question import Question
from pytest_llmbench.bookings import place_hash
from pytest_llmbench.cache.semantic import alike_of
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.clients.request import Message
from pytest_llmbench.config.route_schema import is_route
from pytest_llmbench.errors import UsageError
from pytest_llmbench.evaluations.calibrations import standing_of
from pytest_llmbench.judges import asking
from pytest_llmbench.judges.judging import Judging
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.judges.standing import Standing
from pytest_llmbench.records import Reply, Sample, Target
from pytest_llmbench.routing.doubts import LOW_CONFIDENCE, may_tell_confidence
from pytest_llmbench.serving import subject_of
from pytest_llmbench.session import Session
from pytest_llmbench.usecases import UseCase

ROLE = "judge"
THOUGHT_TOKENS = 4000
"""Room for the thoughts of a judge that reasons: they count as tokens of its answer."""
_REASONING = frozenset({"reasoning", "reasoning_effort", "thinking"})
_SPECIMEN = Matter("question", "reply", "source", "expected")
"""Judged by nobody: what is the same around every reply shows by it."""


@dataclass(frozen=True, slots=True)
class Behalf:
    """On whose behalf judges are asked."""

    key: str
    """The stable key of a test."""
    use_case: str
    """As budgets call it."""
    shared: bool = False
    """Whether several tests ask the same and get the same answer."""
    sample: str = ""
    """The id of the sample it is about; empty where it is about none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one judge is asked."""

    model: str
    messages: Sequence[Message]
    matter: Matter
    behalf: Behalf
    seat: str = ""
    """The route in whose place the model is asked; empty: it judges by its own name."""
    ordinal: int | None = None
    """How many times the same was put to the same route before; None of a model by its own name."""
    alike: str = ""
    """What it has in common with others that one verdict may answer; empty: it gets one of its own."""
    hasty: bool = False
    """Whether another model of the route can be asked in its place."""


@dataclass(frozen=True)
class Jury:
    """One judge or a panel, and what it goes by."""

    session: Session
    rubric: Rubric
    judging: Judging
    role: str = ROLE
    """What replies are kept as; of a judge that is under test itself `subject`."""

    @property
    def models(self) -> tuple[str, ...]:
        """One is a judge, more are a panel; a route is one of them, whoever of its models judges."""
        return self.judging.models

    @property
    def members(self) -> tuple[str, ...]:
        """All models that may judge."""
        return tuple(model for name in self.models for model in self.session.routing.members(name))

    @property
    def local_models(self) -> tuple[str, ...]:
        """Those that run on this machine, and routes that begin with one."""
        return tuple(name for name in self.models if self._begins_here(name))

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        """What calibration says of each model that may judge; read once.

        Raises:
            ConfigError: a file that a calibration is kept in cannot be read.
        """
        resolved, rubric, way = self.session.resolved, self.rubric, self.way_of_asking
        return {name: standing_of(resolved, rubric, name, way) for name in self.members}

    def shortfall(self, name: str) -> str:
        """Why one of `models` only advises; empty: it counts. A route counts where each of its models does."""
        lacking = ((model, self.standings[model].why) for model in self.session.routing.members(name))
        told = next(((model, why) for model, why in lacking if why), None)
        if told is None:
            return ""
        return f"{told[0]}, one of its models: {told[1]}" if is_route(name) else told[1]

    @property
    def advises(self) -> bool:
        """Whether one of them only does."""
        return not self.judging.binding and not all(known.is_enough for known in self.standings.values())

    @cached_property
    def way_of_asking(self) -> str:
        """sha256 of all that a judge is asked beside what it judges: our words to it, and the request's settings.

        As of a judge that takes a schema and needs no room for thoughts: what servers say of that changes no verdict.
        """
        words = asking.retry_messages(asking.messages(self.rubric, _SPECIMEN), "answer", "complaint")
        asked = request_of("", words, **self.fields(can_schema=True, bounded=False))
        told = (words, asked.max_tokens, asked.temperature, asked.seed, asked.extra)
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    def request(self, model: str, messages: Sequence[Message], seat: str = "") -> ChatRequest:
        """What one judge is asked.

        Args:
            model: its name.
            messages: what is said to it.
            seat: the route in whose place it is asked; empty: none.
        """
        target = self.session.target(model)
        takes_schema = target is None or target.capabilities.json_schema is not False
        usual = self.form(can_schema=takes_schema, bounded=target is None, thought_tokens=0)["max_tokens"]
        room = THOUGHT_TOKENS if target is not None and self._reasons(target) else 0
        room += asking.further_tokens(messages, usual)
        fields = self.fields(can_schema=takes_schema, bounded=target is None, thought_tokens=room)
        if seat and self._looks_at_confidence(seat, model, target):
            fields["logprobs"] = True
        return request_of(model, messages, **fields)

    def _looks_at_confidence(self, seat: str, model: str, target: Target | None) -> bool:
        """Whether how likely the tokens of a verdict were decides whether another model is asked, and can be told."""
        unsure = self.session.routing.route(seat).unsure
        if unsure is None or LOW_CONFIDENCE not in unsure.when or model in unsure.to:
            return False
        return target is None or may_tell_confidence(target)

    def _reasons(self, target: Target) -> bool:
        return target.capabilities.reasoning is True or not _REASONING.isdisjoint(self.judging.request)

    def fields(self, *, can_schema: bool, bounded: bool, thought_tokens: int = 0) -> dict[str, Any]:
        """All that belongs to a request besides its messages: its form, and what was said of how judges are asked."""
        said = dict(self.judging.request)
        if said.get("max_tokens") is None:  # nobody said it; without any a small model may never end
            said.pop("max_tokens", None)
        return {**self.form(can_schema=can_schema, bounded=bounded, thought_tokens=thought_tokens), **said}

    def form(self, *, can_schema: bool, bounded: bool, thought_tokens: int) -> dict[str, Any]:
        """What follows from the rubric; as `judges.asking.request_fields`."""
        return asking.request_fields(self.rubric, can_schema=can_schema, bounded=bounded, thought_tokens=thought_tokens)

    def questions(self, asked: Sequence[Asked], *, tries: bool = True) -> list[Question]:
        """What judges behind an API are asked; what is the same as often as it stands there. `tries`: see below."""
        before: Counter[tuple[str, str]] = Counter()
        return [self.question(each, before, tries=tries) for each in asked]

    def question(self, asked: Asked, before: Counter[tuple[str, str]], *, tries: bool = True) -> Question:
        """What one judge behind an API is asked.

        Args:
            asked: it.
            before: what was asked before, and how often; this one is added.
            tries: whether what nobody tells of the model is tried out, which asks it something.

        Raises:
            OverBudgetError: there is no money for trying.
        """
        target = self.session.target(asked.model)
        assert target is not None, f"{asked.model} runs on this machine"
        request, behalf = self.request(asked.model, asked.messages, asked.seat), asked.behalf
        fitting = self.session.fit(target, request, self.role) if tries else target
        if fitting.capabilities.logprobs is False and "logprobs" in request.extra:
            request = self.request(asked.model, asked.messages)
        place = behalf.key, place_hash(request, subject_of(target))
        number = before[place] if asked.ordinal is None else asked.ordinal
        before[place] += 1
        return Question(
            fitting,
            request,
            *place,
            number,
            behalf.use_case,
            self.role,
            behalf.sample,
            alike=asked.alike,
            hasty=asked.hasty,
        )

    def first(self, matters: Sequence[Matter], behalves: Sequence[Behalf]) -> list[Asked]:
        """Every judge on every matter, matter by matter; none on one that lacks what the rubric needs.

        Args:
            matters: what is judged.
            behalves: of each, on whose behalf.
        """
        return [
            Asked(model, messages, matter, behalf, alike=self._alike(matter))
            for matter, behalf in zip(matters, behalves, strict=True)
            if not asking.lacking(self.rubric, matter)
            for messages in [asking.messages(self.rubric, matter)]
            for model in self.models
        ]

    def _alike(self, matter: Matter) -> str:
        """What a reply has in common with those that get the same verdict; empty where each gets its own."""
        if self.role != ROLE or not self.session.resolved.config.cache.is_semantic_for(ROLE):
            return ""
        parts = {"rubric": self.rubric.hash, "way": self.way_of_asking, "question": matter.question}
        return alike_of({**parts, "source": matter.source, "expected": matter.expected}, matter.reply)

    def _begins_here(self, name: str) -> bool:
        return not all(map(self.session.is_remote, self.session.routing.firsts(name)))


def judging_of(session: Session, declared: Judging | None, **said: Any) -> Judging | None:
    """How is judged: as `said`, else as the settings say, else as declared.

    Models that stand in place of the declared ones are bound by nothing that was said of those.

    Args:
        session: this process's.
        declared: by a use case.
        **said: fields of `Judging` that a test's mark gives.

    Raises:
        UsageError: nobody knows a judge's name.
    """
    models = said.pop("models", ()) or session.settings.judge
    if not models and declared is None:
        return None
    kept: Mapping[str, Any] = {} if declared is None else {"vote": declared.vote, "request": declared.request}
    if not models and declared is not None:
        kept, models = {**kept, "binding": declared.binding}, declared.models
    return Judging(models=_known(session, models), **{**kept, **said})


def matter_of(case: UseCase, rubric: Rubric, sample: Sample, reply: Reply | str) -> Matter:
    """What is put before a judge: what the rubric needs, and no more."""
    material = case.material(sample, reply)
    has_source = bool(case.said.source) and case.said.source in sample.metadata
    return Matter(
        question=material.input_text,
        reply=material.answer,
        source=material.source if has_source and "source" in rubric.needs else "",
        expected=material.wanted if "expected" in rubric.needs else "",
    )


def _known(session: Session, models: Sequence[str]) -> tuple[str, ...]:
    """By the names that are known, each once.

    Raises:
        UsageError: nobody knows one, or one model would have two votes.
    """
    names = tuple(dict.fromkeys(_known_name(session, name) for name in models))
    seats: dict[str, str] = {}
    for name, member in ((each, member) for each in names for member in session.routing.members(each)):
        if member in seats:
            raise UsageError(
                f"{member} would sit on the panel twice, as {seats[member]} and as {name}: one model has one vote",
                hint="take it out of one of the two",
            )
        seats[member] = name
    return names


def _known_name(session: Session, name: str) -> str:
    if is_route(name):
        return session.routing.route(name).name
    return name if session.is_remote(name) else session.local.known(name)
