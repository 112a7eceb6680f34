/* timer.h - one timed sample through Google Benchmark, for C. */
#ifndef SEQBENCH_TIMER_H
#define SEQBENCH_TIMER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct timing {
    double wall_ns, cpu_ns; /* totals over all iterations; CPU time of this thread */
};

/* Runs run(arg) iterations times in one Google Benchmark loop. Returns 0, or -1 without a result.
 */
int timer_sample(const char *name, void (*run)(const void *), const void *arg, int64_t iterations,
                 struct timing *out);

#ifdef __cplusplus
}
#endif

#endif
