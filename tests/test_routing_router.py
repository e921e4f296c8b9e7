"""Which model of a route comes first, and why: decisions alone, nothing is asked."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any, get_args

import pytest

from pytest_llmbench import clock
from pytest_llmbench.asker.question import Status
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.config import parse
from pytest_llmbench.config.route_schema import Choose, DoubtName
from pytest_llmbench.errors import Category, ConfigError, InfraError, UsageError
from pytest_llmbench.judges.border import is_on_border
from pytest_llmbench.judges.rubric import Criterion, Rubric
from pytest_llmbench.records import Capabilities, Price, Reply, Score, Target, ToolCall, Usage
from pytest_llmbench.routing.asking import asked_by_route, tell_beside
from pytest_llmbench.routing.difficulty import SIGNS, difficulty
from pytest_llmbench.routing.doubts import DOUBTS, confidence, may_tell_confidence, of_chat
from pytest_llmbench.routing.failing import BLAMED, HELPS, LASTING
from pytest_llmbench.routing.figures import Figures
from pytest_llmbench.routing.knowledge import RESTS_S, Knowledge
from pytest_llmbench.routing.path import Path
from pytest_llmbench.routing.route import Route, Rule, Try, Unsure, route_of
from pytest_llmbench.routing.router import EXPLORED_EVERY, Known, ranked

ALL_DOUBTS = frozenset(DOUBTS)
CHEAP, DEAR = Price("0.000001", "0.000002"), Price("0.00001", "0.00002")


class Facts:
    """What a test says of models."""

    def __init__(self, *known: Known) -> None:
        self._known = {each.model: each for each in known}
        self.failures: list[str] = []

    def of(self, models: Any) -> dict[str, Known]:
        return {name: self._known.get(name, Known(name)) for name in models}

    def failed(self, model: str, error: InfraError) -> None:
        self.failures.append(f"{model}: {error.category}")

    def answered(self, model: str) -> None:
        """Of no interest here."""


def figures(text: str = "Is this polite?", use_case: str = "", **more: Any) -> Figures:
    return Figures(ChatRequest("a/x", ({"role": "user", "content": text},), **more), use_case)


def order(route: Route, *known: Known, question: Figures | None = None, **more: Any) -> list[str]:
    found = ranked(route, question or not_explored(), Facts(*known).of(route.members), **more)
    return [each.model for each in found.candidates]


def not_explored() -> Figures:
    """A question that `fastest` explores nothing with."""
    return next(each for n in range(1000) if (each := figures(f"question {n}")).draw % EXPLORED_EVERY)


def failure(category: Category) -> InfraError:
    return InfraError("it failed", category=category)


def test_a_chain_is_asked_in_its_order_but_for_who_is_in_trouble() -> None:
    """An open breaker, a long hold, a failure that lasts: such a model comes after the others, and still comes."""
    route = Route("route/r", ("a/x", "b/y", "c/z", "d/w"))
    assert order(route) == ["a/x", "b/y", "c/z", "d/w"]
    troubled = Known("a/x", breaker="open"), Known("b/y", held_s=60), Known("c/z", gone="auth")
    assert order(route, *troubled) == ["d/w", "a/x", "b/y", "c/z"]
    assert order(route, Known("a/x", held_s=2)) == ["a/x", "b/y", "c/z", "d/w"]


def test_who_refused_everything_is_asked_last_for_a_while_and_first_again_once_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else each question of the run waits for the one that is overloaded today."""
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    knows = Knowledge(lambda _: None, Status, lambda _: ())
    route = Route("route/r", ("a/x", "b/y"))

    def asked_first() -> str:
        return ranked(route, figures("why?"), knows.of(route.members)).candidates[0].model

    knows.failed("a/x", failure(Category.SERVER))
    assert asked_first() == "a/x"
    for category in (Category.OVERLOADED, Category.RATE_LIMITED):
        knows.failed("a/x", failure(category))
        assert asked_first() == "b/y"
        assert "refused everything" in knows.of(["a/x"])["a/x"].trouble
        now[0] += RESTS_S + 1
        assert asked_first() == "a/x"
    knows.failed("a/x", failure(Category.OVERLOADED))
    knows.answered("a/x")
    assert asked_first() == "a/x"


