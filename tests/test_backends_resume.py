"""A run of somebody else's server that goes on: what has changed there is measured again, and the rest is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from foreign_servers import Foreign, LlamaCpp, LmStudio, LocalAi, Ollama, Vllm, serving
from served_sessions import session_in, stored
from stands import measured

from pytest_llmbench.backends import backend_at
from pytest_llmbench.backends.kinds import PROBE
from pytest_llmbench.clients import Endpoint
from pytest_llmbench.matrix_tests.deciding import Matrix
from pytest_llmbench.matrix_tests.planning import planned_cells
from pytest_llmbench.records import Run

CHOICES: dict[str, Any] = {"rounds": 1, "prompts": ("One.",), "output_tokens": 8}
REQUESTS = 1 + 1
"""Warm-up and repetitions of `CHOICES`."""
MATRIX = """
servers:
  lab: {{url: "{url}"}}
matrix:
  models: ["lab/{model}"]
  profiles: [interactive]
  choices: {{interactive: {{rounds: 1, prompts: ["One."], output_tokens: 8}}}}
"""


def project(folder: Path, server: Foreign) -> None:
    (folder / "llmbench.yaml").write_text(MATRIX.format(url=server.url, model=server.model))


def decided(folder: Path, resume: str = "") -> Run:
    """The run when all cells of its matrix are decided."""
    with session_in(folder, resume=resume, calibrate="false") as session:
        cells = planned_cells(session, fetch=False)
        matrix = Matrix(session, cells, lambda: cells)
        for planned in cells:
            matrix.decided(planned.key)
        return stored(session)


def identity(server: Foreign) -> dict[str, Any]:
    endpoint = Endpoint(base_url=server.url, model_id=server.model, name=f"lab/{server.model}")
    return backend_at(endpoint, PROBE, "auto").identity()


CHANGED: dict[str, tuple[type[Foreign], dict[str, str], str]] = {
    "ollama, another version": (Ollama, {"version": "0.13.0"}, "version: 0.12.6 → 0.13.0"),
    "ollama, another file": (
        Ollama,
        {"digest": "b" * 64},
        f"digest: a80c4f17acd55265feec403c7aef86be0c25983a → {'b' * 40}",
    ),
    "vllm, another version": (Vllm, {"version": "0.12.0"}, "version: 0.11.2 → 0.12.0"),
    "lm studio, another file": (LmStudio, {"quantization": "Q8_0"}, "quantization: Q4_0 → Q8_0"),
    "localai, another version": (LocalAi, {"version": "v3.8.0"}, "version: v3.7.0 (a1b2c3d4) → v3.8.0"),
    "llama.cpp, another build": (LlamaCpp, {"build": "b7000-abc"}, "version: b6730-e60f01d94 → b7000-abc"),
}


@pytest.mark.parametrize(("kind", "change", "said"), CHANGED.values(), ids=CHANGED)
def test_a_server_that_tells_something_else_is_measured_again_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: type[Foreign], change: dict[str, str], said: str
) -> None:
    """The engine's version, the model's file: each as far as the kind of server tells it."""
    with serving(kind()) as server:
        project(tmp_path, server)
        before = decided(tmp_path)
        vars(server).update(change)
        after = decided(tmp_path, before.id)
    assert f"is done again: {said}" in " ".join(capsys.readouterr().out.split())
    [cell] = after.cells
    assert cell.state == "measured"
    assert cell.measurement_id != before.cells[0].measurement_id
    assert len(after.measurements) == 2


def test_a_server_that_tells_the_same_is_not_measured_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is asked of its model, and nothing is said but that all is kept."""
    with serving(Ollama()) as server:
        project(tmp_path, server)
        before = decided(tmp_path)
        asked = len(server.asked)
        after = decided(tmp_path, before.id)
        assert len(server.asked) == asked
    assert [cell.measurement_id for cell in after.cells] == [cell.measurement_id for cell in before.cells]
    told = capsys.readouterr().out
    assert "1 of 1 cells of the matrix are taken from the store" in told
    assert "done again" not in told
    assert "nobody knows" not in told


def test_what_was_measured_of_a_server_that_is_off_now_is_kept_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is known to have changed; nothing is known at all, which a reader has to know."""
    with serving(Ollama()) as server:
        project(tmp_path, server)
        before = decided(tmp_path)
    after = decided(tmp_path, before.id)
    assert [cell.measurement_id for cell in after.cells] == [cell.measurement_id for cell in before.cells]
    told = " ".join(capsys.readouterr().out.split())
    assert (
        told.count("lab/llama3.2 is taken as it was measured: its server tells neither its version nor the model's")
        == 1
    )


def test_a_server_of_no_known_kind_is_kept_and_said_to_be_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It tells nothing, before and now."""
    with serving(Foreign()) as server:
        project(tmp_path, server)
        before = decided(tmp_path)
        after = decided(tmp_path, before.id)
    assert len(after.measurements) == 1
    assert "nobody knows whether they are what they were" in " ".join(capsys.readouterr().out.split())


def test_a_test_of_ones_own_measures_again_what_changed_and_nothing_else(tmp_path: Path) -> None:
    """`bench` on a resume goes by the same rule as a matrix, and the new measurement says what differs."""
    with serving(Ollama()) as server:
        (tmp_path / "llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{server.url}'}}\n")
        name = f"lab/{server.model}"
        with session_in(tmp_path, calibrate="false") as session:
            first, run_id = measured(session, name, "interactive", **CHOICES), session.run_id
        with session_in(tmp_path, resume=run_id, calibrate="false") as session:
            assert measured(session, name, "interactive", **CHOICES).id == first.id
        server.version = "0.13.0"
        with session_in(tmp_path, resume=run_id, calibrate="false") as session:
            again = measured(session, name, "interactive", **CHOICES)
        assert len(server.asked) == 2 * REQUESTS
    assert again.id != first.id
    assert any("version: 0.12.6 → 0.13.0" in note for note in again.notes)
    with session_in(tmp_path, resume=run_id, calibrate="false") as session:  # the server is off: the last one counts
        assert measured(session, name, "interactive", **CHOICES).id == again.id


def test_identity_is_asked_without_loading_or_counting_anything() -> None:
    """No chat goes out, and counters that only rise by being looked at are left alone."""
    for kind in (Ollama, Vllm, LmStudio, LocalAi, LlamaCpp):
        with serving(kind()) as server:
            told = identity(server)
            assert {"kind"} < told.keys(), kind
            assert not server.asked
            assert not {path for _, path in server.seen} & {"/api/chat", "/metrics", "/api/v0/chat/completions"}


def test_a_server_that_does_not_answer_has_no_identity() -> None:
    """Its kind alone, which llmbench.yaml may say, makes nothing comparable."""
    endpoint = Endpoint(base_url="http://127.0.0.1:9", model_id="m", name="lab/m")
    assert backend_at(endpoint, PROBE, "auto").identity() == {}
    assert backend_at(endpoint, PROBE, "ollama").identity() == {}
