"""What nobody tells of a model is tried out once, with tiny requests, and remembered."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_llmbench import clock
from pytest_llmbench.asker.fitting import fitted
from pytest_llmbench.asker.probing import _PROBES, MAX_TOKENS, TRIED, Probes
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.demo import Answer, DemoProvider, Failure, Reaction
from pytest_llmbench.errors import Category, OverBudgetError, WireError
from pytest_llmbench.providers.capabilities import Findings
from pytest_llmbench.records import Capabilities, Reply, Target

TARGET = Target(
    "lab/m", "lab", "m", "openai", "https://lab.example", capabilities=Capabilities(tools=True, source="table")
)
SEEDED = ChatRequest("lab/m", ({"role": "user", "content": "A long question. " * 100},), max_tokens=4000, seed=7)
LOGPROBS = ChatRequest("lab/m", SEEDED.messages, extra={"logprobs": True})


class Provider:
    """Answers what it takes, and refuses or fails as told.

    Args:
        refuses: whether a request is refused.
        category: as what it is refused.
    """

    def __init__(self, refuses: Callable[[ChatRequest], bool], category: Category = Category.INVALID_REQUEST) -> None:
        self.asked: list[Question] = []
        self._refuses = refuses
        self._category = category

    def __call__(self, question: Question) -> Reply:
        self.asked.append(question)
        request, notes = fitted(question.request, question.target)
        assert (request, notes) == (question.request, ()), "a probe is sent as it is"
        if self._refuses(request):
            raise WireError("refused", category=self._category, status=400)
        return Reply("ok", question.target.name)


def probes(provider: Provider, folder: Path) -> Probes:
    """A new session's."""
    return Probes(provider, Findings(folder))


def test_a_feature_that_is_refused_is_known_to_be_missing(tmp_path):
    """The same request without it is accepted, so that the feature is to blame."""
    provider = Provider(lambda request: request.seed is not None)
    known = probes(provider, tmp_path).known(TARGET, SEEDED)
    assert (known.capabilities.seed, known.capabilities.tools) == (False, True)
    assert known.capabilities.source == "table, probe"
    assert len(provider.asked) == 2
    assert fitted(SEEDED, known)[0].seed is None


def test_a_feature_that_is_accepted_costs_one_tiny_request(tmp_path):
    """None of the user's prompt is in it, and it is asked as a probe."""
    provider = Provider(lambda _: False)
    known = probes(provider, tmp_path).known(TARGET, SEEDED)
    [question] = provider.asked
    assert known.capabilities.seed is True
    assert (question.role, question.request.max_tokens, question.request.stream) == ("probe", MAX_TOKENS, False)
    assert len(str(question.request.messages)) < 100


def test_what_was_found_out_is_remembered_by_other_sessions(tmp_path):
    """For 30 days."""
    probes(Provider(lambda request: request.seed is not None), tmp_path).known(TARGET, SEEDED)
    later = Provider(lambda _: False)
    assert probes(later, tmp_path).known(TARGET, SEEDED).capabilities.seed is False
    assert later.asked == []


def test_after_30_days_it_is_tried_again(tmp_path, monkeypatch):
    """Providers learn."""
    probes(Provider(lambda request: request.seed is not None), tmp_path).known(TARGET, SEEDED)
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(days=31))
    assert probes(Provider(lambda _: False), tmp_path).known(TARGET, SEEDED).capabilities.seed is True


def test_thousands_of_requests_are_one_question(tmp_path):
    """And give the very same target, which others compare by identity."""
    provider = Provider(lambda _: False)
    session = probes(provider, tmp_path)
    first = session.known(TARGET, SEEDED)
    assert all(session.known(TARGET, SEEDED) is first for _ in range(100))
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("refuses", "category"),
    [
        (lambda _: True, Category.INVALID_REQUEST),
        (lambda _: True, Category.AUTH),
        (lambda request: request.seed is not None, Category.SERVER),
    ],
)
def test_a_failure_that_tells_nothing_leaves_it_unknown(tmp_path, refuses, category):
    """A model that refuses all, a wrong key, a provider that is down: not tried twice, not remembered."""
    provider = Provider(refuses, category)
    session = probes(provider, tmp_path)
    assert session.known(TARGET, SEEDED).capabilities.seed is None
    before = len(provider.asked)
    session.known(TARGET, SEEDED)
    assert (len(provider.asked), list(tmp_path.iterdir())) == (before, [])


