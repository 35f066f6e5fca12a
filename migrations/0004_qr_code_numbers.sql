-- Which code of its pairing a QR code is: 1, 2, 3, … WhatsApp's first one is good for 60 s, later ones for 20. The number
-- stays while the status is qr_waiting, also when the code is cleared, and is NULL otherwise.
ALTER TABLE sessions ADD COLUMN qr_code_number INTEGER;

-- Until now the first code was the one that came within a second of the status.
UPDATE sessions
SET qr_code_number = iif(abs(qr_code_received_at - coalesce(status_changed_at, created_at)) < 1000, 1, 2)
WHERE qr_code IS NOT NULL;

-- Number the code for statements that don't. The library numbers it itself.
CREATE TRIGGER sessions_new_qr_code_is_numbered
AFTER UPDATE ON sessions
WHEN NEW.qr_code_number IS NOT CASE
    WHEN NEW.status IS NOT 'qr_waiting' THEN NULL
    WHEN NEW.qr_code IS NULL OR NEW.qr_code IS OLD.qr_code THEN OLD.qr_code_number
    ELSE coalesce(OLD.qr_code_number, 0) + 1
END
BEGIN
    UPDATE sessions
    SET qr_code_number = CASE
        WHEN NEW.status IS NOT 'qr_waiting' THEN NULL
        WHEN NEW.qr_code IS NULL OR NEW.qr_code IS OLD.qr_code THEN OLD.qr_code_number
        ELSE coalesce(OLD.qr_code_number, 0) + 1
    END
    WHERE seq = NEW.seq;
END;

CREATE TRIGGER sessions_first_qr_code_is_numbered
AFTER INSERT ON sessions
WHEN NEW.qr_code_number IS NOT iif(NEW.qr_code IS NULL, NULL, 1)
BEGIN
    UPDATE sessions SET qr_code_number = iif(NEW.qr_code IS NULL, NULL, 1) WHERE seq = NEW.seq;
END;
