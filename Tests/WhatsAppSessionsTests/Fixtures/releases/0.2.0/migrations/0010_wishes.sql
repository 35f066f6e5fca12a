-- What an operator wants of a session, until its worker has done it: 'stop' closes the connection and keeps what links the account,
-- 'logout' unlinks it on the phone, 'pair' forgets what links it and shows a code. NULL leaves the worker to itself.
ALTER TABLE sessions ADD COLUMN wish TEXT
    CONSTRAINT "unknown_wish: a wish is stop, logout or pair" CHECK (wish = 'stop' OR wish = 'logout' OR wish = 'pair');

-- The same journal as before, with the bit 256: the wish changed.
DROP TRIGGER sessions_update_is_kept;
CREATE TRIGGER sessions_update_is_kept
AFTER UPDATE ON sessions
WHEN NEW.status IS NOT OLD.status
    OR NEW.qr_code IS NOT OLD.qr_code
    OR NEW.name IS NOT OLD.name
    OR NEW.phone_number IS NOT OLD.phone_number
    OR NEW.connected_at IS NOT OLD.connected_at
    OR NEW.disconnect_text IS NOT OLD.disconnect_text
    OR NEW.disconnect_code IS NOT OLD.disconnect_code
    OR NEW.lease IS NOT OLD.lease
    OR NEW.restriction IS NOT OLD.restriction
    OR NEW.wish IS NOT OLD.wish
BEGIN
    INSERT INTO session_changes (
        session_id, previous_status, status, fields, disconnect_code, disconnect_text, changed_at
    ) VALUES (
        NEW.id, iif(typeof(OLD.status) = 'text', OLD.status, 'malformed'), NEW.status,
        (NEW.status IS NOT OLD.status)
            + 2 * (NEW.phone_number IS NOT OLD.phone_number)
            + 4 * (NEW.name IS NOT OLD.name)
            + 8 * (NEW.connected_at IS NOT OLD.connected_at)
            + 16 * (NEW.qr_code IS NOT OLD.qr_code)
            + 32 * (NEW.disconnect_text IS NOT OLD.disconnect_text OR NEW.disconnect_code IS NOT OLD.disconnect_code)
            + 64 * (NEW.lease IS NOT OLD.lease)
            + 128 * (NEW.restriction IS NOT OLD.restriction)
            + 256 * (NEW.wish IS NOT OLD.wish),
        iif(
            NEW.status IS NOT OLD.status OR NEW.disconnect_text IS NOT OLD.disconnect_text
                OR NEW.disconnect_code IS NOT OLD.disconnect_code,
            NEW.disconnect_code, NULL
        ),
        iif(
            NEW.status IS NOT OLD.status OR NEW.disconnect_text IS NOT OLD.disconnect_text
                OR NEW.disconnect_code IS NOT OLD.disconnect_code,
            NEW.disconnect_text, NULL
        ),
        CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)
    );
END;

DROP VIEW session_history;
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
            || iif(fields & 32, ', disconnect_reason', '') || iif(fields & 64, ', holder', '')
            || iif(fields & 128, ', restriction', '') || iif(fields & 256, ', wish', ''),
        ', '
    ) AS fields,
    coalesce(disconnect_code || ', ', '') || disconnect_text AS disconnect_reason
FROM session_changes
ORDER BY number;

DROP VIEW session_overview;
CREATE VIEW session_overview AS
SELECT
    id,
    status,
    printf('%dd %02dh %02dm', status_seconds / 86400, status_seconds / 3600 % 24, status_seconds / 60 % 60) AS status_age,
    phone_number,
    name,
    datetime(created_at / 1000, 'unixepoch') AS created_utc,
    datetime(connected_at / 1000, 'unixepoch') AS connected_utc,
    printf('%dd %02dh %02dm', seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60) AS age,
    iif(qr_code IS NULL, 'no', 'yes') AS has_qr_code,
    iif(qr_code IS NULL, NULL, qr_code_seconds) AS qr_code_seconds,
    coalesce(disconnect_code || ', ', '') || disconnect_text AS disconnect_reason,
    holder,
    restriction,
    wish
FROM (
    -- Never negative, even if the clock was set back.
    SELECT *,
        max(0, strftime('%s', 'now') - created_at / 1000) AS seconds,
        max(0, strftime('%s', 'now') - coalesce(status_changed_at, created_at) / 1000) AS status_seconds,
        max(0, strftime('%s', 'now') - qr_code_received_at / 1000) AS qr_code_seconds,
        (
            SELECT holder FROM leases
            WHERE number = lease AND ends_at > CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)
        ) AS holder
    FROM sessions
)
ORDER BY seq;
