-- The embedded object storage. Bytes are in files beside the database, in <database>.d/objects; a row names its file, and is
-- committed when that is on the disk. What no row names is removed at a start.
CREATE TABLE bucket (
    id            INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    created_us    INTEGER NOT NULL
) STRICT;

CREATE TABLE object (
    id            INTEGER PRIMARY KEY,
    bucket_id     INTEGER NOT NULL REFERENCES bucket (id),
    -- UTF-8. Bytes, because lists go by their order, and end where no text does.
    key           BLOB    NOT NULL,
    file          TEXT    NOT NULL UNIQUE,
    size_bytes    INTEGER NOT NULL,
    etag          TEXT    NOT NULL,
    -- Of 64 bits, read as a signed number.
    crc64         INTEGER NOT NULL,
    content_type  TEXT    NOT NULL,
    -- A JSON object of further headers.
    headers       TEXT    NOT NULL,
    class         TEXT    NOT NULL,
    modified_us   INTEGER NOT NULL,
    UNIQUE (bucket_id, key)
) STRICT;

-- Uploads in parts that have not ended, and their parts.
CREATE TABLE upload (
    id            INTEGER PRIMARY KEY,
    bucket_id     INTEGER NOT NULL REFERENCES bucket (id),
    key           BLOB    NOT NULL,
    upload_id     TEXT    NOT NULL UNIQUE,
    content_type  TEXT    NOT NULL,
    headers       TEXT    NOT NULL,
    class         TEXT    NOT NULL,
    created_us    INTEGER NOT NULL,
    UNIQUE (bucket_id, key, upload_id)
) STRICT;

CREATE TABLE upload_part (
    upload        INTEGER NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
    number        INTEGER NOT NULL,
    file          TEXT    NOT NULL UNIQUE,
    size_bytes    INTEGER NOT NULL,
    etag          TEXT    NOT NULL,
    crc64         INTEGER NOT NULL,
    modified_us   INTEGER NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;

CREATE VIEW buckets AS
SELECT b.name AS bucket,
       (SELECT count(*) FROM object o WHERE o.bucket_id = b.id) AS objects,
       (SELECT coalesce(sum(o.size_bytes), 0) FROM object o WHERE o.bucket_id = b.id) AS size_bytes,
       (SELECT count(*) FROM upload u WHERE u.bucket_id = b.id) AS uploads,
       strftime('%Y-%m-%dT%H:%M:%fZ', b.created_us / 1000000.0, 'unixepoch') AS created
FROM bucket b;

CREATE VIEW objects AS
SELECT b.name AS bucket, CAST(o.key AS TEXT) AS key, o.size_bytes, o.etag, o.content_type, o.headers, o.class,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.modified_us / 1000000.0, 'unixepoch') AS modified,
       o.file, o.modified_us
FROM object o
JOIN bucket b ON b.id = o.bucket_id;
