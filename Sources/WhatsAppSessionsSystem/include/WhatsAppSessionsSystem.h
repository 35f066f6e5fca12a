#pragma once

#include <pthread.h>

// System calls that differ between Linux and macOS.

// Which files have three names, by device and inode, without following a link; zeros where there is none. And how long the
// second one is.
typedef struct {
    unsigned long long device[3], inode[3];
    long long second_size;
} whatsapp_sessions_look;

whatsapp_sessions_look whatsapp_sessions_look_at(const char *first, const char *second, const char *third);

// Whether a descriptor is open on the second of those files.
int whatsapp_sessions_is_second(int descriptor, const whatsapp_sessions_look *look);

// Renames a file, unless something has the new name; -1 and errno if that fails.
int whatsapp_sessions_rename_exclusively(const char *from, const char *to);

// Starts a detached thread. Returns 0, or the error number of pthread_create.
int whatsapp_sessions_start_thread(void (*body)(void *), void *context);

// Initializes a condition whose timed waits count by a clock that nobody sets. Returns 0, or an error number.
int whatsapp_sessions_condition_init(pthread_cond_t *condition);

// Waits for a condition, for so many seconds at most. Returns 0, or an error number: ETIMEDOUT when they are over.
int whatsapp_sessions_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, double seconds);
