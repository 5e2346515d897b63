-- Format 1. {schema} is replaced by the schema's name. No extensions, no advisory locks, no triggers: CockroachDB and
-- YugabyteDB document all of this, and were not tried.

-- Orders the commits of a key, names buckets and owners of parts, and is the clock of readers and the janitor: what
-- was drawn later is higher, on whichever machine, whatever its clock says.
CREATE SEQUENCE {schema}.sequences;
CREATE SEQUENCE {schema}.ids;
CREATE SEQUENCE {schema}.ticks;

-- One row, the store itself: a migration locks it, and so does what changes the configuration. '' as holder is no pause;
-- one without `pause_ends_ms` does not end by itself. While `notes` is above 0, mutations note their keys under that number.
CREATE TABLE {schema}.store (
    id integer PRIMARY KEY,
    store_id text NOT NULL,
    format integer NOT NULL,
    generation bigint NOT NULL DEFAULT 1,
    pause_reason text NOT NULL DEFAULT '',
    pause_holder text NOT NULL DEFAULT '',
    pause_ends_ms bigint,
    notes bigint NOT NULL DEFAULT 0,
    notes_end_ms bigint NOT NULL DEFAULT 0
);

CREATE TABLE {schema}.access_key (
    access_key_id text PRIMARY KEY,
    secret_access_key text NOT NULL,
    name text NOT NULL,
    is_root boolean NOT NULL,
    may_create_buckets boolean NOT NULL,
    grants jsonb NOT NULL,
    created_ms bigint NOT NULL
);

CREATE TABLE {schema}.bucket (
    id bigint PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    created_ms bigint NOT NULL,
    owner text NOT NULL,
    is_public boolean NOT NULL,
    cors text,
    operator_cors text
);

-- kind: 1 the bytes are in `content`, 2 in the blob `blob`, 3 in the parts of `owner`. newest 0 is the object; others
-- would be its older versions. A row of sequence 0 is nobody's object: it locks a key inside one transaction.
CREATE TABLE {schema}.object (
    bucket bigint NOT NULL,
    key bytea NOT NULL,
    newest bigint NOT NULL DEFAULT 0,
    sequence bigint NOT NULL,
    size bigint NOT NULL,
    modified_ms bigint NOT NULL,
    etag text NOT NULL,
    headers bytea NOT NULL,
    stored_length integer NOT NULL,
    listing bytea NOT NULL,
    checksum text,
    tags text,
    part_count integer NOT NULL,
    upload_id bytea,
    kind integer NOT NULL,
    crc bigint NOT NULL,
    blob text,
    owner bigint,
    content bytea,
    PRIMARY KEY (bucket, key, newest)
);
ALTER TABLE {schema}.object ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE {schema}.upload (
    bucket bigint NOT NULL,
    key bytea NOT NULL,
    upload_id bytea NOT NULL,
    owner bigint NOT NULL,
    initiated_ms bigint NOT NULL,
    stored bytea NOT NULL,
    tags text,
    checksum_algorithm text,
    checksum_type text,
    access_key_id text NOT NULL,
    entry_sequence bigint NOT NULL,
    PRIMARY KEY (bucket, key, upload_id)
);

-- The parts of an upload, and of the object that it became: completing moves nothing, it fills in `start`.
CREATE TABLE {schema}.part (
    owner bigint NOT NULL,
    number integer NOT NULL,
    start bigint,
    sequence bigint NOT NULL,
    size bigint NOT NULL,
    etag text NOT NULL,
    modified_ms bigint NOT NULL,
    checksum text,
    kind integer NOT NULL,
    crc bigint NOT NULL,
    blob text,
    content bytea,
    PRIMARY KEY (owner, number)
) WITH (fillfactor = 80);
ALTER TABLE {schema}.part ALTER COLUMN content SET STORAGE EXTERNAL;

-- A process that has the store open. What it read at `oldest` or later may still be in use there.
CREATE TABLE {schema}.process (
    id bigint PRIMARY KEY,
    host text NOT NULL,
    started timestamptz NOT NULL DEFAULT now(),
    seen timestamptz NOT NULL,
    tick bigint NOT NULL,
    oldest bigint NOT NULL,
    generation bigint NOT NULL,
    is_silent boolean NOT NULL DEFAULT false
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

-- Changes of keys and buckets that are under way. While there is one, no process believes in what it has read of them
-- before; so nobody shows what is no more after another has shown what is new.
CREATE TABLE {schema}.change (
    id text PRIMARY KEY,
    process bigint NOT NULL
);

-- Names of blobs that a process may be writing. The commit that names a blob takes its row away.
CREATE TABLE {schema}.pending (
    blob text PRIMARY KEY,
    process bigint NOT NULL
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX pending_process ON {schema}.pending (process);

-- What is to be removed: a blob, or the parts of `owner`, once nobody reads what was read before `tick`; `janitor` is
-- the process that does it. It may be kept for a while after `freed_at` (`keep=` in the index's URL), so that a database
-- that is restored to a moment within that while finds its blobs.
CREATE TABLE {schema}.freed (
    id bigint PRIMARY KEY,
    blob text,
    owner bigint,
    tick bigint,
    janitor bigint,
    freed_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX freed_due ON {schema}.freed (freed_at);

-- Keys that were changed, for who follows the store. Rows of other notes than the store's are left over.
CREATE TABLE {schema}.noted (
    notes bigint NOT NULL,
    bucket bigint NOT NULL,
    key bytea NOT NULL,
    PRIMARY KEY (notes, bucket, key)
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
