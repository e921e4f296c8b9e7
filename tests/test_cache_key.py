"""What a cached reply is found by: everything that can change it, and who pays for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_llmbench.asker.fitting import fitted
from pytest_llmbench.cache.key import SAYS_NOTHING, VERSION, key_of, local_key_of
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.providers.keys import fingerprint
from pytest_llmbench.records import Capabilities, Limits, ModelFile, Price, ServerSpec, Target
from pytest_llmbench.secret import Secret

TARGET = Target(
    "cloud/one",
    "cloud",
    "one-2026",
    "openai",
    "https://cloud.example/v1",
    headers={"x-region": "eu"},
    account="0123456789",
    max_output_tokens=4000,
)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "required": ["a"]}}}
REQUEST = ChatRequest(
    "cloud/one",
    (
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "x"}}]},
    ),
    max_tokens=100,
    temperature=0.5,
    seed=7,
    extra={"tools": [TOOL], "top_p": 0.9, "stop": ["\n", "END"], "response_format": {"type": "json_object"}},
)

# One other value for each field; a field that is missing here fails the test below.
OTHER_IN_REQUEST: Mapping[str, Any] = {
    "model": "cloud/two",
    "messages": ({"role": "user", "content": "hi"},),
    "max_tokens": 101,
    "temperature": 0.6,
    "seed": 8,
    "stream": False,
    "extra": {},
}
OTHER_IN_TARGET: Mapping[str, Any] = {
    "name": "other/one",
    "provider": "other",
    "model_id": "one-2027",
    "format": "anthropic",
    "base_url": "https://cloud.example/v2",
    "headers": {"x-region": "us"},
    "account": "9876543210",
    "max_output_tokens": 4001,
}


def key(target: Target = TARGET, request: ChatRequest = REQUEST, **more: Any) -> str:
    sent, _ = fitted(request, target)
    return key_of(target, request, sent, **{"role": "subject", "trial": 0, **more})


def test_the_same_question_has_the_same_key() -> None:
    """A digest of 64 digits, whatever order the fields of a request were given in."""
    turned = dataclasses.replace(REQUEST, extra=dict(reversed(REQUEST.extra.items())))
    assert key() == key(request=turned)
    assert len(key()) == 64


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ChatRequest)])
def test_every_field_of_the_request_changes_the_key(name: str) -> None:
    """By the record's own list of fields: one that is added later has to be thought of here."""
    assert key(request=dataclasses.replace(REQUEST, **{name: OTHER_IN_REQUEST[name]})) != key()


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Target) if f.name not in SAYS_NOTHING])
def test_every_field_of_the_target_that_may_change_an_answer_changes_the_key(name: str) -> None:
    """The account among them: what one key paid for, another does not get."""
    assert key(dataclasses.replace(TARGET, **{name: OTHER_IN_TARGET[name]})) != key()


def test_no_other_value_is_one_of_a_field_that_is_gone() -> None:
    """The lists above are of today's fields."""
    assert OTHER_IN_REQUEST.keys() == {field.name for field in dataclasses.fields(ChatRequest)}
    assert OTHER_IN_TARGET.keys() | SAYS_NOTHING == {field.name for field in dataclasses.fields(Target)}


def _mutations(value: Any, put: Callable[[Any], Any], where: str) -> Any:
    """(where, the whole with one leaf changed, left out or moved) for every leaf of a nested value."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield f"{where}.{name} left out", put({k: v for k, v in value.items() if k != name})
            yield f"{where}.{name} renamed", put({(k + "_" if k == name else k): v for k, v in value.items()})
            yield from _mutations(each, lambda new, name=name: put({**value, name: new}), f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for at, each in enumerate(value):
            yield f"{where}[{at}] left out", put([*value[:at], *value[at + 1 :]])
            yield f"{where}[{at}] twice", put([*value[:at], each, *value[at:]])
            yield from _mutations(each, lambda new, at=at: put([*value[:at], new, *value[at + 1 :]]), f"{where}[{at}]")
    else:
        for other in (f"{value} ", None, 17, True):
            yield f"{where} = {other!r}", put(other)


NESTED = [
    *_mutations(REQUEST.messages, lambda new: {"messages": tuple(new)}, "messages"),
    *_mutations(dict(REQUEST.extra), lambda new: {"extra": new}, "extra"),
]


def test_every_nested_value_of_a_request_changes_the_key() -> None:
    """Each leaf changed, left out, renamed, doubled: no two of these are the same question."""
    plain = dataclasses.replace(TARGET, capabilities=Capabilities())
    keys = {key(plain): "unchanged"}
    for where, changed in NESTED:
        request = dataclasses.replace(REQUEST, **changed)
        try:
            found = key(plain, request)
        except (AttributeError, TypeError):
            continue  # no request that could be made to fit anything
        assert found not in keys, f"{where} has the key of {keys[found]}"
        keys[found] = where
    assert len(keys) > 0.9 * len(NESTED)


def test_what_says_nothing_about_an_answer_leaves_the_key_alone() -> None:
    """Prices, limits and context change; so does who told what a model takes."""
    other = dataclasses.replace(
        TARGET,
        price=Price("1", "2"),
        limits=Limits(concurrency=3),
        context_tokens=9,
        server_kind="vllm",
        capabilities=Capabilities(temperature=True, source="catalogue"),
        trace=True,
    )
    assert key(other) == key()


def test_what_is_changed_to_fit_the_model_changes_the_key() -> None:
    """A model that takes no temperature is asked something else, though the request is the same."""
    assert key(dataclasses.replace(TARGET, capabilities=Capabilities(temperature=False))) != key()
    assert key(dataclasses.replace(TARGET, max_output_tokens=50)) != key()


def test_trials_and_roles_share_no_key() -> None:
    """The third answer is not the first one's, and what a judge said is no answer of a model under test."""
    keys = [key(trial=trial, role=role) for trial in range(3) for role in ("subject", "judge", "chat")]
    assert len(set(keys)) == 9


