"""Keys taken out of text."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmbench import redaction
from pytest_llmbench.redaction import MARK, redact, redact_exact, redact_values
from pytest_llmbench.secret import Secret

KEY = 'Zq9+canary/51"é&<tail>-0a1b2c3d'
Secret(KEY)

FORMS = {
    "as it is": KEY,
    "JSON": json.dumps(KEY)[1:-1],
    "JSON in UTF-8": json.dumps(KEY, ensure_ascii=False)[1:-1],
    "repr": repr(KEY)[1:-1],
    "URL": urllib.parse.quote(KEY, safe=""),
    "path of a URL": urllib.parse.quote(KEY),
    "form": urllib.parse.urlencode({"k": KEY})[2:],
    "HTML": html.escape(KEY),
    "hexadecimal": KEY.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_registered_key_is_found_in_every_form_it_travels_in(form: str) -> None:
    """The text around it stays."""
    assert redact_exact(f"before {FORMS[form]} after") == f"before {MARK} after"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("around", [("", ""), ("user:", ""), ("u:", "!"), ("abc", "de"), ("four", "trailing")])
def test_a_registered_key_is_found_within_base64(around: tuple[str, str], encode: object) -> None:
    """Wherever it stands in what was encoded, as in `Authorization: Basic`; no half of it is left over."""
    before, after = around
    text = encode((before + KEY + after).encode()).decode()  # type: ignore[operator]
    redacted = redact_exact(text)
    assert MARK in redacted
    left = "".join(part for part in redacted.split(MARK))
    assert len(left) <= 4 * (len(before) + len(after)) / 3 + 8


def test_nested_values_lose_it_everywhere_but_keep_their_form() -> None:
    given_ = {"a": [KEY, ("x " + KEY, 3, None)], "b": {"c": KEY}}
    assert redact_values(given_) == {"a": [MARK, ("x " + MARK, 3, None)], "b": {"c": MARK}}


@pytest.mark.parametrize("length", [23, 24, 25])
@pytest.mark.parametrize("before", ["", "u", "us"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_no_character_of_base64_that_tells_of_a_key_stays(length: int, before: str, encode: object) -> None:
    """The first and the last one are of the key and of what stands beside it."""
    key = "q8~canary>edges?0a1b2c3d"[: length - 1] + "Z" * (length - 23)
    Secret(key)
    text = encode((before + key).encode()).decode()  # type: ignore[operator]
    assert redact_exact(f"Basic {text}, and") == f"Basic {text[: len(before)]}{MARK}, and"


@pytest.mark.parametrize(
    "value", ["", "k", "ollama", "lm-studio", "not-needed", "1234567", "00000000", "2026-11-21", "sk-no-key-required"]
)
def test_placeholders_and_short_values_are_left_alone(value: str) -> None:
    """Local servers want any word as a key; taking `ollama` out of every report would help nobody."""
    Secret(value)
    assert redact(f"a model of {value} here") == f"a model of {value} here"


@pytest.mark.parametrize("cut", ["Zq9+canary/51...", "...<tail>-0a1b2c3d", "x = 'y51\"é&<tail>-0a'"])
def test_pieces_of_a_key_are_taken_out_of_what_is_shown(cut: str) -> None:
    """pytest shortens long values in the middle, and leaves out what two texts begin with alike."""
    assert MARK in redact(cut)
    assert redact_exact(cut) == cut


@settings(deadline=None)
@given(st.integers(0, len(KEY) - redaction.FRAGMENT), st.text(max_size=20), st.text(max_size=20))
def test_no_piece_of_twelve_characters_is_left(start: int, before: str, after: str) -> None:
    """Whatever stands around it."""
    piece = KEY[start : start + redaction.FRAGMENT]
    assert piece not in redact(before + piece + after)


LIKE_KEYS = {
    "OpenAI": "sk-proj-Ab3dEfGh1jKlMn0pQrSt",
    "Anthropic": "sk-ant-api03-Ab3dEfGh1jKlMn0pQrSt",
    "OpenRouter": "sk-or-v1-0123456789abcdef0123456789abcdef",
    "Hugging Face": "hf_" + "aB3dEfGh1j" * 4,
    "GitHub": "ghp_" + "aB3dEfGh1j" * 4,
    "GitHub, fine-grained": "github_pat_" + "aB3dEfGh1j" * 6,
    "GitLab": "glpat-aB3dEfGh1jaB3dEfGh1j",
    "AWS": "AKIA" + "ABCDEFGH12345678",
    "Google": "AIza" + "aB3dEfGh1jaB3dEfGh1jaB3dEfGh1j_-x1y",
    "Slack": "xoxb-123456789012-abcdef",
    "Groq": "gsk_" + "aB3dEfGh1j" * 5,
    "NVIDIA": "nvapi-" + "aB3dEfGh1j" * 6,
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("kind", LIKE_KEYS)
def test_what_looks_like_a_key_is_taken_out_of_what_is_shown_and_stays_in_what_is_measured(kind: str) -> None:
    """A model's reply is stored as it came: a test may be about exactly such text."""
    text = f"it says '{LIKE_KEYS[kind]}', it says"
    assert redact(text) == f"it says '{MARK}', it says"
    assert redact_exact(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc123def456ghi", f"Authorization: Bearer {MARK}"),
        ("authorization: basic dXNlcjpwYXNzd29yZDE=", f"authorization: basic {MARK}"),
        ("{'x-api-key': 'abcdefghijk', 'a': 'b'}", f"{{'x-api-key': '{MARK}', 'a': 'b'}}"),
        ("(b'Set-Cookie', b'session=abcdef; path=/')", f"(b'Set-Cookie', b'{MARK}')"),
        ("x-goog-api-key: abcdefghijk", f"x-goog-api-key: {MARK}"),
        ('client(api_key="abcdefghijk")', f'client(api_key="{MARK}")'),
        ("postgresql://me:pass@db.example/x", f"postgresql://me:{MARK}@db.example/x"),
        (
            "GET https://cdn.example/f.gguf?X-Amz-Signature=abcdef0123&a=1",
            f"GET https://cdn.example/f.gguf?X-Amz-Signature={MARK}&a=1",
        ),
        ("https://api.example/v1?key=abcdef123 failed", f"https://api.example/v1?key={MARK} failed"),
    ],
)
def test_headers_and_addresses_keep_their_names_and_lose_their_values(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "the bearer of bad news, basic authentication and a key: value",
        "a task-oriented sk-learn, keyboard monkeys, http://127.0.0.1:8080/v1?model=x",
        "api_key=Secret('***') and os.environ['OPENAI_API_KEY']",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "it took 12:30 hours, see https://example.invalid/a@b and mail me@example.invalid",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@settings(deadline=None)
@given(st.text() | st.sampled_from([*FORMS.values(), *LIKE_KEYS.values()]))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "piece", ["sk-", "a.", "eyJa.", "bearer ", "a://", "?key=", "-----BEGIN PRIVATE KEY-----", "'"]
)
@pytest.mark.timeout(60)
def test_hostile_text_does_not_keep_it_from_the_key_behind(piece: str) -> None:
    """A megabyte of beginnings takes half a second, where a search that goes back would take hours."""
    assert redact(piece * (1_000_000 // len(piece)) + " " + LIKE_KEYS["OpenAI"]).endswith(MARK)


def test_variables_that_are_named_like_secrets_are_registered() -> None:
    """Paths and other variables are not."""
    redaction.register_environment(
        {"SOME_API_KEY": "envcanary-1-51ab", "HF_TOKEN": "envcanary-2-51ab", "KEY_PATH": "envcanary-3-51ab"}
        | {"SSH_KEY": "/home/me/envcanary-4-51ab", "db_password": "envcanary-5-51ab"}
    )
    shown = redact_exact(" ".join(f"envcanary-{number}-51ab" for number in range(1, 6)))
    assert shown == f"{MARK} {MARK} envcanary-3-51ab envcanary-4-51ab {MARK}"


@pytest.mark.parametrize("sign", ["\n", "\t", "\b", '"', "\\", "é", "\u0101", "\x00", "😀", "x"])
@pytest.mark.parametrize("before", ["", "u", "us"])
def test_json_that_is_written_already_stays_json(before: str, sign: str) -> None:
    """A report is cleaned as text: the end of an escape is no base64, though it looks so."""
    key = "r5~canary>edges?7d8e9f0a"
    Secret(key)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        form = encode((before + key).encode()).decode()
        told = json.loads(redact_exact(json.dumps(f"a{sign}{form} b{sign}{form[(0, 2, 3)[len(before)] :]}")))
        assert told.startswith(f"a{sign}")
        assert told.count(MARK) == 2
        assert f"b{sign}" in told or sign == "x"


def test_headers_of_exporters_are_registered_where_they_are_secret() -> None:
    """Others are words of every day; a process that sends spans takes them out all the same."""
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "content-type=application/json-1,x-dataset=customer-support-2"
        ",x-author=head-of-lab-3,x-honeycomb-team=hdrcanary-4-51ab,Authorization=Bearer%20hdrcanary-5-51ab",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "dd-api-key=hdrcanary-6-51ab,x-other=Basic hdrcanary-7-51ab",
    }
    plain = "application/json-1 customer-support-2 head-of-lab-3"
    secret = " ".join(f"hdrcanary-{number}-51ab" for number in range(4, 8))
    redaction.register_environment(environ)
    assert redact_exact(f"{plain} {secret}") == f"{plain} {MARK} {MARK} {MARK} {MARK}"
    redaction.register_headers(environ)
    assert redact_exact(plain) == f"{MARK} {MARK} {MARK}"
