/* Huge pages for a zygote with a large heap: a fork copies one entry for 2 MB instead of 512, and so does the child's
 * end. With 100 MB this halves what an Instance costs. */
#include "shim.h"
#include "sys.h"

enum { MADV_COLLAPSE_ = 25 /* Linux 6.1 */, LINE_MAX = 256 };

/* Mappings smaller than this are not worth it. */
#define LARGE (8ul << 20)

struct mapping {
    ulong start, end;
    int is_heap; /* private, writable, of no file */
};

static ulong hex(const char **at)
{
    ulong value = 0;
    for (;; ++*at) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (ulong)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (ulong)(c - 'a' + 10);
        else
            return value;
    }
}

/* "start-end perms offset major:minor inode path"; false, and nothing changed, for a line of another kind. */
static int parse_mapping(const char *line, struct mapping *mapping)
{
    const char *at = line;
    ulong start = hex(&at);
    if (at == line || *at++ != '-')
        return 0;
    ulong end = hex(&at);
    if (*at++ != ' ')
        return 0;
    int is_private = at[0] == 'r' && at[1] == 'w' && at[3] == 'p';
    for (int spaces = 0; spaces < 3; at++) {
        if (!*at)
            return 0;
        spaces += *at == ' ';
    }
    int has_no_file = at[0] == '0' && (at[1] == ' ' || !at[1]);
    *mapping = (struct mapping){ start, end, is_private && has_no_file };
    return 1;
}

/* "Rss:   123 kB" in bytes; 0 for a line of another kind. */
static ulong parse_resident(const char *line)
{
    ulong kb = 0;
    if (line[0] != 'R' || line[1] != 's' || line[2] != 's' || line[3] != ':')
        return 0;
    for (line += 4; *line == ' '; line++)
        ;
    for (; *line >= '0' && *line <= '9'; line++)
        kb = kb * 10 + (ulong)(*line - '0');
    return kb << 10;
}

/* Only what is mostly resident: a sparse mapping would be filled up. */
static void look_at(const char *line, struct mapping *mapping)
{
    if (parse_mapping(line, mapping))
        return;
    ulong size = mapping->end - mapping->start, resident = parse_resident(line);
    if (mapping->is_heap && size >= LARGE && resident >= size - size / 4)
        SYS3(NR_madvise, mapping->start, size, MADV_COLLAPSE_);
}

void fnlite_collapse_heap(void)
{
    char block[4096], line[LINE_MAX];
    struct mapping mapping = { 0, 0, 0 };
    ulong length = 0;
    long got, fd = SYS4(NR_openat, AT_FDCWD_, "/proc/self/smaps", O_RDONLY_ | O_CLOEXEC_, 0);
    if (fd < 0)
        return;
    while ((got = SYS3(NR_read, fd, block, sizeof block)) > 0)
        for (long i = 0; i < got; i++) {
            if (block[i] != '\n') {
                /* What is cut is the path, which nobody reads. */
                if (length < LINE_MAX - 1)
                    line[length++] = block[i];
                continue;
            }
            line[length] = 0;
            length = 0;
            look_at(line, &mapping);
        }
    SYS1(NR_close, fd);
}
