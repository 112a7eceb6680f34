/* append.h - lines added to a file of a run, whole or not at all. */
#ifndef SEQBENCH_APPEND_H
#define SEQBENCH_APPEND_H

#include <stddef.h>

#include "err.h"

/* Opens for appending; returns the descriptor, or -1. */
int append_open(const char *path, struct err *err);

/* In one write; what does not fit is cut off again. name is for messages. */
bool append_text(int fd, const char *name, const char *text, size_t length, struct err *err);

#endif
