"""Decides cells, one after the other in the order of the plan, whoever asks for whichever of them.

A process that wants a cell first decides all before it that nobody has decided yet. So the decisions, which rest on one
another, follow from the plan alone: they are the same with one process and with several. The machine lock, which every
test of a cell holds, lets one process decide at a time; what it decided is in the store for the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from pytest_llmbench import clock
from pytest_llmbench.errors import InfraError, LlmbenchError, MissingExtraError, UsageError
from pytest_llmbench.matrix.decided import Decided, Limits, poor
from pytest_llmbench.matrix.expected import expectations
from pytest_llmbench.matrix.facts import Facts
from pytest_llmbench.matrix.plan import STRESS, PlannedCell
from pytest_llmbench.matrix.preflight import fits
from pytest_llmbench.matrix.pruning import pruned
from pytest_llmbench.matrix.reasons import Skip
from pytest_llmbench.matrix.selection import Selected, selected_for_stress
from pytest_llmbench.matrix_tests import measuring
from pytest_llmbench.matrix_tests.beginning import Beginning, beginning
from pytest_llmbench.matrix_tests.knowing import Knowledge
from pytest_llmbench.matrix_tests.measuring import SkippedError
from pytest_llmbench.matrix_tests.telling import over_time, redone, resumed
from pytest_llmbench.records import Cell, CellState, Measurement, Range
from pytest_llmbench.redaction import redact
from pytest_llmbench.serving import ServedModel
from pytest_llmbench.session import Session
from pytest_llmbench.told_models import unknown

REASON_LIMIT = 4000
_log = logging.getLogger(__name__)


class Matrix:
    """The cells of a session, as one process sees them.

    Args:
        session: this process's.
        cells: the plan.
        selected: gives those that this session is to decide, in their order; the same in all its processes.
    """

    def __init__(
        self, session: Session, cells: Sequence[PlannedCell], selected: Callable[[], Sequence[PlannedCell]]
    ) -> None:
        self._session = session
        self.cells = cells
        self._selected = selected
        self._knows = Knowledge(session)
        self._is_told = False
        matrix = session.config.matrix
        self._limits = Limits(matrix.limits.ttft_s, matrix.limits.decode_tps)

    def decided(self, key: str) -> Cell:
        """A cell as it was decided, now or before; all selected ones before it are decided by then."""
        self._knows.look()
        self._begin()
        for planned in self._wanted:
            if not self._is_settled(planned):
                self._decide(planned)
            if planned.key == key:
                break
        return self._knows.cells[key]

    def measurement(self, cell: Cell) -> Measurement:
        """What was measured of a cell that was."""
        found = self._knows.measurement(cell)
        assert found is not None, "a measured cell has its measurement in the store"
        return found

    @cached_property
    def _wanted(self) -> Sequence[PlannedCell]:
        return self._selected()

    @cached_property
    def _beginning(self) -> tuple[Beginning, bool]:
        return beginning(self._session)

    def _begin(self) -> None:
        """Write down what is going to be decided, so that others see how far it is; tell what a resume keeps."""
        if self._beginning[1] and self._session.identity.resuming and not self._is_told:
            self._session.say(resumed([planned.key for planned in self._wanted], self._knows.cells))
            for said in dict.fromkeys(filter(None, self._not_known())):
                self._session.say(said)
        self._is_told = True
        places = {key: cell.place for key, cell in self._knows.cells.items()}
        missing = [planned.cell for planned in self._wanted if planned.key not in places]
        moved = [
            replace(self._knows.cells[planned.key], place=planned.cell.place)
            for planned in self._wanted
            if places.get(planned.key, planned.cell.place) != planned.cell.place
        ]
        self._knows.put(*missing, *moved)

    def _not_known(self) -> Iterator[str]:
        """Servers of somebody else of which nobody knows whether they are what they were."""
        for planned in self._wanted:
            cell = self._knows.cells.get(planned.key)
            before = self._knows.measurement(cell) if cell and not planned.is_local else None
            if before is not None and self._knows.question(planned) == before.key:
                yield unknown(self._knows.model(planned), before)

    def _is_settled(self, planned: PlannedCell) -> bool:
        """Whether a cell is decided, in this session or by what is still the same question."""
        cell = self._knows.cells[planned.key]
        if cell.state == CellState.RUNNING:  # and the machine is ours: whoever measured it is gone
            died = "the process that measured it died; `--resume` measures it again"
            self._knows.put(replace(cell, state=CellState.FAILED, category=Skip.CRASH, reason=died))
            return True
        if not CellState(cell.state).is_decided:
            return False
        if not cell.question or cell.question == self._knows.question(planned):
            return True
        self._session.say(redone(planned.key, self._knows.measurement(cell), self._identity(planned)))
        return False

    def _identity(self, planned: PlannedCell) -> Mapping[str, object]:
        try:
            return self._knows.model(planned).identity()
        except (SkippedError, LlmbenchError):
            return {}

    def _decide(self, planned: PlannedCell) -> None:
        self._knows.forget(planned)
        begun_s = clock.monotonic()
        cell, stored = replace(planned.cell, begun_at=clock.now().isoformat()), self._knows.cells
        try:
            decided = self._ended(planned, cell)
        except SkippedError as finding:
            decided = self._skipped(stored[planned.key], cell, finding.category, finding.reason)
        except MissingExtraError:
            raise  # nothing at all can be measured here, which no skip should hide
        except UsageError as error:
            decided = self._skipped(stored[planned.key], cell, Skip.REFUSED, str(error))
        except InfraError as error:
            reason = redact(str(error))[:REASON_LIMIT]
            decided = replace(stored[planned.key], state=CellState.FAILED, category=error.category, reason=reason)
        if decided.state != CellState.NOT_SELECTED:
            decided = replace(decided, duration_s=clock.monotonic() - begun_s)
        self._knows.put(decided)
        _log.info("%s: %s %s", decided.key, decided.state, decided.category)

    def _ended(self, planned: PlannedCell, cell: Cell) -> Cell:
        """The cell, measured or left out by a rule.

        Raises:
            SkippedError: it could not be loaded.
            InfraError: something failed that says nothing about it.
        """
        if planned.cell.profile == STRESS and (chosen := self._stress()).configuration != cell.configuration:
            why = chosen.reason
            return replace(
                cell, state=CellState.NOT_SELECTED, category=Skip.STRESS_SELECTION, reason=why, evidence=chosen.evidence
            )
        model = self._knows.model(planned)
        known_of_it = self._knows.read(planned, model)
        ready = replace(
            cell,
            model=model.name,
            expected={name: found.as_dict() for name, found in self._expected(known_of_it).items()},
            size_bytes=known_of_it.size_bytes,
            architecture=known_of_it.architecture,
        )
        left_out = self._left_out(planned, ready, model, known_of_it)
        return left_out or self._measured(planned, ready, model)

    def _expected(self, of: Facts) -> dict[str, Range]:
        ran = [each for planned in self._wanted if (each := self._knows.known(planned))]
        return expectations(of, ran, self._beginning[0].machine)

    def _left_out(self, planned: PlannedCell, cell: Cell, model: ServedModel, of: Facts) -> Cell | None:
        """The cell, skipped by what is known of it and of others; None: it is to be measured."""
        began, settings = self._beginning[0], self._session.settings
        expected = {name: Range.from_dict(found) for name, found in cell.expected.items()}
        need = of.need
        if need is not None and (refused := fits(need, began.room, expected.get("memory_bytes"))):
            return _skip(cell, Skip.MEMORY, refused.reason)
        if settings.prune and (found := pruned(of, expected, self._before(planned), self._limits, began.room)):
            return _skip(cell, found.category, found.reason, found.evidence)
        if told := over_time(settings.time_budget, began.elapsed_s(), expected.get("duration_s")):
            return _skip(cell, Skip.TIME_BUDGET, told)
        measuring.make_room(self._session, planned, model)
        return None

    def _measured(self, planned: PlannedCell, cell: Cell, model: ServedModel) -> Cell:
        begun_s = clock.monotonic()
        asked = measuring.question(self._session, planned, model)
        self._knows.put(replace(cell, state=CellState.RUNNING, question=asked))
        limits = self._limits if self._session.settings.prune else None
        measurement = measuring.measure_cell(self._session, planned, model, limits)
        why = poor(self._knows.learn(planned, measurement, clock.monotonic() - begun_s), self._limits)
        return replace(
            cell,
            state=CellState.MEASURED,
            category=Skip.POOR if why else "",
            reason=why,
            question=asked,
            measurement_id=measurement.id,
        )

    def _stress(self) -> Selected:
        others = [planned for planned in self._wanted if planned.cell.profile != STRESS]
        return selected_for_stress([self._knows.decision(planned) for planned in others], self._limits)

    def _before(self, planned: PlannedCell) -> list[Decided]:
        return [self._knows.decision(each) for each in self._wanted if each.cell.place < planned.cell.place]

    def _skipped(self, stored: Cell, cell: Cell, category: Skip, reason: str) -> Cell:
        """By a failure to load; what was asked stays with it where it was got so far."""
        begun = stored if stored.state == CellState.RUNNING else cell
        return replace(
            begun,
            state=CellState.SKIPPED,
            category=category,
            reason=redact(reason)[:REASON_LIMIT],
            begun_at=cell.begun_at,
        )


def _skip(cell: Cell, category: Skip, reason: str, evidence: Sequence[str] = ()) -> Cell:
    return replace(cell, state=CellState.SKIPPED, category=category, reason=reason, evidence=tuple(evidence))
