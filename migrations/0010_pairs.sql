-- Whose pairs are, where rules say who may see them. Only adds: a replica of the version before goes on working.

CREATE INDEX archive_by_pairs ON archive (account, pair_list_id);
