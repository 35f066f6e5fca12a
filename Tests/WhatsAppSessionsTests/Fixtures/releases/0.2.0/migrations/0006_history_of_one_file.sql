-- The schema version (https://sqlite.org/pragma.html#pragma_schema_version) to which the history belongs. `.restore`, `.backup`
-- and VACUUM INTO give the file another one, so a library that reads the journal notices, and begins a new history.
ALTER TABLE journal ADD COLUMN schema_version INTEGER;
