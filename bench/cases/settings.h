/*
 * settings.h - every option of every command, declared once: see the table in settings.c. From it
 * the command line is parsed and explained, and host.json is written and read back, by a round and
 * when a run goes on.
 */
#ifndef SEQBENCH_SETTINGS_H
#define SEQBENCH_SETTINGS_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "cases/conditions.h"
#include "cases/grid.h"
#include "cases/kernel.h"
#include "err.h"

enum { OPTION_TEXT = 4096 };

/* What a run is told at its start. It stands in host.json and holds to the run's end. */
struct settings {
    char kernels[OPTION_TEXT]; /* globs */
    char engines[OPTION_TEXT]; /* names with commas */
    char peers[OPTION_TEXT];   /* paths with commas, see peers/peer.h */
    struct grid grid;          /* with rounds and budget_s */
    int64_t cpu;               /* -1: choose */
    int64_t seed;
    int64_t samples; /* per visit, of a case whose runs are short */
    double until;    /* wanted half width of the 95 % interval of a median, relative */
    bool cold;       /* evict the caches before each iteration, one iteration per sample */
    struct conditions conditions; /* of a stream; none: it is no stream */
    int64_t calls, seconds;       /* of a case of a stream under one condition, in all rounds */
    bool fifo;                    /* real-time scheduling */
    bool flush_to_zero;           /* subnormal numbers */
};

/* Which kernels that names. */
static inline struct selection settings_selection(const struct settings *settings)
{
    return (struct selection){settings->kernels, settings->engines};
}

/* All that a command line can say. What it does not say has its default. */
struct options {
    struct settings settings;
    char folder[OPTION_TEXT]; /* to be made; empty: results/<cpu>/<UTC time> */
    char resume[OPTION_TEXT]; /* empty, or the folder of a run to go on with */
    int64_t timeout_s;        /* for one visit */
    int64_t wait_s;           /* for another run on the same core */
    int64_t pause_after;      /* rounds, then stop to be resumed; 0: never */
    int64_t round, deadline_ns;
    bool csv, warnings;
};

/* Bits, so that an option can name all commands that take it. */
enum command {
    LIST = 1,
    CHECK = 2,
    VERIFY = 4,
    DUMP = 8,
    PLAN = 16,
    RUN = 32,
    HOST = 64,
    ROUND = 128,
    DOCTOR = 256,
    STREAM = 512,
    ACCURACY = 1024,
    MAN = 2048,
    COMPLETION = 4096
};

struct setting_type;

struct setting {
    const char *flag;     /* "-k" or "--rounds" */
    const char *metavar;  /* what help calls the value; NULL: a switch, which takes none */
    const char *fallback; /* as it would be typed, of a switch true or false; NULL: none */
    const char *help;
    unsigned commands, needed_by; /* enum command */
    const char *group, *key;      /* where host.json has it; NULL: nowhere */
    const struct setting_type *type;
    size_t offset; /* in struct options */
    int64_t min, max;
};

enum { SETTINGS_MAX = 40 };

/* What a shell can offer as the value of an option. */
enum offer { NOTHING, KERNELS, ENGINES, FOLDERS, WORDS, WORDS_OR_FILES };

/* *words: those that are offered, or offered beside what is asked for, with ", " between. */
enum offer settings_offer(const struct setting *setting, const char **words);

/* Ends with a row without a flag. */
extern const struct setting settings_table[];

/* given[i]: what was typed for row i of the table, NULL: nothing; "" for a switch. */
bool settings_parse(enum command command, const char *const given[SETTINGS_MAX],
                    struct options *out, struct err *err);

/* Adds to the group "run" of host.json. */
void settings_write(const struct settings *settings, cJSON *run);

/* From a whole host.json, with the same limits as on the command line; path is for messages. */
bool settings_read(const cJSON *host, const char *path, struct settings *out, struct err *err);

#endif
