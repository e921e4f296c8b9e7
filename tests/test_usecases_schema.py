"""The published JSON Schema takes what the loader takes, and refuses what it refuses by form."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator
from test_usecases_page import FULL

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.usecases.json_schema import json_schema
from pytest_llmbench.validators.registry import VALIDATORS


@pytest.fixture(scope="module")
def checker() -> Draft202012Validator:
    """Of the published schema, which is a schema itself."""
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize(
    "front",
    [
        FULL,
        "prompt: '{{input}}'\noutput: json\ndata: data/*.csv\nrubric: x",
        "validators: [exact, not-regex: a]",
        "repeats: 3\nstop: repeats",
        "repeats: 3\nstop: [repeats, samples]",
        "rubric: {file: r.md}\njudge: {model: a/b, binding: true, request: {max_tokens: 5}}",
        "rubric: {pass_at: 1, criteria: [{id: a, text: b, weight: 40 %, kind: yes-no}, {id: c, text: d, weight: 60%}]}",
        "rubric: {scale: {1: x, 5: y}, criteria: [{id: a, text: b}]}\npanel: {models: [a/b, c/d], vote: mean}",
    ],
)
def test_what_the_loader_takes_is_of_the_schema(checker, front):
    """An editor does not underline what works."""
    assert [error.message for error in checker.iter_errors(strict_yaml.parse(front, "x").data)] == []


@pytest.mark.parametrize(
    "front",
    [
        "promt: x",
        "repeats: 0",
        "reducer: average",
        "output: {shema: x}",
        "validators: exact",
        "gates: [{}]",
        "rubric: {criteria: [{id: A, text: b}]}",
        "rubric: {criteria: [{id: a, text: b, weight: x}]}",
        "panel: {models: [a/b, c/d], vote: most}",
        "stop: always",
        "rubric: {scale: {1: x}}",
    ],
)
def test_what_the_loader_refuses_by_form_is_not(checker, front):
    """An editor underlines it before anything is run."""
    assert list(checker.iter_errors(strict_yaml.parse(front, "x").data))


def test_every_validator_stands_in_the_schema_with_what_it_does():
    """Completion offers all of them, and those registered in Python are no mistakes."""
    item = json_schema()["$defs"]["Validator"]
    by_name = item["anyOf"][2]["properties"]
    for name, validator in VALIDATORS.items():
        assert by_name[name]["description"] == validator.about
    assert Draft202012Validator(item).is_valid("my-own")


def test_every_key_is_described():
    """What an editor shows beside a key says what it is for."""
    schema = json_schema()
    parts = {"": schema, **{name: part for name, part in schema["$defs"].items() if name != "Validator"}}
    untold = [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, field in part.get("properties", {}).items()
        if not field.get("description")
    ]
    assert untold == []
