#include <sqlite3.h>

#if SQLITE_VERSION_NUMBER < 3037000
#error "whatsapp-sessions needs SQLite 3.37 or newer (STRICT tables): install a newer libsqlite3-dev."
#endif
