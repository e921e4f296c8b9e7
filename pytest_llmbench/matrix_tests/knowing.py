"""What a process knows of the cells of its run: as they are stored, of their models' files, and what was measured."""

from __future__ import annotations

from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.matrix.decided import Decided
from pytest_llmbench.matrix.facts import Facts, facts
from pytest_llmbench.matrix.known import Known, known
from pytest_llmbench.matrix.plan import PlannedCell
from pytest_llmbench.matrix.reasons import Skip
from pytest_llmbench.matrix_tests import measuring
from pytest_llmbench.matrix_tests.measuring import SkippedError
from pytest_llmbench.records import Cell, CellState, Measurement
from pytest_llmbench.serving import ServedModel
from pytest_llmbench.session import Session
from pytest_llmbench.told_models import as_before, as_told


class Knowledge:
    """What is known of the cells of a session.

    Args:
        session: this process's.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._facts: dict[str, Facts] = {}
        self._known: dict[str, Known] = {}
        self._questions: dict[str, str] = {}
        self._foreign: dict[str, ServedModel] = {}
        self.cells: dict[str, Cell] = {}
        """As they are stored, by their keys."""

    def look(self) -> None:
        """Read the cells anew: other processes decide, too."""
        self.cells = {cell.key: cell for cell in self._session.store.cells(self._session.run_id)}

    def put(self, *cells: Cell) -> None:
        """Store cells as they are now."""
        self._session.store.put_cells(self._session.run_id, cells)
        self.cells.update((cell.key, cell) for cell in cells)

    def model(self, planned: PlannedCell) -> ServedModel:
        """The model of a cell; a server of somebody else is asked once a session what it is.

        Raises:
            SkippedError: its file is damaged.
            InfraError: its file cannot be had.
        """
        if planned.is_local:
            return measuring.opened(self._session, planned)
        if planned.name not in self._foreign:
            self._foreign[planned.name] = as_told(measuring.opened(self._session, planned))
        return self._foreign[planned.name]

    def question(self, planned: PlannedCell) -> str:
        """What a cell would be measured as; of a server of somebody else as before, where nothing it tells has changed.
        Empty where its model's file cannot be used.
        """
        if planned.key not in self._questions:
            self._questions[planned.key] = self._question(planned)
        return self._questions[planned.key]

    def _question(self, planned: PlannedCell) -> str:
        before = self.measurement(self.cells[planned.key])
        try:
            model = self.model(planned)
            return measuring.question(self._session, planned, as_before(model, before) if before else model)
        except (SkippedError, LlmbenchError):
            return ""

    def measurement(self, cell: Cell) -> Measurement | None:
        """What was measured of a cell; None where nothing was."""
        if not cell.measurement_id:
            return None
        found = self._session.store.find_measurement(self._session.run_id, cell.question)
        return found[0] if found else None

    def read(self, planned: PlannedCell, model: ServedModel) -> Facts:
        """The facts of a cell, by its model's file.

        Raises:
            SkippedError: the file is no whole GGUF.
        """
        found = self._facts[planned.key] = measuring.facts_of(self._session, planned, model)
        return found

    def facts(self, planned: PlannedCell) -> Facts:
        """The facts of a cell; where its model's file cannot be used, those that its name tells."""
        if planned.key not in self._facts:
            try:
                self.read(planned, self.model(planned))
            except (SkippedError, LlmbenchError):
                self._facts[planned.key] = facts(planned.cell, planned.load)
        return self._facts[planned.key]

    def decision(self, planned: PlannedCell) -> Decided:
        """A cell as those after it see it."""
        cell = self.cells[planned.key]
        return Decided(self.facts(planned), cell.category, self.known(planned))

    def known(self, planned: PlannedCell) -> Known | None:
        """What was measured of a cell, by whichever process; None where nothing was."""
        cell = self.cells.get(planned.key)
        if cell is None or cell.state not in {CellState.MEASURED, CellState.SKIPPED}:
            return None
        if planned.key not in self._known:
            measurement = self.measurement(cell)
            if measurement is not None:
                self.learn(planned, measurement, cell.duration_s)
            elif cell.category == Skip.POOR:  # nothing came before the deadline, which is what it took at least
                waited_s = self._session.deadlines.ttft_s
                self._known[planned.key] = Known(self.facts(planned), ttft_s=waited_s, duration_s=cell.duration_s)
        return self._known.get(planned.key)

    def learn(self, planned: PlannedCell, measurement: Measurement, duration_s: float | None) -> Known:
        """Take in what was measured of a cell."""
        found = self._known[planned.key] = known(self.facts(planned), measurement, duration_s)
        return found

    def forget(self, planned: PlannedCell) -> None:
        """That a cell was measured: it is about to be again."""
        self._known.pop(planned.key, None)
