-- What an operator looks at: readable times, and of a QR code only whether there is one.

CREATE VIEW session_overview AS
SELECT
    id,
    status,
    phone_number,
    name,
    datetime(created_at / 1000, 'unixepoch') AS created_utc,
    datetime(connected_at / 1000, 'unixepoch') AS connected_utc,
    printf('%dd %02dh %02dm', seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60) AS age,
    iif(qr_code IS NULL, 'no', 'yes') AS has_qr_code
FROM (
    -- Never negative, even if the clock was set back.
    SELECT *, max(0, strftime('%s', 'now') - created_at / 1000) AS seconds FROM sessions
)
ORDER BY seq;
