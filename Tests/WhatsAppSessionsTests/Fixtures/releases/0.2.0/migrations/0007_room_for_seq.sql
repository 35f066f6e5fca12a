-- After the largest number there is, SQLite would choose each seq by chance, and the order of creation would be lost
-- (https://sqlite.org/autoinc.html). And -1 means a seq that SQLite will choose, whatever row has it.
DROP TRIGGER sessions_are_not_replaced;
CREATE TRIGGER sessions_are_not_replaced
BEFORE INSERT ON sessions
WHEN EXISTS (SELECT 1 FROM sessions WHERE id = NEW.id)
    OR NEW.seq <> -1 AND (NEW.seq > 0x3fffffffffffffff OR EXISTS (SELECT 1 FROM sessions WHERE seq = NEW.seq))
BEGIN
    SELECT RAISE(ABORT, 'seq_too_large: SQLite chooses seq: leave it out') WHERE NEW.seq > 0x3fffffffffffffff;
    SELECT RAISE(ABORT, 'already_exists: a session with this id already exists: update it, or delete it first');
END;
