"""The shipped questions: enough of them, each scored as it should be, and their answers worked out by other means."""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from itertools import combinations, permutations, product
from pathlib import Path

import pytest

from pytest_llmbench import questions, validators
from pytest_llmbench.questions import Item
from pytest_llmbench.questions.own_files import FIELDS
from pytest_llmbench.questions.sources import SHIPPED
from pytest_llmbench.validators import form
from pytest_llmbench.validators.numeric import number

SET = questions.load(None)
BY_ID = {item.id: item for item in SET.items}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
OPERATORS: Mapping[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def worked_out(expression: str) -> Fraction:
    """The value of a sum of whole numbers, exactly."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.Constant):
            return Fraction(node.value)
        assert isinstance(node, ast.BinOp), ast.dump(node)
        return OPERATORS[type(node.op)](value(node.left), value(node.right))

    return value(ast.parse(expression, mode="eval").body)


def the_one(candidates: Iterable[object]) -> object:
    """The only candidate; a riddle with two solutions is none."""
    distinct = set(candidates)
    assert len(distinct) == 1, distinct
    return distinct.pop()


def follows(premise: Callable[..., bool], conclusion: Callable[..., bool], names: int) -> str:
    """Whether a conclusion holds in every case in which the premise does; there is such a case."""
    cases = [case for case in product((False, True), repeat=names) if premise(*case)]
    assert cases
    return "yes" if all(conclusion(*case) for case in cases) else "no"


def order_of(names: str, fits: Callable[[Callable[[str], int]], bool], place: int) -> object:
    """Who stands at a place in the only orders of these names that fit."""
    return the_one(order[place] for order in permutations(names.split()) if fits(order.index))


def garden() -> str:
    """Logic 7: worlds of two flowers, each a rose or not, red or not."""

    def premise(rose_1: bool, red_1: bool, rose_2: bool, red_2: bool) -> bool:
        return (red_1 or not rose_1) and (red_2 or not rose_2) and not (rose_1 and rose_2)

    return follows(premise, lambda _1, red_1, _2, red_2: red_1 and red_2, 4)


def park() -> str:
    """Logic 13: worlds of two birds, each a duck or not, a swimmer or not."""

    def premise(duck_1: bool, swims_1: bool, duck_2: bool, swims_2: bool) -> bool:
        return (swims_1 or not duck_1) and (swims_2 or not duck_2) and (duck_1 or duck_2)

    return follows(premise, lambda _1, swims_1, _2, swims_2: swims_1 or swims_2, 4)


def lamp() -> str:
    """Logic 9: whether the lamp is on, off or either in the worlds in which someone is at home."""
    lit = {on for on, home in product((False, True), repeat=2) if (home or not on) and home}
    return {frozenset({True}): "A", frozenset({False}): "B"}.get(frozenset(lit), "C")


def knaves() -> object:
    """Logic 15: the worlds in which Kai's sentence is true exactly if he is a knight."""
    worlds = product((True, False), repeat=2)
    return the_one("knight" if lou else "knave" for kai, lou in worlds if kai == (not kai and not lou))


def window() -> object:
    """Logic 16: who did it, so that exactly one tells the truth."""
    said = {who: [who == "Bo", who != "Bo", who != "Cy"] for who in ("Ada", "Bo", "Cy")}
    return the_one(who for who, truths in said.items() if sum(truths) == 1)


def boxes() -> object:
    """Logic 17: what the three boxes hold where every label is wrong and the mixed one holds apples."""
    letters = {"both": "A", "apples": "B", "pears": "C"}
    labels = ("apples", "pears", "both")
    held = [h for h in permutations(labels) if all(map(operator.ne, h, labels)) and h[2] == "apples"]
    return the_one(letters[h[1]] for h in held)


def compass(turns: Iterable[int]) -> str:
    """Where one looks who began looking north."""
    return ("north", "east", "south", "west")[sum(turns) % 4]


def ages() -> object:
    """Logic 22: Ina's age."""
    return the_one(3 * jon for jon in range(120) if 3 * jon + 12 == 2 * (jon + 12))


LOGIC: Mapping[str, Callable[[], object]] = {
    "logic-01": lambda: follows(lambda cat, animal: (animal or not cat) and cat, lambda _, animal: animal, 2),
    "logic-02": lambda: follows(lambda fish, flies: not (fish and flies) and fish, lambda _, flies: flies, 2),
    "logic-03": lambda: order_of("Anna Ben Clara", lambda at: at("Anna") < at("Ben") < at("Clara"), 2),
    "logic-04": lambda: the_one(b + (b - a) for a, b in [(2, 4), (4, 6), (6, 8)][-1:]),
    "logic-05": lambda: DAYS[(DAYS.index("Monday") + 3) % 7],
    "logic-06": lambda: 5 + 8,
    "logic-07": garden,
    "logic-08": lambda: follows(lambda rain, off: (off or not rain) and not off, lambda rain, _: rain, 2),
    "logic-09": lamp,
    "logic-10": lambda: order_of(
        "Dina Emil Farid Gus", lambda at: at("Dina") < at("Emil") < at("Farid") < at("Gus"), 2
    ),
    "logic-11": lambda: 24 * 2,
    "logic-12": lambda: DAYS[(DAYS.index("Friday") + 3) % 7],
    "logic-13": park,
    "logic-14": lambda: compass([1, 1, -1]),
    "logic-15": knaves,
    "logic-16": window,
    "logic-17": boxes,
    "logic-18": lambda: len(list(combinations(range(7), 2))),
    "logic-19": lambda: order_of(
        "Pia Quin Rob Sue Tim",
        lambda at: (at("Pia"), at("Quin"), at("Rob"), at("Sue")) == (0, 1, 4, at("Rob") - 1),
        2,
    ),
    "logic-20": lambda: follows(lambda a, b: a and not b, lambda a, b: (a or b) and not (a and b), 2),
    "logic-21": lambda: sum((not a) or b for a, b in product((False, True), repeat=2)),
    "logic-22": ages,
}
"""Each riddle solved by trying all cases."""

FORMAT: Mapping[str, Callable[[], object]] = {
    "format-02": "hello".upper,
    "format-13": lambda: "planet"[::-1],
    "format-14": lambda: ", ".join(sorted(["pear", "apple", "orange", "fig"])),
    "format-17": lambda: list(range(2, 11, 2)),
    "format-18": lambda: "-".join(map(str, range(10, 0, -1))),
}


def items_with(field: str) -> list[Item]:
    """The items in which a field is filled."""
    return [item for item in SET.items if getattr(item, field)]


def test_there_are_enough_questions_of_every_kind():
    """Intervals of a category need their n; difficulty is spread."""
    assert len(SET.items) >= 100
    assert set(SET.categories) == {"maths", "reading", "logic", "format", "facts"}
    for category in SET.categories:
        levels = Counter(item.difficulty for item in SET.items if item.category == category)
        assert set(levels) == set(questions.DIFFICULTIES)
        assert min(levels.values()) >= 5


def test_the_shipped_set_has_no_problem():
    """Each item passes its own answer; an empty reply, its prompt, its wrong replies and other options do not."""
    assert questions.lint(SET) == []


@pytest.mark.parametrize("item", SET.items, ids=lambda item: item.id)
def test_every_item_is_complete(item):
    """It has wrong replies, says why its answer is right, and its prompt says the form of the answer."""
    assert item.wrong
    assert item.note.endswith(".")
    assert any(word in item.prompt for word in ("Reply with", "as: Final answer:", "nothing else", "no other text"))


@pytest.mark.parametrize("item", items_with("expression"), ids=lambda item: item.id)
def test_the_sum_beside_an_answer_comes_to_it(item):
    """Worked out with exact fractions."""
    assert worked_out(item.expression) == number(item.answer)


def test_every_question_of_maths_has_its_sum():
    """And so is checked above."""
    assert [item.id for item in SET.items if item.category == "maths" and not item.expression] == []


@pytest.mark.parametrize("item", [i for i in SET.items if i.category == "logic"], ids=lambda item: item.id)
def test_trying_all_cases_gives_the_answer(item):
    """For every riddle, with one solution only."""
    assert str(LOGIC[item.id]()) == item.answer


@pytest.mark.parametrize("name", FORMAT)
def test_what_can_be_computed_is_the_answer(name):
    """Reversals, orders and rows of numbers."""
    assert str(FORMAT[name]()) == BY_ID[name].answer


def test_nobody_is_right_by_always_saying_the_same():
    """Letters, yes and no are spread evenly."""
    for check in ("choice", "yes_no"):
        answers = Counter(item.answer for item in SET.items if item.check == check)
        assert max(answers.values()) <= 1.5 * sum(answers.values()) / len(answers), answers


def test_the_prompts_fit_small_contexts():
    """A model of a short context can be asked, and a slow one is asked all within minutes."""
    assert max(len(item.prompt) for item in SET.items) < 700
    assert sum(len(item.prompt) for item in SET.items) < 25_000


def test_a_few_of_the_questions_are_spread_over_categories_and_difficulties():
    """The demo form asks 20: four of each category, all three difficulties, always the same ones."""
    few = SET.spread(20)
    assert Counter(item.category for item in few.items) == dict.fromkeys(SET.categories, 4)
    assert {item.difficulty for item in few.items} == set(questions.DIFFICULTIES)
    assert set(few.items) < set(SET.spread(40).items)
    assert few == questions.load(None).spread(20)
    assert few.sha256 != SET.sha256
    assert SET.spread(1000) is SET


def test_the_hash_of_a_set_is_that_of_its_questions(tmp_path):
    """Another name of the file leaves it, another answer does not."""
    text = SHIPPED.read_text(encoding="utf-8")
    copy, changed = tmp_path / "mine.jsonl", tmp_path / "changed.jsonl"
    copy.write_text(text, encoding="utf-8")
    changed.write_text(text.replace('"answer": "63"', '"answer": "64"'), encoding="utf-8")
    assert questions.load(copy).sha256 == SET.sha256
    assert questions.load(changed).sha256 != SET.sha256


def test_the_lint_finds_what_is_wrong_with_an_item():
    """A wrong reply that passes, a prompt that answers itself, an option not named, an own answer that fails."""
    items = [
        Item("a", "x", "easy", "Say something.", "one two", "form:words=1-9"),
        Item("b", "x", "easy", "Which? A) red", "A", "choice", options=("red", "blue")),
        Item("c", "x", "easy", "How many?", "12", "number", wrong=("twelve: 12",)),
        Item("d", "x", "easy", "Who?", "12 or 13", "number"),
        Item("e", "x", "easy", "Code.", "pass", "code"),
    ]
    found = [(problem.item, problem.text) for problem in questions.lint(questions.QuestionSet.of("mine", items))]
    assert found == [
        ("a", "the prompt repeated passes"),
        ("b", "the prompt repeated passes"),
        ("b", "the prompt does not name the option 'blue'"),
        ("c", "the wrong reply 'twelve: 12' passes"),
        ("d", "its own answer '12 or 13' does not pass: several different answers: '12' and '13'"),
    ]


def test_a_reply_in_prose_to_a_real_item_is_scored_by_its_whole_answer():
    """As in every report."""
    item = BY_ID["maths-08"]
    for reply, correct in (("She gets 20 - 12 = 8 dollars back.", True), ("The pens cost 12, so 8 dollars.", False)):
        assert validators.check(item.check, reply, item.answer, item.options).correct is correct


def test_the_manual_counts_the_questions_rightly():
    """And names every check and every field."""
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "use-your-own-questions.md").read_text(encoding="utf-8")
    assert f"the {len(SET.items)} questions that come with the package" in page
    assert [name for name in (*validators.CHECKS, *FIELDS) if f"`{name}" not in page] == []
    assert [name for name in form.DEMANDS if f"{name}=" not in page] == []
