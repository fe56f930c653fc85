/* What zygote.c knows of cells, and what cell.c and a cell's init say to each other: one byte at a time. */
#ifndef FNLITE_CELL_H
#define FNLITE_CELL_H

#include "shim.h"

struct cell {
    int state;  /* of cell.c */
    int init;   /* its process */
    int handle; /* pidfd of its init, by which it is entered */
    int line;   /* to its init */
};

enum {
    CELL_LASTS = 'l',  /* init: it is there, and may be used again */
    CELL_ONCE = 'o',   /* init: it is there, for one Instance */
    CELL_FAILED = 'f', /* init: it cannot be made; one byte follows, the error */
    CELL_CHECK = '?',  /* zygote: is it as it was? */
    CELL_CLEAN = 'c',  /* init: it is, and nobody is in it; what is not clean ends */
};

/* Finds or makes a cell that nobody is in. What is forked next lands in its pid namespace; `own` is a pidfd of this process. 0 or
 * -errno; -EAGAIN where there are too many processes. */
int fnlite_cell_enter(struct cell **cell, int init_program, int own, const struct isolation *how);

/* Forks go to this process's own pid namespace again. */
void fnlite_cell_leave(int own);

/* Something was forked into it; false if it can be used only this once, and nothing is to be known of it any more. */
int fnlite_cell_is_kept(struct cell *cell);

/* What was in it has answered and is dead: it is used again if it is as it was. */
void fnlite_cell_give_back(struct cell *cell);

/* Ends it and whatever is in it. */
void fnlite_cell_end(struct cell *cell);

/* The init of a cell has been reaped, if this is one. */
void fnlite_cell_is_gone(int init);

/* Ends those that are more than a quiet zygote needs. */
void fnlite_cells_spare(void);

/* In what was forked: nothing of them is left open but of one. */
void fnlite_cells_close(const struct cell *but);

#endif
