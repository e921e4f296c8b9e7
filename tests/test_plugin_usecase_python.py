"""Tests in Python beside a use case's page, and stories."""

from __future__ import annotations

import json

import pytest
from suite_runs import stored_run
from usecase_suites import asked, page, provider, usecase

from pytest_llmbench.demo import Answer

BESIDE = """
import pytest

pytestmark = pytest.mark.usecase

def test_it_shouts(reply, sample, score):
    assert score.passed, score.reason
    assert reply.text == sample.expected
    assert [part.name for part in score.parts] == ["exact"]

def test_all(model, usecase):
    replies = model.ask_all(usecase)
    assert all(usecase.score(sample, reply).passed for sample, reply in zip(usecase.samples, replies))
    assert usecase.name == "shout" and len(usecase) == 3

@pytest.mark.models("lab/n")
def test_another_model(reply):
    assert reply.model == "lab/n"
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_test_beside_a_page_takes_its_samples_replies_and_scores(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """Samples and models are the page's, or the test's own; a sample is asked once for page, test and `ask_all`."""
    folder = usecase(pytester.path, 3, "validators: [exact]")
    folder.joinpath("test_beside.py").write_text(BESIDE)
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", *arguments)
    assert result.ret == 0, result.stdout.str()
    result.assert_outcomes(passed=3 + 3 + 1 + 3)
    assert len(asked(lab)) == 3 + 3
    found = [each for each in stored_run(pytester).results if "test_it_shouts" in each.key]
    assert [(each.evaluation.use_case, each.evaluation.passed) for each in found if each.evaluation] == [
        ("shout", True)
    ] * 3


def test_a_test_elsewhere_names_the_folder(pytester: pytest.Pytester) -> None:
    """By a path from its file; a folder without a page ends the collection of the file."""
    usecase(pytester.path, 2)
    pytester.makepyfile(
        test_far="import pytest\n@pytest.mark.usecase('shout')\ndef test_it(reply): assert reply.text.isupper()",
        test_none="import pytest\n@pytest.mark.usecase\ndef test_it(reply): pass",
    )
    with provider(pytester.path):
        pytester.runpytest_subprocess("test_far.py").assert_outcomes(passed=2)
        result = pytester.runpytest_subprocess("test_none.py")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*USE-CASE.md: no such file*"])


def test_pieces_of_a_sample_are_asked_once_for_a_test_in_python(pytester: pytest.Pytester) -> None:
    """They are the test's own; what is asked ahead for the page's test is nothing that it would take."""
    text = "\n\n".join(f"Paragraph {n} is of so many words that no other one fits beside it." for n in range(3))
    chunking = "prompt: '{{input}}'\nchunking: {size: 32, when: always, merge: concat, tokenizer: characters}"
    folder = page(pytester.path / "shout", {"data/rows.jsonl": json.dumps({"id": "a", "input": text}) + "\n"}, chunking)
    beside = "import pytest\n\n@pytest.mark.usecase\ndef test_it(reply): assert reply.text.isupper()\n"
    folder.joinpath("test_beside.py").write_text(beside)
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout/test_beside.py", "-W", "ignore")
    assert result.ret == 0, result.stdout.str()
    assert len(asked(lab)) == 3


def test_a_story_is_a_test_a_model(pytester: pytest.Pytester) -> None:
    """Each turn is asked with the model's own replies before it; a pattern that does not match is told."""
    pytester.path.joinpath("greet.story.txt").write_text(
        "Story: Hello\nUser: hello\nAssistant: /HELLO/\nUser: again\nAssistant: /AGAIN/\n\n"
        "Story: Bye\nUser: bye\nAssistant: /farewell/\n"
    )
    with provider(pytester.path) as lab:
        refused = pytester.runpytest_subprocess("greet.story.txt")
        assert refused.ret == 2
        refused.stdout.fnmatch_lines(["*no model to ask*", "*--llmbench-models*"])
        result = pytester.runpytest_subprocess("greet.story.txt", "--llmbench-models", "lab/m,lab/n")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*turn 1: no match for /farewell/*"])
    assert len(asked(lab)) == 2 * 3
    talks = [call.body["messages"] for call in lab.chats() if len(call.body["messages"]) == 3]
    assert talks[0][1] == {"role": "assistant", "content": "HELLO"}
    [hello] = [each for each in stored_run(pytester).results if each.sample == "Hello" and each.model == "lab/m"]
    assert hello.evaluation is not None
    assert (hello.evaluation.use_case, hello.evaluation.page) == ("greet", "greet.story.txt")
    assert [score.name for score in hello.evaluation.scores] == ["turn 1", "turn 2"]
    assert len(hello.reply_ids) == 2


def test_a_story_beside_a_page_takes_its_models(pytester: pytest.Pytester) -> None:
    """So that a folder is asked as one."""
    folder = usecase(pytester.path, 1)
    folder.joinpath("a.story.txt").write_text("Story: A\nUser: yes\nAssistant: /YES/\n")
    with provider(pytester.path, lambda body: Answer(body["messages"][-1]["content"].upper())):
        pytester.runpytest_subprocess("shout").assert_outcomes(passed=2)
