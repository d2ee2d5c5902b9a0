"""The verbs that can be asked of a daemon: which right each takes, and who answers it. The one list of them.

A command asks the daemon over its socket, and answers itself where none runs; output, rights and refusals are the same. What stands
above every source, or takes somebody's absence for no evidence, is for those who approve: it goes at once, and nobody else sees it
first. Shutting somebody out takes from nobody what is theirs for long, and is for everybody who operates; letting them in again is
a right of its own.
"""

from __future__ import annotations

from syncd.cli import answering, answering_devices, answering_lists, answering_people, answering_questions
from syncd.cli.asking import Answered
from syncd.cli.exits import Exit, answer_to
from syncd.control import Answer, Malformed, Question, Role, said
from syncd.control.verbs import Verb, Verbs
from syncd.control.visit import Visit
from syncd.errors import SyncdError

VERBS: Verbs = {
    "devices-collect": Verb(Role.VIEW, answering_devices.collect),
    "devices-explain": Verb(Role.VIEW, answering_devices.explain),
    "disputes": Verb(Role.VIEW, answering_questions.disputes),
    "explain": Verb(Role.VIEW, answering_lists.explain),
    "facts": Verb(Role.VIEW, answering_people.facts),
    "holds": Verb(Role.VIEW, answering.holds),
    "ledger": Verb(Role.VIEW, answering_lists.ledger),
    "live": Verb(Role.VIEW, answering.live),
    "quarantine": Verb(Role.VIEW, answering_questions.quarantine),
    "rejects": Verb(Role.VIEW, answering_lists.rejects),
    "rollover-preview": Verb(Role.VIEW, answering_questions.preview),
    "runs": Verb(Role.VIEW, answering_lists.runs),
    "shelved": Verb(Role.VIEW, answering.shelved),
    "show": Verb(Role.VIEW, answering_lists.show),
    "status": Verb(Role.VIEW, answering.status),
    "devices-found": Verb(Role.OPERATE, answering_devices.found),
    "devices-lost": Verb(Role.OPERATE, answering_devices.lost),
    "devices-plan": Verb(Role.OPERATE, answering_devices.plan),
    "lock": Verb(Role.OPERATE, answering_people.lock),
    "reject": Verb(Role.OPERATE, answering.reject),
    "release": Verb(Role.OPERATE, answering.release),
    "release-claim": Verb(Role.OPERATE, answering_people.release_claim),
    "reload": Verb(Role.OPERATE, answering.reload, of_daemon=True),
    "reopen-claims": Verb(Role.OPERATE, answering_people.reopen_claims),
    "retry": Verb(Role.OPERATE, answering_questions.retry),
    "run-now": Verb(Role.OPERATE, answering.run_now, of_daemon=True),
    "undo": Verb(Role.OPERATE, answering.undo),
    "apply": Verb(Role.APPROVE, answering.apply),
    "approve": Verb(Role.APPROVE, answering.approve),
    "devices-apply": Verb(Role.APPROVE, answering_devices.apply),
    "devices-approve": Verb(Role.APPROVE, answering_devices.approve),
    "freeze": Verb(Role.APPROVE, answering_people.freeze),
    "go-live": Verb(Role.APPROVE, answering.go_live),
    "override": Verb(Role.APPROVE, answering_people.override),
    "rename": Verb(Role.APPROVE, answering_people.rename),
    "resolve": Verb(Role.APPROVE, answering_questions.resolve),
    "rollover-end": Verb(Role.APPROVE, answering_questions.end),
    "rollover-start": Verb(Role.APPROVE, answering_questions.start),
    "sponsor": Verb(Role.APPROVE, answering_people.sponsor),
    "unfreeze": Verb(Role.APPROVE, answering_people.unfreeze),
    "unresolve": Verb(Role.APPROVE, answering_questions.unresolve),
    "unlock": Verb(Role.UNLOCK, answering_people.unlock),
}
"""Everything that can be asked, by right."""


def answered(visit: Visit, question: Question) -> Answer:
    """The answer to one question of somebody who may ask it; what went wrong is an answer, too."""
    try:
        verb = VERBS[question.verb]
        return verb.handler(visit, **verb.told(question))
    except Answered as told:
        return told.answer
    except Malformed as error:
        return said(str(error), Exit.USAGE)
    except (SyncdError, OSError) as error:
        code, why = answer_to(error)
        return said(why, code)
