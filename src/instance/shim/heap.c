/* The C library's heap of a zygote: what its Instances allocate is to lie side by side.
 *
 * What is free here and there in a heap is taken first, and each piece that an Instance takes is one more page that it copies. So it
 * is taken before, and a few pieces of each small size, one after the other, are free instead.
 */
#include "shim.h"
#include "sys.h"

/* The program's own. */
extern void *malloc(ulong size);
extern void free(void *memory);

/* What the sizes are in glibc, and how many free pieces of one it keeps at hand. Elsewhere this finds less, which is all. */
enum { SMALLEST = 24, STEP = 16, SIZES = 16, HEAD = 8, AT_HAND = 7, HOLES_MAX = 64 };

/* Takes pieces of that size until one lies behind the other. */
static void fill_holes(ulong size)
{
    char *at = 0, *before;
    int taken = 0;
    do {
        before = at;
        at = malloc(size);
    } while (at && ++taken < HOLES_MAX && (taken <= AT_HAND || at != before + size + HEAD));
}

void fnlite_gather(void)
{
    void *free_ones[SIZES][AT_HAND];
    for (ulong i = 0; i < SIZES; i++)
        fill_holes(SMALLEST + i * STEP);
    for (ulong i = 0; i < SIZES; i++)
        for (int j = 0; j < AT_HAND; j++)
            free_ones[i][j] = malloc(SMALLEST + i * STEP);
    for (ulong i = 0; i < SIZES; i++)
        for (int j = 0; j < AT_HAND; j++)
            free(free_ones[i][j]);
}
