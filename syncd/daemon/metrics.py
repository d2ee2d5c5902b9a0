"""Every Prometheus metric, defined once. What the store knows is told when asked; what only happens in passing is counted.

Names follow Prometheus' own advice: a unit at the end, `_total` for what only grows. Labels are names from the configuration,
kinds and campuses; never a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from syncd.core.model import Outcome
from syncd.engine.health import Health
from syncd.engine.planned import Applied, Planned

_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800)
_BREAKER = {"closed": 0, "half-open": 1, "open": 2}


class Metrics:
    """The metrics of one daemon."""

    def __init__(self, health: Callable[[], Health]) -> None:
        registry = self._registry = CollectorRegistry()
        self._phases = Histogram(
            "syncd_run_phase_seconds", "Time a phase of a run took.", ("pipeline", "kind", "phase"),
            registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._runs = Counter("syncd_runs_total", "Runs that ended.", ("pipeline", "kind", "status"), registry=registry)
        self._changes = Counter("syncd_changes_total", "Changes sent to a target.", ("target", "kind", "result"), registry=registry)
        self._missed = Counter("syncd_missed_runs_total", "Scheduled runs that did not begin.", ("job",), registry=registry)
        self._calls = Histogram(
            "syncd_target_call_seconds", "Time a question to a target took.", ("target",), registry=registry, buckets=_SECONDS
        )
        registry.register(_FromHealth(health))

    def text(self) -> bytes:
        """All of them, in the text format."""
        return generate_latest(self._registry)

    def changed(self, outcome: Outcome) -> None:
        """A change came to something."""
        self._changes.labels(outcome.change.target, str(outcome.change.kind), str(outcome.result)).inc()

    def called(self, target: str, seconds: float) -> None:
        """A target was asked something."""
        self._calls.labels(target).observe(seconds)

    def ran(self, planned: Planned, applied: Applied | None, seconds: float) -> None:
        """A run went through, or was held; applying took so many seconds."""
        for phase, spent in planned.phases.items():
            self._phases.labels(planned.pipeline, planned.kind, phase).observe(spent)
        if applied is not None:
            self._phases.labels(planned.pipeline, planned.kind, "apply").observe(max(seconds, 0.0))
        status = "held" if applied is None else "partly failed" if applied.failed or applied.stopped else "done"
        self._runs.labels(planned.pipeline, planned.kind, status).inc()

    def failed(self, pipeline: str, kind: str) -> None:
        """A run ended with an error."""
        self._runs.labels(pipeline, kind, "failed").inc()

    def missed(self, job: str) -> None:
        """A scheduled run did not begin: its time was over, or the one before still ran."""
        self._missed.labels(job).inc()


class _FromHealth(Collector):
    """What the store knows, as gauges."""

    def __init__(self, health: Callable[[], Health]) -> None:
        self._health = health

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is depends on the configuration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The gauges as of now."""
        health = self._health()
        facts = health.facts
        yield _gauge("syncd_health_level", "0 well, 1 warning, 2 critical.", (), [((), health.level)])
        good = {name: one.good.ended for name, one in facts.pipelines.items() if one.good}
        yield _gauge(
            "syncd_last_success_timestamp_seconds", "When the last run that went through ended.", ("pipeline",),
            [((name,), ended.timestamp()) for name, ended in good.items() if ended],
        )  # fmt: skip
        held = [((name,), len(one.held)) for name, one in facts.pipelines.items()]
        yield _gauge("syncd_held", "Reasons for which something is held.", ("pipeline",), held)
        for kind, known in (("source", facts.sources), ("target", facts.targets), ("campus", facts.campuses)):
            yield _gauge(
                f"syncd_{kind}_good_timestamp_seconds", f"When the {kind} last gave good data.", (kind,),
                [((name,), one.good_at.timestamp()) for name, one in known.items() if one.good_at],
            )  # fmt: skip
        yield _gauge(
            "syncd_source_changed_timestamp_seconds", "When the roster's content last changed.", ("source",),
            [((name,), one.changed_at.timestamp()) for name, one in facts.sources.items() if one.changed_at],
        )  # fmt: skip
        yield _gauge(
            "syncd_source_persons", "Persons in the last good roster.", ("source",),
            [((name,), one.count) for name, one in facts.sources.items()],
        )  # fmt: skip
        yield _gauge(
            "syncd_campus_persons", "Persons with access, by campus.", ("campus",),
            [((name,), one.count) for name, one in facts.campuses.items()],
        )  # fmt: skip
        yield _gauge("syncd_accounts", "Linked accounts.", ("target",), [((name,), n) for name, n in health.accounts.items()])
        yield _gauge("syncd_findings", "Findings of the last runs: rejects, disputes and others.", ("kind",),
                     [((kind,), number) for kind, number in facts.findings.items()])  # fmt: skip
        yield _gauge("syncd_observed_changes", "Changes that would be made and are not released.", ("target",),
                     [((name,), sum(kinds.values())) for name, kinds in facts.observed.items()])  # fmt: skip
        yield _gauge("syncd_quarantined", "Changes that a target refused.", (), [((), facts.quarantined)])
        yield _gauge("syncd_local_facts", "What people decided here and is in force.", ("kind",),
                     [((kind,), number) for kind, number in facts.decided.items()])  # fmt: skip
        yield _gauge("syncd_locks_owed", "Accounts of locked people that may be open.", ("target",),
                     [((name,), facts.owed_locks.get(name, 0)) for name in facts.targets])  # fmt: skip
        yield _gauge("syncd_breaker_state", "0 closed, 1 half open, 2 open.", ("target",),
                     [((name,), _BREAKER.get(facts.breakers.get(name, "closed"), 2)) for name in facts.targets])  # fmt: skip
        if facts.backup and facts.backup.good_at:
            at = facts.backup.good_at.timestamp()
            yield _gauge("syncd_backup_timestamp_seconds", "When the last backup was made.", (), [((), at)])


def _gauge(name: str, doc: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(name, doc, labels=labels)
    for told, value in values:
        family.add_metric(told, value)
    return family
