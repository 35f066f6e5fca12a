#if Postgres
import Foundation
import WhatsAppSessions

/// The same processes and leases as in a file, on a server.
func postgresLeasesCheck(isLong: Bool) throws {
    var nodes: [PostgresNode] = []
    defer { for node in nodes { node.killNow() } }
    let folder = Folder(onDisk: true)
    try leasesCheck(isLong: isLong) {
        let node = try PostgresNode.create(
            "leases-\(nodes.count)",
            port: .random(in: 20_000...50_000),
            in: folder.path + "/servers"
        )
        nodes.append(node)
        let manager = try SessionManager(storage: .postgres(node.address))
        try node.query(auditSQL)
        return ServedDatabase(manager: manager, address: node.address, query: node.query)
    }
}

private let auditSQL = """
    CREATE TABLE ends (number bigint PRIMARY KEY, ends_at bigint);
    CREATE TABLE audit (kind text, said bigint, lease bigint, old_lease bigint, old_ends_at bigint, at bigint);
    CREATE FUNCTION keep_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.ends VALUES (NEW.number, NEW.ends_at)
        ON CONFLICT (number) DO UPDATE SET ends_at = excluded.ends_at;
        RETURN NULL;
    END $$;
    CREATE TRIGGER ends AFTER INSERT OR UPDATE ON whatsapp_sessions.leases FOR EACH ROW EXECUTE FUNCTION keep_end();
    CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.name IS DISTINCT FROM OLD.name THEN
            INSERT INTO public.audit (kind, said, lease) VALUES ('update', split_part(NEW.name, ' ', 1)::bigint, NEW.lease);
        END IF;
        IF NEW.lease IS DISTINCT FROM OLD.lease THEN
            INSERT INTO public.audit (kind, lease, old_lease, old_ends_at, at)
            SELECT CASE WHEN NEW.lease IS NULL THEN 'recovery' ELSE 'claim' END, NEW.lease, OLD.lease,
                (SELECT ends_at FROM public.ends WHERE number = OLD.lease), whatsapp_sessions.now();
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER audit AFTER UPDATE ON whatsapp_sessions.sessions FOR EACH ROW EXECUTE FUNCTION keep_audit();
    """
#endif