def test_the_cheapest_is_the_cheapest_for_this_question_and_unknown_prices_come_last() -> None:
    """Price × expected tokens: which is cheaper depends on how much is asked and answered."""
    route = Route("route/r", ("a/x", "b/y", "c/z"), "cheapest")
    brief, wordy = Price("0.000010", "0.000001"), Price("0.000001", "0.000010")
    known = Known("b/y", price=brief), Known("c/z", price=wordy)
    long_question = figures("word " * 4000, max_tokens=10)
    assert order(route, *known, question=long_question) == ["c/z", "b/y", "a/x"]
    assert order(route, *known, question=figures("why?", max_tokens=200)) == ["b/y", "c/z", "a/x"]
    here = Known("a/x", is_free=True)
    assert order(route, here, *known, question=long_question)[0] == "a/x"


def test_the_fastest_is_as_measured_and_all_are_explored_now_and_then() -> None:
    """Who was never measured comes last, but one question in sixteen goes to who has answered least."""
    route = Route("route/r", ("a/x", "b/y", "c/z"), "fastest")
    known = Known("a/x", latency_s=2.0, answered=50), Known("b/y", latency_s=0.5, answered=9)
    assert order(route, *known) == ["b/y", "a/x", "c/z"]
    questions = [figures(f"question {n}") for n in range(2000)]
    firsts = [order(route, *known, question=each)[0] for each in questions]
    assert set(firsts) == {"b/y", "c/z"}
    assert 60 < firsts.count("c/z") < 200
    assert firsts == [order(route, *known, question=each)[0] for each in questions]


def test_the_healthiest_fails_least_and_has_the_shortest_line() -> None:
    """A half-open breaker comes last, then failures count, then how long the line is."""
    route = Route("route/r", ("a/x", "b/y", "c/z", "d/w"), "healthiest")
    known = (
        Known("a/x", breaker="half-open"),
        Known("b/y", answered=10, broken=10),
        Known("c/z", answered=20, waiting=100, limit=10, latency_s=1.0),
        Known("d/w", answered=20, waiting=10, limit=10, latency_s=1.0),
    )
    assert order(route, *known) == ["d/w", "c/z", "b/y", "a/x"]


def test_rules_give_other_models_to_some_questions() -> None:
    """The first that fits; all that it says has to hold."""
    rules = (
        Rule({"use_case": "legal-*", "min_tokens": 100}, ("law/big",), "order"),
        Rule({"use_case": "legal-*"}, ("law/small", "a/x"), "order"),
        Rule({"json_schema": True}, ("j/son",), "order"),
    )
    route = Route("route/r", ("a/x",), rules=rules)
    assert order(route, question=figures("word " * 200, "legal-nda")) == ["law/big"]
    assert order(route, question=figures("short", "legal-nda")) == ["law/small", "a/x"]
    assert order(route, question=figures("short", "triage")) == ["a/x"]
    schema = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}
    assert order(route, question=figures("short", extra=schema)) == ["j/son"]


def test_who_cannot_take_a_question_is_left_out_and_nobody_is_told() -> None:
    """Pictures, and prompts longer than a context; where nobody is left, that is an error of the question."""
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
    seen = Figures(ChatRequest("a/x", (picture,)))
    blind = Known("a/x", capabilities=Capabilities(images=False, source="llmbench.yaml"))
    route = Route("route/r", ("a/x", "b/y"))
    assert order(route, blind, question=seen) == ["b/y"]
    assert order(route, Known("b/y", context_tokens=100), question=figures("word " * 400)) == ["a/x"]
    with pytest.raises(UsageError, match=r"route/r has no model that can take the question: a/x takes no images"):
        Path(Route("route/r", ("a/x",)), seen, Facts(blind))


