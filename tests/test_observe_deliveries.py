"""What became of the spans of a run's processes: left in files by most, told by the one that ends the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from seen_calls import a_call

from pytest_llmbench import clock, config
from pytest_llmbench.observe import deliveries, outbox
from pytest_llmbench.observe.calls import CallEnded, Outcome
from pytest_llmbench.observe.deliveries import Deliveries
from pytest_llmbench.observe.outbox import Delivery
from pytest_llmbench.observe.traces import Tracer


def session_of(folder: Path) -> Deliveries:
    return Deliveries(folder, clock.now().isoformat())


def test_what_others_left_is_taken_once(tmp_path: Path) -> None:
    """And no file of it is left behind."""
    ending = session_of(tmp_path / "logs")
    for process, lost in (("gw0", 1), ("asker", 2)):
        other = session_of(tmp_path / "logs")
        assert other.begin(process)
        assert other.leave(process, Delivery(3, lost, "refused"))
    assert sorted(each.lost for each in ending.take()) == [1, 2]
    assert ending.take() == []
    assert list((tmp_path / "logs").iterdir()) == []


def test_one_that_is_still_sending_is_waited_for(tmp_path: Path) -> None:
    """The process that asks APIs ends beside the one that ends the run."""
    ending, other = session_of(tmp_path), session_of(tmp_path)
    other.begin("asker")
    later = threading.Timer(0.3, other.leave, ("asker", Delivery(0, 4, "nobody there")))
    later.start()
    assert ending.take() == [Delivery(0, 4, "nobody there")]
    later.join()


def test_one_that_was_killed_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does what a session of long ago left count."""
    monkeypatch.setattr(deliveries, "PATIENCE_S", 60.0)
    session_of(tmp_path).leave("gw1", Delivery(0, 9, "long ago"))
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        killed.wait()
    (tmp_path / "traces-gw0.json").write_text(json.dumps({"pid": killed.pid}))
    (tmp_path / "traces-gw2.json").write_text("half a li")
    assert session_of(tmp_path).take() == []


def test_one_that_never_ends_is_waited_for_so_long_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "PATIENCE_S", 0.2)
    session_of(tmp_path).begin("gw0")
    assert (tmp_path / "traces-gw0.json").read_text() == json.dumps({"pid": os.getpid()})
    begun = clock.monotonic()
    assert session_of(tmp_path).take() == []
    assert 0.2 <= clock.monotonic() - begun < 5


def test_where_no_file_can_be_written_each_process_tells_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better twice than not at all; with one, the process that ends the run tells the sum."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(outbox, "FLUSH_S", 0.2)
    told: dict[str, list[str]] = {"main": [], "gw0": []}
    for is_writable in (False, True):
        resolved = config.resolve({"results_dir": str(tmp_path / str(is_writable))}, {}, {}, tmp_path)
        if not is_writable:
            (tmp_path / "False").write_text("in the way")
        several = {process: Tracer(resolved, "r1", process, told[process].append) for process in ("main", "gw0")}
        for process in ("gw0", "main"):
            several[process].ends(CallEnded(call=a_call(), outcome=Outcome.ANSWERED, duration_s=1.0))
            several[process].close()
    assert [each.partition(" did not")[0] for each in told["gw0"]] == ["traces: 1 of 1 spans"]
    assert [each.partition(" did not")[0] for each in told["main"]] == ["traces: 2 of 2 spans", "traces: 3 of 3 spans"]
