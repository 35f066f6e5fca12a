-- The journal: what really changed, in the order of the commits, for whoever follows it. Nothing personal and no credential,
-- because a row stays after its session is gone.

-- One row. A cursor into the journal names its history; a backup gets a new one.
CREATE TABLE journal (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    history INTEGER NOT NULL,
    CONSTRAINT "history_negative: a history is a positive number: use random() & 0x7fffffffffffffff" CHECK (history >= 0)
) STRICT;
INSERT INTO journal (id, history) VALUES (1, random() & 0x7fffffffffffffff);

CREATE TRIGGER journal_is_kept
BEFORE DELETE ON journal
BEGIN
    SELECT RAISE(ABORT, 'journal_deleted: every cursor needs the history: set another one instead');
END;

CREATE TABLE session_changes (
    number          INTEGER PRIMARY KEY, -- 1, 2, 3, … without gaps
    session_id      TEXT NOT NULL,
    previous_status TEXT,                -- NULL: created
    status          TEXT,                -- NULL: deleted
    fields          INTEGER NOT NULL,    -- what an update changed: the bits are those of `session_history`
    disconnect_code INTEGER,             -- the reason, in a change of the status or the reason
    disconnect_text TEXT,
    changed_at      INTEGER NOT NULL,    -- milliseconds since 1970, UTC

    CONSTRAINT "change_numbered: SQLite numbers the changes: leave the number out" CHECK (number > 0),
    CONSTRAINT "change_without_status: a change has the status before it, the one after it, or both" CHECK (
        previous_status IS NOT NULL OR status IS NOT NULL
    )
) STRICT;

CREATE TRIGGER sessions_creation_is_kept
AFTER INSERT ON sessions
BEGIN
    INSERT INTO session_changes (session_id, status, fields, disconnect_code, disconnect_text, changed_at)
    VALUES (
        NEW.id, NEW.status, 0, NEW.disconnect_code, NEW.disconnect_text,
        CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)
    );
END;

CREATE TRIGGER sessions_update_is_kept
AFTER UPDATE ON sessions
WHEN NEW.status IS NOT OLD.status
    OR NEW.qr_code IS NOT OLD.qr_code
    OR NEW.name IS NOT OLD.name
    OR NEW.phone_number IS NOT OLD.phone_number
    OR NEW.connected_at IS NOT OLD.connected_at
    OR NEW.disconnect_text IS NOT OLD.disconnect_text
    OR NEW.disconnect_code IS NOT OLD.disconnect_code
BEGIN
    INSERT INTO session_changes (
        session_id, previous_status, status, fields, disconnect_code, disconnect_text, changed_at
    )
    SELECT
        NEW.id, OLD.status, NEW.status, fields,
        -- Not with every new QR code: it may be long.
        iif(fields & 33, NEW.disconnect_code, NULL), iif(fields & 33, NEW.disconnect_text, NULL),
        CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)
    FROM (
        SELECT (NEW.status IS NOT OLD.status)
            + 2 * (NEW.phone_number IS NOT OLD.phone_number)
            + 4 * (NEW.name IS NOT OLD.name)
            + 8 * (NEW.connected_at IS NOT OLD.connected_at)
            + 16 * (NEW.qr_code IS NOT OLD.qr_code)
            + 32 * (NEW.disconnect_text IS NOT OLD.disconnect_text OR NEW.disconnect_code IS NOT OLD.disconnect_code)
            AS fields
    );
END;

CREATE TRIGGER sessions_deletion_is_kept
AFTER DELETE ON sessions
BEGIN
    INSERT INTO session_changes (session_id, previous_status, fields, changed_at)
    VALUES (OLD.id, OLD.status, 0, CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER));
END;

-- Keeps the last 100,000. To delete a hundred at a time costs a third as much as one by one.
CREATE TRIGGER session_changes_are_bounded
AFTER INSERT ON session_changes
WHEN NEW.number % 100 = 0
BEGIN
    DELETE FROM session_changes WHERE number <= NEW.number - 100000;
END;

-- A number that SQLite will choose is -1 here. Another one would leave a gap, or replace a row.
CREATE TRIGGER session_changes_are_numbered
BEFORE INSERT ON session_changes
WHEN NEW.number <> -1
BEGIN
    SELECT RAISE(ABORT, 'change_numbered: SQLite numbers the changes: leave the number out');
END;

CREATE TRIGGER session_changes_are_not_edited
BEFORE UPDATE ON session_changes
BEGIN
    SELECT RAISE(ABORT, 'change_edited: what happened is not edited');
END;

-- SQLite numbers a row after the newest one, so the newest must stay.
CREATE TRIGGER session_changes_are_kept
BEFORE DELETE ON session_changes
WHEN OLD.number > (SELECT max(number) FROM session_changes) - 100000
BEGIN
    SELECT RAISE(ABORT, 'change_deleted: the last 100,000 changes are kept');
END;

CREATE VIEW session_history AS
SELECT
    number,
    strftime('%Y-%m-%d %H:%M:%f', changed_at / 1000.0, 'unixepoch') AS changed_utc,
    session_id,
    CASE WHEN previous_status IS NULL THEN 'created' WHEN status IS NULL THEN 'deleted' ELSE 'updated' END AS kind,
    previous_status,
    status,
    ltrim(
        iif(fields & 1, ', status', '') || iif(fields & 2, ', phone_number', '') || iif(fields & 4, ', name', '')
            || iif(fields & 8, ', connected_at', '') || iif(fields & 16, ', qr_code', '')
            || iif(fields & 32, ', disconnect_reason', ''),
        ', '
    ) AS fields,
    coalesce(disconnect_code || ', ', '') || disconnect_text AS disconnect_reason
FROM session_changes
ORDER BY number;
