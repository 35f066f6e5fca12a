// What a good C programmer would write first on SQLite: statements prepared once, texts bound without a copy,
// autocommit, and the values of a row copied out. One thread at a time may use it.
#ifndef BASELINE_H
#define BASELINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct baseline baseline;

typedef enum { INITIALIZING, QR_WAITING, CONNECTED, DISCONNECTED } baseline_status;

typedef struct {
    char *id, *phone_number, *name, *qr_code, *disconnect_text;
    baseline_status status;
    bool has_connected_at, has_status_changed_at, has_qr_code_received_at, has_disconnect_code;
    int64_t created_at, connected_at, status_changed_at, qr_code_received_at, disconnect_code, qr_code_number;
} baseline_session;

// A change: of a field that can be cleared, whether it changes and to what. A NULL status keeps it.
typedef struct {
    const char *status, *phone_number, *name, *qr_code;
    int64_t connected_at;
    // No operation here sets a reason.
    bool sets_phone_number, sets_name, sets_connected_at, sets_qr_code, sets_disconnect_reason;
} baseline_updates;

// Opens a database in memory (`:memory:`) or a durable file, and runs the schema. NULL when that fails.
baseline *baseline_open(const char *path, const char *schema);
void baseline_close(baseline *);

// Each does its work for every id and returns for how many it succeeded.
size_t baseline_create(baseline *, char *const *ids, size_t count);
size_t baseline_get(baseline *, char *const *ids, size_t count);
size_t baseline_exists(baseline *, char *const *ids, size_t count);
size_t baseline_update(baseline *, char *const *ids, size_t count, const baseline_updates *);
size_t baseline_delete(baseline *, char *const *ids, size_t count);
// Returns how many sessions there are.
size_t baseline_get_all(baseline *);

// The bytes that this process has allocated.
size_t baseline_allocated(void);
#endif
