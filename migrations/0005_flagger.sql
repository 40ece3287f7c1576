-- The analyses that Flagger's hooks ask for. Only adds: a replica of the version before goes on working.

-- What stands for one revision of a Flagger canary. Flagger names no run: whichever hook comes next
-- finds it by this key, at whichever replica.
CREATE TABLE flagger_run (
    -- With the cluster before it, where the hooks name one.
    namespace text NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    kind text NOT NULL,
    execution_id text NOT NULL,
    storage_account text NOT NULL,
    -- open, rolled_back or closed; the next start takes the place of what is not open.
    state text NOT NULL,
    created_at bigint NOT NULL,
    closed_at bigint,
    PRIMARY KEY (namespace, name, checksum)
);
CREATE INDEX flagger_run_by_age ON flagger_run (created_at);
