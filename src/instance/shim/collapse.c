/* Huge pages for a busy zygote: a fork passes on one entry for 2 MB, and so does the child's end with it.
 *
 * Of a large heap a fork copies 512 entries for each 2 MB else. With 100 MB this halves what an Instance costs. Of the program's
 * own code a fork copies none: each Instance meets it page by page, as faults, and its end takes each page apart again. So the parts
 * that an Instance uses become memory of no file, which saves a quarter of a hello-world's faults, and what can be is made one mapping.
 *
 * Smaller memory keeps its entries, one for each page, since an Instance writes here and there in it and would have to take a huge
 * page apart. But its pages become parts of huge ones all the same: the kernel counts, copies and drops neighbours' entries at once.
 * A fork and an end are a quarter cheaper so.
 */
#include "shim.h"
#include "sys.h"

enum {
    MADV_COLLAPSE_ = 25 /* Linux 6.1 */, PROT_READ_ = 1, PROT_WRITE_ = 2, PROT_EXEC_ = 4, MAP_PRIVATE_ = 2, MAP_ANONYMOUS_ = 32,
    MREMAP_MAYMOVE_ = 1, MREMAP_FIXED_ = 2, LINE_MAX = 256,
};

#define PAGE 4096ul
#define HUGE (2ul << 20)
#define PAGES (HUGE / PAGE)

/* What has this size gets entries for 2 MB. */
#define LARGE (8ul << 20)

/* Most blocks of code that are copied, which cost the zygote their memory; and the least pages of one that an Instance uses. */
enum { BLOCKS_MAX = 8, PAGES_MIN = PAGES / 8 };

/* Most pieces of smaller memory, the least size of one, and of all together, which are there twice for a moment; bytes. */
enum { PIECES_MAX = 64, PIECE_MIN = 32 << 10, PIECES_BYTES_MAX = 16 << 20 };

enum { STATX_NLINK_ = 4 };

/* Children, inits among them, whose pages are looked at. */
enum { LOOKED_AT = 6 };

struct mapping {
    ulong start, end, inode; /* of no file: 0 */
    ulong protection;        /* as mmap(2) has it */
    int is_private;
    int is_read;             /* private, of a file, not writable */
    int is_code;             /* such a one that can be executed */
};

/* Memory that has been written to, in small pages. */
struct pieces {
    struct mapping of[PIECES_MAX];
    ulong count, size;
};

/* Neighbouring mappings of one file, some of which can be executed. */
struct program {
    ulong start, end, inode;
    int is_code;
};

/* The blocks that an Instance uses most of, with how many pages. */
struct blocks {
    ulong at[BLOCKS_MAX], pages[BLOCKS_MAX];
};

static ulong number(const char **at, ulong base)
{
    ulong value = 0;
    for (;; ++*at) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value * base + (ulong)(c - '0');
        else if (base == 16 && c >= 'a' && c <= 'f')
            value = value * base + (ulong)(c - 'a' + 10);
        else
            return value;
    }
}

/* "start-end perms offset major:minor inode path"; false, and nothing changed, for a line of another kind. */
static int parse_mapping(const char *line, struct mapping *mapping)
{
    const char *at = line;
    ulong start = number(&at, 16);
    if (at == line || *at++ != '-')
        return 0;
    ulong end = number(&at, 16);
    if (*at++ != ' ')
        return 0;
    ulong protection = (at[0] == 'r' ? PROT_READ_ : 0u) | (at[1] == 'w' ? PROT_WRITE_ : 0u) | (at[2] == 'x' ? PROT_EXEC_ : 0u);
    int is_private = at[3] == 'p';
    for (int spaces = 0; spaces < 3; at++) {
        if (!*at)
            return 0;
        spaces += *at == ' ';
    }
    ulong inode = number(&at, 10);
    int is_read = is_private && inode && (protection & (PROT_READ_ | PROT_WRITE_)) == PROT_READ_;
    *mapping = (struct mapping){ start, end, inode, protection, is_private, is_read, is_read && (protection & PROT_EXEC_) };
    return 1;
}

