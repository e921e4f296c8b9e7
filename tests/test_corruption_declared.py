"""What a page or the command line may say of corruptions, and own ones."""

from __future__ import annotations

import random

import pytest

from pytest_llmbench.corruption import CORRUPTIONS, Damage, applied, corruption, declared_all, named_all
from pytest_llmbench.corruption.registry import Kind
from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.records import Sample


def _declared(specs, folder=None):
    return declared_all(specs, lambda path, message: ConfigError(f"{list(path)}: {message}"), folder)


@pytest.fixture
def own_names():
    """Takes out of the table what a test puts into it."""
    before = dict(CORRUPTIONS._kinds)
    yield
    CORRUPTIONS._kinds = before


@pytest.mark.parametrize(
    ("spec", "label", "strength", "options"),
    [
        ("typos", "typos", 0.1, {}),
        ("typos-5", "typos-5", 0.05, {}),
        ("typos-2.5", "typos-2.5", 0.025, {}),
        ("typos-15-characters", "typos-15-characters", 0.15, {"of": "characters"}),
        ({"typos": 0.15}, "typos-15", 0.15, {}),
        ({"typos": {"strength": 0.2, "of": "characters"}}, "typos-20-characters", 0.2, {"of": "characters"}),
        ("missing-words-20", "missing-words-20", 0.2, {}),
        ("casing-upper", "casing-upper", 0.5, {"to": "upper"}),
        ("distractors-3-before", "distractors-3-before", 3, {"where": "before"}),
        ({"distractors": {"count": 2}}, "distractors-2", 2, {}),
        ({"reordered-choices": {"column": "answers"}}, "reordered-choices-answers", 1, {"column": "answers"}),
    ],
)
def test_a_corruption_is_a_name_or_a_mapping(spec, label, strength, options):
    """The label is what results call it."""
    [found] = _declared([spec])
    assert (found.label, found.strength, dict(found.options)) == (label, pytest.approx(strength), options)


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        (["typoos-10"], r"\[0\]: there is no corruption 'typoos-10'; did you mean 'typos'"),
        (["casing", "typos-150"], r"\[1\]: the strength of 'typos-150' is 1.5: it must be above 0 and at most 1"),
        (["typos-0"], "it must be above 0"),
        ([{"typos": {"strength": -0.1}}], "it must be above 0"),
        ([{"typos": {"strength": "much"}}], r"\[0, 'typos', 'strength'\]: must be above 0"),
        ([{"typos": {"share": 0.1}}], r"unknown key.*allowed: strength, of"),
        ([{"typos": {"of": "letters"}}], r"\[0, 'typos', 'of'\]: must be one of words, characters"),
        ([{"typos": None}], "must be a mapping with some of strength, of"),
        (["typos-10-characterz"], "nobody knows 'characterz'.*did you mean 'characters'"),
        (["reordered-choices-10"], "behind reordered-choices may stand nothing"),
        (["distractors-0"], "a whole number from 1 to 50"),
        (["distractors-51"], "a whole number from 1 to 50"),
        ([{"distractors": {"count": 1.5}}], "a whole number from 1 to 50"),
        (["typos", "typos-10"], r"\[1\]: 'typos-10' is the same as 'typos'"),
        ([{"typos-10": {}}], "say 'typos' with its keys, or 'typos-10' alone"),
        ([{"typos": 0.1, "casing": 0.1}], "must be a corruption's name"),
        ([17], "must be a corruption's name"),
        ([{"paraphrase": {"file": "p.yaml", "column": "c"}}], "not in both"),
        ([{"paraphrase": {"file": "p.yaml"}}], "in a use case's folder only"),
    ],
)
def test_what_is_none_is_refused_with_its_place(specs, told):
    """Before any data are read."""
    with pytest.raises(ConfigError, match=told):
        _declared(specs)


def test_files_stand_in_the_folder(tmp_path):
    """Sentences a line, paraphrases by the samples' ids; a sample without one is left out."""
    (tmp_path / "said.txt").write_text("# ours\nIt is raining.\nIt is snowing.\n")
    (tmp_path / "p.yaml").write_text("s1: In other words.\n7: A number as an id.\n")
    told, other = _declared(
        [{"distractors": {"file": "said.txt", "count": 2}}, {"paraphrase": {"file": "p.yaml"}}], tmp_path
    )
    found = applied(told, Sample("s1", "Where is it?"))
    assert found is not None
    assert {"It is raining.", "It is snowing."} == {one for one in told.sentences or () if one in found.asked.input}
    assert [applied(other, Sample(id_, "Before.")) is not None for id_ in ("s1", "7", "s2")] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("p.yaml", "- a\n- b\n", "p.yaml"),
        ("p.yaml", "s1: [a]\n", "mapping of samples' ids to texts"),
        ("p.yaml", "s1: 'half", "p.yaml"),
        ("../p.yaml", "", "leads out of the folder"),
        ("none.yaml", "", "there is no file"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, name, content, told):
    """With its name, and its place once."""
    (tmp_path / "p.yaml").write_text(content)
    with pytest.raises(ConfigError, match=told) as error:
        _declared([{"paraphrase": {"file": name}}], tmp_path)
    assert error.value.message.count("[0, 'paraphrase', 'file']") == 1


