-- What the TencentCloud API has around functions: namespaces, published versions, aliases, layers, triggers, what a function may
-- use at once, and keys that sign.

CREATE TABLE namespace (
    name        TEXT PRIMARY KEY,
    description TEXT    NOT NULL,
    created_us  INTEGER NOT NULL,
    modified_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO namespace (name, description, created_us, modified_us)
SELECT namespace, '', min(created_us), min(created_us) FROM function WHERE deleted_us IS NULL GROUP BY namespace;
-- When this was made is not known; as early as any function, and else now.
INSERT OR IGNORE INTO namespace (name, description, created_us, modified_us)
VALUES ('default', '', unixepoch() * 1000000, unixepoch() * 1000000);

-- How a function stands: Active, or on the way there. last_version is the newest number given to one of its versions: a number
-- is not given twice while the function lives.
ALTER TABLE function ADD COLUMN status         TEXT    NOT NULL DEFAULT 'Active';
ALTER TABLE function ADD COLUMN status_code    TEXT    NOT NULL DEFAULT '';
ALTER TABLE function ADD COLUMN status_message TEXT    NOT NULL DEFAULT '';
ALTER TABLE function ADD COLUMN last_version   INTEGER NOT NULL DEFAULT 0;
-- The order of a list of many functions, of which one page is read.
CREATE INDEX function_modified ON function (namespace, modified_us) WHERE deleted_us IS NULL;

-- The qualifier is $LATEST, a number, or $NEXT: code that was sent and is loaded once before it becomes $LATEST.
-- echo: what a caller said that means nothing on one host, kept to be given back, a JSON object.
ALTER TABLE version ADD COLUMN created_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE version ADD COLUMN echo       TEXT    NOT NULL DEFAULT '{}';
UPDATE version SET created_us = (SELECT modified_us FROM function f WHERE f.id = version.function_id);

-- A name for a version, which may be moved. other_version gets `weight` of the runs, or those whose routing key matches.
CREATE TABLE alias (
    function_id      INTEGER NOT NULL REFERENCES function (id),
    name             TEXT    NOT NULL,
    version          TEXT    NOT NULL,
    other_version    TEXT,
    weight           REAL,
    match_key        TEXT,
    match_method     TEXT,
    match_expression TEXT,
    description      TEXT    NOT NULL,
    created_us       INTEGER NOT NULL,
    modified_us      INTEGER NOT NULL,
    PRIMARY KEY (function_id, name)
) STRICT, WITHOUT ROWID;

-- A version of a layer. The row outlives it (deleted_us), so that its number is not given again.
CREATE TABLE layer_version (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    package_id  INTEGER REFERENCES package (id),
    runtimes    TEXT    NOT NULL,
    description TEXT    NOT NULL,
    license     TEXT    NOT NULL,
    created_us  INTEGER NOT NULL,
    deleted_us  INTEGER,
    UNIQUE (name, number)
) STRICT;
CREATE INDEX layer_package ON layer_version (package_id);

-- The layers of a version, in order: what a later one has covers what an earlier one has.
CREATE TABLE version_layer (
    version_id INTEGER NOT NULL,
    place      INTEGER NOT NULL,
    layer_id   INTEGER NOT NULL,
    PRIMARY KEY (version_id, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_layer_layer ON version_layer (layer_id);

-- What makes a function run by itself; spec is a JSON object, another for each kind.
CREATE TABLE trigger_row (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    function_id     INTEGER NOT NULL REFERENCES function (id),
    kind            TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    qualifier       TEXT    NOT NULL,
    spec            TEXT    NOT NULL,
    enabled         INTEGER NOT NULL,
    custom_argument TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    created_us      INTEGER NOT NULL,
    modified_us     INTEGER NOT NULL
) STRICT;

-- What names may be taken twice depends on the kind, so that it is checked where a row is written. The second finds all rules of a
-- bucket, and all readers of a topic.
CREATE INDEX trigger_function ON trigger_row (function_id, kind, name);
CREATE INDEX trigger_name ON trigger_row (kind, name);

-- How many Instances of a published version stay parked whether it is used or not.
CREATE TABLE provisioned (
    function_id INTEGER NOT NULL,
    qualifier   TEXT    NOT NULL,
    instances   INTEGER NOT NULL,
    PRIMARY KEY (function_id, qualifier)
) STRICT, WITHOUT ROWID;

-- What was set while the server ran, over what it is started with.
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A key that signs has an id and, since a signature is made with it, is kept itself; sealed where there is a seal key.
ALTER TABLE key ADD COLUMN secret_id  TEXT;
ALTER TABLE key ADD COLUMN secret_key TEXT;
CREATE UNIQUE INDEX key_secret_id ON key (secret_id) WHERE secret_id IS NOT NULL;

-- state is further 7: an event that somebody ended. The alias a run was asked for by; empty where it was asked for by version. is_event: nobody waited for it.
ALTER TABLE invocation ADD COLUMN alias    TEXT    NOT NULL DEFAULT '';
ALTER TABLE invocation ADD COLUMN is_event INTEGER NOT NULL DEFAULT 0;

DROP VIEW functions;
CREATE VIEW functions AS
SELECT f.namespace, f.name, v.qualifier, f.status, v.runtime, v.handler, v.timeout_s, v.init_timeout_s, v.memory_mb,
       v.reserved_mb, v.network, v.reuse, v.spawn, v.retry_num, v.msg_ttl_s, v.dead_letter, v.keep_s, v.description,
       lower(hex(p.sha256)) AS package_sha256, p.size_bytes AS package_bytes,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.created_us / 1000000.0, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.modified_us / 1000000.0, 'unixepoch') AS modified
FROM function f
JOIN version v ON v.function_id = f.id AND v.qualifier = '$LATEST'
JOIN package p ON p.id = v.package_id
WHERE f.deleted_us IS NULL;

CREATE VIEW versions AS
SELECT f.namespace, f.name AS function, v.qualifier AS version, v.runtime, v.handler, v.timeout_s, v.memory_mb, v.description,
       (SELECT group_concat(name, ', ') FROM (
            SELECT l.name || ':' || l.number AS name FROM version_layer u JOIN layer_version l ON l.id = u.layer_id
            WHERE u.version_id = v.id ORDER BY u.place)) AS layers,
       (SELECT w.instances FROM provisioned w WHERE w.function_id = f.id AND w.qualifier = v.qualifier) AS provisioned,
       lower(hex(p.sha256)) AS package_sha256, p.size_bytes AS package_bytes,
       strftime('%Y-%m-%dT%H:%M:%fZ', v.created_us / 1000000.0, 'unixepoch') AS created
FROM version v
JOIN function f ON f.id = v.function_id
JOIN package p ON p.id = v.package_id
WHERE f.deleted_us IS NULL AND v.qualifier <> '$NEXT';

CREATE VIEW aliases AS
SELECT f.namespace, f.name AS function, a.name AS alias, a.version, a.other_version, a.weight, a.match_key, a.match_method,
       a.match_expression, a.description,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.created_us / 1000000.0, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.modified_us / 1000000.0, 'unixepoch') AS modified
FROM alias a
JOIN function f ON f.id = a.function_id
WHERE f.deleted_us IS NULL;

CREATE VIEW layers AS
SELECT l.name AS layer, l.number AS version, l.runtimes, l.description, l.license,
       lower(hex(p.sha256)) AS package_sha256, p.size_bytes AS package_bytes,
       strftime('%Y-%m-%dT%H:%M:%fZ', l.created_us / 1000000.0, 'unixepoch') AS created
FROM layer_version l
JOIN package p ON p.id = l.package_id
WHERE l.deleted_us IS NULL;

CREATE VIEW triggers AS
SELECT f.namespace, f.name AS function, t.kind, t.name AS trigger, t.qualifier, t.enabled, t.spec, t.custom_argument,
       t.description,
       strftime('%Y-%m-%dT%H:%M:%fZ', t.created_us / 1000000.0, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%fZ', t.modified_us / 1000000.0, 'unixepoch') AS modified
FROM trigger_row t
JOIN function f ON f.id = t.function_id
WHERE f.deleted_us IS NULL;

DROP VIEW invocations;
CREATE VIEW invocations AS
SELECT i.id, i.request_id, f.namespace, f.name AS function, i.qualifier, i.alias, i.source, i.is_event,
       CASE WHEN q.claimed_us IS NOT NULL THEN 'running'
            ELSE CASE i.state WHEN 0 THEN 'running' WHEN 1 THEN 'succeeded' WHEN 2 THEN 'failed' WHEN 3 THEN 'queued'
                              WHEN 4 THEN 'retrying' WHEN 5 THEN 'expired' WHEN 6 THEN 'dead' ELSE 'aborted' END
       END AS state,
       iif(q.claimed_us IS NULL, i.status, 202) AS status,
       iif(q.claimed_us IS NULL, i.retry_num, q.attempts) AS retry_num,
       iif(q.claimed_us IS NULL, i.error, '') AS error,
       strftime('%Y-%m-%dT%H:%M:%fZ', i.created_us / 1000000.0, 'unixepoch') AS created,
       iif(q.claimed_us IS NULL, i.duration_us, 0) / 1000.0 AS duration_ms,
       iif(q.claimed_us IS NULL, i.init_us, 0) / 1000.0 AS init_ms,
       i.memory_mb, iif(q.claimed_us IS NULL, i.memory_used_kb, 0) / 1024.0 AS memory_used_mb,
       CAST(i.event AS TEXT) AS event, iif(q.claimed_us IS NULL, CAST(i.result AS TEXT), '') AS result,
       i.created_us, coalesce(q.claimed_us, i.started_us) AS started_us,
       iif(q.claimed_us IS NULL, i.ended_us, 0) AS ended_us, iif(q.claimed_us IS NULL, q.due_us, NULL) AS due_us
FROM invocation i
JOIN function f ON f.id = i.function_id
LEFT JOIN queued q ON q.invocation_id = i.id;

DROP VIEW logs;
CREATE VIEW logs AS
SELECT l.id,
       strftime('%Y-%m-%dT%H:%M:%fZ', l.ts_us / 1000000.0, 'unixepoch') AS time,
       f.name AS SCF_FunctionName, f.namespace AS SCF_Namespace, i.request_id AS SCF_RequestId, i.alias AS SCF_Alias,
       i.qualifier AS SCF_Qualifier, coalesce(a.started_us, i.started_us) / 1000 AS SCF_StartTime,
       l.ts_us / 1000 AS SCF_LogTime, coalesce(a.duration_us, i.duration_us) / 1000.0 AS SCF_Duration,
       coalesce(a.memory_used_kb, i.memory_used_kb) / 1024.0 AS SCF_MemUsage,
       CASE l.level WHEN 0 THEN 'INFO' ELSE 'ERROR' END AS SCF_Level,
       l.message AS SCF_Message,
       CASE l.stream WHEN 0 THEN 'Platform' ELSE 'Custom' END AS SCF_Type,
       coalesce(a.status, i.status, 202) AS SCF_StatusCode, l.retry_num AS SCF_RetryNum,
       CASE l.stream WHEN 0 THEN 'platform' WHEN 1 THEN 'stdout' ELSE 'stderr' END AS stream,
       l.invocation_id, l.ts_us
FROM log l
JOIN function f ON f.id = l.function_id
LEFT JOIN invocation i ON i.id = l.invocation_id
LEFT JOIN attempt a ON a.invocation_id = l.invocation_id AND a.retry_num = l.retry_num;
