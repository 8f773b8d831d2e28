-- The tables of a skyhub database, version 4 (PRAGMA user_version).
--
-- A record is named for ever by its epoch and its sequence number in it, so
-- these two are the key of everything that came as a record. Times in columns
-- ending in _ms are Unix milliseconds, UTC. Start with the views, in views.sql:
-- readings, summaries, completeness, point_versions, gaps, forks. What instruments
-- keep by themselves is in archives.sql, what is kept to read the next batches in
-- chains.sql.
--
-- To back up while skyhub runs: sqlite3 hub.db '.backup copy.db'. To restore,
-- stop every skyhub, replace the file and delete the two beside it that end in
-- -wal and -shm. What was acknowledged after the backup is asked of the sites
-- again.

CREATE TABLE site (
    id            INTEGER PRIMARY KEY,
    site          TEXT    NOT NULL UNIQUE,
    at            INTEGER NOT NULL,             -- strictly rising with each change of the marks; time of the ack
    down_at       INTEGER NOT NULL DEFAULT 0,   -- strictly rising with each change of the open commands
    first_heard_ms INTEGER NOT NULL,
    last_batch_ms INTEGER,                      -- when a batch was stored
    batches       INTEGER NOT NULL DEFAULT 0,   -- stored
    records       INTEGER NOT NULL DEFAULT 0,   -- stored, each once
    readings      INTEGER NOT NULL DEFAULT 0,   -- stored, each once
    repeated      INTEGER NOT NULL DEFAULT 0,   -- records that came again and were dropped
    online        INTEGER NOT NULL DEFAULT 0,   -- by the site's own state document
    config        TEXT,                         -- beginning of the hash over its configuration
    contact_ms    INTEGER,                      -- when its last state came in
    next_contact_ms INTEGER,                    -- when it is expected next
    unchained     INTEGER NOT NULL DEFAULT 0    -- batches that could not be read because their chain was not here
) STRICT;

-- The marks: what is here of each epoch in each lane.
CREATE TABLE epoch (
    id     INTEGER PRIMARY KEY,
    site   INTEGER NOT NULL REFERENCES site (id),
    lane   TEXT    NOT NULL,
    epoch  TEXT    NOT NULL,                    -- 64 bits in hexadecimal; zeros where only fresh counts, for whichever epoch the site is in
    parent TEXT    NOT NULL,                    -- epoch of the record before first; zeros where there is none
    first  INTEGER NOT NULL,                    -- first sequence number; 0 as long as it is not known
    floor  INTEGER NOT NULL,                    -- everything from first to floor is stored or declared lost
    acked  INTEGER NOT NULL,                    -- what the site took for durable here
    fresh  INTEGER NOT NULL,                    -- 1 while the site is asked to start afresh
    UNIQUE (site, lane, epoch)
) STRICT;

-- What is stored or declared lost above an epoch's floor.
CREATE TABLE stored (
    epoch INTEGER NOT NULL REFERENCES epoch (id),
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    PRIMARY KEY (epoch, first)
) STRICT, WITHOUT ROWID;

-- A schema: the points of one group in one lane as they were configured at a
-- time. It never changes; a point renamed or re-ranged makes a new one.
CREATE TABLE schema (
    id     INTEGER PRIMARY KEY,
    site   INTEGER NOT NULL REFERENCES site (id),
    schema TEXT    NOT NULL,                    -- its name: hash over its content, in hexadecimal
    grp    TEXT    NOT NULL,                    -- scan group
    body   BLOB    NOT NULL,                    -- canonical form
    epoch  INTEGER NOT NULL REFERENCES epoch (id), -- where it was first seen
    seq    INTEGER NOT NULL,
    interval_ms INTEGER NOT NULL DEFAULT 0,     -- 0: its scans hold readings; else summaries of so long each
    UNIQUE (site, schema)
) STRICT;

-- The columns of a schema: one version of a point each.
CREATE TABLE point (
    schema      INTEGER NOT NULL REFERENCES schema (id),
    col         INTEGER NOT NULL,               -- from 0
    point_id    INTEGER NOT NULL,               -- names the point for ever
    tag         TEXT    NOT NULL,
    description TEXT    NOT NULL,
    unit        TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    factor      REAL,                           -- value = raw * factor + offset
    offset      REAL,
    decimals    INTEGER NOT NULL,               -- -1 for as many as needed
    statistic   TEXT    NOT NULL DEFAULT '',    -- in a summary: count, min, mean or max of the good readings, or the last
    rule        TEXT    NOT NULL DEFAULT '',    -- which readings there are: '' all, change, deadband, swinging door
    error       REAL    NOT NULL DEFAULT 0,     -- how far a reading that is not there may be off from what tells it
    silence_ms  INTEGER NOT NULL DEFAULT 0,     -- the first scan after so long has a reading again
    PRIMARY KEY (schema, col)
) STRICT, WITHOUT ROWID;

