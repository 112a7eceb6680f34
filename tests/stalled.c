/*
 * stalled.c - seqbench with a stall in every thousandth run: a signal handler that spins for 200
 * us. For tests only; it is linked with --wrap=case_run, so that nothing else differs.
 */
#include <signal.h>

#include "cases/case.h"
#include "measure/noise.h"

void __real_case_run(const struct bench_case *bench_case);
void __wrap_case_run(const struct bench_case *bench_case);

static void spin(int signal_number)
{
    (void)signal_number;
    const double until = monotonic_ns() + 200e3;
    while (monotonic_ns() < until)
        ;
}

void __wrap_case_run(const struct bench_case *bench_case)
{
    static unsigned runs;
    if (runs++ % 1000 == 0) {
        signal(SIGUSR1, spin);
        raise(SIGUSR1);
    }
    __real_case_run(bench_case);
}
