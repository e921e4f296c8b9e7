"""The use cases that come with the project: read without a problem, and answered by demo models as models would."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from pytest_llmbench import usecases
from pytest_llmbench.cli import main
from pytest_llmbench.demo.conduct import Conduct
from pytest_llmbench.demo.personas import PERSONAS
from pytest_llmbench.demo.readers import KNOWN_BY, replies
from pytest_llmbench.records import Score
from pytest_llmbench.usecases import UseCase

ROOT = Path(__file__).parents[1]
SUITE = ROOT / "example_suites" / "usecases"
CASES = sorted(page.parent.name for page in SUITE.glob("*/USE-CASE.md"))
MODELS = ("demo/careful", "demo/hasty", "smollm2-135m:Q4_1")


@cache
def case(name: str) -> UseCase:
    return usecases.load(SUITE / name)


@cache
def passed(name: str, who: str) -> dict[str, bool | None]:
    """Whether a demo model is right, by sample: True, False, or None where a score is an error or there is none."""
    return {sample.id: _verdict(case(name).scores(sample, _said(name, who, sample))) for sample in case(name).samples()}


def _said(name: str, who: str, sample: object) -> str:
    messages = case(name).prompt.messages(sample, f"demo/{who}")
    return PERSONAS[who].answer({"messages": messages}, Conduct()).text


def _verdict(scores: list[Score]) -> bool | None:
    verdicts = [score.passed for score in scores if score.passed is not None]
    return all(verdicts) if verdicts and all(score.state == "scored" for score in scores) else None


def test_there_are_ten() -> None:
    """As the documentation says."""
    assert len(CASES) == 10


@pytest.mark.parametrize("name", CASES)
def test_a_shipped_use_case_has_no_problem(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even in its expected answers; it has 8 to 20 samples and asks two demo models and a local one."""
    assert main(["usecase", "check", str(SUITE / name)]) == 0, capsys.readouterr().out
    assert 8 <= len(list(case(name).samples())) <= 20
    assert case(name).models == MODELS


@pytest.mark.parametrize("name", CASES)
def test_demo_models_know_each_sample_by_its_own_words(name: str) -> None:
    """What is asked about a sample has the text that its reply is found by, and no other sample's behind it."""
    known = [each["about"] for each in replies()]
    assert len(set(known)) == len(known)
    found = [[about for about in known if about in asked] for asked in _questions(name)]
    assert all(len(abouts) == 1 for abouts in found)


def _questions(name: str) -> list[str]:
    return [str(case(name).prompt.messages(sample)[-1]["content"]) for sample in case(name).samples()]


@pytest.mark.parametrize("name", CASES)
def test_demo_models_are_right_as_often_as_models_are(name: str) -> None:
    """One nearly always, the other about every second time; nothing is left unscored."""
    careful, hasty = (list(passed(name, who).values()) for who in KNOWN_BY)
    assert None not in careful + hasty
    assert sum(careful) / len(careful) >= 0.75
    assert 0.35 <= sum(hasty) / len(hasty) < sum(careful) / len(careful)


def test_demo_models_know_nothing_else() -> None:
    """A question that no use case asks."""
    body = {"messages": [{"role": "user", "content": "Who are you?"}]}
    assert [PERSONAS[who].answer(body, Conduct()).text for who in KNOWN_BY] == ["I do not know."] * 2


def test_validators_of_many_kinds_are_shown() -> None:
    """The ten use cases show different forms of data and answers, and not the same validators again and again."""
    kinds = {validator.kind.name for name in CASES for validator in case(name).validators}
    assert len(kinds) >= 20
    endings = {file.suffix for name in CASES for file in (SUITE / name / "data").iterdir()}
    assert endings >= {".jsonl", ".csv", ".yaml", ".json", ".txt", ".md"}
    assert {case(name).output.kind for name in CASES} >= {"text", "json"}


def test_patterns_that_contradict_their_own_examples_are_each_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Four of the expected patterns of a use case are wrong: each is told with its line and its example."""
    assert main(["usecase", "check", str(Path(__file__).with_name("regex_usecase"))]) == 1
    told = [line for line in capsys.readouterr().out.splitlines() if "patterns.jsonl:" in line]
    found = [(line.split(": ")[1], line.rpartition(" ")[2]) for line in told]
    assert found == [
        ("time", "'7:05'"),
        ("semver", "'01.0.0'"),
        ("colour", "'#ffff'"),
        ("username", "'o-neill'"),
    ]
