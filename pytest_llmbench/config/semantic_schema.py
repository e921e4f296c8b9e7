"""`cache: {semantic: …}` of llmbench.yaml: whether a reply may be given to a question that was asked in other words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pytest_llmbench.config.strict import Strict

Asking = Literal["chat", "judge"]
SEMANTIC_TEXT = (
    "whether replies are given to questions alike, too, and to whose; off where it is left out. What the guards let "
    "through is measured: see [the semantic cache](../explanation/semantic-cache.md)"
)
_SUBJECT = (
    "what is measured is the model under test, and a reply to another question says nothing of it: only chat and judge "
    "may be given one"
)


def _for_nobody_under_test(said: Any) -> Any:
    if isinstance(said, list) and any(each in {"subject", "subjects", "model", "models"} for each in said):
        raise ValueError(_SUBJECT)
    return said


class SemanticDef(Strict):
    """Whose questions may be answered with the reply to one alike, and how near two have to be."""

    threshold: float = Field(
        default=0.95,
        ge=0.5,
        le=1,
        description="the cosine that two prompts of a chat must reach, at least, before the guards look at them",
    )
    asking: Annotated[list[Asking], BeforeValidator(_for_nobody_under_test)] = Field(
        alias="for",
        min_length=1,
        description="`chat`: a prompt in other words; `judge`: the very same reply under the same rubric, judged once "
        "for all trials",
    )
