-- What an operator looks at: times that a person reads, and of a QR code only whether there is one.

CREATE VIEW session_overview AS
SELECT
    id,
    status,
    phone_number,
    name,
    datetime(created_at / 1000, 'unixepoch') AS created_utc,
    datetime(connected_at / 1000, 'unixepoch') AS connected_utc,
    printf(
        '%dd %02dh %02dm',
        (strftime('%s', 'now') - created_at / 1000) / 86400,
        (strftime('%s', 'now') - created_at / 1000) / 3600 % 24,
        (strftime('%s', 'now') - created_at / 1000) / 60 % 60
    ) AS age,
    iif(qr_code IS NULL, 'no', 'yes') AS has_qr_code
FROM sessions
ORDER BY seq;
