/* stream.c - the calls of a stream and calls.csv. */
#define _GNU_SOURCE /* open_memstream */
#include "run/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cases/random.h"
#include "peers/peer.h"
#include "run/append.h"
#include "run/history.h"

enum { X, LINE_BYTES = 64, WARM_UP_CALLS = 8 };

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

double stream_clock_ns(void)
{
    enum { TIMES = 1001 };
    double between[TIMES];
    for (int i = 0; i < TIMES; i++) {
        const int64_t start = now_ns();
        between[i] = (double)(now_ns() - start);
    }
    return median(between, TIMES);
}

struct stream_limits stream_limits(const struct settings *settings)
{
    const int64_t rounds = settings->grid.rounds;
    return (struct stream_limits){(settings->calls + rounds - 1) / rounds,
                                  1e9 * (double)settings->seconds / (double)rounds};
}

void stream_open(struct bench_case *c, uint64_t seed, const struct arena *other, struct stream *out)
{
    const int64_t x_floats = tensor_elements(&c->tensor[X].spec);
    float *inputs = malloc((size_t)(STREAM_INPUTS * x_floats) * sizeof(float));
    uint64_t state = seed;
    if (!inputs)
        abort();
    for (int64_t i = 0; i < STREAM_INPUTS * x_floats; i++)
        inputs[i] = (float)random_below(&state, 2000001) * 1e-6f - 1.0f;
    *out = (struct stream){.c = c, .inputs = inputs, .x_floats = x_floats, .other = other};
}

void stream_close(struct stream *stream)
{
    free(stream->inputs);
    stream->inputs = NULL;
}

static void take_input(struct stream *stream)
{
    const int64_t input = stream->c->instance.run_number % STREAM_INPUTS;
    const float *x = stream->inputs + input * stream->x_floats;
    memcpy(stream->c->instance.t[X], x, (size_t)stream->x_floats * sizeof(float));
}

/* What is timed of a call. */
static void run_and_carry(struct stream *stream)
{
    struct bench_case *c = stream->c;
    case_run(c);
    c->kernel->layer->carry(&c->instance, c->instance.run_number++);
}

void stream_call(struct stream *stream)
{
    take_input(stream);
    run_and_carry(stream);
}

static int64_t timed_call(struct stream *stream)
{
    take_input(stream);
    const int64_t start = now_ns();
    run_and_carry(stream);
    return now_ns() - start;
}

/* ---- between calls ---- */

static void work_on_next_line(struct stream *stream)
{
    volatile unsigned char *bytes = stream->other->base;
    bytes[stream->worked]++;
    stream->worked += LINE_BYTES;
    if (stream->worked >= stream->other->bytes)
        stream->worked = 0;
}

/* The caches are full of other memory then: it is twice as large as the last one. */
static void evict(struct stream *stream)
{
    for (size_t i = 0; i < stream->other->bytes; i += LINE_BYTES)
        work_on_next_line(stream);
}

/* Works until the next tick after `now`; ticks that a long call has missed are left out. */
static void wait_for_tick(struct stream *stream, int64_t start, int64_t period_ns)
{
    const int64_t tick = start + ((now_ns() - start) / period_ns + 1) * period_ns;
    while (now_ns() < tick)
        work_on_next_line(stream);
}

int64_t stream_time(struct stream *stream, struct condition condition, struct stream_limits limits,
                    struct histogram blocks[STREAM_BLOCKS])
{
    int64_t calls = 0;
    for (int i = 0; i < WARM_UP_CALLS; i++)
        stream_call(stream);
    const int64_t start = now_ns();
    for (int b = 0; b < STREAM_BLOCKS; b++) {
        const int64_t last = limits.calls * (b + 1) / STREAM_BLOCKS;
        const double until = (double)start + limits.ns * (b + 1) / STREAM_BLOCKS;
        do {
            if (condition.kind == COLD)
                evict(stream);
            if (condition.kind == PACED)
                wait_for_tick(stream, start, condition.period_ns);
            histogram_add(&blocks[b], timed_call(stream));
            calls++;
        } while (calls < last && (double)now_ns() < until);
    }
    return calls;
}

int64_t stream_time_peer(struct stream *stream, struct stream_limits limits,
                         struct histogram blocks[STREAM_BLOCKS], struct timing *timing)
{
    int64_t calls = 0;
    float *ns = peer_stream(stream->c, limits.calls, limits.ns, timing, &calls);
    for (int64_t i = 0; i < calls; i++)
        histogram_add(&blocks[i * STREAM_BLOCKS / calls], (int64_t)ns[i]);
    free(ns);
    peer_fetch(stream->c);
    return calls;
}

/* ---- calls.csv ---- */

bool stream_create(const char *path, struct err *err)
{
    FILE *file = fopen(path, "wx");
    if (file)
        fputs("order,sample,block,clock_ns,histogram\n", file);
    return (file && fclose(file) == 0) || err_set(err, "%s: %s", path, strerror(errno));
}

bool stream_append(int fd, int64_t order, int64_t sample, double clock_ns,
                   const struct histogram blocks[STREAM_BLOCKS], struct err *err)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    for (int b = 0; b < STREAM_BLOCKS; b++) {
        fprintf(out, "%" PRId64 ",%" PRId64 ",%d,%.1f,", order, sample, b, clock_ns);
        histogram_write(&blocks[b], out);
        fputc('\n', out);
    }
    fclose(out);
    const bool ok = append_text(fd, "calls.csv", text, length, err);
    free(text);
    return ok;
}
