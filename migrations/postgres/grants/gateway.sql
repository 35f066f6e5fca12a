-- What the role of a gateway may do, if it isn't the owner of the schema: read, and call the functions. It cannot write to a table.
-- Run it as the owner, who opens the database first, and once more after an upgrade.
GRANT USAGE ON SCHEMA whatsapp_sessions TO gateway;
GRANT SELECT ON ALL TABLES IN SCHEMA whatsapp_sessions TO gateway;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA whatsapp_sessions TO gateway;