def test_a_question_that_looks_hard_goes_to_the_stronger_ones_at_once() -> None:
    """And to the others only where those fail."""
    unsure = Unsure(("s/s",), frozenset({"hard"}), 0.8, 0.5)
    route = Route("route/r", ("a/x",), unsure=unsure)
    hard = figures("\n".join(f"{n}. What is x = {n} + {n * n}^2 / 7? ```f({n})```" for n in range(40)))
    assert (order(route), order(route, question=hard)) == (["a/x", "s/s"], ["s/s", "a/x"])
    assert difficulty(({"role": "user", "content": "Hi, how are you"},)) < 0.1
    assert 0.5 < hard.difficulty <= 1
    assert sum(sign.weight for sign in SIGNS) == pytest.approx(1)


def test_an_unsure_answer_is_followed_by_stronger_ones_only_once() -> None:
    """Their own doubts lead nowhere; each try is told."""
    route = Route("route/r", ("a/x", "b/y"), unsure=Unsure(("s/s", "t/t"), ALL_DOUBTS, 0.8, 0.99))
    path = Path(route, figures(), Facts())
    assert (path.model, path.unsure("border"), path.model) == ("a/x", True, "s/s")
    assert not path.unsure("border")
    assert (path.failed(failure(Category.OVERLOADED)), path.model, path.is_last) == (True, "t/t", True)
    assert not path.failed(failure(Category.OVERLOADED))
    assert path.tries == [Try("a/x", "border", True), Try("s/s", "overloaded"), Try("t/t", "overloaded")]


def test_failures_lead_on_as_far_as_another_model_can_help() -> None:
    """Not for a wrong request; not to a third one where two failed in a way that may be the question's own."""
    route = Route("route/r", ("a/x", "b/y", "c/z"))
    assert not Path(route, figures(), Facts()).failed(failure(Category.INVALID_REQUEST))
    path = Path(route, figures(), Facts())
    assert [path.failed(failure(Category.SERVER)) for _ in range(2)] == [True, False]
    path = Path(route, figures(), Facts())
    assert [path.failed(failure(Category.AUTH)), path.failed(failure(Category.SERVER))] == [True, True]
    unsent = failure(Category.SERVER)
    unsent.unsent = True
    path = Path(route, figures(), Facts())
    assert [path.failed(unsent), path.failed(failure(Category.SERVER))] == [True, True]
    blamed = failure(Category.SERVER)
    blamed.blamed = True
    assert not Path(route, figures(), Facts()).failed(blamed)


def test_a_chat_is_told_of_each_model_and_keeps_a_doubtful_answer_where_no_other_comes() -> None:
    """`a/x` fails, `b/y` refuses, `s/s` fails: the refusal is what there is."""
    route = Route("route/r", ("a/x", "b/y"), unsure=Unsure(("s/s",), ALL_DOUBTS, 0.8, 0.99))
    answers = {"b/y": Reply("I cannot help.", "b/y")}

    def ask(model: str) -> Reply:
        if model not in answers:
            raise failure(Category.OVERLOADED)
        return answers[model]

    told: list[Try] = []
    path = Path(route, figures(), Facts())
    reply = asked_by_route(path, ask, lambda said: "refusal" if "cannot" in said.text else "", told.append)
    assert (reply.text, path.model) == ("I cannot help.", "b/y")
    assert [(each.model, each.why) for each in told] == [("a/x", "overloaded"), ("b/y", "refusal")]
    answers.clear()
    with pytest.raises(InfraError, match=r"it failed \(route/r: a/x: overloaded, b/y: overloaded, s/s: overloaded\)"):
        asked_by_route(Path(route, figures(), Facts()), ask)


