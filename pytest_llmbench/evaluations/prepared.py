"""A use case as one session asks it: what the command line says stands in place of what its page says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pytest_llmbench import sampling, usecases
from pytest_llmbench.corruption.damage import Done
from pytest_llmbench.errors import UsageError
from pytest_llmbench.evaluations.certainty import fewest
from pytest_llmbench.evaluations.jury import Jury, judging_of
from pytest_llmbench.judges.judging import Judging
from pytest_llmbench.prompts import Prompt
from pytest_llmbench.prompts.best import best_variants
from pytest_llmbench.prompts.history import History
from pytest_llmbench.prompts.prompt import Label
from pytest_llmbench.questions.rows import Place
from pytest_llmbench.records import DamagedSample, Sample
from pytest_llmbench.results.under_gates import is_counted
from pytest_llmbench.session import Session
from pytest_llmbench.usecases import Placed, Problem, UseCase

EACH = "each"
"""Of the setting `prompt_variant`: all variants are compared."""
LOOK = "look at what is expected:"
"""How a list of doubtful answers begins."""


class Prepared:
    """One use case in one session.

    Args:
        session: this process's.
        case: as its page says.
        models: the names of those that are asked.
    """

    def __init__(self, session: Session, case: UseCase, models: Sequence[str]) -> None:
        self.session = session
        self.models = tuple(models)
        settings = session.settings
        past = History(session.folder, case.name)
        best = best_variants(case.prompt, models, past.results()) if _optimized(session, case) else None
        prompt = case.prompt.told(settings, best)
        failing = _failing(session, case) if settings.only_failing else None
        self.declared = case
        """As its page says."""
        damage = case.corruption.told(settings.corrupt, case.folder)
        self.case = replace(
            case,
            prompt=prompt,
            sampling=sampling.told(case.sampling, settings, failing),
            corruption=damage,
            judging=_judging(session, case) if case.rubric else case.judging,
        )
        self._prompts: dict[tuple[str, str], tuple[Prompt, Label]] = {}

    @property
    def folder(self) -> Path:
        return self.case.folder

    @cached_property
    def page(self) -> str:
        """The path of its page, as short as it can be named from pytest's root."""
        return relative_to_root(self.session, self.case.page.file)

    @cached_property
    def jury(self) -> Jury | None:
        """Who judges its replies; None where nobody does."""
        case = self.case
        return Jury(self.session, case.rubric, case.judging) if case.rubric and case.judging else None

    def is_counted(self, model: str) -> bool:
        """Whether gates decide over a model, so that a wrong reply of it alone fails nothing."""
        case = self.case
        return is_counted(model, case.name, own=case.gates, others=self.session.config.all_gates)

    @cached_property
    def _drawn(self) -> tuple[tuple[Sample, ...], Mapping[str, float]]:
        """The samples that are asked, and how many of the whole one of each stratum stands for."""
        samples, chosen = self.case.samples(), self.case.sampling
        if chosen.limit is None:
            return tuple(chosen.chosen(samples)), {}
        drawn = chosen.drawn(samples)
        return drawn.samples, {value: stratum.weight for value, stratum in drawn.strata.items()}

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples that are asked, in the order of the data; read once.

        Raises:
            UsageError: see `UseCase.placed` and `Sampling.drawn`.
        """
        return self._drawn[0]

    @cached_property
    def damaged(self) -> tuple[Done, ...]:
        """The samples once more for each corruption, as far as it can be done to them.

        Raises:
            UsageError: a corruption can be done to none.
        """
        return self.case.corruption.done(self.samples, self.page)

    @cached_property
    def first_trials(self) -> int:
        """How many trials of a sample are asked at once, before anything is known of it; a batch asks all at once."""
        case, stops = self.case, "repeats" in self.case.stop and not self.session.settings.batch
        return fewest([], case.reducer, case.repeats) if stops else case.repeats

    def place_of(self, sample: Sample) -> str:
        """File and line of a sample; all data are read again."""
        return str(next(one.place for one in self.case.placed() if one.sample.id == sample.id))

    def weight_of(self, sample: Sample) -> float:
        """For how many samples of the data it stands."""
        weights = self._drawn[1]
        sample = sample.clean if isinstance(sample, DamagedSample) and sample.clean else sample
        return weights[sampling.value_of(sample, self.case.sampling.stratify)] if weights else 1.0

    def variants(self, model: str) -> Sequence[str]:
        """The variants of the prompt that this model is asked by; an empty name is the one that the mode chooses."""
        wanted = self.session.settings.prompt_variant == EACH
        return self.case.prompt.candidates(model) if wanted else ("",)

    def prompt(self, model: str, variant: str) -> tuple[Prompt, Label]:
        """The prompt that a model is asked by, and what stands beside its results."""
        key = model, variant
        if key not in self._prompts:
            prompt = self.case.prompt.named(variant) if variant else self.case.prompt
            self._prompts[key] = prompt, prompt.label(model)
        return self._prompts[key]

    def problems(self) -> list[Problem]:
        """What is wrong with the expected answers of the samples that are asked."""
        ids = {sample.id for sample in self.samples}
        complete = self.case.sampling.takes_all
        placed = (Placed(sample, Place(self.case.page.file, 1)) for sample in self.samples)
        if next(usecases.lint(self.case, placed, complete=complete), None) is None:
            return []  # most are, and reading all data again only to know their lines would be waste
        asked = (one for one in self.case.placed() if one.sample.id in ids)
        return list(usecases.lint(self.case, asked, complete=complete))


def refuse_doubtful(session: Session, find: Callable[[], Sequence[object]]) -> None:
    """Where the setting `lint` says so, make an error of what the lint finds.

    Args:
        session: this process's.
        find: gives the problems, each with its place.

    Raises:
        UsageError: there are some; all of them are told.
    """
    if session.settings.lint == "error" and (problems := find()):
        raise UsageError("\n  ".join([LOOK, *map(str, problems)]), hint="--llmbench-lint warn asks all the same")


def relative_to_root(session: Session, path: Path) -> str:
    """A path as short as it can be named from pytest's root."""
    root = session.resolved.rootdir
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def models_of(session: Session, case_models: Sequence[str], page: Path) -> tuple[str, ...]:
    """The models that a use case or a story is asked of: those of the command line, or its own.

    Raises:
        UsageError: there are none.
    """
    names = session.settings.models or tuple(case_models)
    if not names:
        raise UsageError(
            f"{page}: there is no model to ask",
            hint=f"name models in {_front_matter(page)} (models: [demo/echo]), in the call (--llmbench-models "
            "demo/echo), or for all in llmbench.yaml (defaults: {models: [demo/echo]})",
        )
    known = (name if session.is_remote(name) else session.local.known(name) for name in names)
    return tuple(dict.fromkeys(known))


def _judging(session: Session, case: UseCase) -> Judging | None:
    """Who judges; an unknown name is told with its place."""
    try:
        return judging_of(session, case.judging)
    except UsageError as error:
        if session.settings.judge or case.judging is None:
            raise UsageError(f"--llmbench-judge: {error.message}", hint=error.hint) from None
        key = "judge" if len(case.judging.models) == 1 else "panel"
        raise case.page.error((key,), error.message, hint=error.hint) from None


def _front_matter(page: Path) -> str:
    return "its front matter" if page.name == usecases.PAGE else f"the front matter of a {usecases.PAGE} beside it"


def _failing(session: Session, case: UseCase) -> frozenset[str]:
    """The samples that were not right in the last run that asked any of the use case."""
    from pytest_llmbench.earlier import results_before  # noqa: PLC0415 - xdist's workers may need no database

    before = results_before(session.folder / "results.db", case.name, session.run_id)
    return sampling.failing_ids(before)


def _optimized(session: Session, case: UseCase) -> bool:
    said = session.settings.prompt_mode
    return (case.prompt.mode if said == "declared" else said) == "optimized"
