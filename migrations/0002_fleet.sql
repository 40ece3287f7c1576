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

-- What one replica does for all, and when it is to be done again.
CREATE TABLE chore (
    name text NOT NULL PRIMARY KEY,
    due_at bigint NOT NULL
);

-- Lists and retention read these only, newest first, and no rows.
CREATE INDEX archive_by_start ON archive (account, kind, application, build_time, id, status);
CREATE INDEX execution_by_start ON execution (kind, application, build_time, id, status);
