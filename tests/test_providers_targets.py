"""From `provider/model` to what is needed to ask it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmbench import config
from pytest_llmbench.demo.personas import PERSONAS
from pytest_llmbench.errors import UsageError
from pytest_llmbench.providers import prices
from pytest_llmbench.providers.table import DEMO_URL
from pytest_llmbench.providers.targets import Providers
from pytest_llmbench.records import Capabilities, Limits

KEY = "kx-targets-4471aa09"


@pytest.fixture(autouse=True)
def no_catalogue(tmp_path, monkeypatch):
    """Nothing is kept of what other tests fetched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def providers(tmp_path: Path, text: str = "", **environ: str) -> Providers:
    """Those of a project with this llmbench.yaml and this environment."""
    (tmp_path / "llmbench.yaml").write_text(text)
    return Providers(config.resolve({"offline": "true"}, {}, {}, tmp_path), environ=environ)


def test_a_built_in_provider_needs_its_key_and_nothing_else(tmp_path):
    """Address, wire format, price and what it takes are known."""
    target = providers(tmp_path, OPENAI_API_KEY=KEY).target("openai/gpt-4o-mini")
    assert target is not None
    assert (target.provider, target.model_id, target.format) == ("openai", "gpt-4o-mini", "openai")
    assert target.base_url == "https://api.openai.com/v1"
    assert (target.price.input, target.price.source, target.price.as_of) == ("0.00000015", "table", prices.as_of())
    assert target.capabilities.seed is True
    assert (target.account != "", KEY in str(target.as_dict())) == (True, False)


@pytest.mark.parametrize("who", PERSONAS)
@pytest.mark.parametrize("form", ["demo/{}", "demo/{}+latency_s=0.5", "demo/{}+stall+times=1", "demo/demo/{}+itl_s=0"])
def test_a_demo_model_costs_what_it_is_billed_at_whatever_its_name_has_it_do(tmp_path, who, form):
    """Who answers sets the price; the traits behind the plus signs do not."""
    target = providers(tmp_path).target(form.format(who))
    assert target is not None
    billed = PERSONAS[who].price
    assert (target.price.input, target.price.output) == (billed.input, billed.output)


def test_a_model_id_may_hold_slashes_and_colons(tmp_path):
    """As OpenRouter's and Ollama's do."""
    target = providers(tmp_path, OPENROUTER_API_KEY=KEY).target("openrouter/meta/llama-3:free")
    assert target is not None
    assert target.model_id == "meta/llama-3:free"
    local = providers(tmp_path).target("ollama/llama3.2:1b")
    assert local is not None
    assert (local.model_id, local.base_url, local.account) == ("llama3.2:1b", "http://127.0.0.1:11434", "")


@pytest.mark.parametrize("name", ["smollm2-135m:Q4_1", "nobody/model", "openai/", "/x", ""])
def test_other_names_are_no_remote_models(tmp_path, name):
    """They are local models', or nobody's; no key is looked for."""
    found = providers(tmp_path)
    assert found.check(name) is False
    assert found.target(name) is None


def test_a_missing_key_is_told_with_all_places_it_may_stand_in(tmp_path):
    """At collection, before anything runs."""
    with pytest.raises(UsageError, match=r"'gemini' needs its key in \$GEMINI_API_KEY or \$GOOGLE_API_KEY") as caught:
        providers(tmp_path).check("gemini/gemini-2.5-flash")
    assert str(tmp_path / ".env") in caught.value.hint
    assert "demo/" in caught.value.hint


def test_a_key_in_the_env_file_of_the_root_directory_will_do(tmp_path):
    """Without being exported."""
    (tmp_path / ".env").write_text(f"ANTHROPIC_API_KEY={KEY}\n")
    found = providers(tmp_path)
    assert found.check("anthropic/claude-haiku-4-5")
    assert found.key("anthropic").reveal() == KEY


def test_azure_has_its_address_from_the_environment_or_the_file(tmp_path):
    """Each account has its own; an api-version asks for the deployments form."""
    with pytest.raises(UsageError, match="no address") as caught:
        providers(tmp_path, AZURE_OPENAI_API_KEY=KEY).check("azure/gpt")
    assert "$AZURE_OPENAI_ENDPOINT" in caught.value.hint
    environ = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/"}
    plain = providers(tmp_path, **environ).target("azure/gpt")
    dated = providers(tmp_path, "providers: {azure: {api_version: '2024-10-21'}}\n", **environ).target("azure/gpt")
    assert plain is not None
    assert dated is not None
    assert (plain.format, plain.base_url) == ("azure", "https://me.openai.azure.com")
    assert dated.base_url == "https://me.openai.azure.com?api-version=2024-10-21"


def test_demo_models_need_nothing_and_start_nothing(tmp_path):
    """Their address stands for a provider that whoever asks first starts."""
    target = providers(tmp_path).target("demo/echo")
    assert target is not None
    assert (target.base_url, target.price.known, target.capabilities.images) == (DEMO_URL, True, True)


def test_servers_stay_what_they_were(tmp_path):
    """OpenAI's format, no price; their name goes before a built-in provider's."""
    found = providers(tmp_path, "servers: {ollama: {url: 'http://127.0.0.1:9/v1', key_env: LAB_KEY}}\n", LAB_KEY=KEY)
    target = found.target("ollama/m")
    assert target is not None
    assert (target.base_url, target.format, target.price.known) == ("http://127.0.0.1:9", "openai", False)
    assert found.key(target).reveal() == KEY


