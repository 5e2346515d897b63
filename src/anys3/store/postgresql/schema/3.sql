-- Format 3: what was freed may be kept for a while (`keep=` in the index's URL), so that a database that is restored to
-- a moment within that while finds its blobs.
ALTER TABLE {schema}.freed ADD COLUMN freed_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX freed_due ON {schema}.freed (freed_at);
