-- The sessions of a gateway, and the rules that no writer can break: neither the library nor a person with `sqlite3`.
-- The name of a constraint is the sentence that whoever breaks it reads.
-- Statuses are compared with OR: an IN list is built anew by every UPDATE and made it 8 times slower.

CREATE TABLE sessions (
    seq          INTEGER PRIMARY KEY, -- order of creation
    id           TEXT NOT NULL UNIQUE,
    status       TEXT NOT NULL DEFAULT 'initializing',
    phone_number TEXT,                -- digits, known after pairing
    name         TEXT,                -- the account's own name
    created_at   INTEGER NOT NULL,    -- milliseconds since 1970, UTC
    connected_at INTEGER,             -- the same; start of the current connection, or of the last one
    qr_code      TEXT,                -- a credential: whoever scans it links a device

    CONSTRAINT "status is initializing, qr_waiting, connected or disconnected" CHECK (
        status = 'initializing' OR status = 'qr_waiting' OR status = 'connected' OR status = 'disconnected'
    ),
    CONSTRAINT "a connected session has a connection time: set connected_at" CHECK (
        status <> 'connected' OR connected_at IS NOT NULL
    ),
    CONSTRAINT "a QR code is kept only while the status is qr_waiting: set that status, or leave the code out" CHECK (
        qr_code IS NULL OR status = 'qr_waiting'
    )
) STRICT;

CREATE TRIGGER sessions_connected_is_never_qr_waiting
BEFORE UPDATE OF status ON sessions
WHEN OLD.status = 'connected' AND NEW.status = 'qr_waiting'
BEGIN
    SELECT RAISE(ABORT, 'connected never becomes qr_waiting, so this is a late event of a dead socket: drop it, or set disconnected first to pair anew');
END;

CREATE TRIGGER sessions_identity_is_kept
BEFORE UPDATE OF seq, id, created_at ON sessions
BEGIN
    SELECT RAISE(ABORT, 'seq, id and created_at are kept for life: delete the session and create another');
END;
