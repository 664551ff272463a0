"""The tables as this version uses them; `fleet.store.migrations` makes them.

Times are milliseconds since 1970 in UTC, of this machine's clock: what a box says of the time is never taken.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only what is called INTEGER by itself

DEVICE = Table(
    "device",
    METADATA,
    Column("device", String(64), primary_key=True),
    Column("first_heard_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger),
    Column("online", Boolean),  # also in ``known``; here for those who look at many boxes at once
    Column("hardware_class", String(64), nullable=False),
    # fleet.inventory.device.Device as JSON: what messages hold grows from version to version, columns would not.
    Column("known", Text, nullable=False),
    Index("device_by_class", "hardware_class"),
)

DEVICE_CHANGE = Table(
    "device_change",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("device", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("what", String(160), nullable=False),
    Column("before", Text),
    Column("after", Text),
    Index("device_change_by_device", "device", "id"),
)

LAYER = Table(
    "layer",
    METADATA,
    Column("kind", String(16), primary_key=True),  # fleet, group or device
    Column("name", String(64), primary_key=True),  # "fleet", the group's name, the box's id
    Column("query", Text, nullable=False),  # of a group: the boxes that it is for
    Column("rank", Integer, nullable=False),  # of groups: a higher one lies over a lower one
    Column("body", Text, nullable=False),  # part of agent.toml as JSON, with its secrets
    Column("revision", BigInteger, nullable=False),  # counts its changes from 1, on over a removal
    Column("changed_ms", BigInteger, nullable=False),
    Column("changed_by", String(64), nullable=False),
)

LAYER_REMOVED = Table(
    # The last revision of layers that were removed: one that is made again goes on from there.
    "layer_removed",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

STALE = Table(
    # Boxes whose wanted document is to be worked out anew: a layer, their labels or their models changed.
    "stale",
    METADATA,
    Column("device", String(64), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
)

WANTED = Table(
    # What each box should run: what its desired document says, or will say.
    "wanted",
    METADATA,
    Column("device", String(64), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("config_revision", BigInteger, nullable=False),
    Column("config", Text, nullable=False),  # canonical JSON, with its secrets
    Column("problem", Text),  # why the layers make no configuration for it; the one before is kept
    Column("model_revision", BigInteger, nullable=False),
    Column("models", Text, nullable=False),  # slot to contracts.desired.DesiredModel
    Column("document", Text, nullable=False),  # as it is published, signed where a key is set
    Column("expires_ms", BigInteger, nullable=False),
    Column("waits_ms", BigInteger),  # since when it is to be published; None where the broker has it
    Column("ahead", Boolean, nullable=False),  # whether the box was given a newer one than this database knows
    Index("wanted_by_waiting", "waits_ms"),
    Index("wanted_by_expiry", "expires_ms"),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("via", String(16), nullable=False),  # cli, console, api or controller
    Column("action", String(64), nullable=False),  # config.set, rollout.create, user.add, ...
    Column("subject", String(160), nullable=False),  # the layer, rollout, user or box
    Column("summary", Text, nullable=False),
    Column("diff", Text, nullable=False),  # unified, secrets left out; empty where nothing has one
    Index("audit_by_subject", "subject", "id"),
)

ROLLOUT = Table(
    "rollout",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("spec", Text, nullable=False),  # fleet.rollout.spec.RolloutSpec as JSON
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),  # counts its changes from 1: two people at once are found out
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("ended_ms", BigInteger),
    Index("rollout_by_state", "state"),
)

ROLLOUT_CLASS = Table(
    # A rollout goes through its waves in each hardware class by itself.
    "rollout_class",
    METADATA,
    Column("rollout", BigInteger, primary_key=True),
    Column("hardware_class", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("wave", Integer, nullable=False),  # the one that is open, from 0; -1 before the first
    Column("opened_ms", BigInteger),  # when it was opened; None before the first
    Column("soaking_ms", BigInteger),  # since when nobody of it is pending
    Column("reason", Text, nullable=False),
)

ROLLOUT_DEVICE = Table(
    "rollout_device",
    METADATA,
    Column("rollout", BigInteger, primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("hardware_class", String(64), nullable=False),
    Column("wave", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # fleet.rollout.boxes.BoxState
    Column("attempts", Integer, nullable=False),  # how often it was offered
    Column("model_revision", BigInteger, nullable=False),  # it was offered under; 0 before
    Column("offered_ms", BigInteger),
    Column("changed_ms", BigInteger, nullable=False),
    Column("code", String(64)),
    Column("reason", Text, nullable=False),
    Column("previous", Text),  # what it wanted and ran before, slot to DesiredModel; None where that is not known
    Column("forgiven", Boolean, nullable=False),  # whether a person accepted that it failed or is silent
    Index("rollout_device_by_device", "device"),
    Index("rollout_device_by_state", "rollout", "hardware_class", "wave", "state"),
)

ROLLOUT_COUNT = Table(
    # How many boxes are in each state, kept as they change: no gate counts a million rows.
    "rollout_count",
    METADATA,
    Column("rollout", BigInteger, primary_key=True),
    Column("hardware_class", String(64), primary_key=True),
    Column("wave", Integer, primary_key=True),
    Column("state", String(16), primary_key=True),
    Column("n", Integer, nullable=False),
)

ROLLOUT_EVENT = Table(
    "rollout_event",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("rollout", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("hardware_class", String(64)),
    Column("what", String(32), nullable=False),  # opened, soaking, passed, halted, paused, ...
    Column("detail", Text, nullable=False),
    Index("rollout_event_by_rollout", "rollout", "id"),
)

PENALTY = Table(
    # Boxes that failed lately: no rollout takes them until then.
    "penalty",
    METADATA,
    Column("device", String(64), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

CAMERA_COUNT = Table(
    # What a camera counted, by five minutes.
    "camera_count",
    METADATA,
    Column("device", String(64), primary_key=True),
    Column("camera", String(64), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),  # of the five minutes
    Column("observed_seconds", Double, nullable=False),
    Column("level_seconds", Double, nullable=False),  # sum of the mean level times the observed seconds
    Column("crossings_in", BigInteger, nullable=False),
    Column("crossings_out", BigInteger, nullable=False),
    Index("camera_count_by_start", "start_ms"),
)

CAMERA_COUNT_SEQ = Table(
    # The newest report that was added to CAMERA_COUNT: one that comes again is not added again.
    "camera_count_seq",
    METADATA,
    Column("device", String(64), primary_key=True),
    Column("store_id", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
)

LEASE = Table(
    # Which controller does what only one may do at a time.
    "lease",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

SETTING = Table(
    "setting",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

USER = Table(
    # "user" is a word of SQL's own.
    "console_user",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", String(16), nullable=False),  # viewer, operator or admin
    Column("disabled", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

SESSION = Table(
    "console_session",
    METADATA,
    Column("token_sha256", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Index("console_session_by_name", "name"),
)

TOKEN = Table(
    "api_token",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("name", String(64), nullable=False),  # of the user that it acts for
    Column("title", String(160), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
)

ENROL_TOKEN = Table(
    # Lets boxes in. Its secret is stored nowhere.
    "enrol_token",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("token_sha256", String(64), nullable=False),
    Column("title", String(160), nullable=False),
    Column("uses", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("names", String(64), nullable=False),  # what boxes may be called, with a * for any characters
    Column("only_for", Text, nullable=False),  # names and serial numbers, as JSON; empty: any
    Column("labels", Text, nullable=False),  # as JSON
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
)

ENROLLED = Table(
    # Names under which boxes were let in; kept for ever, so that one that was decommissioned does not come back.
    "enrolled",
    METADATA,
    Column("device", String(64), primary_key=True),
    Column("state", String(16), nullable=False),  # fleet.enrolment.rules.State
    Column("serial", String(128)),  # of the board, as it said
    Column("changed_ms", BigInteger, nullable=False),
)

CERTIFICATE = Table(
    # Certificates of boxes; those that are over and were revoked are thrown away.
    "certificate",
    METADATA,
    Column("fingerprint", String(64), primary_key=True),  # SHA-256 of it
    Column("serial", String(40), nullable=False),  # its number, hexadecimal
    Column("device", String(64), nullable=False),
    Column("key_sha256", String(64), nullable=False),  # of its public key
    Column("token", String(16)),  # that let the box in; None: it was renewed
    Column("issued_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Index("certificate_by_device", "device"),
    Index("certificate_by_key", "key_sha256"),
    Index("certificate_by_revocation", "revoked_ms"),
)
