#include <stdint.h>

// A disk and a memory that fail on demand, under SQLite. All of it is process-wide; it is armed by one thread, and threads
// may use SQLite meanwhile.

enum { FAULT_NONE, FAULT_IO_ERROR, FAULT_FULL, FAULT_SHORT_READ };
enum { EVENT_WRITE, EVENT_TRUNCATE, EVENT_SYNC, EVENT_DELETE };

/// Registers the disk as the default VFS: https://sqlite.org/vfs.html
void faults_install_disk(void);
/// The operation with this number, counted from 1 from now on, fails, or that and all that follow. 0: none.
void faults_arm_disk(int kind, int operation, int for_good);
/// How many operations there were since the disk was armed.
int faults_disk_operations(void);
/// Lets every sync take so many microseconds.
void faults_slow_disk(int microseconds);
/// How many temporary files SQLite has opened on the disk.
int faults_temporary_files(void);
/// How many pages were written into a database's file since the last call, and how many of them while the thread that wrote
/// them did not hold the write lock of the log. For one file at a time, with a write-ahead log.
void faults_count_page_writes(int *all, int *unlocked);
/// Is told of every write, truncation (offset: the new size), sync and deletion (count: whether it was synced) that was
/// done. NULL: nobody.
void faults_observe_disk(void (*observer)(int event, const char *path, int64_t offset, const void *bytes, int count));

/// Puts a failing allocator under SQLite; before its first use: https://sqlite.org/c3ref/c_config_covering_index_scan.html
void faults_install_memory(void);
/// The allocation with this number fails, or that and all that follow. 0: none.
void faults_arm_memory(int allocation, int for_good);
int faults_allocations(void);
