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

-- The records of instruments. version counts those of one number and one time of
-- the instrument whose content differs: an instrument lets its records be edited.
DROP VIEW IF EXISTS archive_records;
CREATE VIEW archive_records AS
SELECT
    site.site,
    archive.source,
    archive.name AS archive,
    archive.kind,
    archive.archive_id,
    archive_record.idx,
    (SELECT count(*) FROM archive_record AS other
        WHERE other.site = archive_record.site AND other.archive_id = archive_record.archive_id AND other.idx = archive_record.idx
        AND other.device_ms IS archive_record.device_ms AND (other.epoch, other.seq) <= (archive_record.epoch, archive_record.seq)) AS version,
    strftime('%Y-%m-%dT%H:%M:%fZ', archive_record.device_ms / 1000.0, 'unixepoch') AS device_time,
    quality.status AS device_quality,
    archive.zone,
    hex(archive_record.raw) AS raw,
    archive_record.repeated,
    strftime('%Y-%m-%dT%H:%M:%fZ', archive_record.wall_ms / 1000.0, 'unixepoch') AS read_at,
    time_quality.name AS time_quality,
    archive_record.boot,
    archive_record.boottime_ms,
    archive_record.wall_ms,
    archive_record.device_ms,
    epoch.lane,
    epoch.epoch,
    archive_record.seq,
    strftime('%Y-%m-%dT%H:%M:%fZ', archive_record.received_ms / 1000.0, 'unixepoch') AS received_at
FROM archive_record
JOIN archive ON archive.id = archive_record.archive
JOIN site ON site.id = archive_record.site
JOIN epoch ON epoch.id = archive_record.epoch
JOIN quality ON quality.quality = archive_record.device_quality
JOIN time_quality ON time_quality.time_quality = archive_record.time_quality;

-- Their fields.
DROP VIEW IF EXISTS archive_values;
CREATE VIEW archive_values AS
SELECT
    site.site, archive.source, archive.name AS archive, archive.archive_id, archive_record.idx,
    strftime('%Y-%m-%dT%H:%M:%fZ', archive_record.device_ms / 1000.0, 'unixepoch') AS device_time,
    archive_field.name AS field, archive_value.value, archive_field.unit, archive_value.set_bits,
    archive_field.type, archive_value.raw, archive_record.device_ms, epoch.epoch, archive_record.seq
FROM archive_record
JOIN archive ON archive.id = archive_record.archive
JOIN site ON site.id = archive_record.site
JOIN epoch ON epoch.id = archive_record.epoch
JOIN archive_value ON archive_value.epoch = archive_record.epoch AND archive_value.seq = archive_record.seq
JOIN archive_field ON archive_field.archive = archive.id AND archive_field.col = archive_value.col;
