-- Format 2: a store can be paused. '' as holder is no pause; without `pause_ends_ms` it does not end by itself.
ALTER TABLE {schema}.store ADD COLUMN pause_reason text NOT NULL DEFAULT '';
ALTER TABLE {schema}.store ADD COLUMN pause_holder text NOT NULL DEFAULT '';
ALTER TABLE {schema}.store ADD COLUMN pause_ends_ms bigint;

-- They take the holder now.
DROP FUNCTION IF EXISTS {schema}.object_put(bigint, bytea, boolean, boolean, text, bigint, bigint, bigint, text, bytea,
    integer, bytea, text, text, integer, bytea, integer, bigint, text, bigint, bytea);
DROP FUNCTION IF EXISTS {schema}.object_delete(bigint, bytea, boolean, boolean, text, bigint);
DROP FUNCTION IF EXISTS {schema}.object_lock(bigint, bytea);
DROP FUNCTION IF EXISTS {schema}.upload_put(bigint, bytea, bytea, bigint, bytea, text, text, text, text, bigint);
DROP FUNCTION IF EXISTS {schema}.part_put(bigint, bytea, bytea, integer, bigint, text, bigint, text, integer, bigint,
    text, bytea);
DROP FUNCTION IF EXISTS {schema}.upload_complete(bigint, bytea, boolean, boolean, text, bigint, bigint, bigint, text,
    bytea, integer, bytea, text, text, integer, bytea, integer[], bigint[]);
DROP FUNCTION IF EXISTS {schema}.upload_abort(bigint, bytea, bytea);
DROP FUNCTION IF EXISTS {schema}.bucket_delete(bigint, text);
DROP FUNCTION IF EXISTS {schema}.root_claim(text, text, text, boolean, jsonb, bigint);
