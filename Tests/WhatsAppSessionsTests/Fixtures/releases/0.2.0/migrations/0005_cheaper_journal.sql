-- The same journal as before. VALUES, because SQLite fills a temporary table for an INSERT … SELECT from a subquery, which was
-- a third of every update. Its bits are those of `session_history`.
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
            + 32 * (NEW.disconnect_text IS NOT OLD.disconnect_text OR NEW.disconnect_code IS NOT OLD.disconnect_code),
        -- The reason comes with a change of the status or of the reason; not with every new QR code, since it may be long.
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

-- A damaged row too can be mended and deleted: what this table couldn't store reads as a damaged change.
DROP TRIGGER sessions_deletion_is_kept;
CREATE TRIGGER sessions_deletion_is_kept
AFTER DELETE ON sessions
BEGIN
    INSERT INTO session_changes (session_id, previous_status, fields, changed_at)
    VALUES (
        CAST(OLD.id AS TEXT), iif(typeof(OLD.status) = 'text', OLD.status, 'malformed'), 0,
        CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)
    );
END;
