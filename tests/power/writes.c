/* What a server writes to its database, in order: preloaded into it by tests/it/power.rs.
 *
 * Every write, truncation, sync and unlink of the files POWER_DB, POWER_DB-wal and POWER_DB-journal is appended to the file
 * POWER_LOG, with its bytes; so is every sync of their folder. One lock is held from before the operation until it is noted, so the log's order is the order
 * in which things came about: what is noted before a sync was written before it began. The test appends to the same file
 * what the server has promised; both append with one call, which the kernel does not interleave.
 *
 * The operations are made as plain system calls, so that nothing here calls itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NONE = -1, FOLDER = 3 };

/* As tests/it/power/disk.rs reads it. */
struct entry {
    uint64_t kind;
    uint64_t file;
    uint64_t offset;
    uint64_t length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *db;
static size_t db_length, folder_length;
static int log_fd = NONE;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("POWER_LOG");
    db = getenv("POWER_DB");
    if (!path || !db || db[0] != '/')
        abort();
    db_length = strlen(db);
    folder_length = (size_t)(strrchr(db, '/') - db);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log_fd < 0)
        abort();
}

/* 0 the database, 1 its write-ahead log, 2 its rollback journal, 3 their folder. */
static int file_of_path(const char *path)
{
    static const char *const endings[] = { "", "-wal", "-journal" };

    if (!db)
        return NONE;
    if (strlen(path) == folder_length && strncmp(path, db, folder_length) == 0)
        return FOLDER;
    if (strncmp(path, db, db_length) != 0)
        return NONE;
    for (int file = 0; file < 3; file++)
        if (strcmp(path + db_length, endings[file]) == 0)
            return file;
    return NONE;
}

static int file_of(int fd)
{
    char link[32], path[PATH_MAX];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0)
        return NONE;
    path[length] = 0;
    return file_of_path(path);
}

static void note(char kind, int file, uint64_t offset, const void *bytes, uint64_t length)
{
    struct entry entry = { (unsigned char)kind, (uint64_t)file, offset, length };
    struct iovec parts[] = { { &entry, sizeof entry }, { (void *)bytes, bytes ? length : 0 } };
    ssize_t whole = (ssize_t)(parts[0].iov_len + parts[1].iov_len);
    int before = errno;

    if (syscall(SYS_writev, log_fd, parts, 2) != whole)
        abort();
    errno = before;
}

static ssize_t written(int file, off_t offset, const void *bytes, ssize_t length)
{
    if (length > 0)
        note('w', file, (uint64_t)offset, bytes, (uint64_t)length);
    pthread_mutex_unlock(&lock);
    return length;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    int file = file_of(fd);
    off_t offset;

    if (file == NONE)
        return syscall(SYS_write, fd, bytes, length);
    pthread_mutex_lock(&lock);
    offset = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    return written(file, offset, bytes, syscall(SYS_write, fd, bytes, length));
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    int file = file_of(fd);

    if (file == NONE)
        return syscall(SYS_pwrite64, fd, bytes, length, offset);
    pthread_mutex_lock(&lock);
    return written(file, offset, bytes, syscall(SYS_pwrite64, fd, bytes, length, offset));
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return pwrite64(fd, bytes, length, offset);
}

int ftruncate64(int fd, off64_t length)
{
    int file = file_of(fd), result;

    if (file == NONE)
        return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    result = (int)syscall(SYS_ftruncate, fd, length);
    if (result == 0)
        note('t', file, (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

static int synced(int fd, long call)
{
    int file = file_of(fd), result;

    if (file == NONE)
        return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    result = (int)syscall(call, fd);
    if (result == 0)
        note('s', file, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd)
{
    return synced(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return synced(fd, SYS_fdatasync);
}

int unlink(const char *path)
{
    int file = file_of_path(path), result;

    if (file == NONE)
        return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&lock);
    result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (result == 0)
        note('u', file, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

/* None of the three is renamed; a test that meets one must not go on as if nothing had happened. */
int rename(const char *from, const char *to)
{
    if (file_of_path(from) != NONE || file_of_path(to) != NONE)
        abort();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
