-- What lists find executions by: names, scopes and ids in lower case, a line each. Only adds: rows of
-- the version before lack it, and are read once more from their documents.

ALTER TABLE archive ADD COLUMN sought text;
ALTER TABLE execution_listing ADD COLUMN sought text;
