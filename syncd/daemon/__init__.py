"""The long-lived process: pipelines on their schedules, monitors and operators answered, the service manager told.

Signals do what administrators expect: TERM and INT end it, HUP reads the files anew, USR1 runs every pipeline now. What is sent to
a target is awaited and recorded before the process ends; what hangs longer than `PATIENCE` is left as a kill would leave it, which
every next run heals.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncd import telemetry
from syncd.assembly import Clock, Running, Watch, migrate_store, opened, utc_now
from syncd.control import Answer, Malformed, Question, Role, said
from syncd.control.peers import Peer, roles
from syncd.control.place import NAME
from syncd.control.server import Door, Serve
from syncd.control.server import listening as listening_to_operators
from syncd.core.health import Freshness, Kind
from syncd.core.schedule import Cron
from syncd.daemon.authorship import SIGNAL, loaded, started, taken_up
from syncd.daemon.desk import BUG, Desk, Service
from syncd.daemon.herald import Herald, is_heard
from syncd.daemon.metrics import Metrics
from syncd.daemon.portal import PortalDesk, portal
from syncd.daemon.timing import next_runs
from syncd.daemon.timing import trigger as trigger_of
from syncd.engine import RECONCILE
from syncd.engine.health import Health, as_json, health, in_words
from syncd.engine.lock import DAEMON, Busy, Lease, exclusive
from syncd.errors import ConfigError, EndpointError, Problem, Stopped, SyncdError
from syncd.notify import Notifier
from syncd.settings import Config, check, parsed_address
from syncd.store.database import impatient
from syncd.web.ops import listening, ops

PATIENCE = 15.0
"""Seconds that a run has, when the daemon is told to end, to get the answers that are under way; systemd waits for 20."""
TICK = 20.0
"""Seconds between two looks at the store, if the service manager does not want to hear of it more often."""
BUSY_WAIT, BUSY_TRIES = 10.0, 60
CLOCK_SLACK = 60.0
"""Seconds by which the clock may be set back without a word; what keeps time slews it by less."""
NOTICE_SECONDS = 30
OPERATOR_WAITS = 60.0
"""Seconds for which what an operator asks waits for the run under way."""
GRACE = 6 * 3600
"""Seconds by which a run may begin late: behind a long one, or after the machine slept."""

_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_Done = TypeVar("_Done")
_log = telemetry.logger("daemon")


class Daemon:
    """One district's daemon. `run` returns when it was told to end."""

    def __init__(
        self, folder: Path, *, clock: Clock = utc_now, notifier: Notifier | None = None, service: Service | None = None
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._notifier = notifier or Notifier()
        self._working = threading.Lock()  # held by a run, and while one district is put in another's place
        self._telling = threading.Lock()  # held while a message is sent
        self._shutting_out = threading.Lock()  # held while accounts of locked people are closed
        self._stopping = threading.Event()
        self._breakers: dict[str, str] = {}
        self._broken: dict[str, str] = {}  # by pipeline: why the last run could not even be noted as failed
        self._ahead = self._clock_ahead()
        self._district: Running
        self._closing = ExitStack()  # what the present district has open
        self._metrics = Metrics(self.health)
        self._herald = Herald(lambda: self._district, self.health, clock)
        self._version = version("syncd")
        self._reloading = threading.Lock()
        self._service = service or Service()
        answered = self._service.answered
        self._desk = Desk(lambda: self._district, self.health, self._reload, self._run_now, answered, self._alone, self._apart)
        self._portal = PortalDesk(lambda: self._district.config, clock)
        self._scheduler: BackgroundScheduler

    # --- from beginning to end ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to end.

        Raises ConfigError where the files are wrong, Busy where the store has a daemon already, and EndpointError where the store
        or the address cannot be had.
        """
        config, files = loaded(self._folder)
        migrate_store(config)
        with _signals() as told, ExitStack() as whole:
            self._open(config)
            whole.callback(lambda: self._closing.close())  # noqa: PLW0108 — the one that is open at the end, not now
            lease = whole.enter_context(exclusive(config.state, self._district.store, self._clock, DAEMON))
            self._scheduler = BackgroundScheduler(
                timezone=ZoneInfo(config.district.timezone),
                # one run at a time, in the order of their times; messages and locks do not wait for them
                executors={name: ThreadPoolExecutor(1) for name in ("default", "notices", "locks", "claims")},
                job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": GRACE},
            )
            self._scheduler.add_listener(self._heard, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR)
            port = None
            if (address := parsed_address(config.health.listen)) is not None:
                app = ops(self._how, self._not_ready, self._metrics.text)
                port = whole.enter_context(listening(app, *address))
            socket = _socket(config)
            whole.enter_context(listening_to_operators(*socket, self._service.verbs, self._roles, self._answered(self._desk.serve)))
            if config.portal is not None:
                whole.enter_context(portal(config.portal, self._portal, self._answered(self._portal.serve)))
            self._district.store.set_freshness([Freshness(Kind.CONFIGURATION, "", self._clock())])
            started(self._district.store, files, self._clock())
            self._district.engine.approving.tighten()
            self._schedule()
            self._scheduler.start()
            _log.info("daemon.ready", version=self._version, port=port)
            self._notifier.ready(self._words())
            try:
                self._serve(told, lease)
            finally:  # another daemon may have taken over: then what is under way here ends just as well
                self._end()

    def _serve(self, told: int, lease: Lease) -> None:
        """Wait for signals, and between them see that the store answers."""
        tick = min(TICK, (self._notifier.watchdog_seconds or 2 * TICK) / 2)
        heard: set[int] = set()  # and not done yet
        while True:
            ready, _, _ = select.select([told], [], [], tick)
            heard |= set(os.read(told, 64)) if ready else set()
            if heard & {signal.SIGTERM, signal.SIGINT}:
                return
            try:
                if signal.SIGHUP in heard:
                    self._reload(SIGNAL)
                    heard.remove(signal.SIGHUP)
                if signal.SIGUSR1 in heard:
                    self._run_now(self._district.config.pipelines, "delta", "signal")
                    heard.remove(signal.SIGUSR1)
                self._mind_the_clock()
                self._look(lease)
            except OSError as error:  # such as no file descriptor left: it passes, and a dead daemon would not
                _log.warning("host.refuses", failure=error.strerror or type(error).__name__)
                self._notifier.status(f"this host refuses what the daemon needs: {error.strerror or error}")

    def _clock_ahead(self) -> float:
        """Seconds by which the clock of the day is ahead of the one that nobody can set."""
        return self._clock().timestamp() - time.monotonic()

    def _mind_the_clock(self) -> None:
        """Count the times of all schedules anew when the clock has been set back: else nothing would run until it caught up.

        No approval that has run out meanwhile comes back with it.
        """
        before, self._ahead = self._ahead, self._clock_ahead()
        back = timedelta(seconds=before - self._ahead)
        if back > timedelta(seconds=CLOCK_SLACK):
            _log.warning("clock.back", seconds=round(back.total_seconds()))
            self._schedule()
            with suppress(EndpointError), impatient():
                self._district.store.decisions.ran_out(self._clock() + back)

    def _look(self, lease: Lease) -> None:
        """Say that the daemon lives, once the store has answered. Raises Busy where another daemon took over."""
        with impatient():  # a lock of somebody else's must keep nobody from ending the daemon, nor its signs of life
            self._look_now(lease)

    def _look_now(self, lease: Lease) -> None:
        try:
            self._district.store.answers()
        except EndpointError as error:
            _log.warning("store.silent", endpoint=error.endpoint)
            self._notifier.status(f"the store does not answer: {error.why}")
            return
        self._notifier.alive()
        self._pay_locks()
        self._pay_claims()
        if not self._working.locked():  # a run's own transaction may last for minutes; its lock keeps others away as well
            try:
                lease.renew()
            except Busy:
                raise
            except EndpointError as error:  # locked by somebody's long transaction: the lease lasts longer than that
                _log.warning("lease.late", endpoint=error.endpoint)

    def _end(self) -> None:
        """Let a run record what it has sent, and go."""
        _log.info("daemon.stopping")
        self._notifier.stopping("ending: waiting for the answers that are under way")
        self._stopping.set()
        self._district.engine.stop()
        self._scheduler.shutdown(wait=False)
        end = time.monotonic() + PATIENCE
        for busy in (self._working, self._telling, self._shutting_out):
            if not busy.acquire(timeout=max(end - time.monotonic(), 0)):
                _log.warning("daemon.forced", seconds=PATIENCE)
                os._exit(0)  # a thread that hangs in a call would keep the process for ever; what was sent is journalled
            busy.release()  # what still waits in a queue sees that the daemon ends, and does nothing
        _log.info("daemon.ended")

    # --- the district -------------------------------------------------------------------------------------------------

    def _open(self, config: Config) -> None:
        with ExitStack() as opening:
            district = opening.enter_context(opened(config, clock=self._clock, watch=self._watch()))
            self._closing, self._district = opening.pop_all(), district

    def _watch(self) -> Watch:
        return Watch(on_state=self._breakers.__setitem__, on_call=self._metrics.called)

    def _reload(self, author: str) -> list[Problem]:
        """Read the files anew; the run in progress ends under the old ones. Bad ones keep these in use: what is wrong with them."""
        with self._reloading:
            self._notifier.reloading()
            try:
                config, files = loaded(self._folder)
                problems = [*_unmoved(self._district.config, config), *check(config)]
            except ConfigError as error:
                problems = [*error.problems]
            if problems:
                self._refuse(problems)
                return problems
            told = [config, files, author]
            self._scheduler.add_job(self._replace, _at_once(), told, id="reload", replace_existing=True, misfire_grace_time=None)
            _log.info("configuration.read")
            self._notifier.ready("the edited files are good; they are in use from the next run on")
            return []

    def _refuse(self, problems: Sequence[Problem]) -> None:
        why = f"{problems[0]}" + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
        with suppress(EndpointError):
            refused = Freshness(Kind.CONFIGURATION, "", failed_at=self._clock(), why=telemetry.masked(why))
            self._district.store.set_freshness([refused])
        _log.warning("configuration.refused", count=len(problems), line=problems[0].where)
        self._notifier.ready(f"edited files are refused, the last good ones are in use: {why}")

    def _replace(self, config: Config, files: str, author: str) -> None:
        with self._working:
            if self._stopping.is_set():
                return
            old = self._closing
            try:
                self._open(config)
            except SyncdError as error:
                self._refuse([Problem("config/syncd.yaml:1:1", str(error))])
                return
            old.close()
            self._district.store.set_freshness([Freshness(Kind.CONFIGURATION, "", self._clock())])
            taken_up(self._district.store, files, author, self._clock())
            self._district.engine.approving.tighten()
            if self._stopping.is_set():  # told to end while it was opened
                self._district.engine.stop()
            else:
                self._schedule()
        self._notifier.status(self._words())

    # --- runs ---------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Put every pipeline's times in the place of whatever was scheduled."""
        config = self._district.config
        zone = ZoneInfo(config.district.timezone)
        for job in self._scheduler.get_jobs():
            if job.id != "reload" and not job.id.endswith(" now"):
                job.remove()
        for name, pipeline in config.pipelines.items():
            for kind, cron in pipeline.schedule.crons.items():
                self._scheduler.add_job(self._sync, trigger_of(cron, zone), [name, kind], id=f"{name} {kind}")
        if is_heard(config.notify):
            every = IntervalTrigger(seconds=NOTICE_SECONDS, timezone=UTC)
            self._scheduler.add_job(self._tell, every, id="notices", executor="notices")
            if config.notify.digest:
                at = trigger_of(Cron.parse(config.notify.digest), zone)
                self._scheduler.add_job(self._tell, at, [True], id="digest", executor="notices")

    def _run_now(self, pipelines: Collection[str], kind: str, trigger: str) -> None:
        """A run of each of these, asked for by somebody: quiet hours do not hold it."""
        # One may be asked for while another of the kind still runs: it comes after it.
        for name in pipelines:
            told, job = [name, kind, trigger], f"{name} {kind} now"
            self._scheduler.add_job(
                self._sync, _at_once(), told, id=job, replace_existing=True, max_instances=2, misfire_grace_time=None
            )

    def _sync(self, pipeline: str, kind: str, trigger: str = "schedule") -> None:
        """One run."""
        with self._working:
            if pipeline not in self._district.config.pipelines:
                return  # a reload has taken it away while it waited
            if self._stopping.is_set() or (trigger == "schedule" and self._is_quiet(pipeline)):
                return
            self._notifier.status(f"{pipeline}: {kind} run")
            begun = time.monotonic()
            try:
                planned, applied = self._when_free(
                    lambda: self._district.engine.sync(pipeline, kind, trigger=trigger, told=self._metrics.changed)
                )
                if applied is not None:  # devices come behind the accounts of their people
                    changed = kind == RECONCILE or applied.landed > 0
                    self._when_free(lambda: self._district.devices.follow(pipeline, trigger, changed=changed))
            except Stopped:
                return
            except SyncdError as error:
                self._metrics.failed(pipeline, kind)
                endpoint = error.endpoint if isinstance(error, EndpointError) else None
                self._note_broken(pipeline, str(error) if endpoint == "store" or isinstance(error.__cause__, OSError) else "")
                _log.warning("run.failed", pipeline=pipeline, kind=kind, endpoint=endpoint, failure=type(error).__name__)
            except OSError as error:  # the host's, not a bug: no file descriptor, no memory, no room
                self._metrics.failed(pipeline, kind)
                self._note_broken(pipeline, f"{error.strerror or error}")
                _log.warning("run.failed", pipeline=pipeline, kind=kind, failure=error.strerror or type(error).__name__)
            except Exception:  # noqa: BLE001 — the daemon outlives a bug: the run has failed, and the next may not meet it
                self._metrics.failed(pipeline, kind)
                _log.exception("run.failed", pipeline=pipeline, kind=kind)
            else:
                self._note_broken(pipeline, "")
                self._metrics.ran(planned, applied, time.monotonic() - begun - sum(planned.phases.values()))
        self._tell_head(pipeline)
        self._notifier.status(self._words())
        if is_heard(self._district.config.notify) and not self._stopping.is_set():
            self._scheduler.add_job(self._tell, _at_once(), id="told now", executor="notices", replace_existing=True)

    def _note_broken(self, pipeline: str, why: str) -> None:
        """Remember here what the store may have no room for; nothing, once a run went through."""
        self._broken.pop(pipeline, None)
        if why:
            self._broken[pipeline] = telemetry.masked(why)

    def _tell_head(self, pipeline: str) -> None:
        """Log where the audit's chain ends (R24): the log is kept by others than who can write to the store."""
        with suppress(EndpointError):  # that the store is silent is told by whoever needs it
            _log.info("audit.head", pipeline=pipeline, head=str(self._district.store.audit.head()))

    def _tell(self, digest: bool = False) -> None:  # noqa: FBT002 — called by the scheduler only
        """Tell people what they must know. A store that is silent cannot say what was told: it is told when it answers."""
        with self._telling:
            if self._stopping.is_set():
                return
            try:
                self._herald.digest() if digest else self._herald.tell()
            except EndpointError as error:
                _log.warning("notice.late", endpoint=error.endpoint)

    def _pay_locks(self) -> None:
        """See that whoever is locked is shut out, past schedule, quiet hours and the run under way (R33)."""
        if self._shutting_out.locked():
            return
        with suppress(EndpointError):  # a store that is silent is told of elsewhere, and asked again at the next tick
            if self._district.store.facts.owes():
                self._scheduler.add_job(self._shut_out, id="locks", executor="locks", replace_existing=True)

    def _pay_claims(self) -> None:
        """See that passwords which people chose get where they could not yet, and are destroyed where that takes too long."""
        with suppress(EndpointError):  # as above
            if self._district.config.portal is not None and self._district.store.claims.waits():
                self._scheduler.add_job(self._portal.pay, _at_once(), id="claims", executor="claims", replace_existing=True)

    def _shut_out(self) -> None:
        with self._shutting_out:
            if self._stopping.is_set():
                return
            try:  # on connections of its own: a run's are the run's
                with self._apart() as district:
                    with suppress(Busy):  # whose run will find out itself what came of what it has sent
                        district.engine.resume()
                    district.engine.facts.lockout.enforce()
            except SyncdError as error:
                endpoint = error.endpoint if isinstance(error, EndpointError) else None
                _log.warning("lock.owed", endpoint=endpoint, failure=type(error).__name__)

    def _when_free(self, work: Callable[[], _Done]) -> _Done:
        """Do it when nobody else runs on the store: an operator's own `syncd sync` is waited for."""
        for _ in range(BUSY_TRIES):
            try:
                return work()
            except Busy:
                if self._stopping.wait(BUSY_WAIT):
                    raise Stopped("the program was told to end") from None
        return work()

    def _is_quiet(self, pipeline: str) -> bool:
        config = self._district.config
        moment = self._clock().astimezone(ZoneInfo(config.district.timezone)).time()
        return config.pipelines[pipeline].schedule.is_quiet(moment)

    def _heard(self, event: JobEvent) -> None:
        if event.code == EVENT_JOB_ERROR:
            _log.warning("job.failed", kind=event.job_id)
        else:
            self._metrics.missed(event.job_id)
            _log.warning("run.missed", kind=event.job_id)

    # --- operators ----------------------------------------------------------------------------------------------------

    def _roles(self, peer: Peer) -> frozenset[Role]:
        return roles(peer, self._district.config.control)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No run begins meanwhile, and the daemon's end waits for it. Raises EndpointError where a run does not end soon."""
        if not self._working.acquire(timeout=OPERATOR_WAITS):
            raise EndpointError("run", "is under way in the daemon", "try again when it has ended: syncd status")
        try:
            if self._stopping.is_set():
                raise Stopped("the daemon is ending")
            yield
        finally:
            self._working.release()

    def _apart(self) -> AbstractContextManager[Running]:
        """The district on connections of its own: a run's are the run's."""
        return opened(self._district.config, clock=self._clock)

    def _answered(self, serve: Serve) -> Serve:
        def answered(peer: Peer, question: Question) -> Answer:
            try:
                return serve(peer, question)
            except Malformed:
                raise
            except Exception:  # noqa: BLE001 — the daemon outlives a bug, and whoever asked is told of it
                _log.exception("control.failed", kind=question.verb)
                return said("this is a bug in syncd; the daemon's log has it", BUG)

        return answered

    # --- how it is ----------------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """How the district is. Raises EndpointError where the store does not answer; whoever asks waits for no lock of others."""
        district, now = self._district, self._clock()
        times = next_runs(district.config, now)
        with impatient():
            return health(
                district.config, district.store, now, self._version, times, alive=True, breakers=self._breakers, broken=self._broken
            )

    def _how(self) -> tuple[bool, dict[str, object]]:
        found = self.health()
        return found.well, as_json(found)

    def _not_ready(self) -> str:
        if self._stopping.is_set():
            return "ending"
        try:
            with impatient():
                self._district.store.answers()
        except EndpointError as error:
            return str(error)
        return ""

    def _words(self) -> str:
        try:
            return in_words(self.health()) or "ready"
        except EndpointError as error:
            return str(error)


def _unmoved(before: Config, after: Config) -> Iterator[Problem]:
    """What a reload cannot change: where the state lies."""
    places = [("config/syncd.yaml", "state", before.state, after.state), ("config/syncd.yaml", "store", before.store, after.store)]
    old, new = ((each.socket, each.user) if each else None for each in (before.portal, after.portal))
    places.append(("config/portal.yaml", "socket", old, new))
    for file, key, was, now in places:
        if was != now:
            yield Problem(f"{file}:1:1", f"`{key}` has changed; that takes a restart: systemctl restart syncd")


def _at_once() -> DateTrigger:
    """Now. Its time zone is told, for the scheduler would look for it in a file, which a host in trouble may refuse."""
    return DateTrigger(timezone=UTC)


def _socket(config: Config) -> tuple[Path, Door]:
    """Where operators are listened to, and with which mode: systemd's folder, open to all, or the state's, which is its owner's."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return (Path(given) / NAME, Door(0o666)) if given else (config.state / NAME, Door(0o600))


@contextmanager
def _signals() -> Iterator[int]:
    """A file descriptor from which the numbers of arriving signals are read; handlers are put back at the end.

    A handler that did anything itself could meet the very lock its thread holds.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = {number: signal.signal(number, lambda *_: None) for number in _HEARD}
    old = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
