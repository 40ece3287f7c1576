-- What lists and claims. Portable: text, bigint, primary key, index. Times are epoch milliseconds.

-- One row for every canary config of an account, as its listing tells it.
CREATE TABLE canary_config (
    account text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    updated_timestamp bigint NOT NULL,
    -- A JSON list.
    applications text NOT NULL,
    -- Version of the object that the row was read from; empty when serin wrote it.
    version text NOT NULL,
    noted_at bigint NOT NULL,
    PRIMARY KEY (account, id)
);

-- A name is taken once in every application.
CREATE TABLE canary_config_name (
    account text NOT NULL,
    application text NOT NULL,
    name text NOT NULL,
    config_id text NOT NULL,
    noted_at bigint NOT NULL,
    PRIMARY KEY (account, application, name)
);
CREATE INDEX canary_config_name_by_config ON canary_config_name (account, config_id);

-- Executions from acceptance until their archive has been there for a while.
CREATE TABLE execution (
    id text NOT NULL PRIMARY KEY,
    kind text NOT NULL,
    application text NOT NULL,
    canary_config_id text NOT NULL,
    storage_account text NOT NULL,
    status text NOT NULL,
    complete bigint NOT NULL,
    build_time bigint NOT NULL,
    finished_at bigint,
    archived bigint NOT NULL,
    -- When the next worker may claim it: for a claimed one, when its lease ends; NULL: never again.
    due_at bigint,
    lease_owner text,
    -- Counts claims and cancels; a worker of an earlier attempt cannot write.
    attempt bigint NOT NULL,
    -- Claims since the execution last came forward.
    failures bigint NOT NULL,
    -- The analysis that waits for this canary.
    parent text,
    document text NOT NULL
);
CREATE INDEX execution_by_due ON execution (due_at);
CREATE INDEX execution_by_application ON execution (kind, application, build_time);
CREATE INDEX execution_by_finish ON execution (archived, finished_at);

-- Archived executions of an account.
CREATE TABLE archive (
    account text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    application text NOT NULL,
    status text NOT NULL,
    build_time bigint NOT NULL,
    version text NOT NULL,
    noted_at bigint NOT NULL,
    PRIMARY KEY (account, kind, id)
);
CREATE INDEX archive_by_application ON archive (account, kind, application, build_time);
