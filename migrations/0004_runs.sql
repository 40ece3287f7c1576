-- What lists over all applications show and filter by. Only adds: rows of the version before lack
-- it, and are read once more from their documents.

ALTER TABLE archive ADD COLUMN canary_config_id text;
ALTER TABLE archive ADD COLUMN config_name text;
ALTER TABLE archive ADD COLUMN outcome text;
-- JSON of what a list shows beside these.
ALTER TABLE archive ADD COLUMN brief text;

-- Of executions that have ended and have no archive. Not columns of `execution`: replicas of the
-- version before read all of that, and PostgreSQL refuses a prepared statement whose columns change.
CREATE TABLE execution_listing (
    execution_id text NOT NULL PRIMARY KEY REFERENCES execution (id) ON DELETE CASCADE,
    config_name text NOT NULL,
    outcome text NOT NULL,
    brief text NOT NULL
);

-- Such a list reads these only, newest first, and no rows.
CREATE INDEX archive_by_time ON archive
    (kind, build_time, id, account, application, outcome, canary_config_id, config_name);
CREATE INDEX execution_by_time ON execution (kind, build_time, id, archived, storage_account);
