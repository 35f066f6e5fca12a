#define _GNU_SOURCE
#include "slow_disk.h"
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

static atomic_long syncs;

long slow_disk_syncs(void) { return atomic_load(&syncs); }

// As a disk that takes so many microseconds more for each sync.
static void count_and_sleep(void) {
    atomic_fetch_add(&syncs, 1);
    const char *text = getenv("SLOW_DISK_MICROSECONDS");
    long microseconds = text ? atol(text) : 0;
    if (microseconds == 0) return;
    struct timespec time = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&time, NULL);
}

int fdatasync(int file) {
    static int (*original)(int);
    if (!original) original = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    count_and_sleep();
    return original(file);
}

int fsync(int file) {
    static int (*original)(int);
    if (!original) original = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    count_and_sleep();
    return original(file);
}
