-- The tables of a skyhub database, version 3 (PRAGMA user_version).
--
-- A record is named for ever by its epoch and its sequence number in it, so
-- these two are the key of everything that came as a record. Times in columns
-- ending in _ms are Unix milliseconds, UTC. Start with the views, in views.sql:
-- readings, summaries, completeness, point_versions, gaps, forks. What is kept to
-- read the next batches is in chains.sql.
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
-- What chains are made of, since version 3. A batch of level B is read with what
-- was learnt from those before it, its path: here each is kept as it came, and
-- now and then what was learnt. Nothing here is needed to read the tables of
-- schema.sql; all of it may be deleted while no skyhub runs, at the cost of a
-- fresh start of each site.

CREATE TABLE link (
    id       INTEGER PRIMARY KEY,               -- rising with age
    site     INTEGER NOT NULL REFERENCES site (id),
    lane     TEXT    NOT NULL,
    tag      INTEGER NOT NULL,                  -- low 16 bits of name, by which the next batch calls it
    name     INTEGER NOT NULL,                  -- checksum of the batch
    base     INTEGER NOT NULL,                  -- id of the link that it is built on; 0 where it begins a chain, -1 where that is not here
    records  INTEGER NOT NULL,                  -- in it, without gaps
    payload  BLOB    NOT NULL,
    snapshot BLOB                               -- of the chain after it, see package batch
) STRICT;

CREATE INDEX link_by_tag ON link (site, lane, tag);

-- The hubs at work on this database.
CREATE TABLE hub (
    name    TEXT    PRIMARY KEY,
    seen_ms INTEGER NOT NULL
) STRICT;
-- The views of a skyhub database, made anew where they are of an older version.

-- Every reading with the scale and the names that held when it was taken. Ask
-- it by site, by wall_ms and by point_id or tag. CROSS JOIN is SQLite's way to
-- have the tables read in this order.
DROP VIEW IF EXISTS readings;
CREATE VIEW readings AS
SELECT
    site.site,
    epoch.lane,
    schema.grp AS "group",
    point.point_id,
    point.tag,
    strftime('%Y-%m-%dT%H:%M:%fZ', scan.wall_ms / 1000.0, 'unixepoch') AS time,
    reading.value,
    point.unit,
    quality.status AS quality,
    quality.reason,
    point.type,
    reading.raw,
    time_quality.name AS time_quality,
    scan.boot,
    scan.boottime_ms,
    scan.wall_ms,
    epoch.epoch,
    scan.seq,
    strftime('%Y-%m-%dT%H:%M:%fZ', scan.received_ms / 1000.0, 'unixepoch') AS received_at
FROM site
CROSS JOIN epoch ON epoch.site = site.id
CROSS JOIN scan ON scan.epoch = epoch.id
CROSS JOIN schema ON schema.id = scan.schema
CROSS JOIN point ON point.schema = scan.schema
CROSS JOIN reading ON reading.epoch = scan.epoch AND reading.seq = scan.seq AND reading.col = point.col
JOIN quality ON quality.quality = reading.quality
JOIN time_quality ON time_quality.time_quality = scan.time_quality
WHERE schema.interval_ms = 0;

-- What a site made of readings that it had no space for or was not to send: of
-- each point and interval how many were good (statistic count), their min, mean
-- and max, and the last. If none was good the count is 0, and the others are the
-- last reading whatever it was. time, boot and boottime_ms are those of the first scan in the interval.
-- Where they are the same, a summary was made again, and the one of the greatest
-- count has all that is in the others. Several others of one interval are of
-- different scans, to be weighed by their counts.
DROP VIEW IF EXISTS summaries;
CREATE VIEW summaries AS
SELECT
    site.site,
    epoch.lane,
    schema.grp AS "group",
    point.point_id,
    point.tag,
    point.statistic,
    schema.interval_ms,
    strftime('%Y-%m-%dT%H:%M:%fZ', scan.wall_ms / 1000.0, 'unixepoch') AS time,
    reading.value,
    point.unit,
    quality.status AS quality,
    quality.reason,
    point.type,
    reading.raw,
    time_quality.name AS time_quality,
    scan.boot,
    scan.boottime_ms,
    scan.wall_ms,
    epoch.epoch,
    scan.seq,
    strftime('%Y-%m-%dT%H:%M:%fZ', scan.received_ms / 1000.0, 'unixepoch') AS received_at
