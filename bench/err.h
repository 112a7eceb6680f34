/* err.h - what went wrong in the world, returned up and printed once by main. */
#ifndef SEQBENCH_ERR_H
#define SEQBENCH_ERR_H

#include <stdbool.h>

struct err {
    int status; /* exit status: 2 for bad input and a world that does not fit, 1 for the rest */
    char text[1024];
};

/* Writes the message, status 2. Returns false, so that a caller can `return err_set(...)`. */
bool err_set(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* No message: another process has printed it. Returns false. */
bool err_passed_on(struct err *err, int status);

#endif
