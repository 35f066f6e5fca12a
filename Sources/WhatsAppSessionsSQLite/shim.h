#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

#if SQLITE_VERSION_NUMBER < 3037000
#error "whatsapp-sessions needs SQLite 3.37 or newer (STRICT tables): install a newer libsqlite3-dev."
#endif

// `sqlite3_db_config` is variadic, which Swift cannot call: https://sqlite.org/c3ref/db_config.html
static inline int whatsapp_sessions_db_config(sqlite3 *connection, int option, int value) {
    return sqlite3_db_config(connection, option, value, (int *)0);
}

// A file's device and inode, without following a link; zeros where there is no file. Asking for its times too, as `stat` does,
// would make the next write and sync of it a third slower: Linux then gives that write a new time, which it stores.
typedef struct {
    unsigned long long device, inode;
} whatsapp_sessions_file_id;

// On Linux these are declared here: <sys/stat.h> and <unistd.h> would make Swift think that they belong to this module.
#if defined(__linux__)
#include <linux/stat.h>
extern int statx(int folder, const char *path, int flags, unsigned int fields, struct statx *result);
extern int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags);
extern int link(const char *from, const char *to);
extern int unlink(const char *path);
#define WHATSAPP_SESSIONS_AT_FDCWD (-100)
#define WHATSAPP_SESSIONS_AT_SYMLINK_NOFOLLOW 0x100
#define WHATSAPP_SESSIONS_AT_EMPTY_PATH 0x1000
#define WHATSAPP_SESSIONS_RENAME_NOREPLACE 1

static inline whatsapp_sessions_file_id whatsapp_sessions_statx(int folder, const char *path, int flags) {
    struct statx status;
    whatsapp_sessions_file_id id = {0, 0};
    if (statx(folder, path, flags, STATX_INO, &status) == 0) {
        id.device = ((unsigned long long)status.stx_dev_major << 32) | status.stx_dev_minor;
        id.inode = status.stx_ino;
    }
    return id;
}
static inline whatsapp_sessions_file_id whatsapp_sessions_get_file_id(const char *path) {
    return whatsapp_sessions_statx(WHATSAPP_SESSIONS_AT_FDCWD, path, WHATSAPP_SESSIONS_AT_SYMLINK_NOFOLLOW);
}
static inline whatsapp_sessions_file_id whatsapp_sessions_get_descriptor_id(int descriptor) {
    return whatsapp_sessions_statx(descriptor, "", WHATSAPP_SESSIONS_AT_EMPTY_PATH);
}

// Renames a file, unless something has the new name. A file system that cannot, such as a network drive, has hard links.
static inline int whatsapp_sessions_rename_exclusively(const char *from, const char *to) {
    int result = renameat2(
        WHATSAPP_SESSIONS_AT_FDCWD, from, WHATSAPP_SESSIONS_AT_FDCWD, to, WHATSAPP_SESSIONS_RENAME_NOREPLACE);
    if (result == 0 || (errno != EINVAL && errno != ENOSYS)) return result;
    result = link(from, to);
    if (result == 0) unlink(from);
    return result;
}
#else
#include <sys/stat.h>

static inline whatsapp_sessions_file_id whatsapp_sessions_get_file_id(const char *path) {
    struct stat status;
    whatsapp_sessions_file_id id = {0, 0};
    if (lstat(path, &status) == 0) {
        id.device = (unsigned long long)status.st_dev;
        id.inode = (unsigned long long)status.st_ino;
    }
    return id;
}
static inline whatsapp_sessions_file_id whatsapp_sessions_get_descriptor_id(int descriptor) {
    struct stat status;
    whatsapp_sessions_file_id id = {0, 0};
    if (fstat(descriptor, &status) == 0) {
        id.device = (unsigned long long)status.st_dev;
        id.inode = (unsigned long long)status.st_ino;
    }
    return id;
}

static inline int whatsapp_sessions_rename_exclusively(const char *from, const char *to) {
    return renamex_np(from, to, RENAME_EXCL);
}
#endif
