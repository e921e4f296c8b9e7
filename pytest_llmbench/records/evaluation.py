"""What a test of a use case's sample found out: beside the result, what reports compare models by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench.records.labelled import Labelled
from pytest_llmbench.records.record import Record
from pytest_llmbench.records.score import Score


@dataclass(frozen=True, slots=True)
class Trial(Record):
    """One of the times a sample was asked."""

    value: float | None = None
    """Mean of the validators' values by their weights, 0 to 1; None: nothing could be scored."""
    passed: bool | None = None
    """Whether every verdict was good; None: there was none."""
    reply_ids: Sequence[str] = ()
    """All calls of it; of an input that was cut: its pieces, then what merged them."""
    answer: str = ""
    """The text that was scored, where it is no single reply's: merged pieces, or a conversation's last answer."""
    judged: Mapping[str, float] = field(default_factory=dict)
    """Of a panel: what each judge gave it, 0 to 1; one that gave nothing is left out."""


@dataclass(frozen=True, slots=True)
class Evaluation(Record):
    """How one model did on one sample of a use case, or on one story."""

    use_case: str
    """Its name; unique in a run as far as reports care."""
    sample: str
    """The sample's id; of a story its title."""
    title: str = ""
    """The use case's, for people."""
    page: str = ""
    """The path of its USE-CASE.md, or of the story file, from pytest's root."""
    tags: Sequence[str] = ()
    """The use case's tags and the sample's own."""
    slices: Mapping[str, str] = field(default_factory=dict)
    """Column → value: what results are told apart by."""
    prompt: str = "base"
    """The variant it was asked by."""
    prompt_version: str = ""
    """Hash of the prompt as this model was asked it: the same version, the same question."""
    content: str = ""
    """Hash of the sample's input and expected answer: baselines compare samples whose content is the same."""
    prompt_mode: str = "fair"
    """`fair` (all models the same) or `optimized` (each its best variant)."""
    value: float | None = None
    """The trials' values put together by the reducer, 0 to 1; None: nothing could be scored."""
    passed: bool | None = None
    """Whether the sample was answered well enough; None: unscored, or only measured."""
    scores: Sequence[Score] = ()
    """Of the deciding trial: the first that ended as the whole did."""
    trials: Sequence[Trial] = ()
    deciding: int = 0
    """Which of the trials the scores are of."""
    stopped_of: int = 0
    """How many trials there would have been, where some were left out: nothing that they might say changes the
    verdict, and all else is of the trials that were asked. 0: all were asked."""
    reducer: str = "mean"
    expected: Any = None
    """The expected answer as JSON; longer texts are cut. None where there is none, or prompts are not kept."""
    disagreements: Sequence[str] = ()
    """Names of judges that said otherwise than what was executed did."""
    executed: bool = False
    """Whether something was executed to find out that a judge's verdict can be held against."""
    advised: bool = False
    """Whether judges had a say whose trustworthiness nobody has shown."""
    bound_value: float | None = None
    """Where judges advised: the value without them; None: nothing else scored the reply."""
    bound_passed: bool | None = None
    """Where judges advised: the verdict without them; None: nothing else tells."""
    notes: Sequence[str] = ()
    """What a reader has to know: the input was cut into pieces, its tokens were estimated."""
    weight: float = 1
    """For how many samples of the whole it stands, where strata were drawn with weights."""
    labelled: Labelled | None = None
    """Of a judge that is held against people: what both say."""
    corruption: str = ""
    """How its input was damaged (`typos-10`); empty: it is the clean run, by which all rates go."""

    @property
    def is_only_advised(self) -> bool:
        """Whether nothing but advice stands against it: then it fails nothing."""
        return self.advised and self.passed is False and self.bound_passed is not False
