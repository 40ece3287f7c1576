-- What is told outside of serin. Only adds: a replica of the version before goes on working.

-- One event of an execution that a channel is told; stays a while after it was, so that it is told once.
CREATE TABLE notice (
    execution_id text NOT NULL,
    channel text NOT NULL,
    event text NOT NULL,
    kind text NOT NULL,
    storage_account text NOT NULL,
    created_at bigint NOT NULL,
    -- When it may next be claimed: for a claimed one, when its lease ends; NULL: never again.
    due_at bigint,
    lease_owner text,
    -- Counts claims.
    attempt bigint NOT NULL,
    PRIMARY KEY (execution_id, channel, event)
);
CREATE INDEX notice_by_due ON notice (due_at);

-- Charts that links lead to.
CREATE TABLE chart (
    execution_id text NOT NULL,
    pair_id text NOT NULL,
    -- Nobody can guess it.
    token text NOT NULL,
    kind text NOT NULL,
    storage_account text NOT NULL,
    -- The list that holds the pair.
    list_id text NOT NULL,
    -- Of the metric.
    label text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (execution_id, pair_id)
);
CREATE UNIQUE INDEX chart_by_token ON chart (token);
