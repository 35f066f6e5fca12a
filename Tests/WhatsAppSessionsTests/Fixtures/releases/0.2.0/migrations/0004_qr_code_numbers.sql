-- Counts the QR codes of a pairing: 1, 2, 3, … WhatsApp's first one is good for 60 s, later ones for 20. The number stays while the
-- status is qr_waiting, also when the code is cleared, and is NULL otherwise. A code that was stored before has none, and counts as
-- a later one: no row is rewritten here, since one that is damaged couldn't be.
ALTER TABLE sessions ADD COLUMN qr_code_number INTEGER;

-- Set what a statement leaves out when it changes a status or a QR code: the time of each, and the number. The library sets
-- them itself. What the trigger sets satisfies it, so it ends with `PRAGMA recursive_triggers` too. One trigger instead of three, since each costs every update something, whether it fires or not.
DROP TRIGGER sessions_status_change_is_timed;
DROP TRIGGER sessions_new_qr_code_is_timed;
CREATE TRIGGER sessions_change_is_timed
AFTER UPDATE ON sessions
WHEN NEW.status IS NOT OLD.status AND NEW.status_changed_at IS OLD.status_changed_at
    OR (NEW.qr_code IS NULL) <> (NEW.qr_code_received_at IS NULL)
    OR NEW.qr_code IS NOT OLD.qr_code AND NEW.qr_code_received_at IS OLD.qr_code_received_at
    OR NEW.qr_code IS NOT OLD.qr_code AND NEW.qr_code_number IS OLD.qr_code_number AND NEW.qr_code IS NOT NULL
    OR NEW.qr_code IS NOT NULL AND NEW.qr_code_number IS NULL
    OR NEW.status IS NOT 'qr_waiting' AND NEW.qr_code_number IS NOT NULL
BEGIN
    UPDATE sessions
    SET status_changed_at = iif(
            NEW.status IS NOT OLD.status AND NEW.status_changed_at IS OLD.status_changed_at,
            CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER), NEW.status_changed_at
        ),
        qr_code_received_at = CASE
            WHEN NEW.qr_code IS NULL THEN NULL
            WHEN NEW.qr_code_received_at IS NULL
                OR NEW.qr_code IS NOT OLD.qr_code AND NEW.qr_code_received_at IS OLD.qr_code_received_at
            THEN CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)
            ELSE NEW.qr_code_received_at
        END,
        qr_code_number = CASE
            WHEN NEW.status IS NOT 'qr_waiting' THEN NULL
            WHEN NEW.qr_code IS NOT OLD.qr_code AND NEW.qr_code_number IS OLD.qr_code_number AND NEW.qr_code IS NOT NULL
                OR NEW.qr_code IS NOT NULL AND NEW.qr_code_number IS NULL
            THEN coalesce(OLD.qr_code_number, OLD.qr_code IS NOT NULL) + 1
            ELSE NEW.qr_code_number
        END
    WHERE seq = NEW.seq;
END;

DROP TRIGGER sessions_first_qr_code_is_timed;
CREATE TRIGGER sessions_first_qr_code_is_timed
AFTER INSERT ON sessions
WHEN (NEW.qr_code IS NULL) <> (NEW.qr_code_received_at IS NULL)
    OR (NEW.qr_code IS NULL) <> (NEW.qr_code_number IS NULL)
BEGIN
    UPDATE sessions
    SET qr_code_received_at = iif(
            NEW.qr_code IS NULL, NULL,
            coalesce(NEW.qr_code_received_at, CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER))
        ),
        qr_code_number = iif(NEW.qr_code IS NULL, NULL, 1)
    WHERE seq = NEW.seq;
END;
