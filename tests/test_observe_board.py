"""Names of metrics, and what is shipped beside them: a board for Grafana and alert rules, which name no others."""

from __future__ import annotations

import json
import re

import yaml

from pytest_llmbench.cli.metrics import BOARD, RULES
from pytest_llmbench.observe.families import BY_NAME, FAMILIES, FamilyKind


def test_names_keep_to_the_conventions_of_prometheus() -> None:
    """Lower case, one prefix, base units; only counters end in _total; labels are few and bounded."""
    for family in FAMILIES:
        assert re.fullmatch(r"llmbench_[a-z0-9]+(_[a-z0-9]+)*", family.name)
        assert not re.search(r"_(total|count|sum|bucket|ms|milliseconds|minutes|percent)$", family.name)
        assert family.full_name.endswith("_total") == (family.kind is FamilyKind.COUNTER)
        assert bool(family.buckets) == (family.kind is FamilyKind.HISTOGRAM)
        assert list(family.buckets) == sorted(set(family.buckets))
        assert family.help.endswith(".")
        assert set(family.labels) <= _LABELS
    assert len(BY_NAME) == len(FAMILIES)


_LABELS = {
    *(
        "model",
        "role",
        "outcome",
        "category",
        "type",
        "source",
        "state",
        "verdict",
        "run",
        "alert",
        "version",
        "python",
    ),
}


def named(text: str) -> set[str]:
    """The metrics that queries name, without the endings of histograms."""
    found = set(re.findall(r"llmbench_\w+", text))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def test_every_metric_of_the_board_exists_and_every_label_is_one_of_its() -> None:
    """A renamed metric is renamed in the board, too; each panel has a query."""
    board = json.loads(BOARD.read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    queries += [variable["definition"] for variable in board["templating"]["list"]]
    assert named(" ".join(queries)) <= set(BY_NAME)
    for name, selected in re.findall(r"(llmbench_\w+?)(?:_bucket)?\{([^}]*)\}", " ".join(queries)):
        assert set(re.findall(r"(\w+)(?:=~|!~|=|!=)", selected)) <= set(BY_NAME[name].labels), name
    assert [each for each in queries if re.match(r"sum\([^()]*\) / ", each)] == [], "empty while nothing failed"
    shown = {*named(" ".join(queries))}
    assert {"llmbench_ttft_seconds", "llmbench_cost_usd_total", "llmbench_breaker_state", "llmbench_tests"} <= shown


def test_the_board_has_the_shape_that_grafana_imports() -> None:
    """The classic model: a data source to be chosen at the import, panels with ids and places that do not overlap."""
    board = json.loads(BOARD.read_text())
    assert board["id"] is None
    assert [each["name"] for each in board["__inputs"]] == ["DS_PROMETHEUS"]
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time", "annotations"} <= set(board)
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    kinds = {each["id"] for each in board["__requires"] if each["type"] == "panel"}
    assert {panel["type"] for panel in panels} == {*kinds, "row"}
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        taken |= cells
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
            assert panel["description"]
            assert panel["targets"]


def test_every_metric_of_the_alert_rules_exists() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert named(" ".join(rule["expr"] for rule in rules)) <= set(BY_NAME)
    assert all({"alert", "expr", "labels", "annotations"} <= set(rule) for rule in rules)
