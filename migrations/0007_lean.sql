-- Two indexes whose columns another one begins with: every row that is written had to be entered in
-- both. No replica names an index, so older ones go on working.

DROP INDEX execution_by_application;
DROP INDEX archive_by_application;
