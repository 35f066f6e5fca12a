-- What the role of a person may do who edits sessions with psql, under the rules: the triggers of an edit run as its author. Run it as the
-- owner, and once more after an upgrade.
GRANT USAGE ON SCHEMA whatsapp_sessions TO operator;
GRANT SELECT ON ALL TABLES IN SCHEMA whatsapp_sessions TO operator;
GRANT INSERT, UPDATE, DELETE ON whatsapp_sessions.sessions, whatsapp_sessions.leases TO operator;
-- The journal's own triggers refuse whoever edits it by hand.
GRANT INSERT, DELETE ON whatsapp_sessions.session_changes TO operator;
GRANT UPDATE ON whatsapp_sessions.state TO operator;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA whatsapp_sessions TO operator;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA whatsapp_sessions TO operator;
