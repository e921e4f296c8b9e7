"""Providers, prices and budget in llmbench.yaml and in the user's own configuration."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pytest_llmbench import config
from pytest_llmbench.config import OwnProviderDef
from pytest_llmbench.errors import ConfigError

GATEWAY = """
providers:
  gateway:
    url: "https://llm.example.org/v1/"
    format: anthropic
    key_env: GATEWAY_KEY
    headers: {x-team: evaluation}
    limits: {requests_per_minute: 600, concurrency: 5}
    models:
      "org/small:free": {price: {input: 0.15, output: "0.60"}, capabilities: {seed: false}, max_output_tokens: 8192}
prices:
  "openai/*": {input: 2.5, output: 10, cached: 1.25, request: 0.01}
budget: {run: 5, models: {"openai/*": 2.50}, use_cases: {triage: 1}}
"""


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """Where the user's own configuration is, in an empty folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "pytest-llmbench"
    folder.mkdir(parents=True)
    return folder / "llmbench.yaml"


@pytest.fixture
def rootdir(tmp_path) -> Path:
    """An empty project."""
    root = tmp_path / "project"
    root.mkdir()
    return root


def resolved(rootdir: Path, text: str = "") -> config.Resolved:
    """The project with this llmbench.yaml."""
    (rootdir / "llmbench.yaml").write_text(text)
    return config.resolve({}, {}, {}, rootdir)


