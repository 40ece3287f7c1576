-- Who owns stored pairs, and who was under way when its process died. Only adds: a replica of the version
-- before goes on working; rows that it writes lack the column, and are read once more from their documents.

-- The list of pairs of an archived canary; '': it tells none.
ALTER TABLE archive ADD COLUMN pair_list_id text;

-- Every replica looks for them each second, and what only waits is not among them. The first column is
-- always 0: without it SQLite takes the index of all that waits.
CREATE INDEX execution_by_lease ON execution (complete, due_at)
    WHERE complete = 0 AND lease_owner IS NOT NULL;
