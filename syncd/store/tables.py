"""The tables, as one MetaData for SQLite and PostgreSQL. What is sealed is a LargeBinary that only the vault opens.

Times are UTC and stored as ISO text, dates as ISO text: both databases compare them alike. Which table holds what is told in
docs/reference/store.md.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()
_NUMBER = Integer

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False))

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("until", String, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("pipeline", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("status", String, nullable=False),
    Column("started", String, nullable=False),
    Column("ended", String),
    Column("summary", Text, nullable=False),
    Column("held", Text, nullable=False, server_default="[]"),
    sqlite_autoincrement=True,
)

# What was applied of late, by cell and hour (R12): what a human released is not in it.
spent = Table(
    "spent",
    metadata,
    Column("target", String, primary_key=True),
    Column("hour", String, primary_key=True),
    Column("operation", String, primary_key=True),
    Column("campus", String, primary_key=True),
    Column("population", String, primary_key=True),
    Column("number", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Changes that somebody approved, by their digests (R15), and who that was (R39). `lets_go`: it was the last one needed.
approvals = Table(
    "approvals",
    metadata,
    Column("digest", String, primary_key=True),
    Column("who", _NUMBER, primary_key=True, autoincrement=False),  # the human's uid; -1 where nobody can tell
    Column("run", _NUMBER, nullable=False),
    Column("at", String, nullable=False),
    Column("expires", String, nullable=False, index=True),
    Column("actor", String, nullable=False),
    Column("because", Text, nullable=False),
    Column("lets_go", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

# Changes that somebody turned down, by their digests: not offered again until they are others, or released.
rejections = Table(
    "rejections",
    metadata,
    Column("digest", String, primary_key=True),
    Column("person", _NUMBER, ForeignKey("persons.seq"), nullable=False, index=True),
    Column("run", _NUMBER, nullable=False),
    Column("at", String, nullable=False),
    Column("expires", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("because", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What of a target people let runs write, or once did (R34). Empty lists mean all; `ended` where it was taken back.
releases = Table(
    "releases",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("target", String, nullable=False, index=True),
    Column("campuses", Text, nullable=False),
    Column("operations", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("because", Text, nullable=False),
    Column("ended", String),
    Column("ended_by", String, nullable=False),
    sqlite_autoincrement=True,
)

# What a human undid and the next runs leave alone (R22), by the digests of what they would do; "" is whatever the next plan wants.
shelved = Table(
    "shelved",
    metadata,
    Column("target", String, primary_key=True),
    Column("person", _NUMBER, ForeignKey("persons.seq"), primary_key=True),
    Column("digest", String, primary_key=True),
    sqlite_with_rowid=False,
)

# What people decided here (R6). Who did and when stands open; what it says and why is sealed.
facts = Table(
    "facts",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("person", _NUMBER, ForeignKey("persons.seq"), nullable=False, index=True),
    Column("kind", String, nullable=False, index=True),
    Column("attribute", String, nullable=False),
    Column("target", String, nullable=False),
    Column("since", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("until", String),
    Column("ended", String),
    Column("ended_by", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("sealed_end", LargeBinary),
    sqlite_autoincrement=True,
)

# How fresh what is: sources, targets, campuses, the configuration, the daemon, the last backup. What monitors are told.
freshness = Table(
    "freshness",
    metadata,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("good_at", String),
    Column("changed_at", String),
    Column("failed_at", String),
    Column("why", Text, nullable=False),
    Column("number", Integer, nullable=False),
    sqlite_with_rowid=False,
)

plans = Table(
    "plans",
    metadata,
    Column("run", _NUMBER, ForeignKey("runs.seq"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("source", String, nullable=False, index=True),
    Column("spool", String, nullable=False),
    Column("content", String, nullable=False),
    Column("counts", Text, nullable=False),
    Column("accepted_on", String, nullable=False),
    Column("fetched_at", String, nullable=False),
    Column("profiles", Text),  # what its files looked like, as far as that was believed (JSON); NULL: nobody counted
    sqlite_autoincrement=True,
)

digests = Table(
    "digests",
    metadata,
    Column("source", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("before", LargeBinary),  # the digest it had before its last change: a roster that tells it again is an older one
    sqlite_with_rowid=False,
)

persons = Table(
    "persons",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("population", String),
    Column("state", String, nullable=False, index=True),
    Column("since", String, index=True),
    Column("due", String, index=True),
    Column("likeness", String, nullable=False, index=True),
    Column("given", String, nullable=False),
    Column("campus", String, nullable=False),
    Column("claimed", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

dirty = Table("dirty", metadata, Column("person", _NUMBER, primary_key=True))

source_keys = Table(
    "source_keys",
    metadata,
    Column("source", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("person", _NUMBER, ForeignKey("persons.seq"), nullable=False, index=True),
    Column("missing_since", String, index=True),
    Column("absences", Integer, nullable=False),
    sqlite_with_rowid=False,
)

records = Table(
    "records",
    metadata,
    Column("source", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

# What the last good records say, as rows (R26); the sealed record itself is `records`. `place` is the position in the record.

campuses = Table(
    "campuses",
    metadata,
    Column("source", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("code", String, nullable=False),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("parent", String),
    sqlite_with_rowid=False,
)

classes = Table(
    "classes",
    metadata,
    Column("source", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("code", String, nullable=False),
    Column("title", String, nullable=False),
    Column("campus", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("course", String, nullable=False),
    Column("begin", String),
    Column("end", String),
    Column("teachers", Text, nullable=False),
    Index("classes_by_campus", "source", "campus"),
    sqlite_with_rowid=False,
)

roles = Table(
    "roles",
    metadata,
    Column("source", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("campus", String, nullable=False),
    Column("role", String, nullable=False),
    Column("primary", Boolean, nullable=False),
    Column("begin", String),
    Column("end", String),
    Index("roles_by_campus", "source", "campus"),
    sqlite_with_rowid=False,
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("source", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("class", String, nullable=False),
    Column("role", String, nullable=False),
    Column("primary", Boolean, nullable=False),
    Column("begin", String),
    Column("end", String),
    Index("enrolments_by_class", "source", "class"),
    sqlite_with_rowid=False,
)

guardianships = Table(
    "guardianships",
    metadata,
    Column("source", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("guardian", String, nullable=False),
    Column("relation", String, nullable=False),
    sqlite_with_rowid=False,
)

# Whose accounts read another person's row. Who is at which campus and in which class, the rows above tell (R4).
references = Table(
    "refs",
    metadata,
    Column("source", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("person", _NUMBER, primary_key=True, index=True),
    sqlite_with_rowid=False,
)

names = Table(
    "names",
    metadata,
    Column("person", _NUMBER, ForeignKey("persons.seq"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("value", String, nullable=False),
    Column("basis", String, nullable=False),
    sqlite_with_rowid=False,
)

# Addresses an account had before we replaced them, which go on as aliases for a while (R9). `ended` is the day they were replaced.
former_addresses = Table(
    "former_addresses",
    metadata,
    Column("target", String, primary_key=True),
    Column("person", _NUMBER, ForeignKey("persons.seq"), primary_key=True),
    Column("attribute", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("ended", String, nullable=False),
    sqlite_with_rowid=False,
)

ledger = Table(
    "ledger",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False, index=True),
    Column("state", String, nullable=False),  # reserved | issued | found
    Column("run", _NUMBER, index=True),
    Column("since", String, nullable=False),
    sqlite_with_rowid=False,
)

links = Table(
    "links",
    metadata,
    Column("target", String, primary_key=True),
    Column("person", _NUMBER, ForeignKey("persons.seq"), primary_key=True),
    Column("native_id", String, nullable=False),
    Column("why", String, nullable=False),
    Column("disabled_by_us", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("target", "native_id"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("target", String, primary_key=True),
    Column("person", _NUMBER, ForeignKey("persons.seq"), primary_key=True),
    Column("name", String, primary_key=True),
    sqlite_with_rowid=False,
)

journal = Table(
    "journal",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("run", _NUMBER, ForeignKey("runs.seq"), nullable=False, index=True),
    Column("at", String, nullable=False),
    Column("target", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("person", _NUMBER, index=True),
    Column("commitment", LargeBinary),  # the digest of the sealed image, which may go (R24)
    Column("entry", _NUMBER),  # of the audit, that covers it
    sqlite_autoincrement=True,
)

# The audit chain (R24): an entry for each batch of journal rows or outcomes, and for each decision, which is sealed here.
audit = Table(
    "audit",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("at", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("run", _NUMBER),
    Column("person", _NUMBER, index=True),
    Column("commitment", LargeBinary, nullable=False),
    Column("sealed", LargeBinary),
    Column("link", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

# What an account looked like before and after: personal data, kept as long as `retention:` says (R38), unlike the journal itself.
images = Table(
    "images",
    metadata,
    Column("seq", _NUMBER, ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("seq", _NUMBER, ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
    Column("at", String, nullable=False),
    Column("result", String, nullable=False),
    Column("failure", String),
    Column("sealed", LargeBinary, nullable=False),  # the target's words may quote a value
    Column("commitment", LargeBinary),
    Column("entry", _NUMBER),
)

findings = Table(
    "findings",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("run", _NUMBER, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("person", _NUMBER, index=True),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

# What a target refused, until it lands or is not wanted any more. `wanted` is a digest of what it should have made true.
quarantine = Table(
    "quarantine",
    metadata,
    Column("target", String, primary_key=True),
    Column("person", _NUMBER, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("group", String, primary_key=True),  # of a membership; else empty
    Column("wanted", String, nullable=False),
    Column("attribute", String, nullable=False),
    Column("count", Integer, nullable=False),
    Column("first", String, nullable=False),
    Column("last", String, nullable=False),
    Column("next", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What a human decided about who somebody is (R6), for ever; one that was taken back says so and stays.
resolutions = Table(
    "resolutions",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),  # merge | ignore | link
    Column("subject", String, nullable=False, index=True),  # a person id, or `source/key` of a record
    Column("candidate", String, nullable=False, index=True),  # one of those, or `target:native id` of an account
    Column("at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("withdrawn", String),
    Column("sealed", LargeBinary, nullable=False),  # why; and by whom and why it was taken back
    sqlite_autoincrement=True,
)

# Which devices somebody reported lost, and found again. Why they said so stands in the audit.
lost_devices = Table(
    "lost_devices",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("target", String, nullable=False, index=True),
    Column("serial", String, nullable=False),
    Column("at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("ended", String),
    Column("ended_by", String, nullable=False),
    sqlite_autoincrement=True,
)

# Devices that are disabled because we did that: no others are ever enabled (R33).
disabled_devices = Table(
    "disabled_devices",
    metadata,
    Column("target", String, primary_key=True),
    Column("native_id", String, primary_key=True),
    sqlite_with_rowid=False,
)

passwords = Table(
    "passwords",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("target", String, nullable=False),
    Column("person", _NUMBER, ForeignKey("persons.seq"), nullable=False),
    Column("intention", _NUMBER, ForeignKey("journal.seq"), nullable=False),
    Column("expires", String, nullable=False),
    Column("handed_out", String),
    Column("sealed", LargeBinary),
    sqlite_autoincrement=True,
)

# Wrong tries at claiming an account: of a name with a birth date, by a keyed digest and whether there is such a person or not; and
# of a person, however their name was spelt. `person` is whom they meant, where they meant somebody.
claim_tries = Table(
    "claim_tries",
    metadata,
    Column("key", String, primary_key=True),
    Column("person", _NUMBER, index=True),
    Column("wrong", Integer, nullable=False),
    Column("streak", Integer, nullable=False),
    Column("until", String),
    Column("last", String, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# The same of a network, by a keyed digest, and of the whole district, over a span of time.
claim_budgets = Table(
    "claim_budgets",
    metadata,
    Column("key", String, primary_key=True),
    Column("since", String, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("right", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Who has proved who they are and has minutes to choose a password. Only a digest of what they hold is here.
claim_tickets = Table(
    "claim_tickets",
    metadata,
    Column("digest", String, primary_key=True),
    Column("person", _NUMBER, ForeignKey("persons.seq"), nullable=False, index=True),
    Column("expires", String, nullable=False),
    sqlite_with_rowid=False,
)

# Passwords that people chose and a further target could not take yet: for minutes, sealed.
claim_passwords = Table(
    "claim_passwords",
    metadata,
    Column("target", String, primary_key=True),
    Column("person", _NUMBER, ForeignKey("persons.seq"), primary_key=True),
    Column("expires", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

Index("findings_by_kind", findings.c.kind)