/* What follows that name in a line; 0 in one of another kind. */
static const char *after(const char *name, const char *line)
{
    while (*name)
        if (*line++ != *name++)
            return 0;
    return line;
}

/* "Anonymous:   123 kB" in bytes, what lies in no file; 0 for a line of another kind. */
static ulong parse_anonymous(const char *line)
{
    line = after("Anonymous:", line);
    if (!line)
        return 0;
    for (; *line == ' '; line++)
        ;
    return number(&line, 10) << 10;
}

/* "VmFlags: rd wr ..." (proc_pid_smaps(5)): whether a copy without them is as good. Memory that a child gets none or zeros of, that is
 * locked or grows by itself is another matter. */
static int parse_plain(const char *line)
{
    static const char plain[][3] = { "rd", "wr", "mr", "mw", "me", "ac", "nr", "sd", "dd" };
    line = after("VmFlags:", line);
    while (line && *line == ' ' && line[1] && line[2]) {
        int known = 0;
        for (ulong i = 0; i < sizeof plain / sizeof *plain; i++)
            known |= line[1] == plain[i][0] && line[2] == plain[i][1];
        if (!known)
            return 0;
        line += 3;
    }
    return line != 0;
}

/* Only what is mostly there: a sparse mapping would be filled up. */
static int is_mostly_there(const struct mapping *mapping, ulong anonymous)
{
    ulong size = mapping->end - mapping->start;
    return anonymous >= size - size / 4;
}

/* Entries for 2 MB at once. */
static void collapse_heap(const struct mapping *mapping)
{
    ulong size = mapping->end - mapping->start;
    if (mapping->is_private && (mapping->protection & PROT_WRITE_) && !mapping->inode && size >= LARGE)
        SYS3(NR_madvise, mapping->start, size, MADV_COLLAPSE_);
}

/* Constants that a library's loader has written are taken as well. Not our own stack: it is written to meanwhile. */
static void note_piece(struct pieces *pieces, const struct mapping *mapping)
{
    ulong size = mapping->end - mapping->start, here = (ulong)&size;
    int is_stack = here >= mapping->start && here < mapping->end;
    if (!mapping->is_private || is_stack || size < PIECE_MIN || size >= LARGE || pieces->count == PIECES_MAX
        || pieces->size + size > PIECES_BYTES_MAX)
        return;
    pieces->of[pieces->count++] = *mapping;
    pieces->size += size;
}

static long open_to_read(const char *path)
{
    return SYS4(NR_openat, AT_FDCWD_, path, O_RDONLY_ | O_CLOEXEC_, 0);
}

/* How many pages of a block a process has mapped: bit 63 of their entries (proc_pid_pagemap(5)). */
static ulong pages_of(long pagemap, ulong block)
{
    u64 entries[PAGES];
    ulong count = 0;
    if (SYS4(NR_pread64, pagemap, entries, sizeof entries, block / PAGE * sizeof *entries) != sizeof entries)
        return 0;
    for (ulong i = 0; i < PAGES; i++)
        count += entries[i] >> 63;
    return count;
}

/* The same of that one of some that has mapped most. */
static ulong most_pages_of(const long pagemaps[LOOKED_AT], ulong block)
{
    ulong most = 0;
    for (int i = 0; i < LOOKED_AT; i++) {
        ulong pages = pages_of(pagemaps[i], block);
        most = pages > most ? pages : most;
    }
    return most;
}

static void note(struct blocks *blocks, ulong block, ulong pages)
{
    int least = 0;
    for (int i = 1; i < BLOCKS_MAX; i++)
        if (blocks->pages[i] < blocks->pages[least])
            least = i;
    if (pages >= PAGES_MIN && pages > blocks->pages[least]) {
        blocks->at[least] = block;
        blocks->pages[least] = pages;
    }
}

