"""What servers said of themselves and what earlier ones took, as corrections of an estimate."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_sessions import ServerSession
from store_samples import measurement, run
from suite_runs import stored_run

from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode, ServerError
from pytest_llmbench.records import ModelFile, ServerSpec
from pytest_llmbench.servers import embedded, engines, host
from pytest_llmbench.servers.memory import MIB, MemoryEstimate
from pytest_llmbench.servers.memory_learned import (
    Breakdown,
    Correction,
    Observation,
    breakdown,
    calibrate,
    correction,
    learned,
    observation,
    surprise,
)
from pytest_llmbench.store import Store

JSON_LINE = (
    'srv {"type":"fit_memory_breakdown","data":{"unit":"MiB","rows":'
    '[{"kind":"host","name":"Host","self":153,"model":92,"context":45,"compute":16}]}}'
)
PLAIN_LINES = """\
0.00.115.758 I load_tensors:   CPU_Mapped model buffer size =   235.16 MiB
0.00.115.758 I load_tensors:   CPU_REPACK model buffer size =    12.66 MiB
0.00.117.067 I llama_context:        CPU  output buffer size =     1.00 MiB
0.00.117.429 I llama_kv_cache:        CPU KV buffer size =     6.00 MiB
0.00.117.429 I llama_kv_cache:        CPU KV buffer size =    15.00 MiB
0.00.138.402 I sched_reserve:        CPU compute buffer size =    21.28 MiB
"""


def seen(*residuals_mib: float, estimate_mib: int = 200) -> list[Observation]:
    """A server for each residual."""
    sizes = [int((estimate_mib + residual) * MIB) for residual in residuals_mib]
    return [Observation((number, "then"), estimate_mib * MIB, size) for number, size in enumerate(sizes)]


def test_the_correction_is_the_median_of_what_servers_took_beyond_their_estimates() -> None:
    """A minority of nonsense does not move it."""
    assert correction(seen(10, 12, 14, 11, 13)) == Correction(12 * MIB, 5)
    assert correction(seen(10, 12, 14, 11, 13, 90_000, -199)) == Correction(12 * MIB, 7)


def test_too_few_servers_correct_nothing() -> None:
    """Nor do many measurements of the same one: it has a single peak."""
    assert correction(seen(10, 12, 14, 11)) is None
    assert correction([Observation((7, "then"), 200 * MIB, 210 * MIB)] * 20) is None


def test_of_a_server_that_was_measured_often_the_highest_peak_counts() -> None:
    """The peak grows with use."""
    grown = [dataclasses.replace(first, peak_bytes=first.peak_bytes + 5 * MIB) for first in seen(1, 1, 1, 1, 1)]
    assert correction([*seen(1, 1, 1, 1, 1), *grown, *seen(1, 1, 1, 1, 1)]) == Correction(6 * MIB, 5)


@given(st.lists(st.integers(-(1 << 50), 1 << 50), max_size=20), st.integers(1, 1 << 45))
def test_no_history_can_make_us_admit_what_the_formula_would_not(residuals: list[int], estimate_bytes: int) -> None:
    """A correction lowers an estimate by 5 % at most, and the margin on top of it is 5 %."""
    history = [Observation((number,), 1 << 30, (1 << 30) + residual) for number, residual in enumerate(residuals)]
    found = correction(history)
    corrected = estimate_bytes + (found.bytes_for(estimate_bytes) if found else 0)
    assert engines.MARGIN * corrected >= 0.997 * estimate_bytes
    assert corrected <= 1.5 * estimate_bytes


def test_only_servers_of_the_same_engine_and_build_are_learned_from() -> None:
    """Another build has other buffers; what was not estimated or not measured says nothing."""
    ours = {"engine": "embedded", "build": "b1", "estimated_bytes": 100 * MIB, "started_at": "t"}
    peak = {"peak_rss_bytes": 103.0 * MIB}
    rows = [({**ours, "pid": number}, peak) for number in range(5)]
    others = [
        ({**ours, "build": "b2", "pid": 10}, {"peak_rss_bytes": 900.0 * MIB}),
        ({**ours, "engine": "llama-server", "pid": 11}, {"peak_rss_bytes": 900.0 * MIB}),
        ({**ours, "estimated_bytes": None, "pid": 12}, peak),
        ({**ours, "pid": 13}, {}),
        ({}, {}),
    ]
    assert learned([*others, *rows], "embedded", "b1") == Correction(3 * MIB, 5)
    assert learned(others, "embedded", "b1") is None


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (f"noise\n{JSON_LINE}\n", Breakdown(92 * MIB, 45 * MIB, 16 * MIB)),
        (PLAIN_LINES, Breakdown(int(247.82 * MIB), 21 * MIB, int(21.28 * MIB))),
        (f"{PLAIN_LINES}fit_memory_breakdown {{broken\n", Breakdown(int(247.82 * MIB), 21 * MIB, int(21.28 * MIB))),
        ("nothing of the kind", None),
    ],
)
def test_a_servers_own_breakdown_is_read_from_its_log(log: str, expected: Breakdown | None) -> None:
    """As rows of JSON, or from the sizes of the buffers; caches and weights in several buffers are summed."""
    found = breakdown(log)
    assert (found is None) == (expected is None)
    if found and expected:
        assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(expected), abs=2)


def test_calibrating_replaces_what_the_server_knows_better() -> None:
    """The base is ours: the server does not count its own program."""
    plain = MemoryEstimate(90 * MIB, None, 20 * MIB, 40 * MIB, unknown="recurrent")
    told = calibrate(plain, Breakdown(92 * MIB, 45 * MIB, 16 * MIB))
    assert (told.total_bytes, told.unknown) == ((92 + 45 + 16 + 40) * MIB, "")


def test_a_peak_far_above_its_estimate_is_told() -> None:
    """Ten per cent are within what the formula promises."""
    assert surprise(200 * MIB, 230 * MIB) == ["the server needed 230 MiB of memory, 15% more than estimated (200 MiB)"]
    assert surprise(200 * MIB, 219 * MIB) == []
    assert surprise(None, 219 * MIB) == surprise(200 * MIB, None) == []


def test_what_was_learned_is_set_aside_in_the_ledger(smollm2: ModelFile) -> None:
    """Up and down, with the margin on top."""
    spec = ServerSpec(smollm2, 2048)
    plain = engines.need_bytes(spec, engines.EMBEDDED)
    more = engines.need_bytes(spec, engines.EMBEDDED, Correction(12 * MIB, 5))
    less = engines.need_bytes(spec, engines.EMBEDDED, Correction(-1000 * MIB, 5))
    assert more - plain == pytest.approx(engines.MARGIN * 12 * MIB, abs=2)
    assert less == pytest.approx(0.95 * plain, rel=0.001)


def test_a_claim_asks_what_was_learned_of_its_engine_and_build(smollm2: ModelFile) -> None:
    """Servers that took half as much again no longer fit where the formula alone says they would."""
    asked = []

    def told(engine: str, build: str) -> Correction:
        asked.append((engine, build))
        return Correction(1 << 40, 5)

    spec = ServerSpec(smollm2, 512)
    with ServerSession(int(1.2 * engines.need_bytes(spec, engines.EMBEDDED))) as session:
        client = session.client(learned=told)
        for _ in range(2):
            with pytest.raises(ServerError, match="never fits"):
                client.claim([spec], wait=True)
    assert asked == [(engines.EMBEDDED, embedded.build())]


def test_a_measurement_stores_the_estimate_beside_the_peak(pytester: pytest.Pytester) -> None:
    """So that the next run can learn from it."""
    pytester.makepyfile(
        """
        def test_memory(llama_server, bench):
            server = llama_server("smollm2-135m:Q4_1", context=512)
            measured = bench(server, rounds=1, output_tokens=4, prompts=["Hi."])
            assert measured.server["estimated_bytes"] * 0.8 < measured.peak_rss_bytes.max
            assert not any("than estimated" in note for note in measured.notes)
        """
    )
    pytester.runpytest_inprocess("--llmbench-engine=embedded", "-p", "no:cacheprovider").assert_outcomes(passed=1)
    (stored,) = stored_run(pytester).measurements
    found = observation(stored.server, stored.scalars)
    assert found is not None
    assert found.peak_bytes == stored.scalars["peak_rss_bytes"]
    assert found.process[0] == stored.server["pid"]


def history(folder: Path, servers: int) -> None:
    """A results database in which servers of the embedded engine took 12 MiB more than estimated, on this machine."""
    folder.mkdir()
    store = Store.open(folder / "results.db")
    store.ensure_run(run())
    for number in range(servers):
        server = {"engine": "embedded", "build": embedded.build(), "pid": number, "estimated_bytes": 100 * MIB}
        begun = dataclasses.replace(
            measurement(f"m{number}", f"k{number}"),
            host_fingerprint=host.describe().fingerprint,
            server=server,
            scalars={"peak_rss_bytes": 112.0 * MIB},
        )
        store.start_measurement("run-1", begun)
        if number < 9:
            store.finish_measurement(begun)
    store.close()


def test_show_tells_estimate_and_correction(tmp_path: Path, smollm2: ModelFile, capsys, monkeypatch) -> None:
    """From the project's own history; measurements that were never completed are not in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    history(tmp_path / ".llmbench", 11)
    assert main(["models", "show", smollm2.name, "--engine", "embedded", "--context", "2048"]) == ExitCode.OK
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("memory"))
    assert "MiB at 2048 tokens (weights 92, KV cache 45, buffers 17, base" in line
    assert line.endswith("corrected by +12 MiB from 9 servers measured on this machine")


def test_show_as_json_has_the_parts(tmp_path: Path, smollm2: ModelFile, capsys, monkeypatch) -> None:
    """Without a history nothing is corrected, and no database is made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert main(["models", "show", smollm2.name, "--json", "--engine", "embedded"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)["memory"]
    assert (told["kv_bytes"], told["context"], told["correction_bytes"]) == (90 * MIB, 4096, None)
    assert told["total_bytes"] == sum(told[f"{part}_bytes"] for part in ("weights", "kv", "compute", "base"))
    assert not (tmp_path / ".llmbench").exists()
