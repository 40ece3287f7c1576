-- For many replicas on one database. Only adds: a replica of the version before goes on working.

-- Who writes a canary config now, and until when at most.
CREATE TABLE canary_config_lock (
    account text NOT NULL,
    id text NOT NULL,
    owner text NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (account, id)
);

-- What a repeated POST is answered with.
CREATE TABLE idempotency_key (
    id text NOT NULL PRIMARY KEY,
    -- Tells whether the request is the same.
    fingerprint text NOT NULL,
    execution_id text NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at);

-- Bytes of the document as it was accepted, for the bound on what waits.
ALTER TABLE execution ADD COLUMN size bigint NOT NULL DEFAULT 0;
CREATE INDEX execution_by_wait ON execution (complete, kind, size);

-- Kept whatever the rules of retention say.
CREATE TABLE pin (
    account text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    pinned_at bigint NOT NULL,
    PRIMARY KEY (account, kind, id)
);

-- Retention goes through the archives of an account by age.
CREATE INDEX archive_by_age ON archive (account, kind, build_time);
