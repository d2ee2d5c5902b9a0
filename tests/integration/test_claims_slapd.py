"""Claims from the socket to a real directory: who gets in with what, and what the pages' process could do if it were somebody's."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.control import Question, line_of
from syncd.demo.certificates import write_certificates
from syncd.demo.district import District
from syncd.demo.roster import Student
from syncd.demo.slapd import CLAIMS_DN, Binaries, PrivateSlapd
from syncd.demo.tour import settle_in
from tests.conftest import as_admin, run_as
from tests.integration.test_daemon import Service, edit, serving
from tests.portal import HOST, MIA, Browser, Portal

PORTAL = """
socket: "portal.sock"
user: "nobody-of-this-name"
claims:
  populations: {{ students: {{ last4: [ssn4, s_number4] }} }}
  targets: {{ ldap: {{ credential: ldap_claims, bind_dn: "{dn}" }} }}
  limits: {{ tries: 5, lock: 15 minutes, close_after: 10 }}
"""
PASSWORD = "tangerine kayak 61"
ROSTER = District.generate(9, 1, 16, 4, guardians=0)


@dataclass(frozen=True)
class Running:
    """A small district whose students' accounts wait in a directory of its own, and its daemon."""

    folder: Path
    server: PrivateSlapd
    service: Service


@pytest.fixture(scope="module")
def district(slapd_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all tests of this module, each of which asks about students of its own."""
    folder = tmp_path_factory.mktemp("claims")
    with PrivateSlapd(folder / "slapd", slapd_binaries, nosync=True) as server:
        settle_in(folder, server, ROSTER, lambda _: None)
        edit(folder, 'listen: "127.0.0.1:8470"', 'listen: "127.0.0.1:0"')
        edit(folder, 'delta: "*/15 * * * *"', 'delta: ""')
        edit(folder, 'reconcile: "30 2 * * *"', 'reconcile: ""')
        people = folder / "mappings" / "people.yaml"
        people.write_text(people.read_text(encoding="utf-8").replace("    claim: false", "    claim: true"), encoding="utf-8")
        (folder / "config" / "portal.yaml").write_text(PORTAL.format(dn=CLAIMS_DN), encoding="utf-8")
        secret = folder / "credentials" / "ldap_claims"
        secret.touch(mode=0o600)
        secret.write_text(server.password("claims"), encoding="utf-8")
        assert main(["--config", str(folder), "plan"]) == Exit.DONE
        assert main(["--config", str(folder), "apply", "r1", "--first"]) == Exit.DONE
        with serving(folder) as service:
            yield Running(folder, server, service)


def asked(folder: Path, verb: str, **told: object) -> bytes:
    """Every byte of the answer to a question of the pages."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(str(folder / "portal.sock"))
        asking.sendall(line_of(Question(verb, told)))  # type: ignore[arg-type]  # some of it is wrong on purpose
        answer = b""
        while piece := asking.recv(65536):
            answer += piece
    return answer


def value(folder: Path, verb: str, **told: object) -> dict[str, object]:
    """What the answer says."""
    answer: dict[str, object] = json.loads(asked(folder, verb, **told))["value"]
    return answer


def facts(student: Student, **changed: str) -> dict[str, str]:
    """What a student types."""
    told = {"given": student.given, "family": student.family, "birth_date": f"{student.birth:%m/%d/%Y}"}
    return {**told, "last4": student.ssn4, "address": "192.0.2.7", "device": "", **changed}


def entry(server: PrivateSlapd, condition: str) -> str:
    """The account as the directory's administrator reads it."""
    return as_admin(server, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", "dc=district,dc=test", condition, "*", "+")


def students() -> list[Student]:
    """Three who have a social security number and are like nobody else."""
    return [one for one in ROSTER.roster.students.values() if one.ssn4 and one.given.isalpha()][:3]


def test_a_claim_from_the_socket_to_the_directory(district: Running) -> None:
    """The new password binds, no other does; whoever is refused is refused in the same bytes; no file or log has any of it."""
    folder, own_slapd = district.folder, district.server
    one, other, _ = students()
    terms = value(folder, "terms")
    assert terms["district"] == "Lone Star Charter Network"
    assert terms["claims"] == {"students": {"facts": ["name", "birth_date", "last4"], "last4": ["ssn4", "s_number4"]}}
    assert not [word for word in (one.family, one.given) if word in json.dumps(terms)]
    accepted = value(folder, "claim", **facts(one, given=one.given.upper()))
    assert accepted.keys() == {"outcome", "ticket"}
    short = value(folder, "claim_password", ticket=accepted["ticket"], password="short", address="192.0.2.7")
    assert short == {"outcome": "password", "reasons": [{"code": "min_length", "n": 12}]}
    done = value(folder, "claim_password", ticket=accepted["ticket"], password=PASSWORD, address="192.0.2.7")
    dn = entry(own_slapd, f"(uid={done['username']})").splitlines()[0].removeprefix("dn: ")
    assert (done["outcome"], done["works"], done["later"]) == ("done", ["ldap"], [])
    assert str(done["mail"]) in entry(own_slapd, f"(uid={done['username']})")
    assert run_as(own_slapd, dn, PASSWORD, "ldapwhoami").returncode == 0
    assert run_as(own_slapd, dn, "tangerine kayak 62", "ldapwhoami").returncode != 0
    same = {
        "claimed": asked(folder, "claim", **facts(one)),
        "wrong digits": asked(folder, "claim", **facts(other, last4="0000" if other.ssn4 != "0000" else "0001")),
        "wrong day": asked(folder, "claim", **facts(other, birth_date="01/05/2012")),
        "nobody": asked(folder, "claim", **facts(other, given="Nobody", family="Atall")),
        "another's digits": asked(folder, "claim", **facts(other, given=one.given)),
    }
    assert len(set(same.values())) == 1, same
    waits = json.loads(next(iter(same.values())))
    assert waits["value"] == {"outcome": "refused"}
    kept = [path for path in folder.rglob("*") if path.is_file() and "credentials" not in path.parts and "roster" not in path.parts]
    assert [path.name for path in kept if PASSWORD.encode() in path.read_bytes()] == []
    log = json.dumps(district.service.log)
    assert "portal.answered" in log
    assert [word for word in (PASSWORD, str(accepted["ticket"]), one.family, str(done["username"])) if word in log] == []


def test_a_claim_from_the_browser_to_the_directory(district: Running, tmp_path: Path) -> None:
    """Both processes as they are run: the pages' own has one file of settings, and the password that was typed binds."""
    tls = "certificate_file: server.pem, key_credential: server.key, credentials: '.'"
    web = f"web: {{ listen: '127.0.0.1:0', hosts: [{HOST}], {tls} }}"
    settings = (district.folder / "config" / "portal.yaml").read_text(encoding="utf-8")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "portal.yaml").write_text(
        settings.replace('"portal.sock"', f'"{district.folder}/portal.sock"') + web, encoding="utf-8"
    )
    write_certificates(tmp_path, [HOST])
    one = [*ROSTER.roster.students.values()][-1]
    assert one not in students()
    with serving(tmp_path, verb="portal") as pages:
        port = int(str(pages.logged("portal.ready")[0]["port"]))
        there = Portal(port, ssl.create_default_context(cafile=str(tmp_path / "ca.pem")), tmp_path / "portal")
        browser = Browser(there)
        with closing(there.connection):
            assert browser.claim(**{name: typed for name, typed in facts(one).items() if name in MIA}).status == 303
            assert browser.choose(PASSWORD).headers["location"] == "/claim/done"
            page = browser.get("/claim/done").words
    (username,) = re.findall(r"Username (\S+)", page)
    dn = entry(district.server, f"(uid={username})").splitlines()[0].removeprefix("dn: ")
    assert run_as(district.server, dn, PASSWORD, "ldapwhoami").returncode == 0
    told = json.dumps(pages.log) + json.dumps(district.service.log)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "portal").iterdir())
    assert [word for word in (PASSWORD, one.family, username) if word in told or word.encode() in kept] == []


