#include <sqlite3.h>

#if SQLITE_VERSION_NUMBER < 3037000
#error "whatsapp-sessions needs SQLite 3.37 or newer (STRICT tables): install a newer libsqlite3-dev."
#endif

// `sqlite3_db_config` is variadic, which Swift cannot call: https://sqlite.org/c3ref/db_config.html
static inline int whatsapp_sessions_db_config(sqlite3 *connection, int option, int value) {
    return sqlite3_db_config(connection, option, value, (int *)0);
}

// What an option is: 1 or 0.
static inline int whatsapp_sessions_db_config_value(sqlite3 *connection, int option) {
    int value = 0;
    sqlite3_db_config(connection, option, -1, &value);
    return value;
}
