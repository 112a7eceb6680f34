/* text.h - whole files, `key: value` lines and whole numbers: how text from outside is read. */
#ifndef SEQBENCH_TEXT_H
#define SEQBENCH_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"

/*
 * A file to be read. Refuses what is no regular file, so that neither a pipe nor a device is waited
 * for or read without end. NULL: err says why.
 */
FILE *text_open(const char *path, struct err *err);

/*
 * A whole file with a NUL behind it, to be freed; its bytes go to *size (NULL: nowhere). Refuses
 * what text_open does, and what is larger than most bytes. NULL: err says why.
 */
char *text_read(const char *path, size_t most, size_t *size, struct err *err);

/* The same of a file of /proc or /sys; NULL: there is no such file, or it cannot be read. */
char *text_of(const char *path);

/* Behind the colon of the first line `key : value`, blanks left out; NULL: there is no such line.
 */
const char *text_value(const char *text, const char *key);

/* Copies a text up to its newline, or as much of that as fits. Returns out. */
const char *text_line(const char *text, char *out, size_t size);

/* A whole decimal number from min to max. what: the option or key, for the message. */
bool parse_whole(const char *text, const char *what, int64_t min, int64_t max, int64_t *out,
                 struct err *err);

#endif
