#include "faults.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <unistd.h>

static int kind, fail_at, for_good, sync_microseconds;
static atomic_int operations, temporary_files, page_writes, unlocked_page_writes;
static void (*observer)(int, const char *, int64_t, const void *, int);

// The thread whose connection holds the write lock of the log; one file at a time is watched.
static _Atomic(pthread_t) writer;
static atomic_int is_write_locked;

static int fails(int at, int sticky, atomic_int *count) {
    int number = atomic_fetch_add(count, 1) + 1;
    return at && (sticky ? number >= at : number == at);
}

// The file that SQLite sees; the real one follows it in memory.
typedef struct { sqlite3_file base; const char *path; int is_database; } File;
static sqlite3_file *real(sqlite3_file *file) { return (sqlite3_file *)((File *)file + 1); }
#define CALL(method, ...) real(file)->pMethods->method(real(file), ##__VA_ARGS__)

static void tell(sqlite3_file *file, int event, int64_t offset, const void *bytes, int count) {
    if (observer && ((File *)file)->path) observer(event, ((File *)file)->path, offset, bytes, count);
}

static int xClose(sqlite3_file *file) { return CALL(xClose); }
static int xRead(sqlite3_file *file, void *buffer, int count, sqlite3_int64 offset) {
    if (fails(kind == FAULT_FULL ? 0 : fail_at, for_good, &operations)) {
        if (kind != FAULT_SHORT_READ) return SQLITE_IOERR_READ;
        for (int i = 0; i < count; i++) ((char *)buffer)[i] = 0;
        return SQLITE_IOERR_SHORT_READ;
    }
    return CALL(xRead, buffer, count, offset);
}
static int xWrite(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    if (fails(kind == FAULT_SHORT_READ ? 0 : fail_at, for_good, &operations))
        return kind == FAULT_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    if (((File *)file)->is_database) {
        atomic_fetch_add(&page_writes, 1);
        if (!is_write_locked || !pthread_equal(writer, pthread_self())) atomic_fetch_add(&unlocked_page_writes, 1);
    }
    int code = CALL(xWrite, bytes, count, offset);
    if (code == SQLITE_OK) tell(file, EVENT_WRITE, offset, bytes, count);
    return code;
}
static int xTruncate(sqlite3_file *file, sqlite3_int64 size) {
    if (fails(kind == FAULT_IO_ERROR ? fail_at : 0, for_good, &operations)) return SQLITE_IOERR_TRUNCATE;
    int code = CALL(xTruncate, size);
    if (code == SQLITE_OK) tell(file, EVENT_TRUNCATE, size, 0, 0);
    return code;
}
static int xSync(sqlite3_file *file, int flags) {
    if (fails(kind == FAULT_IO_ERROR ? fail_at : 0, for_good, &operations)) return SQLITE_IOERR_FSYNC;
    if (sync_microseconds) usleep((useconds_t)sync_microseconds);
    int code = CALL(xSync, flags);
    if (code == SQLITE_OK) tell(file, EVENT_SYNC, 0, 0, 0);
    return code;
}
static int xFileSize(sqlite3_file *file, sqlite3_int64 *size) { return CALL(xFileSize, size); }
static int xLock(sqlite3_file *file, int level) { return CALL(xLock, level); }
static int xUnlock(sqlite3_file *file, int level) { return CALL(xUnlock, level); }
static int xCheckReservedLock(sqlite3_file *file, int *result) { return CALL(xCheckReservedLock, result); }
static int xFileControl(sqlite3_file *file, int op, void *argument) { return CALL(xFileControl, op, argument); }
static int xSectorSize(sqlite3_file *file) { return CALL(xSectorSize); }
static int xDeviceCharacteristics(sqlite3_file *file) {
    // No promises: a power loss may tear a write and keep a later one.
    (void)file;
    return 0;
}
static int xShmMap(sqlite3_file *file, int page, int size, int extend, void volatile **memory) {
    return CALL(xShmMap, page, size, extend, memory);
}
static int xShmLock(sqlite3_file *file, int offset, int count, int flags) {
    // Lock 0 is the write lock: https://sqlite.org/walformat.html#wal_locks
    int is_write_lock = offset == 0 && (flags & SQLITE_SHM_EXCLUSIVE);
    if (is_write_lock && (flags & SQLITE_SHM_UNLOCK)) is_write_locked = 0;
    int code = CALL(xShmLock, offset, count, flags);
    if (is_write_lock && (flags & SQLITE_SHM_LOCK) && code == SQLITE_OK) {
        writer = pthread_self();
        is_write_locked = 1;
    }
    return code;
}
static void xShmBarrier(sqlite3_file *file) { CALL(xShmBarrier); }
static int xShmUnmap(sqlite3_file *file, int delete) { return CALL(xShmUnmap, delete); }

static const sqlite3_io_methods methods = {
    2, xClose, xRead, xWrite, xTruncate, xSync, xFileSize, xLock, xUnlock, xCheckReservedLock, xFileControl,
    xSectorSize, xDeviceCharacteristics, xShmMap, xShmLock, xShmBarrier, xShmUnmap, 0, 0,
};

static sqlite3_vfs *below, disk;

static int xOpen(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out) {
    (void)vfs;
    file->pMethods = 0;
    ((File *)file)->path = path;
    ((File *)file)->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    if (flags & (SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL))
        atomic_fetch_add(&temporary_files, 1);
    int code = below->xOpen(below, path, real(file), flags, out);
    if (code == SQLITE_OK) file->pMethods = &methods;
    return code;
}

static int xDelete(sqlite3_vfs *vfs, const char *path, int sync) {
    (void)vfs;
    int code = below->xDelete(below, path, sync);
    if (code == SQLITE_OK && observer) observer(EVENT_DELETE, path, 0, 0, sync);
    return code;
}

void faults_install_disk(void) {
    below = sqlite3_vfs_find(0);
    disk = *below;
    disk.zName = "faults";
    disk.szOsFile = (int)sizeof(File) + below->szOsFile;
    disk.xOpen = xOpen;
    disk.xDelete = xDelete;
    sqlite3_vfs_register(&disk, 1);
}

void faults_arm_disk(int new_kind, int operation, int new_for_good) {
    kind = new_kind;
    fail_at = operation;
    for_good = new_for_good;
    operations = 0;
}

int faults_disk_operations(void) { return operations; }

void faults_slow_disk(int microseconds) { sync_microseconds = microseconds; }

int faults_temporary_files(void) { return temporary_files; }

void faults_count_page_writes(int *all, int *unlocked) {
    *all = atomic_exchange(&page_writes, 0);
    *unlocked = atomic_exchange(&unlocked_page_writes, 0);
}

void faults_observe_disk(void (*new_observer)(int, const char *, int64_t, const void *, int)) { observer = new_observer; }

static sqlite3_mem_methods allocator;
static int allocation_fails_at, allocation_for_good;
static atomic_int allocations;

static void *xMalloc(int size) {
    return fails(allocation_fails_at, allocation_for_good, &allocations) ? 0 : allocator.xMalloc(size);
}
static void *xRealloc(void *memory, int size) {
    return fails(allocation_fails_at, allocation_for_good, &allocations) ? 0 : allocator.xRealloc(memory, size);
}

void faults_install_memory(void) {
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &allocator);
    sqlite3_mem_methods failing = allocator;
    failing.xMalloc = xMalloc;
    failing.xRealloc = xRealloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
}

void faults_arm_memory(int allocation, int sticky) {
    allocation_fails_at = allocation;
    allocation_for_good = sticky;
    allocations = 0;
}

int faults_allocations(void) { return allocations; }
