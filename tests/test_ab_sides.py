"""What is typed for A and B: names, settings, binaries."""

from __future__ import annotations

from pathlib import Path

import pytest
from otlp_collector import Collector
from seen_calls import a_call
from served_sessions import session_in

from pytest_llmbench.ab.sides import Typed, labels, opened, typed, with_binary
from pytest_llmbench.errors import UsageError
from pytest_llmbench.observe.calls import CallEnded
from pytest_llmbench.observe.log_files import files_in
from pytest_llmbench.records import Reply


def test_settings_follow_the_name_and_settings_alone_are_of_the_other_sides_model() -> None:
    """`smollm2-135m:Q4_1 threads=2`, and `threads=2` for B."""
    a = typed("smollm2-135m:Q4_1 context=2048 threads=1")
    assert a == Typed("smollm2-135m:Q4_1", {"context": 2048, "threads": 1})
    assert a.label == "smollm2-135m:Q4_1 context=2048 threads=1"
    assert typed("threads=2", like=a.name) == Typed(a.name, {"threads": 2})
    assert typed("", like=a.name) == Typed(a.name)


def test_a_path_with_spaces_is_a_name() -> None:
    """Only what looks like a setting at the end is one."""
    assert typed("/models/my model/m.gguf threads=1").name == "/models/my model/m.gguf"


def test_flags_of_a_server_are_joined_by_commas() -> None:
    """`extra_args=--flash-attn,on`."""
    assert typed("m:Q4_1 extra_args=--flash-attn,on").settings == {"extra_args": ("--flash-attn", "on")}


@pytest.mark.parametrize(
    ("text", "told"),
    [("threads=2", "names no model"), ("m:Q4_1 speed=2", "no setting 'speed'"), ("m:Q4_1 threads=two", "whole number")],
)
def test_what_cannot_be_is_refused_before_anything_is_fetched(text: str, told: str) -> None:
    """With the word that was wrong."""
    with pytest.raises(UsageError, match=told):
        typed(text)


def test_one_and_the_same_thing_twice_is_told_apart() -> None:
    """A/A has two names in every report."""
    same = Typed("m:Q4_1")
    assert labels(same, same) == ("m:Q4_1 [A]", "m:Q4_1 [B]")
    assert labels(same, Typed("m:Q4_1", {"threads": 2})) == ("m:Q4_1", "m:Q4_1 threads=2")
    assert labels(same, Typed("m:Q4_1", binary="/new/llama-server"))[1] == "m:Q4_1 by /new/llama-server"


def test_settings_of_somebody_elses_server_are_refused(tmp_path: Path) -> None:
    """An address is measured as it is."""
    (tmp_path / "llmbench.yaml").write_text("servers:\n  lab: {url: 'http://127.0.0.1:9'}\n")
    with session_in(tmp_path) as session, pytest.raises(UsageError, match="served by somebody else"):
        opened(session, Typed("lab/m", {"threads": 2}))


def test_a_side_with_a_binary_of_its_own_has_a_supervisor_of_its_own_in_the_same_run(tmp_path: Path) -> None:
    """Two builds of llama-server in one session: same run and results, another binary, another meeting place."""
    with session_in(tmp_path) as session:
        other = with_binary(session, "/new/llama-server", "b")
        assert other.run_id == session.run_id
        assert other.meeting_place != session.meeting_place
        assert (other.settings.llama_server, other.settings.engine) == ("/new/llama-server", "llama-server")
        assert session.settings.llama_server != "/new/llama-server"
        other.close()


def test_two_binaries_are_one_run_in_its_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The side of another binary has a log of its own, and tells of no run."""
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with session_in(tmp_path, traces="true") as session:
            other = with_binary(session, "/new/llama-server", "b")
            for each in (session, other):
                assert each.observer is not None
                each.observer.ends(CallEnded.answered(a_call(run_id=session.run_id), Reply("x", "m"), 0.1))
            other.close()
        assert len(collector.named("run")) == 1
        assert len(collector.named("chat ")) == 2
    assert list(files_in(tmp_path / ".llmbench" / "logs" / session.run_id)) == ["b", "main"]


def test_a_model_that_may_cost_money_is_refused_beside_a_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timed requests do not go through what counts the cost."""
    monkeypatch.setenv("OPENAI_API_KEY", "no-key-of-anybody")
    (tmp_path / "llmbench.yaml").write_text("budget: {run: 1}\n")
    with session_in(tmp_path) as session, pytest.raises(UsageError, match="cannot keep to a budget"):
        opened(session, Typed("openai/gpt-5-mini"))
