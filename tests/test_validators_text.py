"""Short texts, exact replies, lists, JSON and forms: the whole reply counts."""

from __future__ import annotations

import pytest

from pytest_llmbench.errors import UsageError
from pytest_llmbench.validators import CHECKS, check, defect, is_scored, plain_reply

ACCEPTED = "Gabriel García Márquez | García Márquez"


@pytest.mark.parametrize(
    ("answer", "reply", "correct"),
    [
        ("Paris", "Paris", True),
        ("Paris", " paris.\n", True),
        ("Paris", "“Paris”", True),
        ("Paris", "Answer: **Paris**", True),
        ("Paris", "The answer is Paris.", True),
        ("Paris", "The capital of France is Paris.", True),
        ("Paris", "The capital of France is Paris. It lies on the river Seine.", True),
        ("Paris", "\\boxed{Paris}", True),
        ("Paris", "<think>London?</think>Paris", True),
        ("heart", "The heart", True),
        ("Paris", "", False),
        ("Paris", "Parisian", False),
        ("Paris", "not Paris", False),
        ("Paris", "The capital is not Paris.", False),
        ("Paris", "Paris or London", False),
        ("Paris", "Paris. London. Rome.", False),
        ("Paris", "Paris. Actually, it is London now.", False),
        ("Paris", "Answer: Paris\nAnswer: London", False),
        ("Paris", "I do not know whether it is Paris or London", False),
        ("no", "I know", False),
        (ACCEPTED, "Gabriel García Márquez", True),
        (ACCEPTED, "GARCÍA MÁRQUEZ", True),
        (ACCEPTED, "Garci\u0301a Ma\u0301rquez", True),
        (ACCEPTED, "García", False),
    ],
)
def test_a_short_text_is_compared_whole(answer, reply, correct):
    """Never by looking for the expected word in the reply."""
    assert check("text", reply, answer).correct is correct


@pytest.mark.parametrize(
    ("reply", "correct"),
    [(" ready\n", True), ("Ready", False), ("ready.", False), ("", False), ("<think>x</think>ready", True)],
)
def test_an_exact_reply_is_exact_but_for_space_around_it(reply, correct):
    """Case and punctuation count."""
    assert check("exact", reply, "ready").correct is correct


@pytest.mark.parametrize(
    ("item_check", "reply", "correct"),
    [
        ("list:comma", "red, Green,blue.", True),
        ("list:comma", "green, red, blue", False),
        ("list:comma", "red, green, blue, red", False),
        ("list:comma", "red and green and blue", False),
        ("list:comma", "Here they are: red, green, blue", False),
        ("list:comma", "red,\ngreen, blue", False),
        ("set:comma", "green, blue, red", True),
        ("set:comma", "green, blue, red, red", False),
        ("list:lines", "red\n\ngreen\nblue", True),
        ("list:lines", "- red\n- green\n- blue", False),
        ("list:bullets", "* red\n* green\n* blue", True),
        ("list:bullets", "- red\ngreen\n- blue", False),
        ("list:bullets", "The list:\n- red\n- green\n- blue", False),
        ("list:numbered", "1. red\n2) green\n3. **blue**", True),
        ("list:numbered", "1. red\n3. green\n4. blue", False),
        ("list:numbered", "1.red\n2.green\n3.blue", False),
        ("list:comma", "", False),
    ],
)
def test_a_list_has_its_items_and_its_style_all_through(item_check, reply, correct):
    """No lead-in, nothing more, nothing less."""
    assert check(item_check, reply, "red, green, blue").correct is correct


@pytest.mark.parametrize(
    ("reply", "correct"),
    [
        ('{"a": 1, "b": [true, "x"]}', True),
        ('{"b": [true, "x"], "a": 1.0}', True),
        ('```json\n{"a": 1, "b": [true, "x"]}\n```', True),
        ('<think>hm</think>\n{"a": 1, "b": [true, "x"]}', True),
        ('{"a": "1", "b": [true, "x"]}', False),
        ('{"a": true, "b": [true, "x"]}', False),
        ('{"a": 1, "b": [1, "x"]}', False),
        ('{"a": 1, "b": ["x", true]}', False),
        ('{"a": 1, "b": [true, "x"], "c": null}', False),
        ('{"a": 2, "a": 1, "b": [true, "x"]}', False),
        ('{"a": 1, "b": [true, "x"]} I hope this helps!', False),
        ('Sure: {"a": 1, "b": [true, "x"]}', False),
        ('```\n{"a": 1, "b": [true, "x"]}\n```\n```\n{}\n```', False),
        ('{"a": NaN, "b": [true, "x"]}', False),
        ('{"a": 1,', False),
        ("", False),
        ("[" * 100_000, False),
        (f'{{"a": {"9" * 10_000}}}', False),
    ],
)
def test_json_is_equal_in_value_and_type_and_alone(reply, correct):
    """A number is not a text, `true` is not 1, a key does not stand there twice, and nothing stands beside it."""
    assert check("json", reply, '{"a": 1, "b": [true, "x"]}').correct is correct


