-- What has come of each trigger. A row is made when there is something to say.
CREATE TABLE trigger_state (
    trigger_id    INTEGER PRIMARY KEY REFERENCES trigger_row (id) ON DELETE CASCADE,
    -- Times it fired, those of them that were not accepted or whose run failed, and moments left out because the event of the one
    -- before still waited.
    fired         INTEGER NOT NULL DEFAULT 0,
    failed        INTEGER NOT NULL DEFAULT 0,
    skipped       INTEGER NOT NULL DEFAULT 0,
    -- When it fired last, and what was wrong last and when.
    fired_us      INTEGER NOT NULL DEFAULT 0,
    error         TEXT    NOT NULL DEFAULT '',
    error_us      INTEGER NOT NULL DEFAULT 0,
    -- Of a timer: the last moment that was seen to, and the event that came of it.
    moment_us     INTEGER NOT NULL DEFAULT 0,
    invocation_id INTEGER
) STRICT;

-- The trigger that an event is of, so that it is told when the event is given up.
ALTER TABLE queued ADD COLUMN trigger_id INTEGER;

-- What a function's own URL is known by.
UPDATE trigger_row SET spec = json_set(spec, '$.url_id', lower(hex(randomblob(5)))) WHERE kind = 'http';

DROP VIEW triggers;
CREATE VIEW triggers AS
SELECT f.namespace, f.name AS function, t.kind, t.name AS trigger, t.qualifier, t.enabled, t.spec, t.custom_argument,
       t.description,
       strftime('%Y-%m-%dT%H:%M:%fZ', t.created_us / 1000000.0, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%fZ', t.modified_us / 1000000.0, 'unixepoch') AS modified,
       coalesce(s.fired, 0) AS fired, coalesce(s.failed, 0) AS failed, coalesce(s.skipped, 0) AS skipped,
       iif(s.fired_us > 0, strftime('%Y-%m-%dT%H:%M:%fZ', s.fired_us / 1000000.0, 'unixepoch'), NULL) AS last_fired,
       coalesce(s.error, '') AS last_error,
       iif(s.error_us > 0, strftime('%Y-%m-%dT%H:%M:%fZ', s.error_us / 1000000.0, 'unixepoch'), NULL) AS last_error_at
FROM trigger_row t
JOIN function f ON f.id = t.function_id
LEFT JOIN trigger_state s ON s.trigger_id = t.id
WHERE f.deleted_us IS NULL;
