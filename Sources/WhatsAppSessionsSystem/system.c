#define _GNU_SOURCE
#include "WhatsAppSessionsSystem.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    unsigned long long device, inode;
    long long size;
} file_id;

static file_id no_file(void) { return (file_id){0, 0, 0}; }

#if defined(__linux__)
#include <sys/sysmacros.h>

static file_id look(int folder, const char *path, int flags) {
    struct statx status;
    // Asking for its times too, as `stat` does, would make the next write and sync of it a third slower: Linux then gives that
    // write a new time, which it stores.
    if (statx(folder, path, flags, STATX_INO | STATX_SIZE, &status) == 0)
        return (file_id){makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino, (long long)status.stx_size};
    // Old container engines refuse a system call that they don't know.
    struct stat plain;
    if ((errno != EPERM && errno != ENOSYS) || fstatat(folder, path, &plain, flags) != 0) return no_file();
    return (file_id){plain.st_dev, plain.st_ino, plain.st_size};
}
static file_id look_at_path(const char *path) { return look(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW); }
static file_id look_at_descriptor(int descriptor) { return look(descriptor, "", AT_EMPTY_PATH); }

int whatsapp_sessions_rename_exclusively(const char *from, const char *to) {
    int result = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    if (result == 0 || (errno != EINVAL && errno != ENOSYS)) return result;
    // A file system that cannot, such as a network drive, has hard links.
    result = link(from, to);
    if (result == 0) unlink(from);
    return result;
}
#else
static file_id id_of(const struct stat *status) {
    return (file_id){(unsigned long long)status->st_dev, (unsigned long long)status->st_ino, (long long)status->st_size};
}
static file_id look_at_path(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 ? id_of(&status) : no_file();
}
static file_id look_at_descriptor(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) == 0 ? id_of(&status) : no_file();
}

int whatsapp_sessions_rename_exclusively(const char *from, const char *to) { return renamex_np(from, to, RENAME_EXCL); }
#endif

whatsapp_sessions_look whatsapp_sessions_look_at(const char *first, const char *second, const char *third) {
    file_id a = look_at_path(first), b = look_at_path(second), c = look_at_path(third);
    return (whatsapp_sessions_look){{a.device, b.device, c.device}, {a.inode, b.inode, c.inode}, b.size};
}

int whatsapp_sessions_is_second(int descriptor, const whatsapp_sessions_look *look) {
    file_id id = look_at_descriptor(descriptor);
    return id.device == look->device[1] && id.inode == look->inode[1];
}

typedef struct {
    void (*body)(void *);
    void *context;
} start;

static void *run(void *argument) {
    start given = *(start *)argument;
    free(argument);
    given.body(given.context);
    return 0;
}

int whatsapp_sessions_start_thread(void (*body)(void *), void *context) {
    start *given = malloc(sizeof(start));
    if (!given) return ENOMEM;
    *given = (start){body, context};
    pthread_attr_t attributes;
    pthread_t thread;
    int code = pthread_attr_init(&attributes);
    if (code == 0) {
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        code = pthread_create(&thread, &attributes, run, given);
        pthread_attr_destroy(&attributes);
    }
    if (code != 0) free(given);
    return code;
}

struct whatsapp_sessions_lock {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
};

whatsapp_sessions_lock *whatsapp_sessions_lock_create(void) {
    whatsapp_sessions_lock *lock = malloc(sizeof(whatsapp_sessions_lock));
    // As Swift does without memory.
    if (!lock) abort();
    pthread_mutex_init(&lock->mutex, 0);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#if defined(__linux__)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&lock->condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return lock;
}

void whatsapp_sessions_lock_destroy(whatsapp_sessions_lock *lock) {
    pthread_cond_destroy(&lock->condition);
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

void whatsapp_sessions_lock_take(whatsapp_sessions_lock *lock) { pthread_mutex_lock(&lock->mutex); }

void whatsapp_sessions_lock_release(whatsapp_sessions_lock *lock) { pthread_mutex_unlock(&lock->mutex); }

void whatsapp_sessions_lock_wait(whatsapp_sessions_lock *lock) { pthread_cond_wait(&lock->condition, &lock->mutex); }

void whatsapp_sessions_lock_wake(whatsapp_sessions_lock *lock) { pthread_cond_broadcast(&lock->condition); }

static struct timespec after(double seconds, struct timespec start) {
    long long nanoseconds = (long long)(seconds * 1e9) + start.tv_nsec;
    return (struct timespec){start.tv_sec + nanoseconds / 1000000000, nanoseconds % 1000000000};
}

#if defined(__linux__)
void whatsapp_sessions_lock_wait_for(whatsapp_sessions_lock *lock, double seconds) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct timespec end = after(seconds, now);
    pthread_cond_timedwait(&lock->condition, &lock->mutex, &end);
}
#else
void whatsapp_sessions_lock_wait_for(whatsapp_sessions_lock *lock, double seconds) {
    struct timespec rest = after(seconds, (struct timespec){0, 0});
    pthread_cond_timedwait_relative_np(&lock->condition, &lock->mutex, &rest);
}
#endif
