-- What an operator looks at: readable times, why an account went offline, and of a QR code only its age.

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
    coalesce(disconnect_code || ', ', '') || disconnect_text AS disconnect_reason
FROM (
    -- Never negative, even if the clock was set back.
    SELECT *,
        max(0, strftime('%s', 'now') - created_at / 1000) AS seconds,
        max(0, strftime('%s', 'now') - coalesce(status_changed_at, created_at) / 1000) AS status_seconds,
        max(0, strftime('%s', 'now') - qr_code_received_at / 1000) AS qr_code_seconds
    FROM sessions
)
ORDER BY seq;
