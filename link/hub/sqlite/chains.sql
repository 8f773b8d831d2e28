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
