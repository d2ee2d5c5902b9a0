"""What is shipped for Prometheus and Grafana asks for metrics that there are."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from ruamel.yaml import YAML

from syncd.core.health import Facts, Freshness, Kind, PipelineFacts, RunFacts
from syncd.core.model import Change, Outcome, Result, TargetName
from syncd.core.model import Kind as Does
from syncd.daemon.metrics import Metrics
from syncd.engine.health import Health

SHIPPED = Path(__file__).parents[3] / "docs" / "monitoring"
NOW = datetime(2026, 9, 16, tzinfo=UTC)
HEALTH = Health(
    NOW,
    "1.0",
    Facts(
        sources={"sis": Freshness(Kind.SOURCE, "sis", NOW, NOW, count=3)},
        targets={"ldap": Freshness(Kind.TARGET, "ldap", NOW)},
        campuses={'0"1\n2': Freshness(Kind.CAMPUS, '0"1\n2', NOW, count=3)},
        pipelines={"main": PipelineFacts((RunFacts("r1", "delta", "done", NOW, NOW),))},
        unchanged_after={},
        missing_canaries={},
        backup=Freshness(Kind.BACKUP, "", NOW),
        findings={"reject": 2},
    ),
    (),
    {"ldap": 3},
)


def told() -> str:
    """The metrics of a daemon that has done a little of everything."""
    metrics = Metrics(lambda: HEALTH)
    metrics.changed(Outcome(Change(TargetName("ldap"), Does.CREATE_CONTAINER, "x", group="ou=x"), Result.DONE))
    metrics.called("ldap", 0.2)
    metrics.failed("main", "delta")
    metrics.missed("main delta")
    metrics._phases.labels("main", "delta", "read").observe(1)
    return metrics.text().decode()


def test_every_metric_that_is_asked_for_is_told() -> None:
    """A rule over a metric that does not exist never fires."""
    known = {re.split(r"[{ ]", line)[0] for line in told().splitlines() if not line.startswith("#")}
    asked = set()
    for path in SHIPPED.iterdir():
        asked |= set(re.findall(r"\bsyncd_[a-z_]+", path.read_text(encoding="utf-8")))
    assert asked - known == set()
    assert len(asked) > 10


def test_the_rules_say_what_is_wrong_and_what_to_do() -> None:
    """Each alert has an expression, a severity, a summary and a description."""
    rules = YAML(typ="safe", pure=True).load((SHIPPED / "prometheus-rules.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert all({"alert", "expr", "labels", "annotations"} <= rule.keys() for rule in rules)
    assert all({"summary", "description"} == rule["annotations"].keys() for rule in rules)
    assert {rule["labels"]["severity"] for rule in rules} == {"critical", "warning"}


def test_the_dashboard_is_json_with_a_title_on_every_panel() -> None:
    """Grafana imports it as it is."""
    dashboard = json.loads((SHIPPED / "grafana-dashboard.json").read_text(encoding="utf-8"))
    assert all(panel["title"] and panel["targets"] for panel in dashboard["panels"])


def test_a_campus_code_cannot_break_out_of_its_label() -> None:
    """The code of a campus comes from a roster."""
    assert 'syncd_campus_persons{campus="0\\"1\\n2"} 3.0' in told()
