-- How far the holder of a lease has come in the journal: whoever opens a lease of that name next goes on from there.
CREATE TABLE kept_cursors (
    holder  TEXT PRIMARY KEY NOT NULL,
    history INTEGER NOT NULL,
    number  INTEGER NOT NULL
) STRICT;