def test_bare_json_has_no_fence():
    """For prompts that say so."""
    assert check("json:bare", "[1]", "[1]").correct
    assert not check("json:bare", "```json\n[1]\n```", "[1]").correct


@pytest.mark.parametrize(
    ("form", "reply", "correct"),
    [
        ("words=5", "One two, three - four five!", True),
        ("words=5", "One two three four", False),
        ("words=3-5", "One two three", True),
        ("words=3-5", "One two three four five six", False),
        ("lines=2", "a\n\nb", True),
        ("lines=2", "a", False),
        ("contains=rain", "Rain!", True),
        ("contains=rain", "The train", False),
        ("without=e", "a b c", True),
        ("without=e", "A B E", False),
        ("starts=Dear", "Dear Ann", True),
        ("starts=Dear", "My dear", False),
        ("ends=?", "Why?", True),
        ("ends=?", "Why? Because.", False),
        ("each=- ", "- a\n- b", True),
        ("each=- ", "- a\nb", False),
        ("case=upper", "GO NOW 2", True),
        ("case=upper", "Go", False),
        ("case=lower", "go now", True),
        ("words=2;case=lower;contains=go", "go now", True),
        ("words=2;case=lower;contains=go", "go on now", False),
        ("words=1", "", False),
    ],
)
def test_a_form_holds_for_the_whole_reply(form, reply, correct):
    """All that it asks for."""
    assert check(f"form:{form}", reply, "an example").correct is correct


def test_code_is_neither_correct_nor_wrong():
    """What a model wrote is not run, and the verdict says so."""
    verdict = check("code", "def f(): ...", "")
    assert (verdict.scored, verdict.correct, is_scored("code")) == (False, False, False)
    assert verdict.reason == "not scored: execution is not enabled"


@pytest.mark.parametrize(
    ("item_check", "message"),
    [
        ("nmber", "there is no check 'nmber'; did you mean 'number'?"),
        ("", "there is no check ''"),
        ("choice:2", "the check 'choice:2' has an argument that 'choice' does not take"),
        ("number:", "the check 'number:' has an argument that 'number' does not take"),
    ],
)
def test_an_unknown_check_is_refused_and_a_near_one_offered(item_check, message):
    """By whoever scores, and by whoever looks at an item."""
    with pytest.raises(UsageError) as refused:
        check(item_check, "x", "x")
    assert str(refused.value).startswith(message)
    assert defect(item_check, "x").startswith(message)


@pytest.mark.parametrize(
    ("item_check", "answer", "options", "part"),
    [
        ("number", "twelve", (), "is not a number"),
        ("number:-1", "12", (), "the tolerance '-1'"),
        ("number:x", "12", (), "the tolerance 'x'"),
        ("choice", "E", ("x", "y"), "is not one of the letters A, B"),
        ("choice", "AB", ("x", "y"), "is not one of the letters A, B"),
        ("choice", "A", ("x",), "2 to 10 options, not 1"),
        ("choice", "A", tuple("abcdefghijk"), "2 to 10 options, not 11"),
        ("choice", "A", ("The cat", "cat."), "are the same"),
        ("choice", "A", ("cat", "..."), "is empty"),
        ("one_of", "x", ("y", "z"), "is not one of the options"),
        ("one_of", "x", ("x",), "at least 2 options"),
        ("yes_no", "maybe", (), "neither yes nor no"),
        ("text", "...", (), "empty alternative"),
        ("exact", " ", (), "empty"),
        ("list", "a, b", (), "one of the styles"),
        ("list:dots", "a, b", (), "one of the styles"),
        ("list:comma", "a, , b", (), "empty item"),
        ("list:comma", "[1", (), "not a list"),
        ("set:comma", "[1]", (), "a JSON list of texts"),
        ("json", "{", (), "not JSON"),
        ("json:bear", "{}", (), "is not known"),
        ("form:words=five", "x", (), "a count (5) or a range"),
        ("form:wrds=5", "x", (), "is not a form"),
        ("form:words=1;words=1", "x", (), "is not a form"),
        ("form:case=title", "x", (), "the case is"),
        ("form:words=2", "one", (), "is to be an example"),
    ],
)
def test_an_item_that_cannot_be_scored_as_meant_is_told(item_check, answer, options, part):
    """Before any model is asked."""
    assert part in defect(item_check, answer, options)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_says_what_it_accepts(name):
    """For the documentation."""
    assert len(CHECKS[name].about) > 20


@pytest.mark.parametrize(
    ("item_check", "answer", "options", "plain"),
    [
        ("number:0.1", "12", (), "12"),
        ("choice", "B", ("x", "y"), "B"),
        ("text", "Au | gold", (), "Au"),
        ("list:bullets", "a, b", (), "- a\n- b"),
        ("list:numbered", '["a", "b, c"]', (), "1. a\n2. b, c"),
        ("set:lines", "a, b", (), "a\nb"),
        ("list:comma", "a, b", (), "a, b"),
    ],
)
def test_the_plainest_reply_is_the_answer_in_the_form_that_is_asked_for(item_check, answer, options, plain):
    """And it passes."""
    assert plain_reply(item_check, answer, options) == plain
    assert check(item_check, plain, answer, options).correct
