-- Format 4: changes of keys and buckets that are under way. While there is one, no process believes in what it has read
-- of them before; so nobody shows what is no more after another has shown what is new.
CREATE TABLE {schema}.change (
    id text PRIMARY KEY,
    process bigint NOT NULL
);
