-- Mutations, each one call. Made anew by every migration; {schema} is replaced by the schema's name.
--
-- Each checks everything before it changes anything, and tells what it found by `outcome` instead of raising, so that
-- many can share a transaction: 0 done, 1 no such bucket, 2 an expectation failed (`was` is the row), 3 no such
-- upload, 4 a part was changed, 5 the blob's name was given up, 6 there is no content to keep, 8 the store is paused.
-- The bucket's row is locked against its deletion, then the key's. The sequence is drawn while the key is locked.

-- Whether others than this holder have paused the store. To be asked after the store's row was locked, or a bucket's (see
-- pausing.py), by a statement of its own: so neither this function nor `enter` is STABLE, and each of their statements
-- sees what was committed until it began.
CREATE OR REPLACE FUNCTION {schema}.is_paused(p_holder text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    holder text;
BEGIN
    SELECT CASE WHEN s.pause_ends_ms <= extract(epoch FROM clock_timestamp()) * 1000 THEN '' ELSE s.pause_holder END
        INTO holder FROM {schema}.store s;
    RETURN holder <> p_holder;
END $$;

-- Begins each mutation: locks the bucket's row against its deletion, and then reads the store's, by a statement that
-- begins when the lock is there: is_paused says why. Then it notes the key, if somebody follows: a row that is there is
-- locked by an UPDATE that changes nothing (see noting.py). Outcomes: 0 go on, 1 no such bucket, 8 the store is paused.
CREATE OR REPLACE FUNCTION {schema}.enter(p_bucket bigint, p_key bytea, p_holder text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    holder text;
    number bigint;
BEGIN
    PERFORM 1 FROM {schema}.bucket b WHERE b.id = p_bucket FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN 1;
    END IF;
    SELECT CASE WHEN s.pause_ends_ms <= extract(epoch FROM clock_timestamp()) * 1000 THEN '' ELSE s.pause_holder END,
        s.notes INTO holder, number FROM {schema}.store s;
    IF holder <> p_holder THEN
        RETURN 8;
    END IF;
    IF number > 0 THEN
        INSERT INTO {schema}.noted (notes, bucket, key) VALUES (number, p_bucket, p_key)
            ON CONFLICT (notes, bucket, key) DO UPDATE SET notes = number;
    END IF;
    RETURN 0;
END $$;

-- Puts one pause in the place of another, each known by its holder ('' is none). The store's row is locked, so no bucket
-- is made; then all buckets, so whatever is being committed has ended. Tells the pause that is in force then.
CREATE OR REPLACE FUNCTION {schema}.store_pause(
    p_was text, p_reason text, p_holder text, p_lasts_ms bigint,
    OUT is_done boolean, OUT reason text, OUT holder text, OUT ends_ms bigint
) LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
    SELECT s.pause_reason, s.pause_holder, s.pause_ends_ms INTO reason, holder, ends_ms
        FROM {schema}.store s FOR UPDATE;
    IF ends_ms <= now_ms THEN
        holder := '';
    END IF;
    is_done := holder = p_was;
    IF NOT is_done THEN
        RETURN;
    END IF;
    IF p_holder <> '' THEN
        PERFORM 1 FROM {schema}.bucket b ORDER BY b.id FOR UPDATE;
    END IF;
    reason := p_reason;
    holder := p_holder;
    ends_ms := now_ms + p_lasts_ms;
    UPDATE {schema}.store SET pause_reason = p_reason, pause_holder = p_holder, pause_ends_ms = now_ms + p_lasts_ms;
END $$;

CREATE OR REPLACE FUNCTION {schema}.object_put(
    p_bucket bigint, p_key bytea,
    p_absent boolean, p_present boolean, p_matches text, p_unchanged bigint,
    p_size bigint, p_modified_ms bigint, p_etag text, p_headers bytea, p_stored_length integer, p_listing bytea,
    p_checksum text, p_tags text, p_part_count integer, p_upload_id bytea,
    p_kind integer, p_crc bigint, p_blob text, p_owner bigint, p_content bytea, p_holder text,
    OUT outcome integer, OUT committed bigint, OUT was {schema}.object
) LANGUAGE plpgsql AS $$
DECLARE
    is_there boolean;
    is_done boolean := false;
BEGIN
    outcome := {schema}.enter(p_bucket, p_key, p_holder);
    IF outcome > 0 THEN
        RETURN;
    END IF;
    IF p_blob IS NOT NULL THEN
        PERFORM 1 FROM {schema}.pending p WHERE p.blob = p_blob FOR UPDATE;
        IF NOT FOUND THEN
            outcome := 5;
            RETURN;
        END IF;
    END IF;
    WHILE NOT is_done LOOP
        SELECT o.* INTO was FROM {schema}.object o
            WHERE o.bucket = p_bucket AND o.key = p_key AND o.newest = 0 FOR UPDATE;
        is_there := FOUND;
        IF {schema}.is_unexpected(is_there AND was.sequence > 0, was.etag, was.sequence,
                                  p_absent, p_present, p_matches, p_unchanged) THEN
            outcome := 2;
            RETURN;
        END IF;
        IF p_kind = 0 AND NOT (is_there AND was.sequence > 0) THEN
            outcome := 6;
            RETURN;
        END IF;
        IF is_there THEN
            committed := nextval('{schema}.sequences');
            IF p_kind = 0 THEN
                UPDATE {schema}.object SET
                    sequence = committed, size = p_size, modified_ms = p_modified_ms, etag = p_etag,
                    headers = p_headers, stored_length = p_stored_length, listing = p_listing,
                    checksum = p_checksum, tags = p_tags, part_count = p_part_count, upload_id = p_upload_id
                    WHERE bucket = p_bucket AND key = p_key AND newest = 0;
            ELSE
                UPDATE {schema}.object SET
                    sequence = committed, size = p_size, modified_ms = p_modified_ms, etag = p_etag,
                    headers = p_headers, stored_length = p_stored_length, listing = p_listing,
                    checksum = p_checksum, tags = p_tags, part_count = p_part_count, upload_id = p_upload_id,
                    kind = p_kind, crc = p_crc, blob = p_blob, owner = p_owner, content = p_content
                    WHERE bucket = p_bucket AND key = p_key AND newest = 0;
                IF was.kind > 1 THEN
                    INSERT INTO {schema}.freed (id, blob, owner)
                        VALUES (nextval('{schema}.ids'), was.blob, was.owner);
                END IF;
            END IF;
            is_done := true;
        ELSE
            INSERT INTO {schema}.object (
                bucket, key, newest, sequence, size, modified_ms, etag, headers, stored_length, listing, checksum,
                tags, part_count, upload_id, kind, crc, blob, owner, content
            ) VALUES (
                p_bucket, p_key, 0, nextval('{schema}.sequences'), p_size, p_modified_ms, p_etag, p_headers,
                p_stored_length, p_listing, p_checksum, p_tags, p_part_count, p_upload_id, p_kind, p_crc, p_blob,
                p_owner, p_content
            ) ON CONFLICT (bucket, key, newest) DO NOTHING RETURNING sequence INTO committed;
            is_done := FOUND;
            -- The number was drawn before the key was locked: others may have put and deleted it in between.
            IF is_done AND (SELECT s.last_value FROM {schema}.sequences s) > committed THEN
                committed := nextval('{schema}.sequences');
                UPDATE {schema}.object SET sequence = committed
                    WHERE bucket = p_bucket AND key = p_key AND newest = 0;
            END IF;
        END IF;
    END LOOP;
    IF p_blob IS NOT NULL THEN
        DELETE FROM {schema}.pending WHERE blob = p_blob;
    END IF;
    was := NULL;
    outcome := 0;
END $$;

CREATE OR REPLACE FUNCTION {schema}.object_delete(
    p_bucket bigint, p_key bytea,
    p_absent boolean, p_present boolean, p_matches text, p_unchanged bigint, p_holder text,
    OUT outcome integer, OUT committed bigint, OUT was {schema}.object
) LANGUAGE plpgsql AS $$
DECLARE
    is_there boolean;
    is_locked boolean := false;
BEGIN
    outcome := {schema}.enter(p_bucket, p_key, p_holder);
    IF outcome > 0 THEN
        RETURN;
    END IF;
    WHILE NOT is_locked LOOP
        SELECT o.* INTO was FROM {schema}.object o
            WHERE o.bucket = p_bucket AND o.key = p_key AND o.newest = 0 FOR UPDATE;
        is_there := FOUND;
        IF {schema}.is_unexpected(is_there AND was.sequence > 0, was.etag, was.sequence,
                                  p_absent, p_present, p_matches, p_unchanged) THEN
            outcome := 2;
            RETURN;
        END IF;
        is_locked := is_there;
        IF NOT is_there THEN
            -- An absent key is locked, too: who puts it at this moment is either before this, or behind.
            INSERT INTO {schema}.object (
                bucket, key, newest, sequence, size, modified_ms, etag, headers, stored_length, listing, part_count,
                kind, crc
            ) VALUES (p_bucket, p_key, 0, 0, 0, 0, '', '', 0, '', 0, 1, 0)
                ON CONFLICT (bucket, key, newest) DO NOTHING;
            is_locked := FOUND;
        END IF;
    END LOOP;
    committed := nextval('{schema}.sequences');
    DELETE FROM {schema}.object WHERE bucket = p_bucket AND key = p_key AND newest = 0;
    IF is_there AND was.kind > 1 THEN
        INSERT INTO {schema}.freed (id, blob, owner) VALUES (nextval('{schema}.ids'), was.blob, was.owner);
    END IF;
    was := NULL;
    outcome := 0;
END $$;

CREATE OR REPLACE FUNCTION {schema}.is_unexpected(
    is_there boolean, etag text, sequence bigint,
    p_absent boolean, p_present boolean, p_matches text, p_unchanged bigint
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_absent AND is_there
        OR p_present AND NOT is_there
        OR p_matches IS NOT NULL AND NOT (is_there AND etag = p_matches)
        OR p_unchanged IS NOT NULL AND p_unchanged <> CASE WHEN is_there THEN sequence ELSE 0 END
$$;

-- Lock a key, present or not, until the transaction ends, and tell its row. Rows of sequence 0 that are left are to
-- be deleted by the same transaction.
CREATE OR REPLACE FUNCTION {schema}.object_lock(
    p_bucket bigint, p_key bytea, p_holder text, OUT outcome integer, OUT committed bigint, OUT was {schema}.object
) LANGUAGE plpgsql AS $$
BEGIN
    committed := 0;
    outcome := {schema}.enter(p_bucket, p_key, p_holder);
    IF outcome > 0 THEN
        RETURN;
    END IF;
    outcome := 2;
    WHILE true LOOP
        SELECT o.* INTO was FROM {schema}.object o
            WHERE o.bucket = p_bucket AND o.key = p_key AND o.newest = 0 FOR UPDATE;
        IF FOUND THEN
            RETURN;
        END IF;
        INSERT INTO {schema}.object (
            bucket, key, newest, sequence, size, modified_ms, etag, headers, stored_length, listing, part_count,
            kind, crc
        ) VALUES (p_bucket, p_key, 0, 0, 0, 0, '', '', 0, '', 0, 1, 0)
            ON CONFLICT (bucket, key, newest) DO NOTHING;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION {schema}.upload_put(
    p_bucket bigint, p_key bytea, p_upload_id bytea, p_initiated_ms bigint, p_stored bytea, p_tags text,
    p_checksum_algorithm text, p_checksum_type text, p_access_key_id text, p_entry_sequence bigint, p_holder text,
    OUT outcome integer, OUT committed bigint
) LANGUAGE plpgsql AS $$
DECLARE
    replaced bigint;
BEGIN
    outcome := {schema}.enter(p_bucket, p_key, p_holder);
    IF outcome > 0 THEN
        RETURN;
    END IF;
    DELETE FROM {schema}.upload WHERE bucket = p_bucket AND key = p_key AND upload_id = p_upload_id
        RETURNING owner INTO replaced;
    IF FOUND THEN
        INSERT INTO {schema}.freed (id, owner) VALUES (nextval('{schema}.ids'), replaced);
    END IF;
    INSERT INTO {schema}.upload (
        bucket, key, upload_id, owner, initiated_ms, stored, tags, checksum_algorithm, checksum_type, access_key_id,
        entry_sequence
    ) VALUES (
        p_bucket, p_key, p_upload_id, nextval('{schema}.ids'), p_initiated_ms, p_stored, p_tags,
        p_checksum_algorithm, p_checksum_type, p_access_key_id, p_entry_sequence
    );
    committed := nextval('{schema}.sequences');
    outcome := 0;
END $$;

CREATE OR REPLACE FUNCTION {schema}.part_put(
    p_bucket bigint, p_key bytea, p_upload_id bytea, p_number integer, p_size bigint, p_etag text,
    p_modified_ms bigint, p_checksum text, p_kind integer, p_crc bigint, p_blob text, p_content bytea, p_holder text,
    OUT outcome integer, OUT committed bigint
) LANGUAGE plpgsql AS $$
DECLARE
    p_owner bigint;
    replaced text;
    is_done boolean := false;
BEGIN
    outcome := {schema}.enter(p_bucket, p_key, p_holder);
    IF outcome > 0 THEN
        RETURN;
    END IF;
    SELECT u.owner INTO p_owner FROM {schema}.upload u
        WHERE u.bucket = p_bucket AND u.key = p_key AND u.upload_id = p_upload_id FOR KEY SHARE;
    IF NOT FOUND THEN
        outcome := 3;
        RETURN;
    END IF;
    IF p_blob IS NOT NULL THEN
        DELETE FROM {schema}.pending WHERE blob = p_blob;
        IF NOT FOUND THEN
            outcome := 5;
            RETURN;
        END IF;
    END IF;
    WHILE NOT is_done LOOP
        SELECT p.blob INTO replaced FROM {schema}.part p
            WHERE p.owner = p_owner AND p.number = p_number FOR UPDATE;
        IF FOUND THEN
            committed := nextval('{schema}.sequences');
            UPDATE {schema}.part SET
                sequence = committed, size = p_size, etag = p_etag, modified_ms = p_modified_ms,
                checksum = p_checksum, kind = p_kind, crc = p_crc, blob = p_blob, content = p_content
                WHERE owner = p_owner AND number = p_number;
            IF replaced IS NOT NULL THEN
                INSERT INTO {schema}.freed (id, blob) VALUES (nextval('{schema}.ids'), replaced);
            END IF;
            is_done := true;
        ELSE
            committed := nextval('{schema}.sequences');
            INSERT INTO {schema}.part (
                owner, number, sequence, size, etag, modified_ms, checksum, kind, crc, blob, content
            ) VALUES (
                p_owner, p_number, committed, p_size, p_etag, p_modified_ms, p_checksum, p_kind, p_crc, p_blob,
                p_content
            ) ON CONFLICT (owner, number) DO NOTHING;
            is_done := FOUND;
        END IF;
    END LOOP;
    outcome := 0;
END $$;

-- `p_numbers` and `p_sequences` are the parts as they were read; the object is published by object_put.
CREATE OR REPLACE FUNCTION {schema}.upload_complete(
    p_bucket bigint, p_key bytea,
    p_absent boolean, p_present boolean, p_matches text, p_unchanged bigint,
    p_size bigint, p_modified_ms bigint, p_etag text, p_headers bytea, p_stored_length integer, p_listing bytea,
    p_checksum text, p_tags text, p_part_count integer, p_upload_id bytea,
    p_numbers integer[], p_sequences bigint[], p_holder text,
    OUT outcome integer, OUT committed bigint, OUT was {schema}.object
) LANGUAGE plpgsql AS $$
DECLARE
    p_owner bigint;
    count_there bigint;
    published record;
BEGIN
    outcome := {schema}.enter(p_bucket, p_key, p_holder);
    IF outcome > 0 THEN
        RETURN;
    END IF;
    SELECT u.owner INTO p_owner FROM {schema}.upload u
        WHERE u.bucket = p_bucket AND u.key = p_key AND u.upload_id = p_upload_id FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 3;
        RETURN;
    END IF;
    SELECT count(*) INTO count_there FROM {schema}.part p
        JOIN unnest(p_numbers, p_sequences) AS listed (number, sequence)
        ON p.number = listed.number AND p.sequence = listed.sequence
        WHERE p.owner = p_owner;
    IF count_there <> cardinality(p_numbers) THEN
        outcome := 4;
        RETURN;
    END IF;
    SELECT * INTO published FROM {schema}.object_put(
        p_bucket, p_key, p_absent, p_present, p_matches, p_unchanged, p_size, p_modified_ms, p_etag, p_headers,
        p_stored_length, p_listing, p_checksum, p_tags, p_part_count, p_upload_id, 3, 0, NULL, p_owner, NULL, p_holder
    );
    outcome := published.outcome;
    committed := published.committed;
    was := published.was;
    IF outcome <> 0 THEN
        RETURN;
    END IF;
    UPDATE {schema}.part p SET start = placed.start FROM (
        SELECT q.number, sum(q.size) OVER (ORDER BY q.number) - q.size AS start FROM {schema}.part q
            WHERE q.owner = p_owner AND q.number = ANY (p_numbers)
    ) placed WHERE p.owner = p_owner AND p.number = placed.number;
    INSERT INTO {schema}.freed (id, blob)
        SELECT nextval('{schema}.ids'), p.blob FROM {schema}.part p
        WHERE p.owner = p_owner AND p.start IS NULL AND p.blob IS NOT NULL;
    DELETE FROM {schema}.part WHERE owner = p_owner AND start IS NULL;
    DELETE FROM {schema}.upload WHERE bucket = p_bucket AND key = p_key AND upload_id = p_upload_id;
END $$;

CREATE OR REPLACE FUNCTION {schema}.upload_abort(
    p_bucket bigint, p_key bytea, p_upload_id bytea, p_holder text, OUT outcome integer, OUT committed bigint
) LANGUAGE plpgsql AS $$
DECLARE
    p_owner bigint;
BEGIN
    outcome := {schema}.enter(p_bucket, p_key, p_holder);
    IF outcome > 0 THEN
        RETURN;
    END IF;
    DELETE FROM {schema}.upload WHERE bucket = p_bucket AND key = p_key AND upload_id = p_upload_id
        RETURNING owner INTO p_owner;
    IF NOT FOUND THEN
        outcome := 3;
        RETURN;
    END IF;
    INSERT INTO {schema}.freed (id, owner) VALUES (nextval('{schema}.ids'), p_owner);
    committed := nextval('{schema}.sequences');
    outcome := 0;
END $$;

-- Outcomes: 0 done, 1 no such bucket, 7 not empty, 8 the store is paused.
CREATE OR REPLACE FUNCTION {schema}.bucket_delete(
    p_bucket bigint, p_name text, p_holder text, OUT outcome integer, OUT generation bigint
) LANGUAGE plpgsql AS $$
BEGIN
    -- Its row before all others, as everything that changes the configuration does: two of them can't cross.
    PERFORM 1 FROM {schema}.store s FOR UPDATE;
    IF {schema}.is_paused(p_holder) THEN
        outcome := 8;
        RETURN;
    END IF;
    PERFORM 1 FROM {schema}.bucket b WHERE b.id = p_bucket AND b.name = p_name FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 1;
        RETURN;
    END IF;
    PERFORM 1 FROM {schema}.object o WHERE o.bucket = p_bucket LIMIT 1;
    IF FOUND THEN
        outcome := 7;
        RETURN;
    END IF;
    INSERT INTO {schema}.freed (id, owner)
        SELECT nextval('{schema}.ids'), u.owner FROM {schema}.upload u WHERE u.bucket = p_bucket;
    DELETE FROM {schema}.upload WHERE bucket = p_bucket;
    DELETE FROM {schema}.bucket WHERE id = p_bucket;
    UPDATE {schema}.store s SET generation = s.generation + 1 RETURNING s.generation INTO generation;
    UPDATE {schema}.access_key SET grants = grants - p_name WHERE grants ? p_name;
    outcome := 0;
END $$;

-- Makes the key the root key unless there is one; tells the one that there is then, and the generation if it is new. In
-- a paused store none is made: NULL.
CREATE OR REPLACE FUNCTION {schema}.root_claim(
    p_id text, p_secret text, p_name text, p_may_create boolean, p_grants jsonb, p_created_ms bigint, p_holder text,
    OUT root text, OUT generation bigint
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM {schema}.store s FOR UPDATE;
    SELECT k.access_key_id INTO root FROM {schema}.access_key k WHERE k.is_root ORDER BY 1 LIMIT 1;
    IF FOUND OR {schema}.is_paused(p_holder) THEN
        RETURN;
    END IF;
    INSERT INTO {schema}.access_key VALUES (p_id, p_secret, p_name, true, p_may_create, p_grants, p_created_ms)
        ON CONFLICT (access_key_id) DO UPDATE SET secret_access_key = p_secret, name = p_name, is_root = true,
            may_create_buckets = p_may_create, grants = p_grants, created_ms = p_created_ms;
    root := p_id;
    UPDATE {schema}.store s SET generation = s.generation + 1 RETURNING s.generation INTO generation;
END $$;

-- One page with a delimiter: keys and their listings in order, common prefixes with NULL instead. `p_start` is the
-- first key that may be in it, `p_after` what was listed last, `p_stop` the first behind all keys of the prefix.
-- After a common prefix the next row is found by a seek; a run of plain keys is read by one scan.
CREATE OR REPLACE FUNCTION {schema}.object_page(
    p_bucket bigint, p_skip integer, p_delimiter bytea, p_start bytea, p_after bytea, p_stop bytea, p_limit integer,
    OUT keys bytea[], OUT listings bytea[], OUT is_truncated boolean
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    found_key bytea;
    found_listing bytea;
    common bytea;
    place bytea := p_start;
    at integer;
    taken integer := 0;
    is_run boolean := false;
    is_open boolean := false;
    width integer := octet_length(p_delimiter);
    scan refcursor;
BEGIN
    is_truncated := false;
    WHILE true LOOP
        IF is_run AND NOT is_open THEN
            OPEN scan FOR SELECT o.key, o.listing FROM {schema}.object o
                WHERE o.bucket = p_bucket AND o.key > found_key AND o.key < p_stop AND o.newest = 0
                ORDER BY o.key LIMIT p_limit + 1;
            is_open := true;
        END IF;
        IF is_open THEN
            FETCH scan INTO found_key, found_listing;
        ELSE
            SELECT o.key, o.listing INTO found_key, found_listing FROM {schema}.object o
                WHERE o.bucket = p_bucket AND o.key >= place AND o.key < p_stop AND o.newest = 0
                ORDER BY o.key LIMIT 1;
        END IF;
        EXIT WHEN NOT FOUND;
        at := position(p_delimiter IN substring(found_key FROM p_skip + 1));
        IF at = 0 THEN
            IF taken = p_limit THEN
                is_truncated := true;
                EXIT;
            END IF;
            keys[taken + 1] := found_key;
            listings[taken + 1] := found_listing;
            taken := taken + 1;
            is_run := true;
        ELSE
            IF is_open THEN
                CLOSE scan;
                is_open := false;
            END IF;
            is_run := false;
            common := substring(found_key FROM 1 FOR p_skip + at + width - 1);
            IF common > p_after THEN
                IF taken = p_limit THEN
                    is_truncated := true;
                    EXIT;
                END IF;
                keys[taken + 1] := common;
                listings[taken + 1] := NULL;
                taken := taken + 1;
            END IF;
            -- No key holds 0xFF (they are UTF-8): this is behind every key of the common prefix.
            place := common || '\xff'::bytea;
        END IF;
    END LOOP;
    IF is_open THEN
        CLOSE scan;
    END IF;
END $$;
