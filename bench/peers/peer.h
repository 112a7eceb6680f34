/*
 * peer.h - whole layers of other libraries that run as programs of their own, whatever language
 * they are written in: scripts/peers/README.md has the lines that are spoken with them. Each of
 * their layers is an algorithm as any other. A round starts them on its own core.
 */
#ifndef SEQBENCH_PEER_H
#define SEQBENCH_PEER_H

#include <cjson/cJSON.h>

#include "cases/case.h"
#include "cases/settings.h"
#include "err.h"
#include "measure/noise.h"
#include "measure/timer.h"

/* Starts the programs of --peers and asks what they have. Before the first kernel_at. */
bool peers_start(const struct settings *settings, struct err *err);

/* What they have, in their order; NULL behind. */
const struct algorithm *peers_algorithm(int i);

/* Whether an algorithm is theirs. */
bool peers_have(const struct algorithm *algorithm);

/* Why a size cannot be; NULL: it can. */
const char *peers_refuse(const struct algorithm *algorithm, struct dims d);

/* What each says of itself: library, version, threads. For host.json. */
cJSON *peers_describe(void);

/* Runs a prepared case so many times. Its outputs stay in the program until they are fetched. */
void peer_time(const struct bench_case *c, int64_t iterations, struct timing *timing);
void peer_fetch(const struct bench_case *c);

/* What disturbed the program while it timed last, in the place of what disturbed this process. */
void peer_noise(const struct bench_case *c, struct noise *noise);

/* Median time that its clock measured around nothing, in ns, as it told with the last stream. */
double peer_clock_ns(const struct bench_case *c);

/* Times calls one by one, with the state carried on, each with an input of its own: no longer than
 * so many ns. The caller frees the durations in ns, of which there are *count. */
float *peer_stream(const struct bench_case *c, int64_t calls, double ns, struct timing *timing,
                   int64_t *count);

#endif
