-- The heart: functions, their code, their runs and what those printed, and the keys of callers.
--
-- Never edited once landed; the next change is a new file. Times are microseconds since the epoch, UTC. Big tables
-- name a function by its integer; people read the views at the end.

-- A name that was ever deployed. The row outlives the function (deleted_us), because records and logs outlive it and
-- name it by this id; deploying the name again revives the row.
CREATE TABLE function (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace   TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    created_us  INTEGER NOT NULL,
    modified_us INTEGER NOT NULL,
    deleted_us  INTEGER,
    UNIQUE (namespace, name)
) STRICT;

-- A code archive, addressed by what is in it. complete = 0 while its chunks are still coming or going.
CREATE TABLE package (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256     BLOB    NOT NULL UNIQUE,
    size_bytes INTEGER NOT NULL,
    complete   INTEGER NOT NULL
) STRICT;

CREATE TABLE package_chunk (
    id         INTEGER PRIMARY KEY,
    package_id INTEGER NOT NULL REFERENCES package (id),
    number     INTEGER NOT NULL,
    bytes      BLOB    NOT NULL,
    UNIQUE (package_id, number)
) STRICT;

-- Frozen configuration and code. AUTOINCREMENT: an id is never used twice, so that an old Instance is never taken for
-- a new one. env is a JSON object in the order given.
CREATE TABLE version (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    function_id    INTEGER NOT NULL REFERENCES function (id),
    qualifier      TEXT    NOT NULL,
    runtime        TEXT    NOT NULL,
    handler        TEXT    NOT NULL,
    timeout_s      INTEGER NOT NULL,
    init_timeout_s INTEGER NOT NULL,
    memory_mb      INTEGER NOT NULL,
    reserved_mb    INTEGER,
    env            TEXT    NOT NULL,
    description    TEXT    NOT NULL,
    package_id     INTEGER NOT NULL REFERENCES package (id),
    UNIQUE (function_id, qualifier)
) STRICT;
CREATE INDEX version_package ON version (package_id);

-- One run. The id is taken from memory when it starts, the row is written when it ends (or after a while, state 0, when
-- it lasts). No foreign keys here and in log: they are the hot path, and function rows never go away.
-- state: 0 running, 1 succeeded, 2 failed. The wide columns come last, so that a scan does not read them.
CREATE TABLE invocation (
    id             INTEGER PRIMARY KEY,
    request_id     TEXT    NOT NULL UNIQUE,
    function_id    INTEGER NOT NULL,
    qualifier      TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    state          INTEGER NOT NULL,
    status         INTEGER NOT NULL,
    created_us     INTEGER NOT NULL,
    started_us     INTEGER NOT NULL,
    ended_us       INTEGER NOT NULL,
    duration_us    INTEGER NOT NULL,
    init_us        INTEGER NOT NULL,
    memory_mb      INTEGER NOT NULL,
    memory_used_kb INTEGER NOT NULL,
    error          TEXT    NOT NULL,
    event          BLOB    NOT NULL,
    result         BLOB    NOT NULL
) STRICT;
CREATE INDEX invocation_function ON invocation (function_id);
CREATE INDEX invocation_running  ON invocation (id) WHERE state = 0;
CREATE INDEX invocation_failed   ON invocation (id) WHERE state = 2;
CREATE INDEX invocation_function_failed ON invocation (function_id) WHERE state = 2;

-- One line of a run. level: 0 INFO, 1 ERROR. stream: 0 platform, 1 stdout, 2 stderr.
CREATE TABLE log (
    id            INTEGER PRIMARY KEY,
    ts_us         INTEGER NOT NULL,
    invocation_id INTEGER NOT NULL,
    function_id   INTEGER NOT NULL,
    level         INTEGER NOT NULL,
    stream        INTEGER NOT NULL,
    message       TEXT    NOT NULL
) STRICT;
CREATE INDEX log_invocation ON log (invocation_id);
CREATE INDEX log_function   ON log (function_id);

-- Instead of an index on time: the smallest and largest id among rows of each minute (by log.ts_us and
-- invocation.created_us). last_id is NULL while the recorder still adds to that minute.
CREATE TABLE log_minute (
    minute   INTEGER PRIMARY KEY,
    first_id INTEGER NOT NULL,
    last_id  INTEGER
) STRICT;
CREATE TABLE invocation_minute (
    minute   INTEGER PRIMARY KEY,
    first_id INTEGER NOT NULL,
    last_id  INTEGER
) STRICT;

-- A caller's key: only the SHA-256 of its secret is kept.
CREATE TABLE key (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,
    scope         TEXT    NOT NULL,
    secret_sha256 BLOB    NOT NULL UNIQUE,
    created_us    INTEGER NOT NULL
) STRICT;

-- What people read with sqlite3, Datasette or lnav. Environments and keys are in none of them.
CREATE VIEW functions AS
SELECT f.namespace, f.name, v.qualifier, v.runtime, v.handler, v.timeout_s, v.init_timeout_s, v.memory_mb,
       v.reserved_mb, v.description, lower(hex(p.sha256)) AS package_sha256, p.size_bytes AS package_bytes,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.created_us / 1000000.0, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.modified_us / 1000000.0, 'unixepoch') AS modified
FROM function f
JOIN version v ON v.function_id = f.id
JOIN package p ON p.id = v.package_id
WHERE f.deleted_us IS NULL;

CREATE VIEW invocations AS
SELECT i.id, i.request_id, f.namespace, f.name AS function, i.qualifier, i.source,
       CASE i.state WHEN 0 THEN 'running' WHEN 1 THEN 'succeeded' ELSE 'failed' END AS state,
       i.status, i.error,
       strftime('%Y-%m-%dT%H:%M:%fZ', i.created_us / 1000000.0, 'unixepoch') AS created,
       i.duration_us / 1000.0 AS duration_ms, i.init_us / 1000.0 AS init_ms,
       i.memory_mb, i.memory_used_kb / 1024.0 AS memory_used_mb,
       CAST(i.event AS TEXT) AS event, CAST(i.result AS TEXT) AS result,
       i.created_us, i.started_us, i.ended_us
FROM invocation i
JOIN function f ON f.id = i.function_id;

-- The columns the cloud's log service shows, times in milliseconds and memory in MB. A line of a run that has not
-- ended has status code 202.
CREATE VIEW logs AS
SELECT l.id,
       strftime('%Y-%m-%dT%H:%M:%fZ', l.ts_us / 1000000.0, 'unixepoch') AS time,
       f.name AS SCF_FunctionName, f.namespace AS SCF_Namespace, i.request_id AS SCF_RequestId,
       i.qualifier AS SCF_Qualifier, i.started_us / 1000 AS SCF_StartTime, l.ts_us / 1000 AS SCF_LogTime,
       i.duration_us / 1000.0 AS SCF_Duration, i.memory_used_kb / 1024.0 AS SCF_MemUsage,
       CASE l.level WHEN 0 THEN 'INFO' ELSE 'ERROR' END AS SCF_Level,
       l.message AS SCF_Message,
       CASE l.stream WHEN 0 THEN 'Platform' ELSE 'Custom' END AS SCF_Type,
       coalesce(i.status, 202) AS SCF_StatusCode, 0 AS SCF_RetryNum,
       CASE l.stream WHEN 0 THEN 'platform' WHEN 1 THEN 'stdout' ELSE 'stderr' END AS stream,
       l.invocation_id
FROM log l
JOIN function f ON f.id = l.function_id
LEFT JOIN invocation i ON i.id = l.invocation_id;
