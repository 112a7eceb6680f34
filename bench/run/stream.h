/*
 * stream.h - a case run call by call: the state behind a call is the state before the next one, and
 * every call is timed on its own.
 *
 * calls.csv has a line for each block of calls: `order,sample,block,clock_ns,histogram`. sample is
 * the place of the condition in the run's list; its row in samples.csv holds the evidence and is
 * written behind the blocks, so blocks without such a row were broken off.
 */
#ifndef SEQBENCH_STREAM_H
#define SEQBENCH_STREAM_H

#include "cases/case.h"
#include "cases/settings.h"
#include "measure/histogram.h"
#include "measure/memory.h"
#include "measure/timer.h"

enum { STREAM_BLOCKS = 2 }; /* of the calls of one visit under one condition */

/* How long a visit streams under one condition: so many calls, but no longer than that. */
struct stream_limits {
    int64_t calls;
    double ns;
};

/* The share of one visit of what the settings ask for in all. */
struct stream_limits stream_limits(const struct settings *settings);

/* A case with inputs for its calls. */
struct stream {
    struct bench_case *c;
    float *inputs;             /* of STREAM_INPUTS calls */
    int64_t x_floats;          /* of one call */
    const struct arena *other; /* memory that is worked on between calls */
    size_t worked;             /* how far in it */
};

enum { STREAM_INPUTS = 16 };

/* Draws inputs; the case is prepared. stream_close gives back what it took. */
void stream_open(struct bench_case *c, uint64_t seed, const struct arena *other,
                 struct stream *out);
void stream_close(struct stream *stream);

/* One call, untimed: takes the next input, runs, carries the state. */
void stream_call(struct stream *stream);

/* Median time that is measured around nothing, in ns. */
double stream_clock_ns(void);

/*
 * Calls until a limit is reached, and at least one in each block, whose histograms must be clear.
 * Returns the calls.
 */
int64_t stream_time(struct stream *stream, struct condition condition, struct stream_limits limits,
                    struct histogram blocks[STREAM_BLOCKS]);

/* The same of a case of another program, which takes inputs of its own and times itself. */
int64_t stream_time_peer(struct stream *stream, struct stream_limits limits,
                         struct histogram blocks[STREAM_BLOCKS], struct timing *timing);

/* calls.csv: its header, and the blocks of one condition of a visit, in one write. */
bool stream_create(const char *path, struct err *err);
bool stream_append(int fd, int64_t order, int64_t sample, double clock_ns,
                   const struct histogram blocks[STREAM_BLOCKS], struct err *err);

#endif
