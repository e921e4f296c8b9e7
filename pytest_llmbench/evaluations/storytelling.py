"""A story as a test: what is known to be asked, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_llmbench import stories
from pytest_llmbench.asker.question import Question
from pytest_llmbench.bookings import place_hash
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.evaluations.telling import cleaned, hash_of, without_content
from pytest_llmbench.records import Evaluation, Reply, Trial
from pytest_llmbench.redaction import redact_values
from pytest_llmbench.serving import open_model, subject_of
from pytest_llmbench.session import Session
from pytest_llmbench.stories import Story

_PROMPT = "story"
"""In place of a prompt's variant: what is asked stands in the story."""


def first_question(session: Session, story: Story, model: str, key: str, use_case: str) -> Sequence[Question]:
    """What is asked of an API model before anything is answered.

    Args:
        session: this process's.
        story: it.
        model: its name.
        key: the stable key of the test.
        use_case: as budgets call it.
    """
    if not session.is_remote(model) or (target := session.target(model)) is None:
        return ()
    system = [{"role": "system", "content": story.system}] if story.system else []
    request = _request(model, [*system, {"role": "user", "content": story.turns[0].user}])
    place = place_hash(request, subject_of(target))
    return (Question(session.fit(target, request), request, key, place, use_case=use_case, sample=story.title),)


def blank_story(story: Story, use_case: str, page: str) -> Evaluation:
    """What is known before anything is asked."""
    content = hash_of([story.system, [[turn.user, *map(str, turn.spans)] for turn in story.turns]])
    return Evaluation(use_case=use_case, sample=story.title, title=use_case, page=page, prompt=_PROMPT, content=content)


def played(session: Session, story: Story, model: str, blank: Evaluation) -> tuple[Evaluation, str]:
    """Have the conversation.

    Args:
        session: this process's.
        story: what is said, and what replies must match.
        model: the name of the one it is had with.
        blank: what is known before.

    Returns:
        What was found out, and the text of the last reply.
    """
    served, replies = open_model(session, model), list[Reply]()

    def ask(talk: list[dict[str, Any]]) -> Reply:
        replies.extend(served.answers([_request(model, talk)]))
        return replies[-1]

    scores = [cleaned(score) for score in stories.play(story, ask)]
    whole = stories.whole(story, scores)
    last = replies[-1].text
    trial = Trial(whole.value, whole.passed, tuple(reply.id for reply in replies), redact_values(last))
    found = replace(
        blank,
        value=whole.value,
        passed=whole.passed,
        scores=tuple(scores),
        trials=(trial,),
        expected=[{"user": turn.user, "matches": list(map(str, turn.spans))} for turn in story.turns],
    )
    return (found if session.settings.keep_prompts else without_content(found)), last


def _request(model: str, talk: Sequence[Any]) -> ChatRequest:
    return request_of(model, [*talk], stream=True)
