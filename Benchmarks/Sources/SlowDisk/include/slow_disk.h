// A library to preload: counts the syncs of a process, and lets each take SLOW_DISK_MICROSECONDS longer.
long slow_disk_syncs(void);