def test_more_sentences_than_the_file_has_are_refused(tmp_path):
    """Else there would be fewer than asked."""
    (tmp_path / "said.txt").write_text("It is raining.\n")
    with pytest.raises(ConfigError, match="has 1 sentences, and 2 are told at once"):
        _declared([{"distractors": {"file": "said.txt", "count": 2}}], tmp_path)


def test_a_corruption_that_can_do_nothing_is_an_error():
    """Told with what it needs, before anything is asked."""
    damage = Damage(named_all(["reordered-choices"], "--corrupt"))
    with pytest.raises(UsageError, match="can be done to none of the 2 samples") as told:
        damage.done([Sample("s1", "a"), Sample("s2", "b")], "shout/USE-CASE.md")
    assert "options" in str(told.value.hint)


def test_a_damaged_sample_never_has_the_name_of_another():
    """Two tests would be one, and one would be lost."""
    damage = Damage(named_all(["casing"], "--corrupt"))
    with pytest.raises(UsageError, match="would have the id of another sample"):
        damage.done([Sample("s1", "word"), Sample("s1~casing", "word")], "page")


def test_the_command_line_outranks_the_page(tmp_path):
    """`none` is none at all; nothing said leaves the page's."""
    damage = Damage(named_all(["casing"], "--corrupt"), seed=3)
    assert damage.told((), tmp_path) == damage
    assert [kind.label for kind in damage.told(("typos-5",), tmp_path).kinds] == ["typos-5"]
    assert damage.told(("none",), tmp_path).kinds == ()
    assert damage.told(("typos-5",), tmp_path).seed == 3


@pytest.mark.usefixtures("own_names")
def test_own_functions_are_named_like_any_other():
    """With a strength behind the name; a module that is imported once more takes its own place."""

    def shouting(text, strength, seed):
        """Everything louder.

        And more.
        """
        return text.upper() + "!" * round(strength * 10)

    corruption("shouting", strength=0.3)(shouting)
    corruption("shouting", strength=0.3)(shouting)
    assert CORRUPTIONS["shouting"].about == "Everything louder."
    usual, most = named_all(["shouting", "shouting-100"], "--corrupt")
    assert [found.asked.input for kind in (usual, most) if (found := applied(kind, Sample("s", "hey")))] == [
        "HEY!!!",
        "HEY!!!!!!!!!!",
    ]


@pytest.mark.usefixtures("own_names")
@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda text, *_: text + random.choice("ab") * random.randrange(99), "two different texts"),
        (lambda *_: "", "gave ''"),
        (lambda *_: None, "gave None"),
    ],
)
def test_an_own_function_that_gives_no_text_is_told(function, told):
    """Not scored as if the model had been asked something."""
    corruption("odd")(function)
    [kind] = named_all(["odd"], "--corrupt")
    random.seed(4)
    with pytest.raises(UsageError, match=told):
        applied(kind, Sample("s", "some words"))


@pytest.mark.usefixtures("own_names")
@pytest.mark.parametrize("name", ["typos", "none", "Big", "two words", ""])
def test_an_own_function_cannot_have_every_name(name):
    """Ours, `none` and what cannot stand in a test's id."""
    with pytest.raises(UsageError, match=r"cannot be a corruption's name|already"):
        corruption(name)(lambda text, *_: text)


@pytest.mark.usefixtures("own_names")
def test_an_own_function_has_a_strength_that_can_be():
    """From 0 to 1, like all shares."""
    with pytest.raises(UsageError, match="has the strength 7"):
        corruption("seven", strength=7)(lambda text, *_: text)


def test_every_kind_says_what_it_is():
    """The documentation is made of the table."""
    assert all(isinstance(kind, Kind) and kind.about for kind in CORRUPTIONS.values())
    assert all(kind.may_be(kind.strength) for kind in CORRUPTIONS.values())