def test_the_pages_process_can_do_nothing_else(district: Running) -> None:
    """Every verb of operators, and every wrong argument, is refused; the account of claims can write no password of staff."""
    folder, own_slapd = district.folder, district.server
    one = students()[2]
    before = entry(own_slapd, "(objectClass=inetOrgPerson)")
    for verb in ("sync", "approve", "unlock", "holds", "disclose", "explain", "reload", "claims", "", "__class__"):
        answer = json.loads(asked(folder, verb))
        assert (answer["code"], answer["value"]) == (64, None), verb
    for told in ({}, {"ticket": ["x"]}, {"ticket": "x", "password": 1, "address": ""}, {"ticket": "x", "person": "p1"}):
        assert json.loads(asked(folder, "claim_password", **told))["code"] == 64
    for changed in ({"last4": 8317}, {"given": ""}, {"birth_date": "1/5/2012"}, {"address": "nowhere"}, {"actor": "root"}):
        assert json.loads(asked(folder, "claim", **{**facts(one), **changed}))["code"] == 64
    assert value(folder, "claim_password", ticket="x" * 43, password=PASSWORD, address="192.0.2.7") == {"outcome": "expired"}
    assert entry(own_slapd, "(objectClass=inetOrgPerson)") == before
    staff = next(line for line in before.splitlines() if line.startswith("dn: ") and "ou=Staff" in line)
    child = next(line for line in before.splitlines() if line.startswith("dn: ") and "ou=Students" in line)
    secret = own_slapd.password("claims")
    for dn, what in ((staff, "userPassword"), (staff, "pwdAccountLockedTime"), (child, "mail"), (child, "uid")):
        ldif = f"{dn}\nchangetype: modify\nreplace: {what}\n{what}: 000001010000Z\n"
        refused = run_as(own_slapd, CLAIMS_DN, secret, "ldapmodify", ldif=ldif)
        assert "Insufficient access" in refused.stderr, (dn, what, refused.stderr)
    assert district.service.process.poll() is None