def test_nothing_is_tried_that_is_known_or_not_needed(tmp_path):
    """A temperature and a system message are sent as they are: a refusal of theirs is loud."""
    provider = Provider(lambda _: True)
    plain = ChatRequest(
        "lab/m", ({"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}), temperature=0.7
    )
    tools = ChatRequest("lab/m", SEEDED.messages, extra={"tools": [{"type": "function"}]})
    session = probes(provider, tmp_path)
    assert session.known(TARGET, plain) is TARGET
    assert session.known(TARGET, tools) is TARGET
    assert provider.asked == []


def test_a_server_of_this_machine_is_not_tried(tmp_path):
    """Its refusal costs nothing, and what listens at a port changes."""
    here = Target("lab/m", "lab", "m", "openai", "http://127.0.0.1:8080")
    provider = Provider(lambda _: True)
    assert probes(provider, tmp_path).known(here, SEEDED) is here
    assert provider.asked == []


def test_a_budget_that_is_spent_ends_the_probing(tmp_path):
    """A probe is paid for like any other question."""

    def spent(_question: Question) -> Reply:
        raise OverBudgetError("nothing left")

    with pytest.raises(OverBudgetError):
        Probes(spent, Findings(tmp_path)).known(TARGET, SEEDED)


def test_a_file_that_was_damaged_is_found_out_anew(tmp_path):
    """A foreign one is none."""
    probes(Provider(lambda _: False), tmp_path).known(TARGET, SEEDED)
    [kept] = tmp_path.glob("*.json")
    kept.write_text('{"at": "2026-11-21T00:00:00+00:00", "takes": [1]}')
    assert (
        probes(Provider(lambda request: request.seed is not None), tmp_path).known(TARGET, SEEDED).capabilities.seed
        is False
    )


def test_findings_of_several_features_are_kept_together(tmp_path):
    """One file a model."""
    session = probes(Provider(lambda request: request.seed is not None), tmp_path)
    session.known(TARGET, SEEDED)
    session.known(TARGET, LOGPROBS)
    later = Provider(lambda _: True)
    both = ChatRequest("lab/m", SEEDED.messages, seed=1, extra={"logprobs": True})
    takes = probes(later, tmp_path).known(TARGET, both).capabilities
    assert (takes.seed, takes.logprobs, later.asked) == (False, True, [])
    assert len(list(tmp_path.iterdir())) == 1


def test_there_is_a_probe_for_whatever_is_tried_and_its_media_are_well_formed():
    """A PNG of 64 × 64 pixels and a WAV of a quarter of a second."""
    assert _PROBES.keys() == TRIED
    png = base64.b64decode(_PROBES["images"]["content"][1]["image_url"]["url"].partition(",")[2])
    assert (png[:8], struct.unpack(">2I", png[16:24]), png[-8:-4]) == (b"\x89PNG\r\n\x1a\n", (64, 64), b"IEND")
    wav = base64.b64decode(_PROBES["audio"]["content"][1]["input_audio"]["data"])
    assert (wav[:4], wav[8:12], struct.unpack("<I", wav[4:8])[0] + 8) == (b"RIFF", b"WAVE", len(wav))


SUITE = """
    import pytest

    @pytest.mark.models("far/m")
    def test_it(model):
        replies = model.ask_all(["one", "two", "three"], seed=7, max_tokens=20)
        assert [reply.text for reply in replies] == ["fine"] * 3
"""


def test_a_session_tries_once_and_leaves_out_what_is_not_taken(pytester, monkeypatch):
    """Two tiny requests before three that fit; the end of the run tells of it, and other runs are spared them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "cache"))

    def answer(body: dict[str, object]) -> Reaction:
        return Failure(400, "unknown parameter: seed") if "seed" in body else Answer("fine")

    pytester.makepyfile(SUITE)
    with DemoProvider(answer) as provider:
        far = provider.url.replace("127.0.0.1", "0.0.0.0")  # reaches this machine, and is no loopback address
        (pytester.path / "llmbench.yaml").write_text(f"providers: {{far: {{url: '{far}'}}}}\n")
        result = pytester.runpytest_subprocess()
        sent = [call.body.get("max_tokens") for call in provider.log]
    result.assert_outcomes(passed=1)
    assert sent == [MAX_TOKENS, MAX_TOKENS, 20, 20, 20]
    result.stdout.fnmatch_lines("*far/m: takes no seed, so that none was sent*")
    [kept] = (pytester.path / "cache").rglob("capabilities/*.json")
    assert '"seed": false' in kept.read_text()
