#pragma once

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

// A mutex with a condition, whose timed waits count by a clock that nobody sets.
typedef struct whatsapp_sessions_lock whatsapp_sessions_lock;

whatsapp_sessions_lock *whatsapp_sessions_lock_create(void);
void whatsapp_sessions_lock_destroy(whatsapp_sessions_lock *lock);
void whatsapp_sessions_lock_take(whatsapp_sessions_lock *lock);
void whatsapp_sessions_lock_release(whatsapp_sessions_lock *lock);

// Releases the lock, waits until it is woken, and takes it again.
void whatsapp_sessions_lock_wait(whatsapp_sessions_lock *lock);

// The same, for so many seconds at most.
void whatsapp_sessions_lock_wait_for(whatsapp_sessions_lock *lock, double seconds);

// Wakes all that wait.
void whatsapp_sessions_lock_wake(whatsapp_sessions_lock *lock);
