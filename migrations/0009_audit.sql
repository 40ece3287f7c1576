-- The record of what was done, and by whom. Only adds: a replica of the version before goes on working.

-- One for every process that recorded anything. What it recorded is numbered from 1, without gaps.
CREATE TABLE audit_chain (
    chain text NOT NULL PRIMARY KEY,
    begun_at bigint NOT NULL,
    -- The last row, so that a missing one is missed.
    number bigint NOT NULL,
    hash text NOT NULL,
    -- The row before the first that is kept; 0 and no hash, while all are.
    anchor_number bigint NOT NULL,
    anchor_hash text NOT NULL,
    -- The last row that lies in the store.
    exported bigint NOT NULL
);

-- Append-only. The hash is that of the row before and of all other columns (`src/audit/chain.rs`).
CREATE TABLE audit (
    chain text NOT NULL,
    number bigint NOT NULL,
    at bigint NOT NULL,
    who text NOT NULL,
    proof text NOT NULL,
    address text NOT NULL,
    request_id text NOT NULL,
    deed text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    application text NOT NULL,
    outcome text NOT NULL,
    -- JSON.
    details text NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (chain, number)
);
CREATE INDEX audit_by_time ON audit (at, chain, number);
CREATE INDEX audit_by_id ON audit (id, at);
