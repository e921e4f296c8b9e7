"""Servers of somebody else: used as they are, measured with what they tell."""

from __future__ import annotations

import pytest
from suite_runs import stored_run

from pytest_llmbench.demo import Answer, DemoProvider, Failure

SUITE = """
    import pytest

    @pytest.mark.models("lab/any-model")
    def test_ask(model):
        assert "hello" in model.ask("hello").text

    @pytest.mark.models("lab/any-model")
    def test_bench(model, bench):
        measured = bench(model, rounds=2, prompts=["One.", "Two."], output_tokens=8)
        assert measured.ttft_s.n == 4
"""


def configure(pytester: pytest.Pytester, url: str) -> None:
    pytester.makepyfile(SUITE)
    pytester.path.joinpath("llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{url}', key_env: LAB_KEY}}\n")


def test_an_external_server_is_asked_and_measured(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers are the client's; what only our own servers tell is not measured; its key is stored nowhere."""
    monkeypatch.setenv("LAB_KEY", "canary-9f2c51")
    with DemoProvider(Answer("hello there you", ttft_s=0.05, itl_s=0.005), api_key="canary-9f2c51") as provider:
        configure(pytester, provider.url)
        result = pytester.runpytest_subprocess()
        assert result.ret == 0, result.stdout.str()
        calls = provider.chats()
    measured = stored_run(pytester).measurements[0]
    assert len(calls) == 1 + 1 + 4
    assert measured.ttft_s.min >= 0.05
    assert not measured.peak_rss_bytes
    assert not measured.load_s
    written = [path for path in (pytester.path / ".llmbench").rglob("*") if path.is_file()]
    assert [path for path in written if b"canary-9f2c51" in path.read_bytes()] == []


def test_a_server_that_refuses_fields_it_does_not_know_is_measured_without_them(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_KEY", "k")

    def strict(body: dict[str, object]) -> Answer | Failure:
        if "ignore_eos" in body:
            return Failure(400, "Unrecognized request argument supplied: ignore_eos")
        return Answer("hello there")

    with DemoProvider(strict, api_key="k") as provider:
        configure(pytester, provider.url)
        assert pytester.runpytest_subprocess().ret == 0
    measured = stored_run(pytester).measurements[0]
    assert len(measured.repetitions) == 4
    assert any("asked for 8 output tokens" in note for note in measured.notes)


def test_a_key_that_is_not_set_is_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_KEY", raising=False)
    configure(pytester, "http://127.0.0.1:9")
    result = pytester.runpytest_subprocess()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *$LAB_KEY*not set*"])
