"""What a run may spend, as its header tells those who watch it."""

from __future__ import annotations

from pathlib import Path

import pytest
import watched_runs
from served_sessions import session_in, stored

from pytest_llmbench.observe.exposition import exposed
from pytest_llmbench.observe.watching import Watched


@pytest.mark.parametrize(("declared", "caps"), [("{run: 3}", ("", "3")), ("{}", ("", None))])
def test_a_run_that_goes_on_has_the_budget_of_its_file_as_it_is_now(
    tmp_path: Path, declared: str, caps: tuple[str, str | None]
) -> None:
    """A cap that was lowered meanwhile is the new one, and one that was taken away is none; the rest stays."""
    (tmp_path / "llmbench.yaml").write_text("budget: {run: 9}\n")
    with session_in(tmp_path, max_cost="2") as session:
        before = stored(session).environment
    (tmp_path / "llmbench.yaml").write_text(f"budget: {declared}\n")
    with session_in(tmp_path, resume=session.run_id) as again:
        run = stored(again)
        look = watched_runs.looking(Watched(again.folder / again.database)).look()
    assert (run.settings["max_cost"], run.environment.get("budget_usd")) == caps
    assert {**run.environment, "budget_usd": "9"} == before
    told = [line for line in exposed(look.figures).splitlines() if line.startswith("llmbench_budget_cap_usd ")]
    assert [float(line.split()[1]) for line in told] == [float(cap) for cap in caps if cap]
