/* manual.h - the man page and bash's completion, from the tables of commands and options. */
#ifndef SEQBENCH_MANUAL_H
#define SEQBENCH_MANUAL_H

#include <stdio.h>

#include "verb.h"

/* Commands in the order of the help; the last has no name. As roff, with the macros of man(7). */
void manual_page(const struct verb *verbs, FILE *out);

/* A script that bash reads. Names of kernels and engines are asked of the program that is typed. */
void manual_completion(const struct verb *verbs, FILE *out);

#endif
