-- What of the network a function reaches: 'host', 'none' or 'no-local'. What was deployed before had the host's.
ALTER TABLE version ADD COLUMN network TEXT NOT NULL DEFAULT 'host';

DROP VIEW functions;
CREATE VIEW functions AS
SELECT f.namespace, f.name, v.qualifier, v.runtime, v.handler, v.timeout_s, v.init_timeout_s, v.memory_mb,
       v.reserved_mb, v.network, v.description, lower(hex(p.sha256)) AS package_sha256, p.size_bytes AS package_bytes,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.created_us / 1000000.0, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.modified_us / 1000000.0, 'unixepoch') AS modified
FROM function f
JOIN version v ON v.function_id = f.id
JOIN package p ON p.id = v.package_id
WHERE f.deleted_us IS NULL;