def test_two_credentials_have_two_accounts_and_two_keys() -> None:
    """From the keys themselves, by the fingerprint that targets carry."""
    mine, yours = (fingerprint(Secret(f"sk-someone-{number:032}")) for number in (1, 2))
    assert mine != yours
    assert key(dataclasses.replace(TARGET, account=mine)) != key(dataclasses.replace(TARGET, account=yours))


def test_a_new_version_of_our_clients_finds_nothing_of_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may read replies in another way."""
    before = key()
    monkeypatch.setattr("pytest_llmbench.cache.key.VERSION", VERSION + 1)
    assert key() != before


def test_what_is_held_for_the_same_stands_for_messages_and_trial() -> None:
    """And for nothing else: another account, role, setting or model is another question."""
    other = dataclasses.replace(REQUEST, messages=({"role": "user", "content": "Hi!"},))
    assert key(alike="same") == key(request=other, alike="same", trial=4)
    assert len({key(alike="same"), key(alike="other"), key(alike="same", role="judge"), key()}) == 4
    assert key(alike="same", request=dataclasses.replace(REQUEST, seed=1)) != key(alike="same")


LOCAL = ServerSpec(ModelFile("m:Q4_1", "/m.gguf", "ab" * 32, 5, "path:/m.gguf"), extra_args=("--rope-scale", "2"))
SERVER = {"sha256": LOCAL.model.sha256, "engine_build": "b7000", **LOCAL.identity()}
OTHER_IN_SERVER = {
    "context": 8192,
    "threads": 2,
    "slots": 2,
    "gpu_layers": 3,
    "kv_type": "q8_0",
    "extra_args": (),
    "engine": "embedded",
    "batch": 256,
    "ubatch": 64,
    "flash_attention": "on",
}


def local_key(server: Mapping[str, Any] = SERVER, **more: Any) -> str | None:
    return local_key_of(REQUEST, server, **{"machine": "here", "role": "subject", "trial": 0, **more})


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(ServerSpec) if f.name != "model"])
def test_every_setting_of_a_local_server_changes_the_key(name: str) -> None:
    """By the record's own list of fields."""
    other = dataclasses.replace(LOCAL, **{name: OTHER_IN_SERVER[name]})
    assert local_key({**SERVER, **other.identity()}) != local_key()


@pytest.mark.parametrize("change", [{"sha256": "cd" * 32}, {"engine_build": "b7001"}])
def test_file_engine_machine_trial_and_role_of_a_local_model_change_the_key(change: dict[str, str]) -> None:
    """Another file under the same name, another build of the engine, another processor."""
    others = [local_key({**SERVER, **change}), local_key(machine="there"), local_key(trial=1), local_key(role="judge")]
    assert len({local_key(), *others}) == 5


@pytest.mark.parametrize("name", ["sha256", "engine_build"])
def test_a_file_or_an_engine_that_nobody_knows_is_not_cached(name: str) -> None:
    """Else two of them would share a key."""
    assert local_key({**SERVER, name: ""}) is None


@pytest.mark.parametrize("written", ["--chat-template-file {path}", "--chat-template-file={path}"])
def test_the_content_of_a_file_that_a_server_is_given_changes_the_key(tmp_path: Path, written: str) -> None:
    """A chat template that was edited, under the same name."""
    template = tmp_path / "chat.jinja"
    server = {**SERVER, "extra_args": tuple(written.format(path=template).split(" "))}
    template.write_text("{{ messages }}")
    first = local_key(server)
    template.write_text("{{ messages[0] }}")
    assert local_key(server) not in {None, first}


@pytest.mark.parametrize(
    "written", ["{one}:0.5,{two}:1e-2", "{two}:-1", "--lora-scaled={one}:1,{two}:2", "{one},{two}"]
)
def test_the_content_of_an_adapter_that_is_named_with_its_scale_or_in_a_list_changes_the_key(
    tmp_path: Path, written: str
) -> None:
    """As llama-server takes them: `--lora-scaled a.gguf:0.5,b.gguf:1`."""
    one, two = tmp_path / "a.gguf", tmp_path / "b.gguf"
    one.write_text("one")
    two.write_text("two")
    server = {**SERVER, "extra_args": ("--lora-scaled", written.format(one=one, two=two))}
    first = local_key(server)
    two.write_text("another")
    assert local_key(server) not in {None, first}
