"""The verb of the public pages: a process of its own, which reads config/portal.yaml and nothing else of the district's."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from syncd.errors import ConfigError, EndpointError, Problem, TransientError

if TYPE_CHECKING:
    from syncd.settings import Web
    from syncd.web.portal.asking import Ask
    from syncd.web.portal.pages import Site
    from syncd.web.portal.serving import Tls

ANSWER_SECONDS = 60.0
"""How long the daemon has to carry a claim out; a browser has mostly given up by then."""
_UNDERSTOOD, _TRY_LATER = 0, 75  # sysexits(3)
_BEAT = 1.0


def portal(context: typer.Context) -> None:
    """Serve the pages on which people claim their accounts, until told to end. Needs a daemon; runs as a user of its own."""
    import logging
    import time

    from syncd import telemetry
    from syncd.notify import Notifier
    from syncd.settings import load_portal
    from syncd.settings.addresses import parsed_address
    from syncd.web.portal import portal as pages
    from syncd.web.portal.serving import listening
    from syncd.web.portal.sessions import Sessions

    file = load_portal(context.obj)
    address = parsed_address(file.web.listen)
    wrong = tuple(_unfit(file.web))
    if wrong or address is None:
        raise ConfigError(wrong)
    if not logging.getLogger().handlers:
        telemetry.configure()  # as for the daemon: `--log` says otherwise
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # a stranger's nonsense is none of ours, and would fill the log
    tls, notifier = _tls(file.web), Notifier()
    sessions = Sessions(file.web.state, time.time)
    app = pages(_site(file.web), asks(file.socket), sessions)
    try:
        with (
            _until_told() as ended,
            listening(app, *address, tls, file.web.proxies, notifier.alive) as (port, thread),
        ):
            telemetry.logger("portal").info("portal.ready", port=port)
            notifier.ready("serving")
            while not ended.wait(_BEAT):
                if not thread.is_alive():
                    raise EndpointError("portal", "the listener has ended by itself", "start it again")
            notifier.stopping("ending")
    finally:
        sessions.close()


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """What is set when the process is told to end; handlers are put back afterwards."""
    import signal

    ended = threading.Event()
    before = {one: signal.signal(one, lambda *_: ended.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ended
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def asks(path: Path) -> Ask:
    """What asks the daemon at this socket."""
    from syncd.control import Question
    from syncd.control.client import ask

    def asked(verb: str, told: Mapping[str, str]) -> object:
        answer = ask(path, Question(verb, told), ANSWER_SECONDS)
        if answer is None:
            raise EndpointError("portal", f"no daemon answers at {path}", "start it: systemctl start syncd")
        if answer.code == _TRY_LATER:
            raise TransientError("the daemon is busy")
        if answer.code != _UNDERSTOOD:
            raise EndpointError("portal", f"the daemon does not answer {verb}: exit code {answer.code}", "look into its log")
        return answer.value

    return asked


def _unfit(web: Web) -> list[Problem]:
    """What nobody but this process needs of the settings, and it does."""
    import ipaddress

    from syncd.settings.addresses import parsed_address
    from syncd.settings.loading import PORTAL

    found = []
    if not web.hosts:
        found.append(Problem(PORTAL, "web.hosts: names no host; write the name under which browsers reach the portal"))
    host, _ = parsed_address(web.listen) or ("", 0)
    try:
        is_inside = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_inside = False
    if web.certificate_file is None and not web.proxies and not is_inside:
        what = "passwords would cross the network in clear; name a certificate, or the proxy that speaks TLS in front (web.proxies)"
        found.append(Problem(PORTAL, f"web.listen: {web.listen}: {what}"))
    return found


def _site(web: Web) -> Site:
    from syncd.settings import Said
    from syncd.web.portal.pages import Place, Site

    places = {name: Place({"en": one.en, "es": one.es or one.en}, one.link) for name, one in web.places.items()}
    help_ = web.help or Said("")
    return Site(web.hosts, web.languages, places, {"en": help_.en, "es": help_.es or help_.en}, web.contact)


def _tls(web: Web) -> Tls | None:
    from syncd.vault import Credentials
    from syncd.web.portal.serving import Tls

    if web.certificate_file is None:
        return None
    credentials = Credentials(web.credentials)
    credentials.read(web.key_credential)  # is there, and for nobody else to read
    return Tls(web.certificate_file, credentials.path(web.key_credential))