def test_every_key_is_read():
    """Money becomes decimal text, whether it stands there as a number or as text."""
    found = config.parse(GATEWAY)
    gateway = found.providers["gateway"]
    small = gateway.models["org/small:free"]
    assert (gateway.url, gateway.format, gateway.headers) == (
        "https://llm.example.org/v1",
        "anthropic",
        {"x-team": "evaluation"},
    )
    assert small.price is not None
    assert (small.price.input, small.price.output, small.capabilities.seed) == ("0.15", "0.60", False)
    assert found.prices["openai/*"].cached == "1.25"
    assert (found.budget.run, found.budget.models, found.budget.use_cases) == (
        "5",
        {"openai/*": "2.5"},
        {"triage": "1"},
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("providers: {a: {key_command: cat key}}", "key_command: names a program to run"),
        ("providers: {a: {api_key: sk-1234}}", "does not belong into a file that is shared"),
        ("providers: {a: {headers: {Authorization: Bearer x}}}", "Authorization: a key does not belong"),
        ("providers: {a: {headers: {X-Goog-Api-Key: x}}}", "X-Goog-Api-Key: a key does not belong"),
        ("providers: {a: {key_env: sk-123}}", "not the key itself"),
        ("providers: {a: {url: ftp://x}}", "must be an http:// or https://"),
        ("providers: {a: {url: 'https://me:secret@x'}}", "must not hold a user name"),
        ("providers: {a: {format: cohere}}", "allowed: 'openai', 'anthropic', 'azure'"),
        ("providers: {a: {limits: {concurrency: 0}}}", "greater than or equal to 1"),
        ("providers: {a: {models: {'b c': {}}}}", "without blanks"),
        ("servers: {a: {url: 'http://x'}}\nproviders: {a: {}}", "one name is one address"),
        ("prices: {a: {input: 0.0000025, output: 0.00001}}", "for a million tokens"),
        ("prices: {a: {input: -1, output: 1}}", "0 or more"),
        ("prices: {a: {input: much, output: 1}}", "an amount in US dollars"),
        ("prices: {a: {input: true, output: 1}}", "an amount in US dollars"),
        ("prices: {a: {input: 1}}", "output: is missing"),
        ("prices: {'': {input: 1, output: 1}}", "a model's name or a glob"),
        ("budget: {run: .inf}", "0 or more"),
        ("budget: {runs: 1}", "did you mean 'run'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(text, reason):
    """And with what is allowed."""
    with pytest.raises(ConfigError) as caught:
        config.parse(text)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("llmbench.yaml:")


def test_a_key_that_stands_in_the_file_is_not_repeated_in_the_error():
    """Errors end up in logs."""
    with pytest.raises(ConfigError) as caught:
        config.parse("providers: {a: {key_env: sk-canary-1234567890}}")
    assert "canary" not in str(caught.value)


def test_the_users_own_file_lies_below_the_projects(own, rootdir):
    """Providers are merged key by key, prices glob by glob, the project's first."""
    own.write_text(
        "providers:\n"
        "  lab: {url: https://lab.example/v1, key_command: 'pass show lab', models: {a: {}, b: {}}}\n"
        "prices:\n  'lab/*': {input: 1, output: 1}\n  'x/*': {input: 1, output: 1}\n"
    )
    found = resolved(
        rootdir,
        "providers: {lab: {limits: {concurrency: 3}, models: {b: {context_tokens: 9}}}}\n"
        "prices: {'x/*': {input: 7, output: 7}}\n",
    ).config
    lab = found.providers["lab"]
    assert isinstance(lab, OwnProviderDef)
    assert (lab.url, lab.key_command) == ("https://lab.example/v1", ("pass", "show", "lab"))
    assert lab.limits is not None
    assert (lab.limits.concurrency, lab.models["b"].context_tokens, "a" in lab.models) == (3, 9, True)
    assert [found.prices[name].input for name in found.prices] == ["7", "1"]


def test_a_project_cannot_have_the_users_key_sent_to_another_address(own, rootdir):
    """Where it gives an address, neither the user's command nor the variable or headers of his go with it."""
    own.write_text(
        "providers:\n  lab: {url: https://lab.example, key_command: pass show lab, key_env: LAB_KEY, headers: {x: y}}\n"
    )
    lab = resolved(rootdir, "providers: {lab: {url: https://evil.example}}\n").config.providers["lab"]
    assert lab.url == "https://evil.example"
    assert (getattr(lab, "key_command", None), lab.key_env, lab.headers) == (None, None, {})


def test_the_lower_cap_of_both_files_holds(own, rootdir):
    """No project's file spends more than its user allows."""
    own.write_text("budget: {run: 3, models: {'a/*': 1, 'b/*': 1}}\n")
    budget = resolved(rootdir, "budget: {run: 9, models: {'a/*': 0.5}, use_cases: {t: 2}}\n").config.budget
    assert (budget.run, budget.use_cases) == ("3", {"t": "2"})
    assert {name: Decimal(cap) for name, cap in budget.models.items()} == {"a/*": Decimal("0.5"), "b/*": 1}


def test_a_server_of_the_project_hides_a_provider_of_the_users(own, rootdir):
    """One name is one address."""
    own.write_text("providers: {lab: {url: https://lab.example}}\n")
    found = resolved(rootdir, "servers: {lab: {url: 'http://127.0.0.1:1'}}\n").config
    assert "lab" not in found.providers


def test_a_mistake_in_the_users_own_file_names_that_file(own, rootdir):
    """With its line, and what may stand there."""
    own.write_text("providers: {}\nthresholds: []\n")
    with pytest.raises(ConfigError) as caught:
        resolved(rootdir)
    assert str(caught.value).startswith(f"{own}:2: thresholds: belongs into a project's llmbench.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'pass show lab'", ("pass", "show", "lab")),
        ("[op, read, 'op://a b/c']", ("op", "read", "op://a b/c")),
        ("\"sh -c 'echo a b'\"", ("sh", "-c", "echo a b")),
    ],
)
def test_a_command_is_a_text_or_a_list(own, rootdir, text, words):
    """A text is split as a shell would."""
    own.write_text(f"providers: {{lab: {{url: https://lab.example, key_command: {text}}}}}\n")
    lab = resolved(rootdir).config.providers["lab"]
    assert isinstance(lab, OwnProviderDef)
    assert lab.key_command == words


@pytest.mark.parametrize("text", ["''", "[]", "7", "[a, 1]", "'a \"b'"])
def test_what_is_no_command_is_refused(own, rootdir, text):
    """Before anything is run."""
    own.write_text(f"providers: {{lab: {{key_command: {text}}}}}\n")
    with pytest.raises(ConfigError, match="key_command"):
        resolved(rootdir)
