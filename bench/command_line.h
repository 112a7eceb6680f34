/* command_line.h - options parsed and explained, from the table in cases/settings.c. */
#ifndef SEQBENCH_COMMAND_LINE_H
#define SEQBENCH_COMMAND_LINE_H

#include <stdio.h>

#include "cases/settings.h"

/*
 * argv[0] is the name of the command, for messages. *operands: where what stands without an option
 * begins, up to a NULL; itself NULL when help is asked for, which ends the parsing.
 */
bool command_line_parse(enum command command, int argc, char **argv, struct options *out,
                        char ***operands, struct err *err);

/* A line per option that the command takes. */
void command_line_help(enum command command, FILE *out);

#endif
