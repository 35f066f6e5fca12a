#include "baseline.h"
#include <malloc.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMNS \
    "id, status, phone_number, name, created_at, connected_at, qr_code, status_changed_at, qr_code_received_at," \
    " disconnect_code, disconnect_text, qr_code_number"
#define NEW_STATUS "coalesce(?2, status)"
#define NEW_QR_CODE "CASE WHEN ?9 THEN ?10 WHEN " NEW_STATUS " = 'qr_waiting' THEN qr_code END"
// The library's rule: changes in one millisecond are a millisecond apart.
#define AFTER(time) "iif(" time " BETWEEN ?11 AND ?11 + 999, " time " + 1, ?11)"
#define NEW_REASON(column, value) \
    column " = CASE WHEN ?12 THEN " value " WHEN " NEW_STATUS " <> 'connected' THEN " column " END"

struct baseline {
    sqlite3 *db;
    sqlite3_stmt *insert, *select, *select_all, *exists, *update, *delete;
};

static bool prepare(baseline *b, sqlite3_stmt **statement, const char *sql) {
    return sqlite3_prepare_v3(b->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) == SQLITE_OK;
}

baseline *baseline_open(const char *path, const char *schema) {
    baseline *b = calloc(1, sizeof *b);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    bool is_file = strcmp(path, ":memory:") != 0;
    if (sqlite3_open_v2(path, &b->db, flags, NULL) == SQLITE_OK
        && (!is_file
            || sqlite3_exec(b->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", NULL, NULL, NULL) == SQLITE_OK)
        && sqlite3_exec(b->db, schema, NULL, NULL, NULL) == SQLITE_OK
        && prepare(b, &b->insert, "INSERT INTO sessions (id, created_at) VALUES (?1, ?2)")
        && prepare(b, &b->select, "SELECT " COLUMNS " FROM sessions WHERE id = ?1")
        && prepare(b, &b->select_all, "SELECT " COLUMNS " FROM sessions ORDER BY seq")
        && prepare(b, &b->exists, "SELECT 1 FROM sessions WHERE id = ?1")
        && prepare(b, &b->update,
            "UPDATE sessions SET"
            " status = " NEW_STATUS ","
            " phone_number = iif(?3, ?4, phone_number),"
            " name = iif(?5, ?6, name),"
            " connected_at = CASE"
            "  WHEN ?7 THEN ?8 WHEN ?2 = 'connected' AND status <> 'connected' THEN ?11 ELSE connected_at END,"
            " qr_code = " NEW_QR_CODE ","
            " status_changed_at ="
            "  iif(" NEW_STATUS " IS status, status_changed_at, " AFTER("status_changed_at") "),"
            " qr_code_received_at = CASE WHEN " NEW_QR_CODE " IS qr_code THEN qr_code_received_at"
            "  WHEN " NEW_QR_CODE " IS NOT NULL THEN " AFTER("qr_code_received_at") " END,"
            " qr_code_number = CASE WHEN " NEW_STATUS " <> 'qr_waiting' THEN NULL"
            "  WHEN " NEW_QR_CODE " IS NULL OR " NEW_QR_CODE " IS qr_code THEN qr_code_number"
            "  ELSE coalesce(qr_code_number, 0) + 1 END,"
            NEW_REASON(" disconnect_code", "?13") ","
            NEW_REASON(" disconnect_text", "?14")
            " WHERE id = ?1 RETURNING " COLUMNS)
        && prepare(b, &b->delete, "DELETE FROM sessions WHERE id = ?1"))
        return b;
    baseline_close(b);
    return NULL;
}

void baseline_close(baseline *b) {
    sqlite3_stmt *statements[] = {b->insert, b->select, b->select_all, b->exists, b->update, b->delete};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) sqlite3_finalize(statements[i]);
    sqlite3_close(b->db);
    free(b);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void bind(sqlite3_stmt *statement, int index, const char *text) {
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

static char *text(sqlite3_stmt *statement, int column) {
    const unsigned char *bytes = sqlite3_column_text(statement, column);
    if (!bytes) return NULL;
    size_t size = (size_t)sqlite3_column_bytes(statement, column) + 1;
    return memcpy(malloc(size), bytes, size);
}

static baseline_status status(sqlite3_stmt *statement, int column) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (!strcmp(text, "initializing")) return INITIALIZING;
    if (!strcmp(text, "qr_waiting")) return QR_WAITING;
    if (!strcmp(text, "connected")) return CONNECTED;
    return DISCONNECTED;
}

static baseline_session row(sqlite3_stmt *statement) {
    return (baseline_session){
        .id = text(statement, 0),
        .status = status(statement, 1),
        .phone_number = text(statement, 2),
        .name = text(statement, 3),
        .created_at = sqlite3_column_int64(statement, 4),
        .has_connected_at = sqlite3_column_type(statement, 5) != SQLITE_NULL,
        .connected_at = sqlite3_column_int64(statement, 5),
        .qr_code = text(statement, 6),
        .has_status_changed_at = sqlite3_column_type(statement, 7) != SQLITE_NULL,
        .status_changed_at = sqlite3_column_int64(statement, 7),
        .has_qr_code_received_at = sqlite3_column_type(statement, 8) != SQLITE_NULL,
        .qr_code_received_at = sqlite3_column_int64(statement, 8),
        .has_disconnect_code = sqlite3_column_type(statement, 9) != SQLITE_NULL,
        .disconnect_code = sqlite3_column_int64(statement, 9),
        .disconnect_text = text(statement, 10),
        .qr_code_number = sqlite3_column_int64(statement, 11),
    };
}

static void release(baseline_session *session) {
    free(session->id);
    free(session->phone_number);
    free(session->name);
    free(session->qr_code);
    free(session->disconnect_text);
}

size_t baseline_create(baseline *b, char *const *ids, size_t count) {
    size_t created = 0;
    for (size_t i = 0; i < count; i++) {
        bind(b->insert, 1, ids[i]);
        sqlite3_bind_int64(b->insert, 2, now());
        created += sqlite3_step(b->insert) == SQLITE_DONE;
        sqlite3_reset(b->insert);
    }
    return created;
}

size_t baseline_get(baseline *b, char *const *ids, size_t count) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        bind(b->select, 1, ids[i]);
        if (sqlite3_step(b->select) == SQLITE_ROW) {
            baseline_session session = row(b->select);
            found += session.id != NULL;
            release(&session);
        }
        sqlite3_reset(b->select);
    }
    return found;
}