def test_who_was_asked_is_told_beside_a_failure_once_and_not_taken_for_a_route_with_a_longer_name() -> None:
    """`route/r` is no part of `route/rare`."""
    path = Path(Route("route/r", ("a/x",)), figures(), Facts())
    error = failure(Category.SERVER)
    error.message = "it failed (route/rare: b/y: auth)"
    for _ in range(2):
        tell_beside(error, path)
        assert error.message == "it failed (route/rare: b/y: auth) (route/r)"
    path.failed(error)
    path.tries *= 2
    told = failure(Category.SERVER)
    for _ in range(2):
        tell_beside(told, path)
        assert told.message == f"it failed (route/r: {path.told()})"


def test_doubts_of_a_chat_are_what_they_are_said_to_be() -> None:
    """Each by itself, and none of those that a route does not go by."""
    unsure = Unsure(("s/s",), ALL_DOUBTS, 0.8, 0.5)
    replies = {
        "refusal": Reply("No.", "m", finish_reason="content_filter"),
        "empty": Reply(" ", "m"),
        "cut": Reply("It was a dark and", "m", finish_reason="length"),
        "low_confidence": Reply("Paris", "m", usage=Usage(mean_logprob=-1.0)),
    }
    for doubt, reply in replies.items():
        assert of_chat(reply, unsure, lambda _: "") == doubt
        assert of_chat(reply, Unsure(("s/s",), frozenset({"hard"}), 0.8, 0.5), lambda _: "") == ""
    sure = Reply("Paris", "m", usage=Usage(mean_logprob=-0.01))
    assert of_chat(sure, unsure, lambda _: "") == ""
    assert of_chat(Reply("", "m", tool_calls=(ToolCall("", "f", "{}"),)), unsure, lambda _: "") == ""
    assert confidence(sure) == pytest.approx(0.99, abs=0.001)
    assert confidence(Reply("Paris", "m")) is None


@pytest.mark.parametrize(("format_", "may"), [("openai", True), ("azure", True), ("anthropic", False)])
def test_who_may_tell_how_likely_tokens_were_is_one_question_for_judges_and_chats(format_: str, may: bool) -> None:
    """All wire formats but one, where nobody says that the model does not."""
    target = Target("lab/m", "lab", "m", format_, "https://lab.example")
    assert may_tell_confidence(target) is may
    mute = Capabilities(logprobs=False, source="llmbench.yaml")
    assert not may_tell_confidence(replace(target, capabilities=mute))


@pytest.mark.parametrize(("grade", "is_border"), [(1, False), (2, True), (3, True), (4, False), (5, False)])
def test_a_grade_is_on_the_border_where_a_step_would_turn_it(grade: int, is_border: bool) -> None:
    """Of 1 to 5, with one half to pass: between 2 and 3."""
    rubric = Rubric("r", (Criterion("c", "It is good.", scale={1: "bad", 5: "good"}),))
    value = (grade - 1) / 4
    part = Score("c", value=value, passed=value >= 0.5)
    assert is_on_border(rubric, Score("j", value=value, passed=value >= 0.5, parts=(part,))) is is_border


def test_a_yes_or_no_has_no_border_and_a_must_has_its_own() -> None:
    """What cannot move by a step turns nothing; a grade that must pass turns the whole verdict."""
    holds = Criterion("h", "It holds.", "yes-no", weight=9)
    must = Criterion("m", "It is safe.", scale={1: "no", 5: "yes"}, must=True)
    yes = Score("h", value=1.0, passed=True)
    assert not is_on_border(Rubric("r", (holds,)), Score("j", value=1.0, passed=True, parts=(yes,)))
    barely = Score("m", value=0.5, passed=True)
    whole = Score("j", value=0.95, passed=True, parts=(yes, barely))
    assert is_on_border(Rubric("r", (holds, must)), whole)


