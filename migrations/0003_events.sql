-- Asynchronous invocation: events that wait for a run, what became of earlier attempts, and dead letters.

-- How a function's events are tried again (contract 4.4), the function that is sent its dead letters (NULL: none), and how
-- long its records and logs are kept (NULL: as long as the server keeps everybody's).
ALTER TABLE version ADD COLUMN retry_num   INTEGER NOT NULL DEFAULT 2;
ALTER TABLE version ADD COLUMN msg_ttl_s   INTEGER NOT NULL DEFAULT 21600;
ALTER TABLE version ADD COLUMN dead_letter TEXT;
ALTER TABLE version ADD COLUMN keep_s      INTEGER;

-- The row of an event is there from the moment it is accepted; state is further 3 queued, 4 retrying, 5 expired, 6 dead.
-- retry_num: which attempt the rest of the row tells of, and which printed a line; 0 is the first.
ALTER TABLE invocation ADD COLUMN retry_num INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log        ADD COLUMN retry_num INTEGER NOT NULL DEFAULT 0;

-- The queue: a row for each event that has not ended, narrow, so that the hot part is small however large the bodies are.
-- function_created_us tells the function it was sent to from a later one of the same name. claimed_us is set while an attempt runs: what has it when the file is opened was running when the server died.
CREATE TABLE queued (
    invocation_id       INTEGER PRIMARY KEY,
    function_id         INTEGER NOT NULL,
    function_created_us INTEGER NOT NULL,
    created_us          INTEGER NOT NULL,
    due_us              INTEGER NOT NULL,
    event_bytes         INTEGER NOT NULL,
    attempts            INTEGER NOT NULL,
    failures            INTEGER NOT NULL,
    deaths              INTEGER NOT NULL,
    claimed_us          INTEGER
) STRICT;

-- Attempts that were followed by another one. The last attempt is the invocation's own row.
CREATE TABLE attempt (
    invocation_id  INTEGER NOT NULL,
    retry_num      INTEGER NOT NULL,
    status         INTEGER NOT NULL,
    started_us     INTEGER NOT NULL,
    ended_us       INTEGER NOT NULL,
    duration_us    INTEGER NOT NULL,
    init_us        INTEGER NOT NULL,
    memory_used_kb INTEGER NOT NULL,
    error          TEXT    NOT NULL,
    result         BLOB    NOT NULL,
    PRIMARY KEY (invocation_id, retry_num)
) STRICT, WITHOUT ROWID;

-- An event that was given up, until somebody replays or drops it.
CREATE TABLE dead_letter (
    invocation_id INTEGER PRIMARY KEY,
    function_id   INTEGER NOT NULL,
    died_us       INTEGER NOT NULL,
    reason        TEXT    NOT NULL
) STRICT;
CREATE INDEX dead_letter_function ON dead_letter (function_id);

-- What a caller's key was first used for; goes with its function.
CREATE TABLE idempotency (
    function_id  INTEGER NOT NULL,
    key          TEXT    NOT NULL,
    event_sha256 BLOB    NOT NULL,
    request_id   TEXT    NOT NULL,
    created_us   INTEGER NOT NULL,
    PRIMARY KEY (function_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_created ON idempotency (created_us);

-- What did not return, in whatever way it was given up.
DROP INDEX invocation_failed;
DROP INDEX invocation_function_failed;
CREATE INDEX invocation_failed          ON invocation (id)          WHERE state IN (2, 5, 6);
CREATE INDEX invocation_function_failed ON invocation (function_id) WHERE state IN (2, 5, 6);

DROP VIEW functions;
CREATE VIEW functions AS
SELECT f.namespace, f.name, v.qualifier, v.runtime, v.handler, v.timeout_s, v.init_timeout_s, v.memory_mb,
       v.reserved_mb, v.network, v.retry_num, v.msg_ttl_s, v.dead_letter, v.keep_s, v.description,
       lower(hex(p.sha256)) AS package_sha256, p.size_bytes AS package_bytes,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.created_us / 1000000.0, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.modified_us / 1000000.0, 'unixepoch') AS modified
FROM function f
JOIN version v ON v.function_id = f.id
JOIN package p ON p.id = v.package_id
WHERE f.deleted_us IS NULL;

DROP VIEW invocations;
CREATE VIEW invocations AS
SELECT i.id, i.request_id, f.namespace, f.name AS function, i.qualifier, i.source,
       CASE WHEN q.claimed_us IS NOT NULL THEN 'running'
            ELSE CASE i.state WHEN 0 THEN 'running' WHEN 1 THEN 'succeeded' WHEN 2 THEN 'failed' WHEN 3 THEN 'queued'
                              WHEN 4 THEN 'retrying' WHEN 5 THEN 'expired' ELSE 'dead' END
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
       f.name AS SCF_FunctionName, f.namespace AS SCF_Namespace, i.request_id AS SCF_RequestId,
       i.qualifier AS SCF_Qualifier, coalesce(a.started_us, i.started_us) / 1000 AS SCF_StartTime,
       l.ts_us / 1000 AS SCF_LogTime, coalesce(a.duration_us, i.duration_us) / 1000.0 AS SCF_Duration,
       coalesce(a.memory_used_kb, i.memory_used_kb) / 1024.0 AS SCF_MemUsage,
       CASE l.level WHEN 0 THEN 'INFO' ELSE 'ERROR' END AS SCF_Level,
       l.message AS SCF_Message,
       CASE l.stream WHEN 0 THEN 'Platform' ELSE 'Custom' END AS SCF_Type,
       coalesce(a.status, i.status, 202) AS SCF_StatusCode, l.retry_num AS SCF_RetryNum,
       CASE l.stream WHEN 0 THEN 'platform' WHEN 1 THEN 'stdout' ELSE 'stderr' END AS stream,
       l.invocation_id
FROM log l
JOIN function f ON f.id = l.function_id
LEFT JOIN invocation i ON i.id = l.invocation_id
LEFT JOIN attempt a ON a.invocation_id = l.invocation_id AND a.retry_num = l.retry_num;

CREATE VIEW dead_letters AS
SELECT i.request_id, f.namespace, f.name AS function, i.qualifier, i.source,
       strftime('%Y-%m-%dT%H:%M:%fZ', d.died_us / 1000000.0, 'unixepoch') AS died,
       d.reason, i.status, i.error, i.retry_num, CAST(i.event AS TEXT) AS event, CAST(i.result AS TEXT) AS result,
       i.created_us, d.died_us
FROM dead_letter d
JOIN invocation i ON i.id = d.invocation_id
JOIN function f ON f.id = i.function_id;