def test_a_built_in_providers_key_goes_to_its_own_address_alone(tmp_path):
    """A project's file that moves it has to name a variable, where everybody sees it."""
    moved = "providers: {openai: {url: 'https://evil.example/v1'}}\n"
    found = providers(tmp_path, moved, OPENAI_API_KEY=KEY)
    assert found.check("openai/gpt-4o")
    assert not found.key("openai")
    target = found.target("openai/gpt-4o")
    assert target is not None
    assert not target.price.known


def test_what_the_file_says_of_a_model_goes_before_the_table(tmp_path):
    """Price whole, capabilities one by one, limits in place of the provider's."""
    text = """
providers:
  openai:
    limits: {concurrency: 9}
    models:
      gpt-4o-mini:
        price: {input: 1, output: 2}
        capabilities: {seed: false}
        limits: {requests_per_minute: 60}
        max_output_tokens: 100
"""
    target = providers(tmp_path, text, OPENAI_API_KEY=KEY).target("openai/gpt-4o-mini")
    assert target is not None
    assert (target.price.input, target.price.cached, target.price.source) == ("0.000001", "", "llmbench.yaml")
    assert (target.capabilities.seed, target.capabilities.images) == (False, True)
    assert target.capabilities.source == "llmbench.yaml, table"
    assert (target.limits, target.max_output_tokens) == (Limits(requests_per_minute=60), 100)
    assert target.context_tokens == 128_000


def test_the_first_price_glob_that_matches_counts(tmp_path):
    """And a model's own price goes before it."""
    text = """
prices: {"lab/b*": {input: 3, output: 3}, "lab/*": {input: 1, output: 1}}
providers: {lab: {url: "https://lab.example", models: {own: {price: {input: 9, output: 9}}}}}
"""
    found = providers(tmp_path, text)
    told = [target.price.input for name in ("big", "small", "own") if (target := found.target(f"lab/{name}"))]
    assert told == ["0.000003", "0.000001", "0.000009"]


def test_nothing_is_known_of_a_model_that_nobody_describes(tmp_path):
    """Unknown, not 0 and not false."""
    target = providers(tmp_path, "providers: {lab: {url: 'https://lab.example'}}\n").target("lab/new")
    assert target is not None
    assert (target.price.known, target.capabilities, target.context_tokens) == (False, Capabilities(), None)


@pytest.mark.parametrize(
    ("model_id", "known"),
    [
        ("gpt-4o", True),
        ("gpt-4o-2024-08-06", True),
        ("gpt-4o-audio-preview", False),
        ("gpt-4o-mini-tts", False),
        ("gpt-5-nano-latest", True),
    ],
)
def test_dated_forms_of_a_model_cost_what_it_costs_and_others_do_not(model_id, known):
    """A longer name is another model."""
    assert prices.facts("openai", model_id).price.known is known


def test_the_shipped_table_is_whole():
    """Every entry has a price that is none of a token, a date, and a provider that we know."""
    for provider, model_id in prices.models():
        facts = prices.facts(provider, model_id)
        assert 0 < float(facts.price.input) < 0.001 > float(facts.price.output)
        assert facts.price.as_of >= "2026"
        assert facts.capabilities.source == "table"


def test_another_way_to_write_a_built_in_address_is_that_address(tmp_path):
    """With its version or without, it gets the key."""
    found = providers(tmp_path, "providers: {openai: {url: 'https://api.openai.com/'}}\n", OPENAI_API_KEY=KEY)
    assert found.key("openai").reveal() == KEY


def test_an_azure_key_goes_to_the_address_that_the_environment_names(tmp_path):
    """A project's file that names another has to name a variable."""
    environ = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com"}
    evil = providers(tmp_path, "providers: {azure: {url: 'https://evil.example'}}\n", **environ)
    assert not evil.key("azure")
    alone = providers(tmp_path, "providers: {azure: {url: 'https://me.openai.azure.com'}}\n", AZURE_OPENAI_API_KEY=KEY)
    assert alone.key("azure").reveal() == KEY


def test_a_key_command_is_not_run_to_check_a_name(tmp_path, monkeypatch):
    """Collection asks for every test; the command may ask its user something."""
    own = tmp_path / "config" / "pytest-llmbench" / "llmbench.yaml"
    own.parent.mkdir(parents=True)
    ran = tmp_path / "ran"
    own.write_text(
        f"providers: {{lab: {{url: 'https://lab.example', key_command: \"sh -c 'echo {KEY}; echo x >> {ran}'\"}}}}\n"
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    found = providers(tmp_path)
    assert found.check("lab/m")
    assert not ran.exists()
    target = found.target("lab/m")
    assert target is not None
    assert (found.key(target).reveal(), found.key("lab").reveal(), ran.read_text()) == (KEY, KEY, "x\n")


def test_where_nothing_is_asked_no_key_is_needed(tmp_path):
    """A cassette is replayed, or a run is only reckoned, by whoever has no key."""
    for options in ({"replay": "cassette.jsonl"}, {"dry_run": "true"}):
        found = Providers(config.resolve(options, {}, {}, tmp_path), environ={})
        target = found.target("anthropic/claude-haiku-4-5")
        assert target is not None
        assert (target.account, target.price.known) == ("", True)
        assert found.check("azure/anything")
