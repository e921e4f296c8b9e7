"""Advice as records: what to run for which use, with the evidence beside it. `recommend.recommendations` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Record

WORSE, BETTER, TIE, NOT_COMPARED = "worse", "better", "no difference shown", "not compared"
"""Verdicts of a comparison; a tie is no proof that two are equal."""
THIN_BETWEEN = "; "
FAST_ENOUGH_TPS = METRICS["decode_tps"].marks.bands[0].limit
"""Near instant: nobody reads faster, so that more speed counts for nothing in the balance."""


@dataclass(frozen=True, slots=True)
class Constraints(Record):
    """What a configuration has to keep to be recommended."""

    use: str = ""
    """A key of `uses.USES`; empty: all of them."""
    max_memory_bytes: int | None = None
    """Main memory of the server at its peak: what lies on a graphics card counts there alone."""
    min_tps: float | None = None
    """Median decode speed, tokens per second."""
    max_vram_bytes: int | None = None
    """Memory of graphics cards at its peak."""


@dataclass(frozen=True, slots=True)
class Pick(Record):
    """What to run for one use."""

    use: str
    """`chat`, `long_documents`, `batch`, `quality`, `unattended`; `balanced`."""
    title: str
    """The use in words: `chat`, `long documents`."""
    configuration: str
    """Empty: nothing can be recommended, and the sentence says why."""
    measurement_ids: tuple[str, ...]
    """What it rests on."""
    sentence: str
    evidence: tuple[str, ...] = ()
    """Figures of the configuration, a line each."""
    ties: tuple[str, ...] = ()
    """Configurations from which no difference was shown in what decides: the smallest of all these was taken."""
    why_not: tuple[str, ...] = ()
    """Why not the others, a line each."""
    thin: str = ""
    """What there is too little of to be sure, joined by `; `; empty where there is enough."""

    @property
    def thin_parts(self) -> tuple[str, ...]:
        """The same, each by itself."""
        return tuple(filter(None, self.thin.split(THIN_BETWEEN)))


@dataclass(frozen=True, slots=True)
class Caution(Record):
    """Something to know before running a configuration."""

    kind: str
    """`degradation`, `swapping`, `throttling`, `heat`, `memory`, `memory_growth`, `slowing`, `ended_early`,
    `disturbed`, `requantized`, `same_file`."""
    configuration: str
    sentence: str
    """Without the configuration's name."""
    measurement_id: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut(Record):
    """A configuration that is not recommended, whatever it did well."""

    configuration: str
    reason: str


@dataclass(frozen=True, slots=True)
class QuantComparison(Record):
    """A quantization beside the largest one of the same model: one metric, or one part of the questions.

    A change of accuracy is a difference (0.03 = 3 points), of all else a ratio less 1 (0.1 = 10 % more).
    """

    family: str
    configuration: str
    reference: str
    metric: str
    """`accuracy`, `decode_tps`, `peak_rss_bytes`, ..."""
    part: str
    """A category of questions; empty: all of it."""
    value: float | None
    """None: not compared."""
    low: float | None
    """95 % interval; None: too few values to bound it."""
    high: float | None
    n: int
    p_corrected: float | None
    """Two-sided, corrected over all comparisons of the advice (Holm); None: no test was made."""
    smallest_detectable: float | None
    """The change that so many values find four times out of five beside all other comparisons."""
    verdict: str
    """`worse`, `better`, `no difference shown`, `not compared`."""
    sentence: str
    """`Q2_K loses 19 points of maths against Q8_0 (95 %: 13 to 25; n = 200, paired; ...): avoid for numeric work`."""


@dataclass(frozen=True, slots=True)
class FamilyRow(Record):
    """A family of models, by its best answering configuration."""

    family: str
    configuration: str
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    accuracy_n: int
    decode_tps: float | None
    memory_bytes: float | None


@dataclass(frozen=True, slots=True)
class SizeClass(Record):
    """Families whose models are of about one size."""

    title: str
    """`up to 0.5 billion parameters`."""
    rows: tuple[FamilyRow, ...]
    sentences: tuple[str, ...]
    """What differs surely, and what does not."""


@dataclass(frozen=True, slots=True)
class RunningCost(Record):
    """Energy and money for what a configuration writes, where power or a price is known; None: it is not."""

    configuration: str
    profile: str
    """Whose load it was read under."""
    measurement_id: str
    tokens: int
    """Generated in that time."""
    seconds: float
    watts: float | None
    power_source: str
    """`given in llmbench.yaml`, `CPU packages (RAPL)`, `graphics cards (NVML)`, or both of the latter."""
    tokens_per_joule: float | None
    usd_energy: str | None
    """Energy for a million generated tokens, decimal text."""
    usd_machine: str | None
    """The machine's hours for a million generated tokens, decimal text."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Standing(Record):
    """Where a configuration stands between quality, speed and memory; None: not measured."""

    configuration: str
    accuracy: float | None
    decode_tps: float | None
    memory_bytes: float | None
    quality_adjusted_tps: float | None
    """Share of right answers × decode speed, which counts up to the speed that is near instant."""
    is_on_front: bool
    """Whether no other one is surely better in one of the three and surely worse in none."""
    beaten_by: tuple[str, ...] = ()
    """Those that are."""
    vram_bytes: float | None = None
    """On graphics cards; 0: nothing of it lies there."""


@dataclass(frozen=True, slots=True)
class Advice(Record):
    """What a run says about which configuration to use here."""

    picks: tuple[Pick, ...] = ()
    """A use each, in the order of `uses.USES`."""
    balanced: Pick | None = None
    """None: there are not two configurations of which quality and speed are known."""
    front: tuple[str, ...] = ()
    """Configurations that no other one beats in quality, speed and memory (Pareto)."""
    standings: tuple[Standing, ...] = ()
    warnings: tuple[Caution, ...] = ()
    comparisons: tuple[QuantComparison, ...] = ()
    families: tuple[SizeClass, ...] = ()
    costs: tuple[RunningCost, ...] = ()
    """Empty where neither power nor a price is known."""
    left_out: tuple[LeftOut, ...] = ()
    """By the constraints, or because it could not be measured."""
    tested: int = 0
    """Comparisons that were tested, over which p-values are corrected."""
    notes: tuple[str, ...] = ()
    """What a reader of all of it has to know: speed was compared without a noise floor, ..."""
    wanted: Constraints = field(default_factory=Constraints)
    machine: Mapping[str, str] = field(default_factory=dict)
    """`watts`, `usd_per_kwh`, `usd_per_hour` as they were given."""

    @property
    def uses_graphics(self) -> bool:
        """Whether anything of at least one configuration lay on a graphics card."""
        return any(each.vram_bytes for each in self.standings)

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to choose between."""
        return len(self.standings) + len(self.left_out) < 2
