"""Where a route may not stand, and what is wrong with one: told before anything is asked."""

from __future__ import annotations

import pytest
from judge_suites import court, judged_usecase
from route_suites import ROUTES

REFUSED = "*route/careful is a route, and a model under test cannot be one*never mixed*"


@pytest.mark.parametrize(
    ("front", "arguments"),
    [("models: [route/careful]\njudge: lab/j", ()), ("judge: lab/j", ("--llmbench-models=route/careful",))],
    ids=["page", "option"],
)
def test_a_model_under_test_is_never_a_route(pytester: pytest.Pytester, front: str, arguments: tuple[str, ...]) -> None:
    """Told with the reason, before anything is asked."""
    judged_usecase(pytester.path, 1, front)
    with court(pytester.path, ROUTES) as lab:
        result = pytester.runpytest_inprocess("shout", *arguments)
        assert not lab.chats()
    assert result.ret in {2, 4}
    result.stdout.fnmatch_lines([REFUSED])


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.models('route/careful')\ndef test_it(model):\n    model.ask('hi')\n",
        "def test_it(llama_server):\n    llama_server('route/careful').ask('hi')\n",
        "@pytest.mark.exclusive\ndef test_it(bench):\n    bench('route/careful', profile='interactive')\n",
        """
from pytest_llmbench.fixtures import SESSION
from pytest_llmbench.serving import open_model

def test_it(request):
    open_model(request.config.stash[SESSION](), "route/careful").server()
""",
    ],
    ids=["mark", "llama_server", "bench", "open_model"],
)
def test_no_fixture_gives_a_route_as_a_model(pytester: pytest.Pytester, test: str) -> None:
    """However it is named: nothing is asked by it."""
    pytester.makepyfile(f"import pytest\n{test}")
    with court(pytester.path, ROUTES) as lab:
        result = pytester.runpytest_inprocess()
        assert not lab.chats()
    assert result.ret in {1, 2}
    result.stdout.fnmatch_lines([REFUSED])


def test_a_matrix_of_a_route_is_refused(pytester: pytest.Pytester) -> None:
    """Its model is under test."""
    with court(pytester.path, ROUTES + "matrix: {models: [route/careful], profiles: [interactive]}\n") as lab:
        result = pytester.runpytest_inprocess("llmbench.yaml")
        assert not lab.chats()
    assert result.ret != 0
    result.stdout.fnmatch_lines([REFUSED])


@pytest.mark.parametrize(
    ("routes", "judge", "told"),
    [
        (
            "routes:\n  careful:\n    models: [lab/j, labb/k]\n",
            "judge: route/careful",
            "*llmbench.yaml:*: routes.careful.models?1?: no model is named 'labb/k'*",
        ),
        (ROUTES, "judge: route/carefull", "*no route is named 'route/carefull'; did you mean 'route/careful'*"),
        (ROUTES, "panel: [route/careful, lab/k]", "*lab/k would sit on the panel twice*one model has one vote*"),
        (
            "routes:\n  careful: {models: [openai/gpt-5-mini, lab/k]}\n",
            "judge: route/careful",
            "*the provider 'openai' needs its key in $OPENAI_API_KEY*",
        ),
    ],
    ids=["unknown model", "unknown route", "two votes", "no key"],
)
def test_what_is_wrong_with_a_route_is_told_before_anything_is_spent(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, routes: str, judge: str, told: str
) -> None:
    """With its place, also where only the last model of a chain is wrong."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    judged_usecase(pytester.path, 1, judge)
    with court(pytester.path, routes) as lab:
        result = pytester.runpytest_inprocess("shout")
        assert not lab.chats()
    assert result.ret in {2, 4}
    (result.stdout if "no " in told or "twice" in told else result.stderr).fnmatch_lines([told])
