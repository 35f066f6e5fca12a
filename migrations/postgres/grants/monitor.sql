-- What a role that only looks may see: how the sessions stand and what happened to them, but no QR code.
GRANT USAGE ON SCHEMA whatsapp_sessions TO monitor;
GRANT SELECT ON whatsapp_sessions.session_overview, whatsapp_sessions.session_history TO monitor;
GRANT EXECUTE ON FUNCTION whatsapp_sessions.now, whatsapp_sessions.age, whatsapp_sessions.utc TO monitor;
