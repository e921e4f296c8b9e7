"""What a judge is asked: fenced material, criteria, the form of a verdict as a schema, and the one retry."""

from __future__ import annotations

import dataclasses
import json
import re

import jsonschema
import pytest
import xllamacpp
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_samples import ACCURACY, MATTER, RUBRIC, answer, breach, cells, insults, scored
from served_sessions import session_in

from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.judges import asking, fence, pairwise
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.judges.verdict import complaint_of
from pytest_llmbench.serving import local_model

MARKS = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|channel|>",
    "<｜User｜>",
    "<turn|>",
    "<s>",
    "</s>",
    "<bos>",
    "<end_of_turn>",
    "<start_of_turn>",
    "[INST]",
    "[/INST]",
    "[SYSTEM_PROMPT]",
    "[TOOL_CALLS]",
    "<<SYS>>",
    "<</SYS>>",
    "<think>",
    "</think>",
    "</tool_call>",
    "[gMASK]",
    "<sop>",
    "<unused7>",
    "[|user|]",
    "<seed:bos>",
    "[e~[",
    "]~b]",
    "]~!b[",
    "<__media__>",
    "<image>",
]
"""What servers and templates read as more than words."""


def test_system_text_and_material_stand_apart():
    """One system message that is the same for every rubric, one user message with the rest; nothing else."""
    system, user = asking.messages(RUBRIC, MATTER)
    assert (system["role"], user["role"], system["content"]) == ("system", "user", asking.SYSTEM)
    for text in (MATTER.question, MATTER.source, MATTER.expected, MATTER.reply, RUBRIC.text):
        assert user["content"].count(f"\n{text}\n") == 1 or user["content"].startswith(text)


def test_criteria_stand_with_scale_and_anchors():
    """Before the material, so that a server keeps them from one reply to the next."""
    content = asking.messages(RUBRIC, MATTER)[1]["content"]
    criteria, material = content.split("Material.", 1)
    assert "accuracy: Says only what the source says.\n  1: wrong\n  3: partly right\n  5: right" in criteria
    assert '"grade": <whole number from 1 to 5>' in criteria
    assert '"holds": <true or false>' in criteria
    assert "greeting: Greets the customer." in criteria
    assert "insults: A passage that insults somebody.\n  This is a fault. List each place" in criteria
    other = asking.messages(RUBRIC, dataclasses.replace(MATTER, reply="Other."))[1]["content"]
    assert other.startswith(criteria)
    assert material.index("QUESTION") < material.index("SOURCE") < material.index("EXPECTED") < material.index("REPLY")


def test_what_is_not_there_is_not_shown():
    """No empty source, no empty expected answer; an empty reply is judged as it is."""
    nonce = nonce_in(asking.messages(RUBRIC, Matter("Q?", "")))
    content = asking.messages(RUBRIC, Matter("Q?", ""))[1]["content"]
    assert "SOURCE" not in content
    assert "EXPECTED" not in content
    assert f"[BEGIN REPLY {nonce}]\n\n[END REPLY {nonce}]" in content


def test_a_rubric_says_what_it_lacks():
    """Before anybody is asked."""
    rubric = Rubric("facts", RUBRIC.criteria, needs=frozenset({"source", "expected"}))
    assert asking.lacking(rubric, MATTER) == ""
    assert "'facts' needs expected and source" in asking.lacking(rubric, Matter("Q?", "R"))
    assert asking.lacking(RUBRIC, Matter("Q?", "R")) == ""


def nonce_in(messages: asking.Messages) -> str:
    found = re.search(r"The code of this request is ([0-9a-f]{16})\.", messages[1]["content"])
    assert found
    return found[1]


@settings(deadline=None)
@given(st.builds(Matter, st.text(), st.text(), st.text(), st.text()))
def test_the_nonce_stands_in_no_text_and_the_request_is_the_same_again(matter):
    """A resumed run asks what it asked before; text that any database keeps is all that is sent."""
    messages = asking.messages(RUBRIC, matter)
    nonce = nonce_in(messages)
    assert all(nonce not in text for text in (matter.question, matter.reply, matter.source, matter.expected))
    assert messages == asking.messages(RUBRIC, dataclasses.replace(matter))
    messages[1]["content"].encode()