/* A fork copies each mapping, and an end drops it: of a library's five there are two left when its constants can be executed, too. */
static void join(const struct program *program)
{
    SYS3(NR_mprotect, program->start, program->end - program->start, PROT_READ_ | PROT_EXEC_);
}

static void note_program(struct blocks *blocks, const struct program *program, const long pagemaps[LOOKED_AT])
{
    ulong block = (program->start + HUGE - 1) & ~(HUGE - 1);
    if (program->is_code)
        join(program);
    for (; program->is_code && block + HUGE <= program->end; block += HUGE)
        note(blocks, block, most_pages_of(pagemaps, block));
}

/* Adds a mapping to the program it belongs to, or begins another. */
static void follow(struct program *program, const struct mapping *mapping, struct blocks *blocks, const long pagemaps[LOOKED_AT])
{
    if (!mapping->is_read || mapping->inode != program->inode || mapping->start != program->end) {
        note_program(blocks, program, pagemaps);
        *program = (struct program){ mapping->start, mapping->start, mapping->is_read ? mapping->inode : 0, 0 };
    }
    program->end = mapping->end;
    program->is_code |= mapping->is_code;
}

/* Room for huge pages; 0 where there is none. What follows it, up to a huge page more, is given back with it. */
static ulong map_room(ulong size)
{
    ulong room = (ulong)sys6(NR_mmap, 0, size + HUGE, PROT_READ_ | PROT_WRITE_, MAP_PRIVATE_ | MAP_ANONYMOUS_, (ulong)-1, 0);
    if (room > -PAGE)
        return 0;
    ulong aligned = (room + HUGE - 1) & ~(HUGE - 1);
    SYS2(NR_munmap, room, aligned - room);
    SYS2(NR_munmap, aligned + size, room + HUGE - aligned);
    return aligned;
}

/* Copies memory; by the kernel: to read ourselves what a file has lost meanwhile would be our end. */
static int copy(long memory, ulong to, ulong from, ulong size)
{
    return SYS4(NR_pread64, memory, to, size, from) == (long)size;
}

static int move(ulong from, ulong size, ulong protection, ulong to)
{
    return SYS3(NR_mprotect, from, size, protection) == 0
        && SYS5(NR_mremap, from, size, size, MREMAP_MAYMOVE_ | MREMAP_FIXED_, to) == (long)to;
}

/* Puts a copy of no file in the place of a block. Where there is no huge page to be had, or the host forbids such memory to be
 * executed, it stays as it is. Constants between code can be executed then, too. */
static int replace(long memory, ulong block)
{
    ulong room = map_room(HUGE);
    if (!room)
        return 0;
    if (copy(memory, room, block, HUGE) && SYS3(NR_madvise, room, HUGE, MADV_COLLAPSE_) == 0
        && move(room, HUGE, PROT_READ_ | PROT_EXEC_, block))
        return 1;
    SYS2(NR_munmap, room, HUGE);
    return 0;
}

/* The folder of threads has one link for each, and two. */
static int is_single_threaded(void)
{
    struct { u32 mask, block; u64 attributes; u32 links; char rest[STATX_BYTES - 20]; } folder;
    return SYS5(NR_statx, AT_FDCWD_, "/proc/self/task", 0, STATX_NLINK_, &folder) == 0 && folder.links == 3;
}

/* Puts copies that lie side by side in huge pages in the place of the pieces; false if nothing was. Nothing but our stack may be
 * written to between copying and moving: by no other thread, by no handler of a signal. */
