"""A story played with a model: its users' words, the model's own replies, and what those match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest_llmbench.records import Reply
from pytest_llmbench.records.score import Score
from pytest_llmbench.stories.reading import Story, Turn
from pytest_llmbench.validators.patterns import PatternTimeoutError
from pytest_llmbench.validators.reply_text import without_reasoning

Message = dict[str, Any]
Ask = Callable[[list[Message]], Reply]
"""Asks a model a conversation."""


def play(story: Story, ask: Ask) -> list[Score]:
    """Have the conversation.

    Args:
        story: what is said, and what replies must match.
        ask: asks the model; what it raises ends the story, since no reply is no wrong reply.

    Returns:
        A score for each turn whose reply must match something, named after it: the share of its patterns that match.
    """
    talk: list[Message] = [{"role": "system", "content": story.system}] if story.system else []
    scores: list[Score] = []
    for number, turn in enumerate(story.turns, 1):
        talk.append({"role": "user", "content": turn.user})
        said = without_reasoning(ask([*talk]).text).strip()
        talk.append({"role": "assistant", "content": said})
        if turn.spans:
            scores.append(_score(f"turn {number}", turn, said))
        if not said:
            return [*scores, *_unsaid(story, number)]
    return scores


def whole(story: Story, scores: Sequence[Score]) -> Score:
    """One score of the scores of a story's turns: their mean, passed where all of them are."""
    if doubtful := next((each for each in scores if each.state == "error"), None):
        return Score(story.title, state="error", reason=f"{doubtful.name}: {doubtful.reason}", parts=scores)
    known = [each for each in scores if each.value is not None]
    failed = [f"{each.name}: {each.reason}" for each in scores if not each.passed]
    return Score(
        story.title,
        value=sum(each.value or 0.0 for each in known) / len(scores),
        passed=not failed,
        reason="; ".join(failed) or "every reply matches",
        parts=scores,
    )


def _score(name: str, turn: Turn, said: str) -> Score:
    try:
        matched = {str(span): span.compiled().found_in(said) for span in turn.spans}
    except PatternTimeoutError as error:
        return Score(name, state="error", reason=f"a pattern {error}")
    missing = [span for span, found in matched.items() if not found]
    return Score(
        name,
        value=1 - len(missing) / len(matched),
        passed=not missing,
        reason=f"no match for {', '.join(missing)}" if missing else "",
        details={"patterns": matched, "user": turn.user},
    )


def _unsaid(story: Story, number: int) -> list[Score]:
    """The turns that never came: a conversation cannot go on from an empty reply."""
    return [
        Score(f"turn {later}", state="unscored", reason=f"the reply of turn {number} is empty: there is no going on")
        for later, turn in enumerate(story.turns[number:], number + 1)
        if turn.spans
    ]
