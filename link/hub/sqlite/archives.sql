-- What instruments keep by themselves and a site has harvested, since version 4:
-- hourly and daily records, events and alarms. Start with the views, in views.sql:
-- archive_records and archive_values.

-- An archive as it was described with its records. Where the description
-- changes there is another row; archive_id stays the same.
CREATE TABLE archive (
    id            INTEGER PRIMARY KEY,
    site          INTEGER NOT NULL REFERENCES site (id),
    archive_id    INTEGER NOT NULL,             -- names the archive for ever, among those of the site
    source        TEXT    NOT NULL,             -- the unit
    name          TEXT    NOT NULL,
    kind          TEXT    NOT NULL,             -- periodic or events
    zone          TEXT    NOT NULL,             -- the time zone that the instrument's clock was taken to be in
    day_start_min INTEGER NOT NULL,             -- the time of day that a date alone was taken to mean
    layout        TEXT    NOT NULL,             -- the fields, a line each
    UNIQUE (site, archive_id, source, name, kind, zone, day_start_min, layout)
) STRICT;

-- The fields of its records.
CREATE TABLE archive_field (
    archive INTEGER NOT NULL REFERENCES archive (id),
    col     INTEGER NOT NULL,                   -- from 0
    name    TEXT    NOT NULL,
    type    TEXT    NOT NULL,
    unit    TEXT    NOT NULL,                   -- or what it means: mmddyy, hhmmss, bits ...
    PRIMARY KEY (archive, col)
) STRICT, WITHOUT ROWID;

-- A record. One that was harvested twice, as after a power cut, is here once: it
-- has the same number and the same bytes.
CREATE TABLE archive_record (
    epoch          INTEGER NOT NULL REFERENCES epoch (id),
    seq            INTEGER NOT NULL,
    site           INTEGER NOT NULL,
    archive_id     INTEGER NOT NULL,
    idx            INTEGER NOT NULL,            -- its number in the archive; of an event in the order of the harvest
    raw            BLOB    NOT NULL,            -- what the instrument gave
    archive        INTEGER NOT NULL REFERENCES archive (id),
    device_ms      INTEGER,                     -- the instrument's own time; null where that can't be read
    device_quality INTEGER NOT NULL REFERENCES quality (quality),
    boot           INTEGER NOT NULL,            -- this and what follows: when it was read
    boottime_ms    INTEGER NOT NULL,
    wall_ms        INTEGER NOT NULL,
    time_quality   INTEGER NOT NULL REFERENCES time_quality (time_quality),
    bound          INTEGER,
    received_ms    INTEGER NOT NULL,
    repeated       INTEGER NOT NULL DEFAULT 0,  -- how often it came again
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX archive_record_once ON archive_record (site, archive_id, idx, raw);
CREATE INDEX archive_record_by_time ON archive_record (site, device_ms);

-- A field of a record, read by the layout; what the record is too short for is not here.
CREATE TABLE archive_value (
    epoch    INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    col      INTEGER NOT NULL,
    raw      INTEGER NOT NULL,                  -- the bits, as a signed 64 bit number
    value    REAL,                              -- null where it is no number
    set_bits TEXT    NOT NULL,                  -- of a bitmap: the names of the bits that are set
    PRIMARY KEY (epoch, seq, col)
) STRICT, WITHOUT ROWID;
