"""Containers that are kept from being deleted by mistake, as Microsoft's own tools do it.

*Protect object from accidental deletion* is no attribute: everybody is denied to delete the container, with or without what is in
it, and to delete what stands directly in the container above ([MS-ADTS] 5.1.3.2; deleting asks for one or the other, 3.1.1.5.5).
Who makes a container owns it and may change its rights; the container above may be somebody else's, and then that half is told as
left to do. syncd deletes accounts by the right on the account itself, which neither half touches.
"""

from __future__ import annotations

from syncd.errors import TransientError
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap_ad_descriptor import May, denied_to_everyone
from syncd.targets.ldap_errors import SUCCESS, words
from syncd.targets.ldap_pipeline import Pipeline, Write
from syncd.targets.ldap_wire import Wire

_RIGHTS = "nTSecurityDescriptor"
ITSELF = May.DELETE | May.DELETE_TREE
ABOVE = May.DELETE_CHILD


def protect(wire: Wire, container: str) -> str:
    """Protect a container that was made, told by its full name. What the server refused, in words, or the empty string.

    Harmless where it was done already. Raises TransientError or EndpointError where the server did not answer.
    """
    above = names.render(names.parse(container)[1:])
    left = [f"not protected from deletion: {why}"] if (why := _deny(wire, container, ITSELF)) else []
    if why := _deny(wire, above, ABOVE):
        left.append(f"{above} does not keep it from being deleted ({why}): `syncd ad-delegation` prints what does")
    return "; ".join(left)


def _deny(wire: Wire, dn: str, what: May) -> str:
    """Why everybody could not be denied this, or the empty string where they are by now."""
    found = wire.entry(dn, [_RIGHTS], [ber.rights_only()])
    told = (found[1] if found else {}).get(_RIGHTS.lower(), ())
    if not told:
        return "its rights may not be read"
    try:
        denied = denied_to_everyone(told[0], what)
    except ValueError as error:
        return str(error)
    if denied is None:
        return ""
    step = ber.modify(dn, [(ber.Modify.REPLACE, _RIGHTS, [denied])])
    ((_, reply),) = Pipeline[str](wire, 1).run(iter([Write(dn, step, (ber.rights_only(),))]))
    if not isinstance(reply, ber.Answer):
        raise TransientError(f"{wire.endpoint}: {dn}: {reply.why}")
    return "" if reply.code == SUCCESS else words(reply.code, reply.why)
