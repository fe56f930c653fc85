/* Huge pages for a busy zygote: a fork passes on one entry for 2 MB, and so does the child's end with it.
 *
 * Of a large heap a fork copies 512 entries for each 2 MB else. With 100 MB this halves what an Instance costs. Of the program's
 * own code a fork copies none: each Instance meets it page by page, as faults, and its end takes each page apart again. So the parts
 * that an Instance uses become memory of no file, which saves a quarter of a hello-world's faults.
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

/* Heaps smaller than this are not worth it. */
#define LARGE (8ul << 20)

/* Most blocks of code that are copied, which cost the zygote their memory; and the least pages of one that an Instance uses. */
enum { BLOCKS_MAX = 4, PAGES_MIN = PAGES / 8 };

/* Children, inits among them, whose pages are looked at. */
enum { LOOKED_AT = 6 };

struct mapping {
    ulong start, end, inode; /* of no file: 0 */
    int is_heap;             /* private, writable, of no file */
    int is_read;             /* private, of a file, not writable */
    int is_code;             /* such a one that can be executed */
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
    int is_read = at[0] == 'r' && at[1] == '-' && at[3] == 'p', is_code = at[2] == 'x';
    int is_written = at[0] == 'r' && at[1] == 'w' && at[3] == 'p';
    for (int spaces = 0; spaces < 3; at++) {
        if (!*at)
            return 0;
        spaces += *at == ' ';
    }
    ulong inode = number(&at, 10);
    *mapping = (struct mapping){ start, end, inode, is_written && !inode, is_read && inode, is_read && inode && is_code };
    return 1;
}

/* "Rss:   123 kB" in bytes; 0 for a line of another kind. */
static ulong parse_resident(const char *line)
{
    if (line[0] != 'R' || line[1] != 's' || line[2] != 's' || line[3] != ':')
        return 0;
    for (line += 4; *line == ' '; line++)
        ;
    return number(&line, 10) << 10;
}

/* Only what is mostly resident: a sparse mapping would be filled up. */
static void collapse_heap(const struct mapping *mapping, ulong resident)
{
    ulong size = mapping->end - mapping->start;
    if (mapping->is_heap && size >= LARGE && resident >= size - size / 4)
        SYS3(NR_madvise, mapping->start, size, MADV_COLLAPSE_);
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

static void note_program(struct blocks *blocks, const struct program *program, const long pagemaps[LOOKED_AT])
{
    ulong block = (program->start + HUGE - 1) & ~(HUGE - 1);
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

/* Puts a copy of no file in the place of a block. Where there is no huge page to be had, or the host forbids such memory to be
 * executed, it stays as it is. Constants between code can be executed then, too. */
static int replace(ulong block)
{
    ulong room = (ulong)sys6(NR_mmap, 0, 2 * HUGE, PROT_READ_ | PROT_WRITE_, MAP_PRIVATE_ | MAP_ANONYMOUS_, (ulong)-1, 0);
    if (room > -PAGE)
        return 0;
    ulong copy = (room + HUGE - 1) & ~(HUGE - 1);
    /* By the kernel: to read ourselves what the file has lost meanwhile would be our end. */
    long memory = open_to_read("/proc/self/mem"), copied = SYS4(NR_pread64, memory, copy, HUGE, block);
    SYS1(NR_close, memory);
    if (copied == (long)HUGE
        && SYS3(NR_madvise, copy, HUGE, MADV_COLLAPSE_) == 0
        && SYS3(NR_mprotect, copy, HUGE, PROT_READ_ | PROT_EXEC_) == 0
        && SYS5(NR_mremap, copy, HUGE, HUGE, MREMAP_MAYMOVE_ | MREMAP_FIXED_, block) == (long)block) {
        SYS2(NR_munmap, room, copy - room);
        SYS2(NR_munmap, copy + HUGE, room + HUGE - copy);
        return 1;
    }
    SYS2(NR_munmap, room, 2 * HUGE);
    return 0;
}

/* What some children have mapped, the oldest first, since they have warmed up by now; their inits, which are among them, map nothing
 * of the program. The numbers that fork gave are not those of this /proc, which may be of a namespace above; the list of children
 * has them. */
static void open_pagemaps(long pagemaps[LOOKED_AT])
{
    char text[4096], path[48] = "/proc/";
    long fd = open_to_read("/proc/thread-self/children"), length = fd < 0 ? 0 : SYS3(NR_read, fd, text, sizeof text), from = 0;
    SYS1(NR_close, fd);
    for (int i = 0; i < LOOKED_AT; i++) {
        char *at = path + 6;
        /* Each number is followed by a space. */
        for (; from < length && text[from] != ' ' && at < path + 20; from++)
            *at++ = text[from];
        for (const char *rest = "/pagemap"; *rest;)
            *at++ = *rest++;
        *at = 0;
        pagemaps[i] = from++ < length ? open_to_read(path) : -1;
    }
}

int fnlite_collapse(void)
{
    char block[4096], line[LINE_MAX];
    struct mapping mapping = { 0, 0, 0, 0, 0, 0 };
    struct program program = { 0, 0, 0, 0 };
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
            if (parse_mapping(line, &mapping))
                follow(&program, &mapping, &blocks, pagemaps);
            else
                collapse_heap(&mapping, parse_resident(line));
        }
    note_program(&blocks, &program, pagemaps);
    SYS1(NR_close, fd);
    for (int i = 0; i < LOOKED_AT; i++)
        SYS1(NR_close, pagemaps[i]);
    int replaced = 0;
    for (int i = 0; i < BLOCKS_MAX; i++)
        replaced += blocks.at[i] && replace(blocks.at[i]);
    return replaced;
}