CASES = {
    "{models: [a/x], choose: nearest}": r"routes.r.choose: 'nearest' is not allowed \(allowed: 'order', 'cheapest'",
    "{models: []}": r"routes.r.models: must not be empty",
    "{models: [a/x, a/x]}": r"routes.r.models: 'a/x' stands in it twice",
    "{models: [route/r]}": r"routes.r.models\[0\]: 'route/r' is a route: a route holds models alone",
    "{models: [a/x], rules: [{when: {}, models: [b/y]}]}": r"rules\[0\].when: says nothing \(allowed: use_case",
    "{models: [a/x], rules: [{when: {images: true}, models: [b/y], to: 1}]}": r"rules\[0\].to: unknown key",
    "{models: [a/x], unsure: {to: [a/x]}}": r"routes.r.models: 'a/x' stands under `unsure: \{to: ...\}` as well",
    "{models: [a/x], unsure: {to: [b/y], when: [bored]}}": r"unsure.when\[0\]: 'bored' is not allowed",
    "{models: [a/x], rules: [{when: {min_tokens: 9, max_tokens: 8}, models: [b/y]}]}": r"no prompt has at least 9",
}


@pytest.mark.parametrize("said", CASES)
def test_what_is_wrong_with_a_route_is_told_with_its_line(said: str) -> None:
    """And with what is allowed."""
    with pytest.raises(ConfigError, match=r"llmbench.yaml:2: .*" + CASES[said]):
        parse(f"routes:\n  r: {said}\n")


@pytest.mark.parametrize("section", ["servers", "providers"])
def test_nothing_else_is_named_route(section: str) -> None:
    """Its models' names would be those of routes."""
    with pytest.raises(ConfigError, match="'route' stands for the routes of `routes:`"):
        parse(f"{section}:\n  route: {{url: 'http://127.0.0.1:1'}}\n")


def test_a_route_of_the_file_is_the_route_that_is_used() -> None:
    """Each field arrives; a rule chooses as its route does where it says nothing else."""
    text = """
routes:
  careful:
    models: [a/x, b/y]
    choose: cheapest
    rules:
      - {when: {use_case: "legal-*"}, models: [c/z]}
      - {when: {images: true}, models: [d/w], choose: order}
    unsure: {to: [s/s], confidence: 0.9, difficulty: 0.7}
"""
    route = route_of("careful", parse(text).routes["careful"])
    assert (route.name, route.models, route.choose) == ("route/careful", ("a/x", "b/y"), "cheapest")
    assert [(rule.models, rule.choose) for rule in route.rules] == [(("c/z",), "cheapest"), (("d/w",), "order")]
    assert route.unsure == Unsure(
        ("s/s",), frozenset({"unusable", "border", "disagreement", "refusal", "empty", "cut"}), 0.9, 0.7
    )
    assert route.members == ("a/x", "b/y", "c/z", "d/w", "s/s")
    assert route.firsts == ("a/x", "c/z", "d/w")
    known = Facts().of(route.members)
    assert ranked(route, figures(), known).candidates[0].cost_usd is None
    known["a/x"] = Known("a/x", is_free=True)
    assert ranked(route, figures(), known).candidates[0].cost_usd == Decimal(0)


def test_every_doubt_and_every_choice_is_documented() -> None:
    """The table of doubts is that of the configuration, and the how-to names each."""
    page = (FilePath(__file__).parents[1] / "docs" / "how-to" / "fall-back-and-route.md").read_text(encoding="utf-8")
    assert tuple(DOUBTS) == get_args(DoubtName)
    assert {doubt.of for doubt in DOUBTS.values()} == {"judge", "chat", "both"}
    assert [name for name in (*DOUBTS, *get_args(Choose)) if f"| `{name}` |" not in page] == []


def test_what_is_the_runs_own_trouble_leads_to_nobody_else() -> None:
    """A wrong request, a full disk, an asker that died; what is blamed or lasts is among what another may mend."""
    own = {Category.INVALID_REQUEST, Category.LOCAL_DISK_FULL, Category.LOCAL_ASKER, Category.STORE, Category.CANCELLED}
    assert own.isdisjoint(HELPS)
    assert HELPS.keys() >= BLAMED | LASTING