FROM site
CROSS JOIN epoch ON epoch.site = site.id
CROSS JOIN scan ON scan.epoch = epoch.id
CROSS JOIN schema ON schema.id = scan.schema
CROSS JOIN point ON point.schema = scan.schema
CROSS JOIN reading ON reading.epoch = scan.epoch AND reading.seq = scan.seq AND reading.col = point.col
JOIN quality ON quality.quality = reading.quality
JOIN time_quality ON time_quality.time_quality = scan.time_quality
WHERE schema.interval_ms > 0;

-- Points as they changed: from the named record on, in that group.
DROP VIEW IF EXISTS point_versions;
CREATE VIEW point_versions AS
SELECT
    site.site, point.point_id, point.tag, point.description, point.unit, point.type,
    point.factor, point.offset, point.decimals, point.rule, point.error, point.silence_ms, schema.grp AS "group", schema.schema,
    epoch.lane, epoch.epoch, schema.seq
FROM point
JOIN schema ON schema.id = point.schema
JOIN site ON site.id = schema.site
JOIN epoch ON epoch.id = schema.epoch
WHERE schema.interval_ms = 0;

DROP VIEW IF EXISTS gaps;
CREATE VIEW gaps AS
SELECT
    site.site, epoch.lane, epoch.epoch, gap.first, gap.last, gap.last - gap.first + 1 AS records, gap.reason,
    strftime('%Y-%m-%dT%H:%M:%fZ', gap.declared_ms / 1000.0, 'unixepoch') AS declared_at
FROM gap
JOIN epoch ON epoch.id = gap.epoch
JOIN site ON site.id = epoch.site;

-- What is here and what is missing, up to last: the highest number known of,
-- by what is stored or, in a fork the latest, by the epoch that follows.
DROP VIEW IF EXISTS completeness;
CREATE VIEW completeness AS
SELECT
    site, lane, epoch, parent, first, floor, last, stored_above, last - floor - stored_above AS missing,
    (SELECT count(*) FROM gap WHERE gap.epoch = id) AS gaps,
    coalesce((SELECT sum(gap.last - gap.first + 1) FROM gap WHERE gap.epoch = id), 0) AS lost
FROM (
    SELECT
        epoch.id, site.site, epoch.lane, epoch.epoch, epoch.parent, epoch.first, epoch.floor,
        max(
            epoch.floor,
            coalesce((SELECT max(stored.last) FROM stored WHERE stored.epoch = epoch.id), 0),
            coalesce((
                SELECT max(child.first) - 1 FROM epoch AS child
                WHERE child.site = epoch.site AND child.lane = epoch.lane AND child.parent = epoch.epoch
            ), 0)
        ) AS last,
        coalesce((SELECT sum(stored.last - stored.first + 1) FROM stored WHERE stored.epoch = epoch.id), 0) AS stored_above
    FROM epoch
    JOIN site ON site.id = epoch.site
    WHERE epoch.first > 0
);

-- Epochs that claim the same place in a lane: a card was cloned, an old image
-- restored or a store begun anew. All of them are kept.
DROP VIEW IF EXISTS forks;
CREATE VIEW forks AS
SELECT site.site, epoch.lane, epoch.parent, count(*) AS epochs, group_concat(epoch.epoch, ' ') AS which
FROM epoch
JOIN site ON site.id = epoch.site
WHERE epoch.first > 0
GROUP BY epoch.site, epoch.lane, epoch.parent
HAVING count(*) > 1;
PRAGMA user_version = 3;
