"""How well a model answers: a set of questions, each reply scored by a validator, beside another quantization."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_llmbench import questions
from pytest_llmbench.bench import Load, Planned, Profile, Stand, Timed
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.errors import Category, InfraError, UsageError, WireError
from pytest_llmbench.profiles import quality_logprobs as logprobs
from pytest_llmbench.profiles.long_context_limits import no_chat
from pytest_llmbench.profiles.quality_report import conclude
from pytest_llmbench.questions import Item, QuestionSet
from pytest_llmbench.records import Repetition, Reply
from pytest_llmbench.validators import check

FIRST_TOKEN_INDEX = 900_000
"""Index of the repetition that is the first token of the text; items come before it."""
_BASE_MODEL = (
    "it goes on writing until it is cut off, and its right answers say little of what it knows; its log-probabilities "
    "mean what they say"
)
_UNANSWERABLE = frozenset({Category.CONTEXT_LENGTH, Category.CONTENT_FILTER})
"""How a server refuses one item, and would answer the next."""


@dataclass(frozen=True, slots=True)
class QualityLoad(Load):
    """Each question once, at temperature 0, one at a time; then the text, one token a request."""

    texts: ClassVar[frozenset[str]] = frozenset({"logprob_text"})

    questions: str | None = None
    """A `.jsonl` or `.csv` file, or `gsm8k:PATH`, `mmlu:PATH`, `hellaswag:PATH`, `humaneval:PATH`; None: the shipped
    set."""
    items: int | None = None
    """At most so many, in turn from each category and difficulty, always the same ones; None: all."""
    repeats: int = 1
    """How often each is asked; the majority decides."""
    output_tokens: int = 256
    """The longest answer."""
    reference: str = ""
    """The model to compare with, by name (`smollm2-135m:Q8_0`) or quantization (`Q8_0`), measured before it in the same
    run; empty: the largest quantization of the same model."""
    logprob_text: str = logprobs.TEXT
    """The text whose tokens' probabilities are compared; empty: none."""

    def __post_init__(self) -> None:
        for name in ("repeats", "output_tokens", "items"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UsageError(f"quality: {name} is at least 1, not {value}")

    def chosen(self) -> QuestionSet:
        """The questions that are asked.

        Raises:
            UsageError: the file is not there, or no question file.
        """
        found = questions.load(self.questions)
        chosen = found if self.items is None else found.spread(self.items)
        if len(chosen.items) * self.repeats >= FIRST_TOKEN_INDEX:
            raise UsageError(f"quality: {len(chosen.items)} items asked {self.repeats} times are too many requests")
        return chosen

    def settings(self) -> dict[str, Any]:
        """The questions by their content: a file of another name is the same load, an edited one is not."""
        chosen = self.chosen()
        told = {name: value for name, value in Load.settings(self).items() if name not in {"questions", "items"}}
        return {"questions": chosen.name, "questions_sha256": chosen.sha256, "items": len(chosen.items), **told}


def drive(stand: Stand, load: QualityLoad) -> Iterator[Timed]:
    """Ask every question, then walk the text; yields what was not measured before.

    Raises:
        InfraError: the server failed.
    """
    items = load.chosen().items
    if note := no_chat(stand, _BASE_MODEL):
        stand.note(note)
    for round_ in range(load.repeats):
        for place, item in enumerate(items):
            index = round_ * len(items) + place
            if index not in stand.done:
                yield _asked(stand, load, item, index, round_)
    if load.logprob_text:
        yield from _text(stand, load.logprob_text)


def _asked(stand: Stand, load: QualityLoad, item: Item, index: int, round_: int) -> Timed:
    labels = {"item": item.id, "category": item.category, "difficulty": item.difficulty}
    planned = Planned(index, round_, item.prompt, load.output_tokens, labels, fresh=False, natural=True, cached_ok=True)
    try:
        timed = stand.ask(planned)
    except InfraError as error:
        if error.category not in _UNANSWERABLE:
            raise
        refused = Repetition(index, round_, item.prompt, {}, labels={**labels, "unscored": str(error.category)})
        return Timed(refused, ChatRequest(stand.name, ()), None)
    assert timed.reply is not None, "one that fails is raised"
    return _scored(timed, timed.reply, item)


def _scored(timed: Timed, reply: Reply, item: Item) -> Timed:
    verdict = check(item.check, reply.text, item.answer, item.options)
    labels: dict[str, str | float | int | bool] = {"extracted": verdict.extracted or "", "reason": verdict.reason}
    if reply.finish_reason == "length":
        labels["truncated"] = True
    if not verdict.scored:
        return timed.scored(labels={**labels, "unscored": verdict.reason})
    return timed.scored(labels=labels, correct=float(verdict.correct))


def _text(stand: Stand, text: str) -> Iterator[Timed]:
    """The text's tokens that were not measured before; a note where the server cannot tell their probabilities."""
    api = stand.api()
    if api is None:
        stand.note("the text was not walked: the server is no llama.cpp server, so it tells no log-probabilities of it")
        return
    done = frozenset(index - FIRST_TOKEN_INDEX for index in stand.done)
    try:
        for token in logprobs.walk(api, text, done):
            yield _token(stand, token)
    except logprobs.NoLogprobsError as error:
        stand.note(f"the text was not walked: {error}")
    except WireError as error:
        if error.category is not Category.INVALID_REQUEST:
            raise
        stand.note(f"the text was not walked: {error.message}")


def _token(stand: Stand, token: logprobs.TokenProb) -> Timed:
    metrics = {} if token.logprob is None else {"token_logprob": token.logprob}
    index = FIRST_TOKEN_INDEX + token.position
    repetition = Repetition(index, 0, "", metrics, labels=logprobs.labels(token), at_s=stand.elapsed_s())
    return Timed(repetition, ChatRequest(stand.name, ()), None)


QUALITY = Profile("quality", QualityLoad, drive, conclude, rated=("accuracy",))
