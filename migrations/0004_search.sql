-- Finding lines: their words, and a view of the appliance itself.

-- Lines come in blocks of 16,384 ids (id >> 14). Once no line can be added to a block, the words of its lines are written
-- down here, sorted and packed into pieces of some kilobytes: `words` holds them, `directory` the first word of each piece.
-- All of it can be made again from `log`, and a block that is missing costs a search time and no lines.
CREATE TABLE log_block (
    block     INTEGER PRIMARY KEY,
    directory BLOB    NOT NULL
) STRICT;
-- id: the block times 65,536, plus the number of the piece.
CREATE TABLE log_words (
    id    INTEGER PRIMARY KEY,
    words BLOB    NOT NULL
) STRICT;

-- The server that has the file, or had it last; one row.
CREATE TABLE server (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    release         TEXT    NOT NULL,
    sqlite          TEXT    NOT NULL,
    isolation_level INTEGER NOT NULL,
    started_us      INTEGER NOT NULL
) STRICT;

CREATE VIEW appliance AS
SELECT s.release, s.sqlite, s.isolation_level,
       strftime('%Y-%m-%dT%H:%M:%fZ', s.started_us / 1000000.0, 'unixepoch') AS started,
       (SELECT count(*) FROM function WHERE deleted_us IS NULL) AS functions,
       (SELECT count(*) FROM queued) AS queued,
       (SELECT count(*) FROM dead_letter) AS dead_letters,
       strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT created_us FROM invocation ORDER BY id LIMIT 1) / 1000000.0, 'unixepoch')
           AS oldest_invocation,
       strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT created_us FROM invocation ORDER BY id DESC LIMIT 1) / 1000000.0, 'unixepoch')
           AS newest_invocation,
       strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT ts_us FROM log ORDER BY id LIMIT 1) / 1000000.0, 'unixepoch') AS oldest_line,
       strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT ts_us FROM log ORDER BY id DESC LIMIT 1) / 1000000.0, 'unixepoch') AS newest_line,
       s.started_us
FROM server s;

-- As before, with the alias, which nothing is called by yet.
DROP VIEW logs;
CREATE VIEW logs AS
SELECT l.id,
       strftime('%Y-%m-%dT%H:%M:%fZ', l.ts_us / 1000000.0, 'unixepoch') AS time,
       f.name AS SCF_FunctionName, f.namespace AS SCF_Namespace, i.request_id AS SCF_RequestId, '' AS SCF_Alias,
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
