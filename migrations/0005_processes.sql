-- How a function's processes come to be: whether one keeps its process for many events, and whether each is started by itself
-- instead of being forked.
ALTER TABLE version ADD COLUMN reuse INTEGER NOT NULL DEFAULT 0;
ALTER TABLE version ADD COLUMN spawn INTEGER NOT NULL DEFAULT 0;

DROP VIEW functions;
CREATE VIEW functions AS
SELECT f.namespace, f.name, v.qualifier, v.runtime, v.handler, v.timeout_s, v.init_timeout_s, v.memory_mb,
       v.reserved_mb, v.network, v.reuse, v.spawn, v.retry_num, v.msg_ttl_s, v.dead_letter, v.keep_s, v.description,
       lower(hex(p.sha256)) AS package_sha256, p.size_bytes AS package_bytes,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.created_us / 1000000.0, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.modified_us / 1000000.0, 'unixepoch') AS modified
FROM function f
JOIN version v ON v.function_id = f.id
JOIN package p ON p.id = v.package_id
WHERE f.deleted_us IS NULL;
