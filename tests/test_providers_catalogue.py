"""The catalogue of a provider: fetched at most once a day, kept, and read with distrust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from catalogue_server import GPT, CatalogueServer, Page, catalogue_server

from pytest_llmbench import clock, config
from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.providers.catalogue import Catalogue
from pytest_llmbench.providers.targets import Providers

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def now(monkeypatch) -> list[datetime]:
    """The wall clock; what stands in the list is the time."""
    times = [NOW]
    monkeypatch.setattr(clock, "now", lambda: times[0])
    return times


def catalogue(server: CatalogueServer, folder: Path, *, offline: bool = False) -> Catalogue:
    """A new process's view of the server's catalogue."""
    return Catalogue("openrouter", f"{server.url}/api/v1", folder=folder, offline=offline)


def test_what_is_published_is_known(tmp_path, now):
    """Price, context, longest answer, and what the model takes."""
    with catalogue_server() as server:
        facts = catalogue(server, tmp_path).facts("openai/gpt-4o-mini")
    assert facts is not None
    assert (facts.price.input, facts.price.output, facts.price.cached) == ("0.00000015", "0.0000006", "0.000000075")
    assert (facts.price.cache_write, facts.price.reasoning, facts.price.as_of) == ("", "", "2026-11-21")
    assert (facts.context_tokens, facts.max_output_tokens) == (64000, 16384)
    takes = facts.capabilities
    assert (takes.images, takes.audio, takes.tools, takes.json_schema) == (True, False, True, True)
    assert (takes.seed, takes.logprobs, takes.reasoning, takes.temperature) == (True, False, False, True)


def test_free_is_a_price_and_varying_is_none(tmp_path, now):
    """0 is told; -1 says that nobody knows."""
    with catalogue_server() as server:
        models = catalogue(server, tmp_path).models()
    assert (models["meta/llama-3:free"].price.input, models["meta/llama-3:free"].price.known) == ("0", True)
    assert models["openrouter/auto"].price.known is False
    assert len(models) == 3


def test_it_is_fetched_once_in_24_hours(tmp_path, now):
    """By all processes together."""
    with catalogue_server() as server:
        assert catalogue(server, tmp_path).facts("openai/gpt-4o-mini")
        now[0] = NOW + timedelta(hours=23)
        later = catalogue(server, tmp_path)
        assert later.facts("openai/gpt-4o-mini")
        assert (server.paths, later.age) == (["/api/v1/models"], timedelta(hours=23))
        now[0] = NOW + timedelta(hours=25)
        fresh = catalogue(server, tmp_path)
        assert fresh.facts("openai/gpt-4o-mini")
        assert (len(server.paths), fresh.age) == (2, timedelta(0))


def test_no_key_is_sent_for_it(tmp_path, now):
    """Everybody may read it."""
    with catalogue_server() as server:
        catalogue(server, tmp_path).models()
        [(_, headers)] = server.asked
    assert "authorization" not in headers


def test_what_is_kept_is_small(tmp_path, now):
    """Descriptions are a hundred times as long as what is of use."""
    with catalogue_server() as server:
        catalogue(server, tmp_path).models()
    [kept] = tmp_path.glob("*.json")
    assert kept.stat().st_size < 3000


@pytest.mark.parametrize(
    "broken",
    [
        Page({}, 500),
        Page(b"<html>not here</html>"),
        Page({"data": []}),
        Page({"data": [{"name": "no id"}]}),
        Page([1, 2]),
        Page(b"[" * 100_000),
    ],
)
def test_where_it_cannot_be_had_the_old_one_is_used_and_says_so(tmp_path, now, broken):
    """However old; its date goes with each price."""
    with catalogue_server() as server:
        catalogue(server, tmp_path).models()
        now[0] = NOW + timedelta(days=9)
        server.pages["/api/v1/models"] = broken
        old = catalogue(server, tmp_path)
        facts = old.facts("openai/gpt-4o-mini")
    assert facts is not None
    assert facts.price.as_of == "2026-11-21"
    assert "216 h old (GET http://127.0.0.1" in old.state()


def test_without_network_and_without_an_old_one_nothing_is_known(tmp_path, now):
    """No error: prices are unknown, and llmbench.yaml may declare them."""
    with catalogue_server() as server:
        server.stop()
        none = catalogue(server, tmp_path)
        assert (none.facts("openai/gpt-4o-mini"), none.models()) == (None, {})
    assert none.state().startswith("no catalogue (GET http://127.0.0.1")


def test_offline_nothing_is_fetched(tmp_path, now):
    """Not even where there is nothing kept."""
    with catalogue_server() as server:
        assert catalogue(server, tmp_path, offline=True).state() == "no catalogue (offline)"
        catalogue(server, tmp_path).models()
        now[0] = NOW + timedelta(days=2)
        assert (
            catalogue(server, tmp_path, offline=True).state() == "catalogue of 2026-11-21 12:00 UTC, 48 h old (offline)"
        )
        assert len(server.asked) == 1


def test_a_file_that_was_damaged_is_fetched_anew(tmp_path, now):
    """A half-written or foreign one is none."""
    with catalogue_server() as server:
        catalogue(server, tmp_path).models()
        [kept] = tmp_path.glob("*.json")
        kept.write_text('{"fetched_at": "yesterday"')
        assert catalogue(server, tmp_path).models()
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    "entry",
    [
        {"pricing": "free"},
        {"pricing": {"prompt": "NaN", "completion": "1"}},
        {"pricing": {"prompt": [], "completion": {}}},
        {"pricing": {"prompt": "-0.5", "completion": "0.5"}},
        {"context_length": "many", "top_provider": None, "architecture": 3, "supported_parameters": "all"},
    ],
)
def test_what_is_malformed_in_an_entry_is_not_known(tmp_path, now, entry):
    """And does no harm to what is well formed."""
    page = Page({"data": [{"id": "a/b", **entry}, GPT]})
    with catalogue_server(models=page) as server:
        models = catalogue(server, tmp_path).models()
    assert models["a/b"].price.known is False
    assert models["a/b"].context_tokens is None
    assert models["openai/gpt-4o-mini"].price.known


def test_a_target_of_openrouter_has_its_price_from_the_catalogue(tmp_path, monkeypatch):
    """At run time; to check a name at collection nothing is fetched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with catalogue_server() as server:
        text = f"providers: {{openrouter: {{url: '{server.url}/api/v1', key_env: OR_KEY}}}}\n"
        (tmp_path / "llmbench.yaml").write_text(text)
        found = Providers(config.resolve({}, {}, {}, tmp_path), environ={"OR_KEY": "kx-or-00aa11bb22"})
        assert found.check("openrouter/openai/gpt-4o-mini")
        assert server.asked == []
        target = found.target("openrouter/openai/gpt-4o-mini")
    assert target is not None
    assert (target.price.output, target.price.source) == ("0.0000006", "catalogue")
    assert target.max_output_tokens == 16384


def test_the_demo_providers_catalogue_is_one(tmp_path):
    """In OpenRouter's form, with a price for every persona."""
    with DemoProvider() as provider:
        models = Catalogue("openrouter", f"{provider.url}/api/v1", folder=tmp_path).models()
    assert {"echo", "facts"} <= {name.rpartition("/")[2] for name in models}
    assert all(facts.price.known and facts.context_tokens for facts in models.values())