static int replace_pieces(long memory, const struct pieces *pieces)
{
    u64 all = ~0ull, before;
    ulong size = (pieces->size + HUGE - 1) & ~(HUGE - 1), room = size && is_single_threaded() ? map_room(size) : 0, at = room;
    if (!room)
        return 0;
    int copied = 1;
    SYS4(NR_rt_sigprocmask, SIG_SETMASK_, &all, &before, sizeof all);
    for (ulong i = 0; i < pieces->count; i++) {
        const struct mapping *piece = &pieces->of[i];
        copied = copied && copy(memory, at, piece->start, piece->end - piece->start);
        at += piece->end - piece->start;
    }
    copied = copied && SYS3(NR_madvise, room, size, MADV_COLLAPSE_) == 0;
    if (copied) {
        at = room;
        for (ulong i = 0; i < pieces->count; i++) {
            const struct mapping *piece = &pieces->of[i];
            move(at, piece->end - piece->start, piece->protection, piece->start);
            at += piece->end - piece->start;
        }
    }
    SYS4(NR_rt_sigprocmask, SIG_SETMASK_, &before, 0, sizeof before);
    /* The rest, and all if there were no huge pages. */
    SYS2(NR_munmap, room, size);
    return copied;
}

/* Whether that process is a fork of ours and no init: it has a page of our stack. */
static int is_fork(long pagemap)
{
    u64 entry = 0;
    ulong here = (ulong)&entry;
    return SYS4(NR_pread64, pagemap, &entry, sizeof entry, here / PAGE * sizeof entry) == sizeof entry && entry >> 63;
}

/* What some Instances have mapped, the oldest first, since they have warmed up by now. The numbers that fork gave are not those of this
 * /proc, which may be of a namespace above; the list of children has them. */
static void open_pagemaps(long pagemaps[LOOKED_AT])
{
    char text[4096], path[48] = "/proc/";
    long fd = open_to_read("/proc/thread-self/children"), length = fd < 0 ? 0 : SYS3(NR_read, fd, text, sizeof text), from = 0;
    int found = 0;
    SYS1(NR_close, fd);
    while (from < length && found < LOOKED_AT) {
        char *at = path + 6;
        /* Each number is followed by a space. */
        for (; from < length && text[from] != ' ' && at < path + 20; from++)
            *at++ = text[from];
        for (const char *rest = "/pagemap"; *rest;)
            *at++ = *rest++;
        *at = 0;
        from++;
        pagemaps[found] = open_to_read(path);
        if (is_fork(pagemaps[found]))
            found++;
        else
            SYS1(NR_close, pagemaps[found]);
    }
    while (found < LOOKED_AT)
        pagemaps[found++] = -1;
}

int fnlite_collapse(void)
{
    static int is_moved; /* once is enough, where code is looked for again */
    char block[4096], line[LINE_MAX];
    int is_there = 0;
    struct mapping mapping = { 0 };
    struct pieces pieces = { 0 };
    struct program program = { 0 };
    struct blocks blocks = { { 0 }, { 0 } };
    ulong length = 0;
    long got, fd = open_to_read("/proc/self/smaps"), pagemaps[LOOKED_AT];
    open_pagemaps(pagemaps);
    while (fd >= 0 && (got = SYS3(NR_read, fd, block, sizeof block)) > 0)
        for (long i = 0; i < got; i++) {
            if (block[i] != '\n') {
                /* What is cut is the path, which nobody reads. */
                if (length < LINE_MAX - 1)
                    line[length++] = block[i];
                continue;
            }
            line[length] = 0;
            length = 0;
            if (parse_mapping(line, &mapping)) {
                follow(&program, &mapping, &blocks, pagemaps);
                is_there = 0;
            } else if (is_mostly_there(&mapping, parse_anonymous(line))) {
                is_there = 1;
                collapse_heap(&mapping);
            } else if (is_there && parse_plain(line))
                note_piece(&pieces, &mapping);
        }
    note_program(&blocks, &program, pagemaps);
    SYS1(NR_close, fd);
    for (int i = 0; i < LOOKED_AT; i++)
        SYS1(NR_close, pagemaps[i]);
    int replaced = 0;
    long memory = open_to_read("/proc/self/mem");
    for (int i = 0; i < BLOCKS_MAX; i++)
        replaced += blocks.at[i] && replace(memory, blocks.at[i]);
    is_moved = is_moved || replace_pieces(memory, &pieces);
    SYS1(NR_close, memory);
    return replaced;
}
