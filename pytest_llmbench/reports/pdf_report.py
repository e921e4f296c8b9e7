"""The report on paper: the same view and the same charts, set by Typst. No browser, no system package, no network.

All that a run holds reaches the typesetter as JSON; its template prints texts and never reads them as markup.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from pytest_llmbench import __version__
from pytest_llmbench.errors import UsageError
from pytest_llmbench.extras import from_extra
from pytest_llmbench.records import Run
from pytest_llmbench.redaction import redact_exact
from pytest_llmbench.reports.figures import duration
from pytest_llmbench.reports.matrix_words import but, headline
from pytest_llmbench.reports.moments import parsed, took_s, when
from pytest_llmbench.reports.pdf_blocks import shown as shown_text
from pytest_llmbench.reports.pdf_sections import sections, title
from pytest_llmbench.reports.static_charts import colours
from pytest_llmbench.reports.view import RunView, view

_UNKNOWN = datetime.fromtimestamp(0, UTC)
"""The date of a file whose run has none: of the run, and never of its writing."""
_TEMPLATE = files("pytest_llmbench") / "data" / "report.typ"


def render(run: Run, shown: RunView | None = None) -> bytes:
    """The PDF report; the same bytes for the same run and versions.

    Raises:
        MissingExtraError: the extra `pdf` is not installed.
        UsageError: the typesetter refused it.
    """
    typst = from_extra("typst", "pdf")
    pages = redact_exact(json.dumps(_pages(run, shown or view(run)), allow_nan=False))
    try:
        made: bytes = typst.compile(
            _TEMPLATE.read_bytes(),
            format="pdf",
            sys_inputs={"pages": pages},
            timestamp=(parsed(run.started_at) or _UNKNOWN).replace(microsecond=0),
        )
    except typst.TypstError as error:
        raise UsageError(
            f"the PDF report of run {run.id} cannot be set: {str(error).partition(chr(10))[0]}",
            hint="`--format html` writes the same; please report this",
        ) from error
    return made


def _pages(run: Run, shown: RunView) -> dict[str, Any]:
    ended = shown.verdict
    seconds = took_s(run)
    told = [when(run.started_at), f"took {duration(seconds)}" if seconds is not None else ""]
    return {
        "title": shown_text(title(shown)),
        "answers": [shown_text(each) for each in _answers(shown) if each],
        "run": shown_text(run.id),
        "when": shown_text(" · ".join(filter(None, told))),
        "host": shown_text(shown.host_line),
        "verdict": {"word": shown_text(ended.word), "tone": ended.level, "sentence": shown_text(ended.sentence)},
        "version": __version__,
        "colours": dict(colours()),
        "blocks": list(sections(run, shown)),
    }


def _answers(shown: RunView) -> list[str]:
    """What a matrix was run for, in a sentence or two; nothing where none was."""
    if not shown.has_cells or shown.matrix is None:
        return []
    return [headline(shown.matrix, shown.advice), but(shown.matrix, shown.advice)]