-- One pass over a scan group.
CREATE TABLE scan (
    epoch        INTEGER NOT NULL REFERENCES epoch (id),
    seq          INTEGER NOT NULL,
    schema       INTEGER NOT NULL REFERENCES schema (id),
    boot         INTEGER NOT NULL,              -- ordinal of the boot on the appliance
    boottime_ms  INTEGER NOT NULL,              -- since that boot; orders scans whatever the wall clock does
    wall_ms      INTEGER NOT NULL,
    time_quality INTEGER NOT NULL REFERENCES time_quality (time_quality),
    bound        INTEGER,                       -- wall_ms is off by at most 2^bound ms; null where nobody can tell
    received_ms  INTEGER NOT NULL,              -- at the hub
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX scan_by_time ON scan (epoch, wall_ms);

-- One value of a scan. Of a point with a rule not every scan has one: a reading
-- holds until the next one of the point and boot. Only with a swinging door those
-- between two good ones of one epoch lie on the straight line over boottime_ms, and
-- nothing is told of what came after the last one of an epoch.
CREATE TABLE reading (
    epoch   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    col     INTEGER NOT NULL,                   -- in the scan's schema
    raw     INTEGER NOT NULL,                   -- the bits of the instrument, as a signed 64 bit number
    value   REAL,                               -- scaled; null where nothing was read or it is no number
    quality INTEGER NOT NULL REFERENCES quality (quality),
    PRIMARY KEY (epoch, seq, col)
) STRICT, WITHOUT ROWID;

-- The beginning or the end of an alarm condition.
CREATE TABLE event (
    epoch        INTEGER NOT NULL REFERENCES epoch (id),
    seq          INTEGER NOT NULL,
    boot         INTEGER NOT NULL,
    boottime_ms  INTEGER NOT NULL,
    wall_ms      INTEGER NOT NULL,
    time_quality INTEGER NOT NULL REFERENCES time_quality (time_quality),
    bound        INTEGER,
    point_id     INTEGER NOT NULL,
    tag          TEXT    NOT NULL,
    condition    TEXT    NOT NULL,
    active       INTEGER NOT NULL,              -- 1 where it begins, 0 where it ends
    type         TEXT    NOT NULL,
    raw          INTEGER NOT NULL,
    quality      INTEGER NOT NULL REFERENCES quality (quality),
    value        REAL,
    limit_value  REAL,                          -- the limit passed, scaled; null where there is none
    received_ms  INTEGER NOT NULL,
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

-- What an auditor wants beside the readings: configuration, clock, start.
CREATE TABLE note (
    epoch        INTEGER NOT NULL REFERENCES epoch (id),
    seq          INTEGER NOT NULL,
    boot         INTEGER NOT NULL,
    boottime_ms  INTEGER NOT NULL,
    wall_ms      INTEGER NOT NULL,
    time_quality INTEGER NOT NULL REFERENCES time_quality (time_quality),
    bound        INTEGER,
    topic        TEXT    NOT NULL,
    text         TEXT    NOT NULL,
    received_ms  INTEGER NOT NULL,
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

-- Records of the other kinds, and those that could not be read, byte for byte.
CREATE TABLE opaque (
    epoch       INTEGER NOT NULL REFERENCES epoch (id),
    seq         INTEGER NOT NULL,
    kind        INTEGER NOT NULL,               -- first byte: 1 scan, 2 event, 3 message, 4 result, 5 archive, 6 note
    record      BLOB    NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

-- Records that are lost, as the site declared it.
CREATE TABLE gap (
    epoch       INTEGER NOT NULL REFERENCES epoch (id),
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    declared_ms INTEGER NOT NULL,
    PRIMARY KEY (epoch, first)
) STRICT, WITHOUT ROWID;

-- Payloads that are no batch, or contradict the marks: the newest, cut.
CREATE TABLE rejected (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    site        TEXT    NOT NULL,
    topic       TEXT    NOT NULL,
    cause       TEXT    NOT NULL,
    received_ms INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,               -- of the payload before it was cut
    payload     BLOB    NOT NULL
) STRICT;

-- Commands to the sites, open until their deadline.
CREATE TABLE command (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    site        INTEGER NOT NULL REFERENCES site (id),
    deadline_ms INTEGER NOT NULL,
    body        BLOB    NOT NULL,
    queued_ms   INTEGER NOT NULL
) STRICT;

CREATE INDEX command_by_deadline ON command (site, deadline_ms);

-- The words for the numbers; filled in when the database is made.
CREATE TABLE quality (
    quality INTEGER PRIMARY KEY,
    status  TEXT NOT NULL,
    reason  TEXT NOT NULL
) STRICT;

CREATE TABLE time_quality (
    time_quality INTEGER PRIMARY KEY,
    name         TEXT NOT NULL
) STRICT;
