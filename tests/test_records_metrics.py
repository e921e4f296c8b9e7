"""Records and the metrics computed from them."""

from __future__ import annotations

import json

import pytest

from pytest_llmbench.errors import ReplyFormatError
from pytest_llmbench.metrics import METRICS, call_metrics
from pytest_llmbench.records import Measurement, Repetition, Reply, Series, ServerInfo, Timing, Usage
from pytest_llmbench.secret import Secret


def measurement(*metrics: dict[str, float], gaps: tuple[float, ...] = ()) -> Measurement:
    return Measurement(
        id="m",
        key="k",
        model="tiny:Q4_0",
        profile="interactive",
        settings={},
        host_fingerprint="h",
        repetitions=tuple(Repetition(i, 0, "p", m, timing=Timing(gaps_s=gaps)) for i, m in enumerate(metrics)),
        scalars={"load_s": 0.5},
        units={name: row.unit for name, row in METRICS.items()},
    )


def test_percentiles_are_values_that_were_measured() -> None:
    """Nearest rank: the 50th percentile of four values is the second, the 95th the fourth."""
    series = Series("x", "s", (4.0, 1.0, 3.0, 2.0))
    assert (series.p50, series.p95, series.median, series.n) == (2.0, 4.0, 2.5, 4)


def test_what_was_not_measured_is_refused_and_never_zero() -> None:
    with pytest.raises(ValueError, match="ttft_s was not measured"):
        _ = measurement({"decode_tps": 1.0}).ttft_s.p50


def test_a_metric_nobody_knows_lists_those_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no metric 'ttfs'.*ttft_s"):
        _ = measurement({}).ttfs


def test_scalars_and_gaps_are_series_too() -> None:
    measured = measurement({"ttft_s": 1.0}, {"ttft_s": 2.0}, gaps=(0.1, 0.2))
    assert measured.load_s.p50 == 0.5
    assert measured.itl_s.values == (0.1, 0.2, 0.1, 0.2)


def test_a_measurement_survives_json() -> None:
    measured = measurement({"ttft_s": 1.0}, gaps=(0.1,))
    assert Measurement.from_dict(json.loads(json.dumps(measured.as_dict()))) == measured


def test_time_per_token_divides_by_tokens_less_one_and_never_by_events() -> None:
    """48 tokens in 19 events: the server's count decides."""
    timing = Timing(ttft_s=1.0, last_token_s=1.47, e2e_s=1.5, gaps_s=(0.47 / 18,) * 18)
    found = call_metrics(timing, Usage(prompt_tokens=10, completion_tokens=48))
    assert found["tpot_s"] == pytest.approx(0.01)
    assert found["decode_tps"] == pytest.approx(100)


def test_without_a_token_count_no_speed_is_made_up() -> None:
    found = call_metrics(Timing(ttft_s=1.0, last_token_s=2.0), Usage())
    assert "decode_tps" not in found
    assert "prompt_tps" not in found


def test_prompt_speed_counts_what_the_server_processed() -> None:
    timing = Timing(ttft_s=0.6, server={"prompt_n": 50, "prompt_ms": 500, "cache_n": 0})
    found = call_metrics(timing, Usage(prompt_tokens=50))
    assert found["prompt_tps"] == pytest.approx(100)
    assert found["overhead_s"] == pytest.approx(0.1)


def test_a_reply_reads_as_json_and_blames_the_reply_for_a_missing_key() -> None:
    reply = Reply('```json\n{"queue": {"name": "billing"}, "tags": []}\n```', "tiny")
    assert reply.json["queue"]["name"] == "billing"
    with pytest.raises(ReplyFormatError, match=r"reply\['queue'\] has no key 'id'"):
        _ = reply.json["queue"]["id"]
    with pytest.raises(ReplyFormatError, match="0 items, no item 0"):
        _ = reply.json["tags"][0]


def test_prose_is_no_json() -> None:
    with pytest.raises(ReplyFormatError, match="not JSON"):
        _ = Reply("Sure! Here you go", "tiny").json


def test_a_servers_key_is_neither_shown_nor_stored() -> None:
    info = ServerInfo("embedded", "http://127.0.0.1:1", Secret("s3cret"))
    assert "s3cret" not in repr(info)
    assert "s3cret" not in json.dumps(info.public())