size_t baseline_exists(baseline *b, char *const *ids, size_t count) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        bind(b->exists, 1, ids[i]);
        found += sqlite3_step(b->exists) == SQLITE_ROW;
        sqlite3_reset(b->exists);
    }
    return found;
}

size_t baseline_update(baseline *b, char *const *ids, size_t count, const baseline_updates *updates) {
    size_t updated = 0;
    for (size_t i = 0; i < count; i++) {
        bind(b->update, 1, ids[i]);
        bind(b->update, 2, updates->status);
        sqlite3_bind_int(b->update, 3, updates->sets_phone_number);
        bind(b->update, 4, updates->phone_number);
        sqlite3_bind_int(b->update, 5, updates->sets_name);
        bind(b->update, 6, updates->name);
        sqlite3_bind_int(b->update, 7, updates->sets_connected_at);
        sqlite3_bind_int64(b->update, 8, updates->connected_at);
        sqlite3_bind_int(b->update, 9, updates->sets_qr_code);
        bind(b->update, 10, updates->qr_code);
        sqlite3_bind_int64(b->update, 11, now());
        sqlite3_bind_int(b->update, 12, updates->sets_disconnect_reason);
        if (sqlite3_step(b->update) == SQLITE_ROW) {
            baseline_session session = row(b->update);
            updated += sqlite3_step(b->update) == SQLITE_DONE;
            release(&session);
        }
        sqlite3_reset(b->update);
    }
    return updated;
}

size_t baseline_delete(baseline *b, char *const *ids, size_t count) {
    size_t deleted = 0;
    for (size_t i = 0; i < count; i++) {
        bind(b->delete, 1, ids[i]);
        sqlite3_step(b->delete);
        sqlite3_reset(b->delete);
        deleted += (size_t)sqlite3_changes(b->db);
    }
    return deleted;
}

size_t baseline_get_all(baseline *b) {
    size_t count = 0, capacity = 0;
    baseline_session *sessions = NULL;
    while (sqlite3_step(b->select_all) == SQLITE_ROW) {
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            sessions = realloc(sessions, capacity * sizeof *sessions);
        }
        sessions[count++] = row(b->select_all);
    }
    sqlite3_reset(b->select_all);
    for (size_t i = 0; i < count; i++) release(&sessions[i]);
    free(sessions);
    return count;
}

size_t baseline_allocated(void) {
    struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
}
