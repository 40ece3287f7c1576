-- What executions call outside of serin as they go on, and what became of it. Only adds: a replica of
-- the version before goes on working.

CREATE TABLE action_call (
    execution_id text NOT NULL,
    -- The order in which they are sent, one after the other.
    place bigint NOT NULL,
    kind text NOT NULL,
    storage_account text NOT NULL,
    event text NOT NULL,
    -- Of an interval.
    number bigint,
    -- JSON; NULL: a template could not write it.
    call text,
    -- For how long it is tried.
    patience bigint NOT NULL,
    created_at bigint NOT NULL,
    -- When it was first sent.
    begun_at bigint,
    ended_at bigint,
    -- When it may next be claimed: for a claimed one, when its lease ends; NULL: never again.
    due_at bigint,
    lease_owner text,
    -- Counts claims to send it.
    attempt bigint NOT NULL,
    -- A later event has come: it is not sent again.
    superseded bigint NOT NULL,
    outcome text NOT NULL,
    -- Of the last answer.
    status bigint,
    -- What kept it from being done.
    message text,
    PRIMARY KEY (execution_id, place)
);
CREATE INDEX action_call_by_due ON action_call (due_at);
