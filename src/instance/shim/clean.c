/* Between two events of a process that is kept for many: nothing that the first one started or wrote to temporary files is
 * there for the second. Only in a pid namespace of the process's own; elsewhere it would kill strangers. */
#include "shim.h"
#include "sys.h"

/* Deepest folder that is emptied. Who made deeper ones gets no further event. */
enum { DEPTH_MAX = 64 };

enum { ENTRIES_BYTES = 2048, ENTRY_TYPE = 18, ENTRY_NAME = 19, DT_DIR_ = 4 };

static int empty_folder(long folder, int depth);

/* A folder its maker locked is opened once more after that is undone. */
static long open_folder(long above, const char *name)
{
    const int flags = O_RDONLY_ | O_DIRECTORY_ | O_NOFOLLOW_ | O_CLOEXEC_;
    long folder = SYS4(NR_openat, above, name, flags, 0);
    if (folder != -EACCES_)
        return folder;
    SYS3(NR_fchmodat, above, name, 0700);
    return SYS4(NR_openat, above, name, flags, 0);
}

static int remove_entry(long above, const char *name, int is_folder, int depth)
{
    if (!is_folder)
        return SYS3(NR_unlinkat, above, name, 0) < 0 ? -1 : 0;
    long folder = open_folder(above, name);
    if (folder < 0)
        return -1;
    int failed = empty_folder(folder, depth + 1);
    SYS1(NR_close, folder);
    return failed || SYS3(NR_unlinkat, above, name, AT_REMOVEDIR_) < 0 ? -1 : 0;
}

static int is_self_or_above(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Removes what is in it and closes nothing. Entries are read again from the start until none is left: removing some moves the
 * others. */
static int empty_folder(long folder, int depth)
{
    char entries[ENTRIES_BYTES] __attribute__((aligned(8)));
    if (depth > DEPTH_MAX)
        return -1;
    /* What its maker may have taken from everybody: the two at the top are open to all. */
    SYS2(NR_fchmod, folder, depth ? 0700 : 01777);
    for (;;) {
        int removed = 0;
        SYS3(NR_lseek, folder, 0, 0);
        long length = SYS3(NR_getdents64, folder, entries, sizeof entries);
        if (length < 0)
            return -1;
        for (long at = 0; at < length;) {
            char *entry = entries + at;
            at += *(unsigned short *)(entry + 16);
            if (is_self_or_above(entry + ENTRY_NAME))
                continue;
            if (remove_entry(folder, entry + ENTRY_NAME, entry[ENTRY_TYPE] == DT_DIR_, depth))
                return -1;
            removed = 1;
        }
        if (!removed)
            return 0;
    }
}

static int empty(const char *name)
{
    long folder = open_folder(AT_FDCWD_, name);
    int failed = folder < 0 || empty_folder(folder, 0);
    SYS1(NR_close, folder);
    return failed;
}

/* Ends the process where it cannot be clean: the server then takes another. Tells the server otherwise. */
void fnlite_clean(void)
{
    /* Its children, and theirs, which the namespace's init buries: until there is nobody to send to. The server does not wait
     * for ever. */
    while (SYS2(NR_kill, -1, SIGKILL_) == 0) {
        long reaped;
        do
            reaped = SYS4(NR_wait4, -1, 0, 0, 0);
        while (reaped > 0 || reaped == -EINTR_);
        if (SYS2(NR_kill, -1, 0) == 0)
            pause_ms(1);
    }
    if (empty("/tmp") || empty("/dev/shm") || fnlite_notice('C'))
        SYS1(NR_exit_group, 0);
}
