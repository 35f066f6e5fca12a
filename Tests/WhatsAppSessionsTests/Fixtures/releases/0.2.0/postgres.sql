--
-- PostgreSQL database dump
--


-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.20 (Debian 15.20-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: whatsapp_sessions; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA whatsapp_sessions;


--
-- Name: age(bigint); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.age(seconds bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
    SELECT greatest($1, 0) / 86400 || 'd ' || lpad((greatest($1, 0) / 3600 % 24)::text, 2, '0') || 'h '
        || lpad((greatest($1, 0) / 60 % 60)::text, 2, '0') || 'm'
$_$;


--
-- Name: begin_history(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.begin_history() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM whatsapp_sessions.take_turn();
    INSERT INTO whatsapp_sessions.histories (position, history, after, place)
    SELECT coalesce(max(position), 0) + 1, ('x' || left(md5(gen_random_uuid()::text), 16))::bit(64)::bigint & 9223372036854775807,
        coalesce((SELECT max(number) FROM whatsapp_sessions.session_changes), 0), whatsapp_sessions.place()
    FROM whatsapp_sessions.histories;
END $$;


--
-- Name: begin_requests(integer); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.begin_requests(patience integer) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('lock_timeout', patience::text, true);
    PERFORM set_config('whatsapp_sessions.writer', 'library', true), set_config('whatsapp_sessions.request', '', true);
    PERFORM whatsapp_sessions.take_turn();
    RETURN whatsapp_sessions.now();
END $$;


--
-- Name: blockers(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.blockers() RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT string_agg(DISTINCT concat_ws(', ', 'process ' || l.pid, nullif(a.application_name, ''), a.state,
        -- The library's own, perhaps, whose caller has left.
        CASE WHEN a.wait_event = 'SyncRep' THEN 'which waits for a standby' END), '; ')
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.granted AND l.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND (
            l.locktype = 'advisory' AND l.classid = (6292484648962359296 >> 32)::oid
                AND l.objid = 'whatsapp_sessions.session_changes'::regclass
            OR l.locktype = 'relation' AND l.mode IN ('RowShareLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
                AND l.relation IN (SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'whatsapp_sessions'::regnamespace)
        )
$$;


--
-- Name: broken_rule(text, text, bigint, text, bigint, text, text); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.broken_rule(old_status text, status text, connected_at bigint, qr_code text, disconnect_code bigint, disconnect_text text, wish text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN old_status = 'connected' AND status = 'qr_waiting' THEN
            'connected_to_qr_waiting: connected never becomes qr_waiting, so this is a late event from a dead socket: drop it, or set disconnected first to pair again'
        WHEN status IS NULL OR status NOT IN ('initializing', 'qr_waiting', 'connected', 'disconnected') THEN
            'unknown_status: the status is initializing, qr_waiting, connected or disconnected'
        WHEN status = 'connected' AND connected_at IS NULL THEN
            'connected_without_connected_at: a connected session has a connection time: set connected_at'
        WHEN qr_code IS NOT NULL AND status <> 'qr_waiting' THEN
            'qr_code_outside_qr_waiting: a QR code is kept only while the status is qr_waiting: set that status, or leave the code out'
        WHEN status = 'connected' AND disconnect_text IS NOT NULL THEN
            'disconnect_reason_while_connected: a connected session has no disconnect reason: clear it, or set another status'
        WHEN disconnect_code IS NOT NULL AND disconnect_text IS NULL THEN
            'disconnect_code_without_text: a disconnect code comes with a text: set disconnect_text, or clear both'
        WHEN wish NOT IN ('stop', 'logout', 'pair') THEN
            'unknown_wish: a wish is stop, logout or pair'
    END
$$;


--
-- Name: now(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.now() RETURNS bigint
    LANGUAGE sql PARALLEL SAFE
    AS $$ SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: sessions; Type: TABLE; Schema: whatsapp_sessions; Owner: -
--

CREATE TABLE whatsapp_sessions.sessions (
    seq bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    status text DEFAULT 'initializing'::text NOT NULL COLLATE pg_catalog."C",
    phone_number text COLLATE pg_catalog."C",
    name text COLLATE pg_catalog."C",
    created_at bigint DEFAULT whatsapp_sessions.now() NOT NULL,
    connected_at bigint,
    qr_code text COLLATE pg_catalog."C",
    status_changed_at bigint,
    qr_code_received_at bigint,
    qr_code_number bigint,
    disconnect_code bigint,
    disconnect_text text COLLATE pg_catalog."C",
    restriction text COLLATE pg_catalog."C",
    wish text COLLATE pg_catalog."C",
    lease bigint
)
WITH (fillfactor='70');


--
-- Name: claim_sessions(integer, boolean, bigint[], text[], bigint[], text[], boolean[]); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.claim_sessions(patience integer, is_repeated boolean, requests bigint[], ids text[], leases bigint[], holders text[], releases boolean[]) RETURNS TABLE(refusal text, session whatsapp_sessions.sessions, holder text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
    given record;
    made_by text;
    wanted bigint;
BEGIN
    FOR given IN
        SELECT * FROM unnest(requests, ids, leases, holders, releases) AS g(request, id, lease, holder, is_release)
    LOOP
        SELECT * INTO session FROM whatsapp_sessions.sessions s WHERE s.id = given.id;
        holder := whatsapp_sessions.holder_of(session.lease, now);
        refusal := CASE
            WHEN session.seq IS NOT NULL AND is_repeated AND whatsapp_sessions.was_made(given.request) THEN NULL
            WHEN NOT whatsapp_sessions.lives(given.lease, given.holder, now) THEN 'lease_ended'
            WHEN session.seq IS NULL THEN 'not_found'
            WHEN NOT whatsapp_sessions.is_readable(session) THEN 'damaged'
            WHEN given.is_release AND session.lease IS DISTINCT FROM given.lease THEN 'lease_lost'
            WHEN NOT given.is_release AND session.lease <> given.lease AND holder IS NOT NULL THEN 'taken'
        END;
        wanted := CASE WHEN NOT given.is_release THEN given.lease END;
        IF refusal IS NULL AND session.lease IS DISTINCT FROM wanted
            AND NOT (is_repeated AND whatsapp_sessions.was_made(given.request))
        THEN
            made_by := set_config('whatsapp_sessions.request', given.request::text, true);
            UPDATE whatsapp_sessions.sessions s SET lease = wanted WHERE s.seq = session.seq;
            holder := CASE WHEN NOT given.is_release THEN given.holder END;
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM whatsapp_sessions.end_requests();
END $$;


--
-- Name: claim_unserved(integer, boolean, bigint, bigint, text, bigint); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.claim_unserved(patience integer, is_repeated boolean, this_request bigint, lease_number bigint, holder text, most bigint) RETURNS SETOF whatsapp_sessions.sessions
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
    claimed whatsapp_sessions.sessions;
BEGIN
    IF NOT whatsapp_sessions.lives(lease_number, holder, now) THEN
        RETURN NEXT NULL;
        PERFORM whatsapp_sessions.end_requests();
        RETURN;
    END IF;
    IF is_repeated AND whatsapp_sessions.was_made(this_request) THEN
        RETURN QUERY
        SELECT s.* FROM whatsapp_sessions.sessions s
        WHERE s.lease = lease_number
            AND s.id IN (SELECT c.session_id FROM whatsapp_sessions.session_changes c WHERE c.request = this_request)
        ORDER BY s.seq;
        PERFORM whatsapp_sessions.end_requests();
        RETURN;
    END IF;
    DELETE FROM whatsapp_sessions.leases WHERE ends_at <= now;
    PERFORM set_config('whatsapp_sessions.request', this_request::text, true);
    FOR claimed IN
        SELECT s.* FROM whatsapp_sessions.sessions s
        WHERE (s.lease IS NULL OR NOT EXISTS (SELECT FROM whatsapp_sessions.leases l WHERE l.number = s.lease))
            AND whatsapp_sessions.is_readable(s)
        ORDER BY s.seq LIMIT most
    LOOP
        UPDATE whatsapp_sessions.sessions s SET lease = lease_number WHERE s.seq = claimed.seq;
        RETURN NEXT claimed;
    END LOOP;
    PERFORM whatsapp_sessions.end_requests();
END $$;


--
-- Name: close_lease(integer, bigint, text); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.close_lease(patience integer, lease bigint, holder text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
BEGIN
    DELETE FROM whatsapp_sessions.leases l WHERE l.number = $2 AND l.holder = $3;
    PERFORM whatsapp_sessions.end_requests();
END $_$;


--
-- Name: create_sessions(integer, boolean, bigint[], text[]); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.create_sessions(patience integer, is_repeated boolean, requests bigint[], ids text[]) RETURNS SETOF bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
    given record;
    made_by text;
    made bigint;
BEGIN
    FOR given IN SELECT * FROM unnest(requests, ids) AS g(request, id) LOOP
        IF is_repeated AND whatsapp_sessions.was_made(given.request) THEN
            made := (SELECT changed_at FROM whatsapp_sessions.session_changes WHERE request = given.request);
            made := coalesce((SELECT created_at FROM whatsapp_sessions.sessions WHERE id = given.id), made);
        ELSE
            made_by := set_config('whatsapp_sessions.request', given.request::text, true);
            INSERT INTO whatsapp_sessions.sessions (id, created_at) VALUES (given.id, now)
            ON CONFLICT DO NOTHING RETURNING created_at INTO made;
        END IF;
        RETURN NEXT made;
    END LOOP;
    PERFORM whatsapp_sessions.end_requests();
END $$;


--
-- Name: delete_sessions(integer, boolean, bigint[], text[]); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.delete_sessions(patience integer, is_repeated boolean, requests bigint[], ids text[]) RETURNS SETOF boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
    given record;
    made_by text;
BEGIN
    FOR given IN SELECT * FROM unnest(requests, ids) AS g(request, id) LOOP
        IF is_repeated AND whatsapp_sessions.was_made(given.request) THEN
            RETURN NEXT true;
        ELSE
            made_by := set_config('whatsapp_sessions.request', given.request::text, true);
            DELETE FROM whatsapp_sessions.sessions WHERE id = given.id;
            RETURN NEXT FOUND;
        END IF;
    END LOOP;
    PERFORM whatsapp_sessions.end_requests();
END $$;


--
-- Name: end_requests(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.end_requests() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM set_config('whatsapp_sessions.writer', '', true), set_config('whatsapp_sessions.request', '', true);
END $$;


--
-- Name: holder_of(bigint, bigint); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.holder_of(lease bigint, now bigint) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
    SELECT CASE WHEN $1 IS NOT NULL THEN (SELECT holder FROM whatsapp_sessions.leases WHERE number = $1 AND ends_at > $2) END
$_$;


--
-- Name: is_readable(whatsapp_sessions.sessions); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.is_readable(session whatsapp_sessions.sessions) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
    SELECT coalesce(($1).status IN ('initializing', 'qr_waiting', 'connected', 'disconnected'), false)
        AND coalesce(($1).wish IN ('stop', 'logout', 'pair'), true)
$_$;


--
-- Name: keep_change(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.keep_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    is_status boolean := NEW.status IS DISTINCT FROM OLD.status;
    is_reason boolean := NEW.disconnect_text IS DISTINCT FROM OLD.disconnect_text
        OR NEW.disconnect_code IS DISTINCT FROM OLD.disconnect_code;
    fields integer := 0;
    next bigint;
    now bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        fields := is_status::integer
            + 2 * (NEW.phone_number IS DISTINCT FROM OLD.phone_number)::integer
            + 4 * (NEW.name IS DISTINCT FROM OLD.name)::integer
            + 8 * (NEW.connected_at IS DISTINCT FROM OLD.connected_at)::integer
            + 16 * (NEW.qr_code IS DISTINCT FROM OLD.qr_code)::integer
            + 32 * is_reason::integer
            + 64 * (NEW.lease IS DISTINCT FROM OLD.lease)::integer
            + 128 * (NEW.restriction IS DISTINCT FROM OLD.restriction)::integer
            + 256 * (NEW.wish IS DISTINCT FROM OLD.wish)::integer;
        IF fields = 0 THEN RETURN NULL; END IF;
    END IF;
    now := whatsapp_sessions.now();
    INSERT INTO whatsapp_sessions.session_changes (
        number, session_id, previous_status, status, fields, disconnect_code, disconnect_text, changed_at, request
    ) VALUES (
        1 + coalesce((SELECT max(number) FROM whatsapp_sessions.session_changes), 0), coalesce(NEW.id, OLD.id), OLD.status,
        NEW.status, fields,
        -- Not with every new QR code: it may be long.
        CASE WHEN is_status OR is_reason THEN NEW.disconnect_code END,
        CASE WHEN is_status OR is_reason THEN NEW.disconnect_text END,
        now, nullif(current_setting('whatsapp_sessions.request', true), '')::bigint
    ) RETURNING number INTO next;
    IF next % 100 = 0 THEN PERFORM whatsapp_sessions.prune_changes(next, now); END IF;
    RETURN NULL;
END $$;


--
-- Name: keep_cursor(integer, bigint, text, bigint, bigint); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.keep_cursor(patience integer, lease bigint, holder text, history bigint, number bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
BEGIN
    IF NOT whatsapp_sessions.lives(lease, holder, now) THEN
        PERFORM whatsapp_sessions.end_requests();
        RETURN false;
    END IF;
    UPDATE whatsapp_sessions.kept_cursors c SET history = $4, number = $5 WHERE c.holder = $3;
    IF NOT FOUND THEN INSERT INTO whatsapp_sessions.kept_cursors VALUES ($3, $4, $5); END IF;
    PERFORM whatsapp_sessions.end_requests();
    RETURN true;
END $_$;


--
-- Name: keep_lease_rules(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.keep_lease_rules() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.holder IS NULL OR NEW.holder = '' THEN
        PERFORM whatsapp_sessions.refuse('lease_without_holder: a lease has a holder: name the process that serves under it');
    ELSIF TG_OP = 'UPDATE' AND (NEW.number, NEW.holder) IS DISTINCT FROM (OLD.number, OLD.holder) THEN
        PERFORM whatsapp_sessions.refuse('lease_changed: the number and the holder of a lease never change: open another lease');
    END IF;
    RETURN NEW;
END $$;


--
-- Name: keep_rules(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.keep_rules() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    rule text := whatsapp_sessions.broken_rule(
        OLD.status, NEW.status, NEW.connected_at, NEW.qr_code, NEW.disconnect_code, NEW.disconnect_text, NEW.wish);
BEGIN
    IF NEW.id IS NULL OR NEW.created_at IS NULL THEN
        rule := 'identity_missing: a session has an id and a time of creation';
    ELSIF NEW.seq <= 0 THEN
        rule := 'seq_not_positive: the database chooses seq: leave it out';
    ELSIF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT FROM whatsapp_sessions.sessions s WHERE s.id = NEW.id)
            OR EXISTS (SELECT FROM whatsapp_sessions.sessions s WHERE s.seq = NEW.seq)
        THEN
            rule := 'already_exists: a session with this id already exists: update it, or delete it first';
        END IF;
    ELSIF (NEW.seq, NEW.id, NEW.created_at) IS DISTINCT FROM (OLD.seq, OLD.id, OLD.created_at) THEN
        rule := 'identity_changed: seq, id and created_at never change: delete the session and create another';
    END IF;
    IF rule IS NOT NULL THEN PERFORM whatsapp_sessions.refuse(rule); END IF;

    -- What a statement leaves out when it changes a status or a QR code: the time of each, and the number.
    IF TG_OP = 'UPDATE' AND NEW.status <> OLD.status AND NEW.status_changed_at IS NOT DISTINCT FROM OLD.status_changed_at THEN
        NEW.status_changed_at := whatsapp_sessions.now();
    END IF;
    IF NEW.qr_code IS NULL THEN
        NEW.qr_code_received_at := NULL;
    ELSIF NEW.qr_code_received_at IS NULL
        OR NEW.qr_code IS DISTINCT FROM OLD.qr_code AND NEW.qr_code_received_at IS NOT DISTINCT FROM OLD.qr_code_received_at
    THEN
        NEW.qr_code_received_at := whatsapp_sessions.now();
    END IF;
    IF NEW.status <> 'qr_waiting' THEN
        NEW.qr_code_number := NULL;
    ELSIF NEW.qr_code IS NOT NULL AND (
        NEW.qr_code_number IS NULL
        OR NEW.qr_code IS DISTINCT FROM OLD.qr_code AND NEW.qr_code_number IS NOT DISTINCT FROM OLD.qr_code_number
    ) THEN
        NEW.qr_code_number := coalesce(OLD.qr_code_number, (OLD.qr_code IS NOT NULL)::integer, 0) + 1;
    END IF;
    RETURN NEW;
END $$;


--
-- Name: lives(bigint, text, bigint); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.lives(lease bigint, holder text, now bigint) RETURNS boolean
    LANGUAGE sql STABLE
    AS $_$
    SELECT EXISTS (SELECT FROM whatsapp_sessions.leases l WHERE l.number = $1 AND l.holder = $2 AND l.ends_at > $3)
$_$;


--
-- Name: open_lease(integer, boolean, bigint, text, bigint, boolean); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.open_lease(patience integer, is_repeated boolean, this_request bigint, holder text, milliseconds bigint, is_sole boolean) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
    opened bigint;
BEGIN
    IF is_repeated THEN
        UPDATE whatsapp_sessions.leases l SET ends_at = now + milliseconds
        WHERE l.request = this_request AND l.ends_at > now RETURNING l.number INTO opened;
        IF FOUND THEN
            PERFORM whatsapp_sessions.end_requests();
            RETURN opened;
        END IF;
    END IF;
    DELETE FROM whatsapp_sessions.leases WHERE ends_at <= now;
    IF is_sole AND EXISTS (SELECT FROM whatsapp_sessions.leases l WHERE l.holder = $4) THEN
        PERFORM whatsapp_sessions.end_requests();
        RETURN NULL;
    END IF;
    UPDATE whatsapp_sessions.state SET last_lease = greatest(now, last_lease + 1) RETURNING last_lease INTO opened;
    INSERT INTO whatsapp_sessions.leases (number, holder, ends_at, request) VALUES (opened, holder, now + milliseconds, this_request);
    PERFORM whatsapp_sessions.end_requests();
    RETURN opened;
END $_$;


--
-- Name: place(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.place() RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT concat_ws(
        '-', (SELECT system_identifier FROM pg_control_system()), left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
        (SELECT oid FROM pg_database WHERE datname = current_database())
    )
$$;


--
-- Name: prune_changes(bigint, bigint); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.prune_changes(newest bigint, now bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    first bigint := (SELECT kept_from FROM whatsapp_sessions.state);
    last bigint := least(first + 999, newest - 100000);
BEGIN
    IF last < first OR (SELECT changed_at FROM whatsapp_sessions.session_changes WHERE number = last) > now - 600000 THEN RETURN; END IF;
    DELETE FROM whatsapp_sessions.session_changes WHERE number BETWEEN first AND last;
    UPDATE whatsapp_sessions.state SET kept_from = last + 1;
END $$;


--
-- Name: recover_sessions(integer, boolean, bigint, boolean); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.recover_sessions(patience integer, is_repeated boolean, this_request bigint, only_leased boolean) RETURNS SETOF whatsapp_sessions.sessions
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
    was whatsapp_sessions.sessions;
BEGIN
    IF is_repeated AND whatsapp_sessions.was_made(this_request) THEN
        FOR was IN
            SELECT s.* FROM whatsapp_sessions.sessions s JOIN whatsapp_sessions.session_changes c ON c.session_id = s.id
            WHERE c.request = this_request AND c.fields & 1 <> 0 ORDER BY s.seq
        LOOP
            was.status := (
                SELECT c.previous_status FROM whatsapp_sessions.session_changes c
                WHERE c.request = this_request AND c.session_id = was.id
            );
            RETURN NEXT was;
        END LOOP;
        PERFORM whatsapp_sessions.end_requests();
        RETURN;
    END IF;
    DELETE FROM whatsapp_sessions.leases WHERE ends_at <= now;
    -- Asked every few seconds, and answered by the index of the leases.
    IF only_leased AND NOT EXISTS (
        SELECT FROM whatsapp_sessions.sessions s
        WHERE s.lease IS NOT NULL AND NOT EXISTS (SELECT FROM whatsapp_sessions.leases l WHERE l.number = s.lease)
    ) THEN
        PERFORM whatsapp_sessions.end_requests();
        RETURN;
    END IF;
    PERFORM set_config('whatsapp_sessions.request', this_request::text, true);
    FOR was IN
        SELECT s.* FROM whatsapp_sessions.sessions s
        WHERE s.status <> 'disconnected' AND (NOT only_leased OR s.lease IS NOT NULL) AND whatsapp_sessions.is_readable(s)
            AND NOT EXISTS (SELECT FROM whatsapp_sessions.leases l WHERE l.number = s.lease)
        ORDER BY s.seq
    LOOP
        UPDATE whatsapp_sessions.sessions s
        SET status = 'disconnected', qr_code = NULL, qr_code_received_at = NULL, qr_code_number = NULL,
            status_changed_at =
                CASE WHEN was.status_changed_at BETWEEN now AND now + 999 THEN was.status_changed_at + 1 ELSE now END,
            disconnect_code = CASE WHEN was.lease IS NULL THEN was.disconnect_code END,
            disconnect_text =
                CASE WHEN was.lease IS NULL THEN coalesce(was.disconnect_text, 'the gateway stopped') ELSE 'worker gone' END,
            lease = NULL
        WHERE s.seq = was.seq;
        RETURN NEXT was;
    END LOOP;
    -- Also of sessions that were disconnected already, so that followers hear that nobody serves them.
    FOR was IN
        SELECT s.* FROM whatsapp_sessions.sessions s
        WHERE s.lease IS NOT NULL AND NOT EXISTS (SELECT FROM whatsapp_sessions.leases l WHERE l.number = s.lease)
        ORDER BY s.seq
    LOOP
        UPDATE whatsapp_sessions.sessions s SET lease = NULL WHERE s.seq = was.seq;
    END LOOP;
    PERFORM whatsapp_sessions.end_requests();
END $$;


--
-- Name: refuse(text); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.refuse(rule text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = rule;
END $$;


--
-- Name: refuse_deletion_of_histories(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.refuse_deletion_of_histories() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM whatsapp_sessions.refuse('history_deleted: every cursor needs its history: leave it');
END $$;


--
-- Name: refuse_edit(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.refuse_edit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM whatsapp_sessions.refuse('change_inserted: the journal says what happened to a session: change the session instead');
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM whatsapp_sessions.refuse('change_edited: what happened is not edited');
    ELSIF TG_OP = 'TRUNCATE' OR OLD.number > (SELECT max(number) FROM whatsapp_sessions.session_changes) - 100000 THEN
        PERFORM whatsapp_sessions.refuse('change_deleted: the last 100,000 changes are kept');
    END IF;
    RETURN OLD;
END $$;


--
-- Name: refuse_truncate(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.refuse_truncate() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM whatsapp_sessions.refuse('truncated: TRUNCATE would leave no change in the journal: use DELETE');
END $$;


--
-- Name: renew_history(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.renew_history() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here text := whatsapp_sessions.place();
BEGIN
    IF here = (SELECT place FROM whatsapp_sessions.histories ORDER BY position DESC LIMIT 1) THEN RETURN; END IF;
    PERFORM whatsapp_sessions.take_turn();
    -- Another may have begun it meanwhile.
    IF here IS DISTINCT FROM (SELECT place FROM whatsapp_sessions.histories ORDER BY position DESC LIMIT 1) THEN
        PERFORM whatsapp_sessions.begin_history();
    END IF;
END $$;


--
-- Name: renew_leases(integer, bigint[], text[], bigint[]); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.renew_leases(patience integer, numbers bigint[], holders text[], milliseconds bigint[]) RETURNS SETOF boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
    given record;
BEGIN
    FOR given IN SELECT * FROM unnest(numbers, holders, milliseconds) AS g(number, holder, milliseconds) LOOP
        UPDATE whatsapp_sessions.leases l SET ends_at = now + given.milliseconds
        WHERE l.number = given.number AND l.holder = given.holder AND l.ends_at > now;
        RETURN NEXT FOUND;
    END LOOP;
    PERFORM whatsapp_sessions.end_requests();
END $$;


--
-- Name: restore_sessions(integer, boolean, bigint, bigint[], text[], text[], text[], text[], bigint[], bigint[], text[], bigint[], bigint[], bigint[], bigint[], text[], text[], text[], bigint[], bigint[], text[], bigint[], bigint); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.restore_sessions(patience integer, is_repeated boolean, this_request bigint, seqs bigint[], ids text[], statuses text[], phone_numbers text[], names text[], created_ats bigint[], connected_ats bigint[], qr_codes text[], status_changed_ats bigint[], qr_code_received_ats bigint[], qr_code_numbers bigint[], disconnect_codes bigint[], disconnect_texts text[], restrictions text[], wishes text[], claimed_under bigint[], leases bigint[], holders text[], ends bigint[], last_lease bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    PERFORM whatsapp_sessions.begin_requests(patience);
    -- These rows come from anywhere: under the rules.
    PERFORM set_config('whatsapp_sessions.writer', '', true);
    IF is_repeated AND whatsapp_sessions.was_made(this_request) THEN
        PERFORM whatsapp_sessions.end_requests();
        RETURN true;
    END IF;
    IF EXISTS (SELECT FROM whatsapp_sessions.sessions) THEN
        PERFORM whatsapp_sessions.end_requests();
        RETURN false;
    END IF;
    PERFORM set_config('whatsapp_sessions.request', this_request::text, true);
    INSERT INTO whatsapp_sessions.leases (number, holder, ends_at)
    SELECT * FROM unnest(leases, holders, ends) ON CONFLICT DO NOTHING;
    -- The next number is greater than all that were ever given, here and there.
    UPDATE whatsapp_sessions.state s SET last_lease = greatest(s.last_lease, $23);
    INSERT INTO whatsapp_sessions.sessions (
        seq, id, status, phone_number, name, created_at, connected_at, qr_code, status_changed_at, qr_code_received_at,
        qr_code_number, disconnect_code, disconnect_text, restriction, wish, lease
    )
    SELECT * FROM unnest(
        seqs, ids, statuses, phone_numbers, names, created_ats, connected_ats, qr_codes, status_changed_ats, qr_code_received_ats,
        qr_code_numbers, disconnect_codes, disconnect_texts, restrictions, wishes, claimed_under
    );
    PERFORM setval(pg_get_serial_sequence('whatsapp_sessions.sessions', 'seq'), max(seq)) FROM whatsapp_sessions.sessions HAVING max(seq) > 0;
    PERFORM whatsapp_sessions.end_requests();
    RETURN true;
END $_$;


--
-- Name: take_turn(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.take_turn() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Where a snapshot is older than the turn, the newest change would not be seen.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM whatsapp_sessions.refuse('isolation: sessions are changed in transactions that are READ COMMITTED');
    END IF;
    -- Whatever the defaults of the database: what was acknowledged is on disk, and at the standby where there is one.
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM pg_advisory_xact_lock(6292484648962359296 | 'whatsapp_sessions.session_changes'::regclass::oid::bigint);
END $$;


--
-- Name: take_turn_first(); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.take_turn_first() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM whatsapp_sessions.take_turn();
    PERFORM whatsapp_sessions.renew_history();
    RETURN NULL;
END $$;


--
-- Name: update_sessions(integer, boolean, bigint[], text[], integer[], text[], text[], text[], bigint[], text[], bigint[], bigint[], text[], text[], text[], bigint[], text[]); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.update_sessions(patience integer, is_repeated boolean, requests bigint[], ids text[], changes integer[], statuses text[], phone_numbers text[], names text[], connected_ats bigint[], qr_codes text[], qr_code_received_ats bigint[], disconnect_codes bigint[], disconnect_texts text[], restrictions text[], wishes text[], leases bigint[], holders text[]) RETURNS TABLE(refusal text, session whatsapp_sessions.sessions, holder text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now bigint := whatsapp_sessions.begin_requests(patience);
    given record;
    made_by text;
    was whatsapp_sessions.sessions;
    received_at bigint;
BEGIN
    FOR given IN
        SELECT * FROM unnest(
            requests, ids, changes, statuses, phone_numbers, names, connected_ats, qr_codes, qr_code_received_ats, disconnect_codes,
            disconnect_texts, restrictions, wishes, leases, holders
        ) AS g(
            request, id, changes, status, phone_number, name, connected_at, qr_code, qr_code_received_at, disconnect_code,
            disconnect_text, restriction, wish, lease, holder
        )
    LOOP
        SELECT * INTO was FROM whatsapp_sessions.sessions s WHERE s.id = given.id;
        session := was;
        refusal := CASE WHEN was.seq IS NULL THEN 'not_found' END;
        holder := NULL;
        -- Apart, since most updates need neither: an expression without a query costs a tenth.
        IF was.lease IS NOT NULL THEN holder := whatsapp_sessions.holder_of(was.lease, now); END IF;
        IF is_repeated AND refusal IS NULL AND whatsapp_sessions.was_made(given.request) THEN
            RETURN NEXT;
            CONTINUE;
        END IF;
        IF given.lease IS NOT NULL AND was.seq IS NOT NULL THEN
            refusal := CASE
                WHEN NOT whatsapp_sessions.lives(given.lease, given.holder, now) THEN 'lease_ended'
                WHEN was.lease IS DISTINCT FROM given.lease THEN 'lease_lost'
            END;
        END IF;
        IF refusal IS NOT NULL THEN
            RETURN NEXT;
            CONTINUE;
        END IF;

        session.status := coalesce(given.status, was.status);
        IF given.changes & 2 <> 0 THEN session.phone_number := given.phone_number; END IF;
        IF given.changes & 4 <> 0 THEN session.name := given.name; END IF;
        IF given.changes & 8 <> 0 THEN
            session.connected_at := given.connected_at;
        ELSIF session.status = 'connected' AND was.status <> 'connected' THEN
            session.connected_at := now;
        END IF;
        IF given.changes & 16 <> 0 THEN
            session.qr_code := given.qr_code;
        ELSIF session.status <> 'qr_waiting' THEN
            session.qr_code := NULL;
        END IF;
        IF given.changes & 32 <> 0 THEN
            session.disconnect_code := given.disconnect_code;
            session.disconnect_text := given.disconnect_text;
        ELSIF session.status = 'connected' THEN
            session.disconnect_code := NULL;
            session.disconnect_text := NULL;
        END IF;
        IF given.changes & 128 <> 0 THEN session.restriction := given.restriction; END IF;
        IF given.changes & 256 <> 0 THEN session.wish := given.wish; END IF;

        refusal := whatsapp_sessions.broken_rule(
            was.status, session.status, session.connected_at, session.qr_code, session.disconnect_code, session.disconnect_text,
            session.wish);
        IF refusal IS NOT NULL THEN
            RETURN NEXT;
            CONTINUE;
        END IF;

        -- Changes within the same moment are a millisecond apart.
        IF session.status <> was.status THEN
            session.status_changed_at :=
                CASE WHEN was.status_changed_at BETWEEN now AND now + 999 THEN was.status_changed_at + 1 ELSE now END;
        END IF;
        IF session.qr_code IS DISTINCT FROM was.qr_code THEN
            received_at := least(given.qr_code_received_at, now);
            session.qr_code_received_at := CASE
                WHEN session.qr_code IS NULL THEN NULL
                WHEN was.qr_code_received_at BETWEEN received_at AND received_at + 999 THEN was.qr_code_received_at + 1
                ELSE received_at
            END;
        END IF;
        IF session.status <> 'qr_waiting' THEN
            session.qr_code_number := NULL;
        ELSIF session.qr_code <> was.qr_code OR session.qr_code IS NOT NULL AND was.qr_code IS NULL THEN
            session.qr_code_number := coalesce(was.qr_code_number, (was.qr_code IS NOT NULL)::integer) + 1;
        END IF;

        -- What changes nothing is not written, and doesn't wait for the disk.
        IF session IS DISTINCT FROM was THEN
            made_by := set_config('whatsapp_sessions.request', given.request::text, true);
            UPDATE whatsapp_sessions.sessions s
            SET status = session.status, phone_number = session.phone_number, name = session.name,
                connected_at = session.connected_at, qr_code = session.qr_code, status_changed_at = session.status_changed_at,
                qr_code_received_at = session.qr_code_received_at, qr_code_number = session.qr_code_number,
                disconnect_code = session.disconnect_code, disconnect_text = session.disconnect_text,
                restriction = session.restriction, wish = session.wish
            WHERE s.seq = was.seq;
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM whatsapp_sessions.end_requests();
END $$;


--
-- Name: utc(bigint, text); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.utc(milliseconds bigint, format text DEFAULT 'YYYY-MM-DD HH24:MI:SS'::text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $_$
    SELECT CASE WHEN $1 BETWEEN -62135596800000 AND 253402300799999
        THEN to_char(to_timestamp($1 / 1000.0) AT TIME ZONE 'UTC', $2) END
$_$;


--
-- Name: was_made(bigint); Type: FUNCTION; Schema: whatsapp_sessions; Owner: -
--

CREATE FUNCTION whatsapp_sessions.was_made(this_request bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM whatsapp_sessions.session_changes WHERE request = this_request) THEN RETURN false; END IF;
    PERFORM pg_logical_emit_message(true, 'whatsapp_sessions', '');
    RETURN true;
END $$;


--
-- Name: histories; Type: TABLE; Schema: whatsapp_sessions; Owner: -
--

CREATE TABLE whatsapp_sessions.histories (
    "position" integer NOT NULL,
    history bigint NOT NULL,
    after bigint NOT NULL,
    place text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: kept_cursors; Type: TABLE; Schema: whatsapp_sessions; Owner: -
--

CREATE TABLE whatsapp_sessions.kept_cursors (
    holder text NOT NULL COLLATE pg_catalog."C",
    history bigint NOT NULL,
    number bigint NOT NULL
);


--
-- Name: leases; Type: TABLE; Schema: whatsapp_sessions; Owner: -
--

CREATE TABLE whatsapp_sessions.leases (
    number bigint NOT NULL,
    holder text NOT NULL COLLATE pg_catalog."C",
    ends_at bigint NOT NULL,
    request bigint
);


--
-- Name: migrations; Type: TABLE; Schema: whatsapp_sessions; Owner: -
--

CREATE TABLE whatsapp_sessions.migrations (
    number integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: session_changes; Type: TABLE; Schema: whatsapp_sessions; Owner: -
--

CREATE TABLE whatsapp_sessions.session_changes (
    number bigint NOT NULL,
    session_id text NOT NULL COLLATE pg_catalog."C",
    previous_status text COLLATE pg_catalog."C",
    status text COLLATE pg_catalog."C",
    fields integer NOT NULL,
    disconnect_code bigint,
    disconnect_text text COLLATE pg_catalog."C",
    changed_at bigint NOT NULL,
    request bigint
);


--
-- Name: session_history; Type: VIEW; Schema: whatsapp_sessions; Owner: -
--

CREATE VIEW whatsapp_sessions.session_history AS
 SELECT session_changes.number,
    whatsapp_sessions.utc(session_changes.changed_at, 'YYYY-MM-DD HH24:MI:SS.MS'::text) AS changed_utc,
    session_changes.session_id,
        CASE
            WHEN (session_changes.previous_status IS NULL) THEN 'created'::text
            WHEN (session_changes.status IS NULL) THEN 'deleted'::text
            ELSE 'updated'::text
        END AS kind,
    session_changes.previous_status,
    session_changes.status,
    concat_ws(', '::text,
        CASE
            WHEN ((session_changes.fields & 1) <> 0) THEN 'status'::text
            ELSE NULL::text
        END,
        CASE
            WHEN ((session_changes.fields & 2) <> 0) THEN 'phone_number'::text
            ELSE NULL::text
        END,
        CASE
            WHEN ((session_changes.fields & 4) <> 0) THEN 'name'::text
            ELSE NULL::text
        END,
        CASE
            WHEN ((session_changes.fields & 8) <> 0) THEN 'connected_at'::text
            ELSE NULL::text
        END,
        CASE
            WHEN ((session_changes.fields & 16) <> 0) THEN 'qr_code'::text
            ELSE NULL::text
        END,
        CASE
            WHEN ((session_changes.fields & 32) <> 0) THEN 'disconnect_reason'::text
            ELSE NULL::text
        END,
        CASE
            WHEN ((session_changes.fields & 64) <> 0) THEN 'holder'::text
            ELSE NULL::text
        END,
        CASE
            WHEN ((session_changes.fields & 128) <> 0) THEN 'restriction'::text
            ELSE NULL::text
        END,
        CASE
            WHEN ((session_changes.fields & 256) <> 0) THEN 'wish'::text
            ELSE NULL::text
        END) AS fields,
    (COALESCE((session_changes.disconnect_code || ', '::text), ''::text) || session_changes.disconnect_text) AS disconnect_reason
   FROM whatsapp_sessions.session_changes
  ORDER BY session_changes.number;


--
-- Name: session_overview; Type: VIEW; Schema: whatsapp_sessions; Owner: -
--

CREATE VIEW whatsapp_sessions.session_overview AS
 SELECT s.id,
    s.status,
    whatsapp_sessions.age(((t.now / 1000) - (COALESCE(s.status_changed_at, s.created_at) / 1000))) AS status_age,
    s.phone_number,
    s.name,
    whatsapp_sessions.utc(s.created_at) AS created_utc,
    whatsapp_sessions.utc(s.connected_at) AS connected_utc,
    whatsapp_sessions.age(((t.now / 1000) - (s.created_at / 1000))) AS age,
        CASE
            WHEN (s.qr_code IS NULL) THEN 'no'::text
            ELSE 'yes'::text
        END AS has_qr_code,
        CASE
            WHEN (s.qr_code IS NOT NULL) THEN GREATEST((0)::bigint, ((t.now / 1000) - (s.qr_code_received_at / 1000)))
            ELSE NULL::bigint
        END AS qr_code_seconds,
    (COALESCE((s.disconnect_code || ', '::text), ''::text) || s.disconnect_text) AS disconnect_reason,
    l.holder,
    s.restriction,
    s.wish
   FROM ((whatsapp_sessions.sessions s
     CROSS JOIN ( SELECT whatsapp_sessions.now() AS now) t(now))
     LEFT JOIN whatsapp_sessions.leases l ON (((l.number = s.lease) AND (l.ends_at > t.now))))
  ORDER BY s.seq;


--
-- Name: sessions_seq_seq; Type: SEQUENCE; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE whatsapp_sessions.sessions ALTER COLUMN seq ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME whatsapp_sessions.sessions_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: state; Type: TABLE; Schema: whatsapp_sessions; Owner: -
--

CREATE TABLE whatsapp_sessions.state (
    id integer NOT NULL,
    last_lease bigint NOT NULL,
    kept_from bigint NOT NULL,
    CONSTRAINT state_id_check CHECK ((id = 1))
);


--
-- Data for Name: histories; Type: TABLE DATA; Schema: whatsapp_sessions; Owner: -
--

INSERT INTO whatsapp_sessions.histories VALUES (1, 210102374521258259, 0, '7713860628337475643-00000001-295026');


--
-- Data for Name: kept_cursors; Type: TABLE DATA; Schema: whatsapp_sessions; Owner: -
--

INSERT INTO whatsapp_sessions.kept_cursors VALUES ('webhooks', 210102374521258259, 9);


--
-- Data for Name: leases; Type: TABLE DATA; Schema: whatsapp_sessions; Owner: -
--

INSERT INTO whatsapp_sessions.leases VALUES (1796038535439, 'webhooks', 1796038595439, 2694267678654201866);
INSERT INTO whatsapp_sessions.leases VALUES (1796038535448, 'eu-1', 1796038595448, 2694267678654201868);


--
-- Data for Name: migrations; Type: TABLE DATA; Schema: whatsapp_sessions; Owner: -
--

INSERT INTO whatsapp_sessions.migrations VALUES (1, '2026-11-30 11:35:35.393761+00');


--
-- Data for Name: session_changes; Type: TABLE DATA; Schema: whatsapp_sessions; Owner: -
--

INSERT INTO whatsapp_sessions.session_changes VALUES (1, 'support', NULL, 'initializing', 0, NULL, NULL, 1796038535432, 2694267678654201857);
INSERT INTO whatsapp_sessions.session_changes VALUES (2, 'sales', NULL, 'initializing', 0, NULL, NULL, 1796038535433, 2694267678654201858);
INSERT INTO whatsapp_sessions.session_changes VALUES (3, 'billing', NULL, 'initializing', 0, NULL, NULL, 1796038535434, 2694267678654201859);
INSERT INTO whatsapp_sessions.session_changes VALUES (4, 'old', NULL, 'initializing', 0, NULL, NULL, 1796038535434, 2694267678654201860);
INSERT INTO whatsapp_sessions.session_changes VALUES (5, 'shop', NULL, 'initializing', 0, NULL, NULL, 1796038535434, 2694267678654201861);
INSERT INTO whatsapp_sessions.session_changes VALUES (6, 'support', 'initializing', 'qr_waiting', 17, NULL, NULL, 1796038535436, 2694267678654201862);
INSERT INTO whatsapp_sessions.session_changes VALUES (7, 'sales', 'initializing', 'qr_waiting', 17, NULL, NULL, 1796038535437, 2694267678654201863);
INSERT INTO whatsapp_sessions.session_changes VALUES (8, 'support', 'qr_waiting', 'qr_waiting', 2, NULL, NULL, 1796038535438, 2694267678654201864);
INSERT INTO whatsapp_sessions.session_changes VALUES (9, 'support', 'qr_waiting', 'connected', 25, NULL, NULL, 1796038535439, 2694267678654201865);
INSERT INTO whatsapp_sessions.session_changes VALUES (10, 'shop', 'initializing', 'initializing', 64, NULL, NULL, 1796038535450, 2694267678654201869);
INSERT INTO whatsapp_sessions.session_changes VALUES (11, 'sales', 'qr_waiting', 'qr_waiting', 384, NULL, NULL, 1796038535451, 2694267678654201870);
INSERT INTO whatsapp_sessions.session_changes VALUES (12, 'support', 'connected', 'connected', 4, NULL, NULL, 1796038535463, 2694267678654201871);
INSERT INTO whatsapp_sessions.session_changes VALUES (13, 'billing', 'initializing', 'disconnected', 33, 401, 'logged out on the phone', 1796038535464, 2694267678654201872);
INSERT INTO whatsapp_sessions.session_changes VALUES (14, 'old', 'initializing', NULL, 0, NULL, NULL, 1796038535464, 2694267678654201873);


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: whatsapp_sessions; Owner: -
--

INSERT INTO whatsapp_sessions.sessions VALUES (5, 'shop', 'initializing', NULL, NULL, 1796038535434, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1796038535448);
INSERT INTO whatsapp_sessions.sessions VALUES (2, 'sales', 'qr_waiting', NULL, NULL, 1796038535433, NULL, '2@code', 1796038535437, 1796038535437, 1, NULL, NULL, 'new chats', 'logout', NULL);
INSERT INTO whatsapp_sessions.sessions VALUES (1, 'support', 'connected', '447700900123', 'Ana Souza ☕0', 1796038535431, 1772542821250, NULL, 1796038535439, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO whatsapp_sessions.sessions VALUES (3, 'billing', 'disconnected', NULL, NULL, 1796038535433, NULL, NULL, 1796038535464, NULL, NULL, 401, 'logged out on the phone', NULL, NULL, NULL);


--
-- Data for Name: state; Type: TABLE DATA; Schema: whatsapp_sessions; Owner: -
--

INSERT INTO whatsapp_sessions.state VALUES (1, 1796038535448, 1);


--
-- Name: sessions_seq_seq; Type: SEQUENCE SET; Schema: whatsapp_sessions; Owner: -
--

SELECT pg_catalog.setval('whatsapp_sessions.sessions_seq_seq', 5, true);


--
-- Name: sessions already_exists; Type: CONSTRAINT; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE ONLY whatsapp_sessions.sessions
    ADD CONSTRAINT already_exists EXCLUDE USING hash (id WITH =);


--
-- Name: histories histories_history_key; Type: CONSTRAINT; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE ONLY whatsapp_sessions.histories
    ADD CONSTRAINT histories_history_key UNIQUE (history);


--
-- Name: histories histories_pkey; Type: CONSTRAINT; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE ONLY whatsapp_sessions.histories
    ADD CONSTRAINT histories_pkey PRIMARY KEY ("position");


--
-- Name: leases leases_pkey; Type: CONSTRAINT; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE ONLY whatsapp_sessions.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (number);


--
-- Name: migrations migrations_pkey; Type: CONSTRAINT; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE ONLY whatsapp_sessions.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (number);


--
-- Name: kept_cursors one_cursor; Type: CONSTRAINT; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE ONLY whatsapp_sessions.kept_cursors
    ADD CONSTRAINT one_cursor EXCLUDE USING hash (holder WITH =);


--
-- Name: session_changes session_changes_pkey; Type: CONSTRAINT; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE ONLY whatsapp_sessions.session_changes
    ADD CONSTRAINT session_changes_pkey PRIMARY KEY (number);


--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE ONLY whatsapp_sessions.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (seq);


--
-- Name: state state_pkey; Type: CONSTRAINT; Schema: whatsapp_sessions; Owner: -
--

ALTER TABLE ONLY whatsapp_sessions.state
    ADD CONSTRAINT state_pkey PRIMARY KEY (id);


--
-- Name: session_changes_by_request; Type: INDEX; Schema: whatsapp_sessions; Owner: -
--

CREATE INDEX session_changes_by_request ON whatsapp_sessions.session_changes USING btree (request) WHERE (request IS NOT NULL);


--
-- Name: sessions_by_lease; Type: INDEX; Schema: whatsapp_sessions; Owner: -
--

CREATE INDEX sessions_by_lease ON whatsapp_sessions.sessions USING btree (lease) WHERE (lease IS NOT NULL);


--
-- Name: sessions change_is_kept; Type: TRIGGER; Schema: whatsapp_sessions; Owner: -
--

CREATE TRIGGER change_is_kept AFTER INSERT OR DELETE OR UPDATE ON whatsapp_sessions.sessions FOR EACH ROW EXECUTE FUNCTION whatsapp_sessions.keep_change();


--
-- Name: histories no_deletion; Type: TRIGGER; Schema: whatsapp_sessions; Owner: -
--

CREATE TRIGGER no_deletion BEFORE DELETE OR TRUNCATE ON whatsapp_sessions.histories FOR EACH STATEMENT EXECUTE FUNCTION whatsapp_sessions.refuse_deletion_of_histories();


--
-- Name: session_changes no_edit; Type: TRIGGER; Schema: whatsapp_sessions; Owner: -
--

CREATE TRIGGER no_edit BEFORE INSERT OR DELETE OR UPDATE ON whatsapp_sessions.session_changes FOR EACH ROW WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION whatsapp_sessions.refuse_edit();


--
-- Name: session_changes no_truncate; Type: TRIGGER; Schema: whatsapp_sessions; Owner: -
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON whatsapp_sessions.session_changes FOR EACH STATEMENT EXECUTE FUNCTION whatsapp_sessions.refuse_edit();


--
-- Name: sessions no_truncate; Type: TRIGGER; Schema: whatsapp_sessions; Owner: -
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON whatsapp_sessions.sessions FOR EACH STATEMENT EXECUTE FUNCTION whatsapp_sessions.refuse_truncate();


--
-- Name: leases rules; Type: TRIGGER; Schema: whatsapp_sessions; Owner: -
--

CREATE TRIGGER rules BEFORE INSERT OR UPDATE ON whatsapp_sessions.leases FOR EACH ROW WHEN ((current_setting('whatsapp_sessions.writer'::text, true) IS DISTINCT FROM 'library'::text)) EXECUTE FUNCTION whatsapp_sessions.keep_lease_rules();


--
-- Name: sessions rules; Type: TRIGGER; Schema: whatsapp_sessions; Owner: -
--

CREATE TRIGGER rules BEFORE INSERT OR UPDATE ON whatsapp_sessions.sessions FOR EACH ROW WHEN ((current_setting('whatsapp_sessions.writer'::text, true) IS DISTINCT FROM 'library'::text)) EXECUTE FUNCTION whatsapp_sessions.keep_rules();


--
-- Name: leases turn; Type: TRIGGER; Schema: whatsapp_sessions; Owner: -
--

CREATE TRIGGER turn BEFORE INSERT OR DELETE OR UPDATE ON whatsapp_sessions.leases FOR EACH STATEMENT WHEN ((current_setting('whatsapp_sessions.writer'::text, true) IS DISTINCT FROM 'library'::text)) EXECUTE FUNCTION whatsapp_sessions.take_turn_first();


--
-- Name: sessions turn; Type: TRIGGER; Schema: whatsapp_sessions; Owner: -
--

CREATE TRIGGER turn BEFORE INSERT OR DELETE OR UPDATE ON whatsapp_sessions.sessions FOR EACH STATEMENT WHEN ((current_setting('whatsapp_sessions.writer'::text, true) IS DISTINCT FROM 'library'::text)) EXECUTE FUNCTION whatsapp_sessions.take_turn_first();


--
-- PostgreSQL database dump complete
--