def test_a_nonce_that_stands_in_a_text_is_not_taken():
    """A text that could hold its own hash would have to be found by chance; then the next word is taken."""
    nonce = fence.nonce_of(["a", "b"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fence, "_candidates", lambda _: iter([nonce, "f" * 16]))
        assert fence.nonce_of(["a", f"x{nonce}x"]) == "f" * 16
        assert fence.nonce_of(["a", f"x{nonce.upper()}x"]) == "f" * 16
        assert fence.nonce_of(["a", "b"]) == nonce


@pytest.mark.parametrize(
    "changed", [{"question": "Q"}, {"reply": "R"}, {"source": "S"}, {"expected": "E"}], ids=lambda one: next(iter(one))
)
def test_the_nonce_depends_on_every_text(changed):
    """And on the rubric: nobody who writes one of them knows it beforehand."""
    before = nonce_in(asking.messages(RUBRIC, MATTER))
    assert nonce_in(asking.messages(RUBRIC, dataclasses.replace(MATTER, **changed))) != before
    stricter = dataclasses.replace(RUBRIC, pass_at=0.9)
    assert nonce_in(asking.messages(stricter, MATTER)) != before


@pytest.mark.parametrize("mark", MARKS)
def test_marks_of_chat_templates_become_words(mark):
    """By a space, which a reader sees; the rest of the text stays."""
    broken = fence.shown(f"a{mark}b")
    assert mark not in broken
    assert broken.replace(" ", "") == f"a{mark}b"
    assert fence.shown(broken) == broken


@pytest.mark.parametrize(
    "text",
    ["Hello.", "a < b and b > c", "[1] first", "x[i]", "if (a<b|c)", "<p>one</p>", "Ünï 漢字 😀", "5 ]~ 3", "a\r\nb"],
)
def test_other_text_is_shown_as_it_is(text):
    """Brackets and signs of ordinary writing among it."""
    assert fence.shown(text) == text


def test_a_lone_surrogate_is_shown_as_the_database_keeps_it():
    """Else a resumed run would ask something else; a pair in two halves is one character."""
    assert fence.shown("a\ud800b") == "a\ufffdb"
    assert fence.shown("\ud83d\ude00") == "😀"


@pytest.mark.usefixtures("smollm2")
def test_a_real_engine_reads_no_broken_mark_as_the_end_of_a_message(tmp_path):
    """`<|im_end|>` in a message is one token to it, the one that ends messages; as shown it is several."""
    with session_in(tmp_path) as session:
        model = local_model(session, "smollm2-135m:Q4_1")
        api = LlamaApi(model.endpoint, session.deadlines)

        def tokens(text: str) -> int:
            return api.chat_tokens(({"role": "user", "content": text},))

        for mark in ("<|im_start|>", "<|im_end|>"):
            assert tokens(f"Fine.{mark}") - tokens("Fine.") == 1
            assert tokens(fence.shown(f"Fine.{mark}")) - tokens("Fine.") > 3


def test_a_reason_stands_before_what_it_is_the_reason_of():
    """In the schema and in the grammar that llama.cpp makes of it: who decides first only justifies afterwards."""
    for bounded in (False, True):
        schema = asking.schema(RUBRIC, bounded=bounded)
        criteria = schema["properties"]["criteria"]["properties"]
        assert list(criteria) == ["accuracy", "greeting", "insults"]
        assert [list(cell["properties"]) for cell in criteria.values()] == [
            ["reason", "grade"],
            ["reason", "holds"],
            ["reason", "violations"],
        ]
        grammar = xllamacpp.json_schema_to_grammar(json.dumps(schema))
        assert 0 < grammar.index("reason") < grammar.index("grade")
    sent = request_of("lab/m", "Q", **asking.request_fields(RUBRIC, can_schema=True))
    body = json.dumps(sent.extra)
    assert body.index('"reason"') < body.index('"grade"')


@pytest.mark.parametrize("bounded", [False, True])
def test_the_schema_takes_what_the_parser_takes(bounded):
    """Verdicts that can be used fit it; those that cannot for their form do not."""
    checker = jsonschema.Draft202012Validator(asking.schema(RUBRIC, bounded=bounded))
    jsonschema.Draft202012Validator.check_schema(checker.schema)
    for text in (answer(), answer(insults=insults(breach("Hello")))):
        assert checker.is_valid(json.loads(text))
        assert scored(text).state == "scored"
    for changed in (
        {"accuracy": {"reason": "It is all true.", "grade": 6}},
        {"accuracy": {"reason": "It is all true.", "grade": True}},
        {"accuracy": {"grade": 5}},
        {"greeting": {"reason": "It is all true.", "holds": "yes"}},
        {"insults": {"reason": "It is all true.", "violations": [{"quote": "x"}]}},
        {"tone": {"reason": "It is all true.", "grade": 5}},
    ):
        assert not checker.is_valid({"criteria": cells(**changed)})
    assert not checker.is_valid({"criteria": cells(), "score": 1})


def test_texts_have_a_longest_length_only_where_a_grammar_wants_one():
    """A small model under a grammar may never end; strict modes of providers refuse the keywords."""
    free, bounded = (json.dumps(asking.schema(RUBRIC, bounded=each)) for each in (False, True))
    for keyword in ("maxLength", "minLength", "maxItems"):
        assert keyword not in free
        assert keyword in bounded


def test_a_request_is_as_long_as_its_rubric_needs():
    """Temperature 0; more criteria, more room; thoughts are added; no schema for a model that takes none."""
    one = Rubric("one", (ACCURACY,))
    small, large = (asking.request_fields(each, can_schema=True) for each in (one, RUBRIC))
    assert small["temperature"] == 0.0
    assert 200 < small["max_tokens"] < large["max_tokens"] < 3000
    assert asking.request_fields(one, can_schema=True, thought_tokens=1000)["max_tokens"] == small["max_tokens"] + 1000
    assert small["response_format"]["json_schema"]["strict"] is True
    assert small["response_format"]["json_schema"]["schema"] == asking.schema(one)
    assert "response_format" not in asking.request_fields(one, can_schema=False)


@pytest.mark.parametrize(
    ("text", "is_wide"),
    [
        ("Wo ist mein Päckchen? Ça va très bien, señor. Gdzie jest moja przesyłka?", False),
        ("The Greek letters α and β stand for angles, 東 for east.", False),
        ("我的包裹还没有到,请问什么时候能收到?谢谢您的帮助和耐心。", True),
        ("Где моя посылка? Она должна была прийти в понедельник.", True),
    ],
)
def test_a_verdict_in_another_script_has_more_room(text: str, is_wide: bool) -> None:
    """Judges write in the language they read; a few foreign letters make none."""
    asked = asking.messages(RUBRIC, dataclasses.replace(MATTER, reply=text))
    assert asking.further_tokens(asked, 200) == (600 if is_wide else 0)


def test_the_form_of_a_verdict_is_none_itself():
    """A model that repeats what it is shown has not judged."""
    assert scored(asking.form(RUBRIC)).state == "unscored"


def test_a_retry_says_what_was_wrong_and_shows_the_answer_as_data():
    """The same request first; the answer's beginning stands in a fence of its own."""
    asked = asking.messages(RUBRIC, MATTER)
    bad = "It is fine.<|im_end|>" + "x" * 5000
    what = complaint_of(scored(bad))
    assert what
    system, user = asking.retry_messages(asked, bad, what)
    assert system == asked[0]
    assert user["content"].startswith(asked[1]["content"])
    note = user["content"].removeprefix(asked[1]["content"])
    assert what in note
    assert "It is fine.< |im_end|>x" in note
    assert len(note) < 2000
    code = re.search(r"its code is ([0-9a-f]{16})", note)
    assert code
    assert code[1] not in asked[1]["content"] + bad
    assert f"[BEGIN EARLIER ANSWER {code[1]}]" in note


def test_two_replies_stand_in_fences_of_their_own():
    """In the order asked for; the request differs between the orders, and is the same again."""
    other = dataclasses.replace(MATTER, reply="It is lost.")
    ab, ba = (pairwise.messages(RUBRIC, MATTER, other, order) for order in ("ab", "ba"))
    nonce = nonce_in(ab)
    assert f"[BEGIN FIRST REPLY {nonce}]\n{MATTER.reply}\n[END FIRST REPLY {nonce}]" in ab[1]["content"]
    assert f"[BEGIN SECOND REPLY {nonce}]\n{other.reply}\n[END SECOND REPLY {nonce}]" in ab[1]["content"]
    assert f"[BEGIN FIRST REPLY {nonce_in(ba)}]\n{other.reply}\n" in ba[1]["content"]
    assert "insults (a fault; the reply without it is better): A passage" in ab[1]["content"]
    assert nonce != nonce_in(ba)
    assert ab == pairwise.messages(RUBRIC, MATTER, other, "ab")
