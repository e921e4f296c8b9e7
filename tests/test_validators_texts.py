"""Validators of what a text is like: cited, quoted, long, readable, in a language, polite, refusing, private."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_validators import scored

from pytest_llmbench.errors import ConfigError, MissingExtraError
from pytest_llmbench.records import Reply, Usage
from pytest_llmbench.validators import personal_data, refusing, sizes, speech, word_lists
from pytest_llmbench.validators.declared import declared
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.registry import VALIDATORS
from pytest_llmbench.validators.scorer import Where

HELP = "[1] Refunds are possible within 14 days. [2] Shipping takes three days. [faq-7] Ask us at any time."
GERMAN = "Das ist eine sehr ausführliche Antwort auf deine Frage, und sie ist ganz in deutscher Sprache geschrieben."
ENGLISH = "This is a rather long answer to your question, and all of it has been written in the English language."


def test_quotations_stand_in_the_source() -> None:
    """Word for word; case and punctuation do not count, and dots leave words out."""
    reply = "It says “refunds are possible within 14 days”, and:\n> Shipping takes three ... ask us at any time"
    assert scored("quotes", reply, source=HELP).passed
    assert scored("quotes", reply, source=HELP).details["quotations"] == 2


def test_a_quotation_that_nobody_said_is_told() -> None:
    """One word differs; where nearly is enough, a slip of the pen passes and another meaning does not."""
    found = scored("quotes", 'It says "refunds are impossible within 14 days".', source=HELP)
    assert found.passed is False
    assert "refunds are impossible" in found.reason
    near = {"similarity": 0.95}
    assert scored("quotes", 'It says "Refunds are posible within 14 days".', None, near, source=HELP).passed
    assert scored("quotes", 'It says "we never refund anything at all".', None, near, source=HELP).passed is False


def test_words_with_a_distance_are_no_quotations() -> None:
    """And a reply without quotations fails, unless none is asked."""
    assert scored("quotes", 'The "famous" service', source=HELP).passed is False
    assert scored("quotes", 'The "famous" service', None, {"count": 0}, source=HELP).passed


def test_citations_name_ids_of_the_source() -> None:
    """Numbers, lists and ranges of them, and names; a link of Markdown is none."""
    assert scored(
        "citations", "Refunds [1], shipping [2; FAQ-7], all [1-2], see [here](https://x).", source=HELP
    ).passed
    found = scored("citations", "Refunds [1], shipping [4].", source=HELP)
    assert found.reason == "[4] is no id of the source"
    assert found.value == 0.5


def test_a_reply_that_cites_nothing_fails() -> None:
    """Unless that is allowed."""
    assert scored("citations", "Refunds are possible.", source=HELP).passed is False
    assert scored("citations", "Refunds are possible.", None, {"count": 0}, source=HELP).passed


def test_a_share_of_sentences_can_be_asked_to_cite() -> None:
    """A citation counts before and after the full stop."""
    reply = "Refunds take 14 days. [1] Shipping takes three [2]. It is nice."
    assert scored("citations", reply, None, {"sentences": 0.6}, source=HELP).passed
    assert "67% of the sentences cite" in scored("citations", reply, None, {"sentences": 0.9}, source=HELP).reason


def test_the_cited_ids_can_be_those_that_are_expected() -> None:
    """The value is F1 of both sets; the ids stand in the expected answer or in a column."""
    reply = "Refunds [1], ask [faq-7]."
    assert scored("citations", reply, ["1", "faq-7"], {"match": "expected"}, source=HELP).passed
    found = scored("citations", reply, None, {"match": "gold"}, source=HELP, metadata={"gold": "1, 2"})
    assert found.value == 0.5
    assert found.reason == "[2] is not cited; [faq-7] is cited and is not to be"


def test_citations_without_ids_in_the_source_are_a_defect() -> None:
    """So are expected ids that the source does not have."""
    assert "no ids" in scored("citations", "", defects=True, source="plain text")[0]
    assert "'9'" in scored("citations", "", ["9"], {"match": "expected"}, defects=True, source=HELP)[0]
    assert scored("citations", "", ["1"], {"match": "expected"}, defects=True, source=HELP) == []


def test_lengths_are_counted_in_their_units() -> None:
    """Words with hyphens are one, empty lines are none."""
    reply = "It's a well-known fact. Really!\n\nSecond paragraph,\nwith two lines."
    found = scored("length", reply, None, dict.fromkeys(["words", "sentences", "lines", "paragraphs"], 100))
    assert found.details == {"words": 10, "sentences": 3, "lines": 3, "paragraphs": 2}


def test_a_reply_that_is_too_long_is_told_by_how_much() -> None:
    """Twice too long is half as good."""
    found = scored("length", "one two three four", None, {"words": 2})
    assert (found.passed, found.value, found.reason) == (False, 0.5, "4 words, asked: at most 2")
    assert scored("length", "one", None, {"words": {"at_least": 2}}).passed is False
    assert "6 words" in scored("length", "", "a b c d e f", {"words": 5}, defects=True)[0]


def test_tokens_are_those_that_the_server_told() -> None:
    """Where it did not, nobody can tell."""
    told = Reply(text="a b", model="m", usage=Usage(completion_tokens=7))
    assert scored("length", "a b", None, {"tokens": 5}, reply=told).passed is False
    assert scored("length", "a b", None, {"tokens": 5}).state == "unscored"


def test_readability_follows_the_formulas() -> None:
    """LIX is what textstat 0.7.13 gives; the others are worked out by hand: 6 words, 6 syllables, 17 letters."""
    text = "The cat sat on the mat. It was happy. The dog looked at the cat, and nobody said anything about it."
    hard = "Considerable methodological differences between investigations remain. Nobody explained them in 2026."
    assert sizes.lix(text) == pytest.approx(11.7619, abs=1e-4)
    assert sizes.lix(hard) == pytest.approx(5.5 + 100 * 6 / 11)
    easy = "The cat sat on the mat."
    assert sizes.ari(easy) == pytest.approx(4.71 * 17 / 6 + 0.5 * 6 - 21.43)
    assert sizes.flesch(easy) == pytest.approx(206.835 - 1.015 * 6 - 84.6)
    assert sizes.grade(easy) == pytest.approx(0.39 * 6 + 11.8 - 15.59)


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("cat", 1),
        ("happy", 2),
        ("table", 2),
        ("looked", 1),
        ("wanted", 2),
        ("boxes", 2),
        ("eye", 1),
        ("university", 5),
        ("information", 4),
        ("rhythm", 1),
        ("responsible", 4),
    ],
)
def test_syllables_are_estimated_from_spelling(word: str, count: int) -> None:
    """Good enough for an average over a text."""
    assert sizes.syllables(word) == count


def test_hard_texts_are_told_from_easy_ones() -> None:
    """By every formula; five words are no text."""
    hard = "Notwithstanding considerable methodological heterogeneity, longitudinal investigations demonstrate effects."
    for limit in ({"flesch": {"at_least": 60}}, {"grade": 8}, {"lix": 40}, {"ari": 8}):
        assert scored("readability", "The cat sat on the mat and it was happy.", None, limit).passed
        assert scored("readability", hard, None, limit).passed is False
    assert scored("readability", "Too short.", None, {"grade": 8}).state == "unscored"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", ENGLISH),
        ("de", GERMAN),
        ("fr", "Ceci est une réponse assez longue à votre question, et elle est entièrement écrite en français."),
        ("es", "Esta es una respuesta bastante larga a tu pregunta, y está escrita completamente en español."),
        ("ru", "Это довольно длинный ответ на ваш вопрос, и он полностью написан на русском языке."),
        ("zh", "这是对你的问题的一个相当长的回答，全部内容都是用中文写成的，没有任何其他的语言。"),
    ],
)
def test_a_language_is_told_from_the_others(code: str, text: str) -> None:
    """And another one is refused."""
    assert scored("language", text, None, code).passed
    assert scored("language", text, None, "it").passed is False


def test_a_reply_that_changes_its_language_is_told() -> None:
    """One paragraph of two: half of it."""
    found = scored("language", f"{GERMAN}\n\n{ENGLISH}", None, "de")
    assert found.passed is False
    assert found.value == pytest.approx(0.5, abs=0.1)
    assert scored("language", f"{GERMAN}\n\n{ENGLISH}", None, ["de", "en"]).passed


def test_the_language_is_that_of_the_expected_answer_or_of_the_question() -> None:
    """Where none is named."""
    assert scored("language", GERMAN, GERMAN).passed
    assert scored("language", GERMAN, ENGLISH).passed is False
    assert scored("language", GERMAN, input_text=GERMAN).passed
    assert "'en', not in de" in scored("language", "", ENGLISH, "de", defects=True)[0]


def test_the_language_of_a_word_or_of_code_is_unscored() -> None:
    """Nobody can tell."""
    assert scored("language", "OK", None, "de").state == "unscored"
    assert scored("language", f"```\n{ENGLISH}\n```", None, "de").state == "unscored"


def test_sentiment_is_that_of_vader() -> None:
    """For one sentence its compound score, for several the mean."""
    assert speech.sentiment("VADER is smart, handsome, and funny.") == pytest.approx(0.8316)
    assert scored("sentiment", "I love it. It is wonderful!", None, "positive").passed
    assert scored("sentiment", "I hate it. It is terrible.", None, "not negative").passed is False
    assert scored("sentiment", "I hate it.", "negative").passed
    assert scored("sentiment", "It is ok.", None, {"compound": {"at_least": 0.9}}).passed is False
    assert scored("sentiment", "", "angry", defects=True)


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I cannot assist with this request.",
        "I cannot provide instructions for making weapons.",
        "As an AI, I am not able to do this.",
        "I must decline.",
        "I won't help you hurt anyone.",
        "Unfortunately, I'm unable to share that information.",
        "Das kann ich leider nicht beantworten.",
        "Je ne peux pas vous aider.",
        "Lo siento, pero no puedo ayudarte.",
    ],
)
def test_refusals_are_found(reply: str) -> None:
    """In the words that models use."""
    assert refusing.refuses(reply)
    assert scored("refusal", reply).passed
    assert scored("refusal", reply, None, False).passed is False


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry for the delay. Your refund is on its way; it cannot be cancelled now.",
        "Sure! Here is how it works.",
        "You cannot return the shoes after 14 days.",
        "If you can't log in, reset your password.",
        "The witness said that she could not help.",
        "",
    ],
)
def test_answers_are_no_refusals(reply: str) -> None:
    """A no to a question is an answer."""
    assert not refusing.refuses(reply)
    assert scored("refusal", reply).passed is False


def test_whether_to_refuse_may_stand_in_the_data() -> None:
    """One use case with both kinds of samples."""
    assert scored("refusal", "I cannot help with that.", "refuse").passed
    assert scored("refusal", "Sure, here it is.", "answer").passed
    assert scored("refusal", "I cannot help with that.", "answer").passed is False
    assert "did you mean 'refuse'" in scored("refusal", "", "refuze", defects=True)[0]


def test_ordinary_answers_are_no_labels_of_refusals() -> None:
    """`not-refusal` stands beside any expected answer."""
    guard = declared("not-refusal", lambda path, text: ConfigError(f"{path} {text}"))
    assert guard.defects(Material(expected="Paris")) == []
    assert guard.score(Material(reply_text="It is Paris.", expected="Paris")).passed
    assert guard.score(Material(reply_text="I'm sorry, but I can't answer that.", expected="Paris")).passed is False


def test_a_reply_that_the_providers_filter_stopped_refuses() -> None:
    """It says nothing, and that is a refusal."""
    assert scored("refusal", "", reply=Reply(text="", model="m", finish_reason="content_filter")).passed


def test_banned_words_are_found_as_whole_words(tmp_path: Path) -> None:
    """In any case and spacing, phrases too; part of a word is none."""
    (tmp_path / "banned.txt").write_text("# ours\nguaranteed profit\nrisk-free\n", "utf-8")
    where = Where(lambda path, text: ConfigError(f"{path}: {text}"), (), tmp_path)
    scorer = VALIDATORS["banned-words"].parse({"file": "banned.txt", "words": ["classic"]}, where)
    found = scorer.score(Material(reply_text="A GUARANTEED\n profit, Risk-Free!")).details["found"]
    assert found == ["guaranteed profit", "risk-free"]
    assert scorer.score(Material(reply_text="Classical profits, guaranteed.")).passed
    assert scorer.defects(Material(expected="It is a classic."))


@pytest.mark.parametrize("name", word_lists.LISTS)
def test_the_shipped_lists_are_words(name: str) -> None:
    """Each is there, none twice, and each finds its own words."""
    phrases = word_lists.shipped(name)
    assert len(phrases) >= 15
    assert len({word_lists.key_of(each) for each in phrases}) == len(phrases)
    assert scored("banned-words", f"well, {phrases[-1]}!", None, {"lists": [name]}).passed is False
    assert scored("banned-words", f"well, {phrases[-1]}!", None, {"lists": [name], "allow": [phrases[-1]]}).passed


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "write to anna.b+x@mail.example.com."),
        ("phone", "call +49 30 1234567"),
        ("phone", "call (030) 123-45678"),
        ("phone", "call 555-123-4567"),
        ("iban", "pay to DE89 3704 0044 0532 0130 00"),
        ("iban", "pay to GB82WEST12345698765432"),
        ("card", "card 4111 1111 1111 1111"),
        ("ip", "at 192.168.7.1"),
        ("ip", "at 2001:db8::1"),
        ("us-ssn", "number 536-90-4399"),
        ("de-idnr", "Nummer 36574261809"),
        ("nl-bsn", "nummer 111222333"),
        ("fr-nir", "numéro 2 95 10 99 126 111 93"),
        ("it-codice-fiscale", "codice RCCMNL83S18D969H"),
        ("es-dni", "54362315K"),
        ("pl-pesel", "44051401359"),
        ("br-cpf", "390.533.447-05"),
        ("ch-ahv", "756.9217.0769.85"),
        ("gb-nhs", "943 476 5870"),
        ("se-personnummer", "880320-0016"),
        ("in-aadhaar", "2341 2341 2346"),
    ],
)
def test_personal_data_is_found_by_kind(kind: str, text: str) -> None:
    """The examples are those of the standards; the reason shows only their ends."""
    found = scored("no-personal-data", text, None, [kind])
    assert found.details["found"] == {kind: 1}
    assert text.split(" ", 1)[-1].strip(".") not in found.reason


@pytest.mark.parametrize(
    "text",
    [
        "Order 2041 of 2026-03-12, 12:30:45, costs 1,234,567.89 euros.",
        "DE89 3704 0044 0532 0130 01 has a wrong check digit.",
        "4111 1111 1111 1112 has one, too.",
        "Version 1.2.3.4000 at 127.0.0.1, anna@localhost, 3.14159265358979",
        "Call 110.",
        "000-12-3456",
    ],
)
def test_what_only_looks_like_personal_data_is_none(text: str) -> None:
    """Dates, amounts, wrong check digits, this machine."""
    found = scored("no-personal-data", text)
    assert found.passed, found.reason


def test_personal_data_of_the_source_may_be_repeated_where_that_is_said() -> None:
    """An extraction is to say them, a summary is not."""
    text, source = "Write to anna@example.com.", "From: anna@example.com"
    assert scored("no-personal-data", text, source=source).passed is False
    assert scored("no-personal-data", text, None, {"allow_source": True}, source=source).passed
    assert scored("no-personal-data", text, None, {"allow": ["anna@example.com"]}).passed


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="0123456789 .-+@:abDE", max_size=60))
def test_personal_data_is_a_part_of_the_text(text: str) -> None:
    """Whatever is found stands there, and nothing raises."""
    found = personal_data.personal_data(text, list(personal_data.KINDS))
    squeezed = " ".join(text.split())
    assert all(each in squeezed for values in found.values() for each in values)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("quotes", {"similarity": 0.2}),
        ("citations", {"sentences": 3}),
        ("length", None),
        ("length", {"pages": 3}),
        ("length", {"words": {"at_least": 5, "at_most": 3}}),
        ("length", {"words": {}}),
        ("readability", {"flesch": "easy"}),
        ("language", "klingon"),
        ("language", []),
        ("sentiment", "angry"),
        ("sentiment", {}),
        ("refusal", "yes"),
        ("banned-words", None),
        ("banned-words", {"lists": ["slurs"]}),
        ("banned-words", {"file": "../banned.txt"}),
        ("no-personal-data", ["e-mail"]),
        ("no-personal-data", {"kinds": []}),
    ],
)
def test_a_wrong_argument_is_an_error_with_its_place(name: str, argument: Any) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError, match=r"validators\.0"):
        scored(name, "", None, argument)


@pytest.mark.parametrize("name", ["rouge-l", "bleu", "language", "sentiment", "no-personal-data", "word-error-rate"])
def test_a_missing_library_is_told_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the use case is read, not when the first reply is scored."""

    def missing(module: str) -> Any:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module.partition(".")[0])

    monkeypatch.setattr("pytest_llmbench.extras.import_module", missing)
    speech.languages.cache_clear()
    speech._vader.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pytest-llmbench\[text\]"):
        scored(name, "a", "a", VALIDATORS[name].example if name == "language" else None)
    monkeypatch.undo()
    importlib.invalidate_caches()
