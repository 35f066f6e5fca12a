-- The sessions of a gateway, and their rules. They hold for the library and for anyone using the `sqlite3` shell.
-- A rule is named `code: sentence`: a person reads the sentence, a program compares the code.
-- Statuses are compared with OR: SQLite builds an IN list anew for every UPDATE, which made it 8 times slower.
-- Times are milliseconds since 1970, UTC.

CREATE TABLE sessions (
    seq                 INTEGER PRIMARY KEY, -- order of creation
    id                  TEXT NOT NULL UNIQUE,
    status              TEXT NOT NULL DEFAULT 'initializing',
    phone_number        TEXT,                -- digits, known after pairing
    name                TEXT,                -- the account's own name
    created_at          INTEGER NOT NULL,
    connected_at        INTEGER,             -- start of the current connection, or of the last one
    qr_code             TEXT,                -- a credential: whoever scans it links a device
    status_changed_at   INTEGER,             -- NULL until the status first changes
    qr_code_received_at INTEGER,
    disconnect_code     INTEGER,             -- why the account last went offline: the worker's number, if it has one
    disconnect_text     TEXT,                -- and its words; NULL once the account is connected

    CONSTRAINT "seq_not_positive: SQLite chooses seq: leave it out" CHECK (seq > 0),
    CONSTRAINT "unknown_status: the status is initializing, qr_waiting, connected or disconnected" CHECK (
        status = 'initializing' OR status = 'qr_waiting' OR status = 'connected' OR status = 'disconnected'
    ),
    CONSTRAINT "connected_without_connected_at: a connected session has a connection time: set connected_at" CHECK (
        status <> 'connected' OR connected_at IS NOT NULL
    ),
    CONSTRAINT "qr_code_outside_qr_waiting: a QR code is kept only while the status is qr_waiting: set that status, or leave the code out" CHECK (
        qr_code IS NULL OR status = 'qr_waiting'
    ),
    CONSTRAINT "disconnect_reason_while_connected: a connected session has no disconnect reason: clear it, or set another status" CHECK (
        status <> 'connected' OR disconnect_text IS NULL
    ),
    CONSTRAINT "disconnect_code_without_text: a disconnect code comes with a text: set disconnect_text, or clear both" CHECK (
        disconnect_code IS NULL OR disconnect_text IS NOT NULL
    )
) STRICT;

CREATE TRIGGER sessions_connected_is_never_qr_waiting
BEFORE UPDATE OF status ON sessions
WHEN OLD.status = 'connected' AND NEW.status = 'qr_waiting'
BEGIN
    SELECT RAISE(ABORT, 'connected_to_qr_waiting: connected never becomes qr_waiting, so this is a late event from a dead socket: drop it, or set disconnected first to pair again');
END;

-- Not `UPDATE OF`, which `SET rowid` gets past.
CREATE TRIGGER sessions_identity_is_kept
BEFORE UPDATE ON sessions
WHEN NEW.seq IS NOT OLD.seq OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at
BEGIN
    SELECT RAISE(ABORT, 'identity_changed: seq, id and created_at never change: delete the session and create another');
END;

-- A seq that SQLite will choose is -1 here: https://sqlite.org/lang_createtrigger.html
-- REPLACE would delete the existing row without firing a trigger: https://sqlite.org/lang_conflict.html
CREATE TRIGGER sessions_are_not_replaced
BEFORE INSERT ON sessions
WHEN EXISTS (SELECT 1 FROM sessions WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM sessions WHERE seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'already_exists: a session with this id already exists: update it, or delete it first');
END;

-- Set the time when a statement changes a status or a QR code and not its time. The library sets the times itself.
CREATE TRIGGER sessions_status_change_is_timed
AFTER UPDATE ON sessions
WHEN NEW.status IS NOT OLD.status AND NEW.status_changed_at IS OLD.status_changed_at
BEGIN
    UPDATE sessions SET status_changed_at = CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)
    WHERE seq = NEW.seq;
END;

CREATE TRIGGER sessions_new_qr_code_is_timed
AFTER UPDATE ON sessions
WHEN (NEW.qr_code IS NULL) <> (NEW.qr_code_received_at IS NULL)
    OR NEW.qr_code IS NOT OLD.qr_code AND NEW.qr_code_received_at IS OLD.qr_code_received_at
BEGIN
    UPDATE sessions
    SET qr_code_received_at = iif(
        NEW.qr_code IS NULL, NULL, CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)
    )
    WHERE seq = NEW.seq;
END;

CREATE TRIGGER sessions_first_qr_code_is_timed
AFTER INSERT ON sessions
WHEN (NEW.qr_code IS NULL) <> (NEW.qr_code_received_at IS NULL)
BEGIN
    UPDATE sessions
    SET qr_code_received_at = iif(
        NEW.qr_code IS NULL, NULL, CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)
    )
    WHERE seq = NEW.seq;
END;
