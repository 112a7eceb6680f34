/* verb.h - a command of the program: what main.c calls, and what help and manual tell of it. */
#ifndef SEQBENCH_VERB_H
#define SEQBENCH_VERB_H

#include "cases/settings.h"

/* What a command is given: its options, then what stands without one, up to a NULL. */
struct call {
    struct options options;
    char **operands;
};

struct verb {
    const char *name, *operands, *help; /* operands: "" for none; help: NULL is not for people */
    enum command command;
    bool (*run)(const struct call *call, struct err *err);
};

#endif
