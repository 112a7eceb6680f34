/*
 * planted.c - seqbench with 5 % more work in every kernel: each 20th run is made twice. For tests
 * only; it is linked with --wrap=case_run, so that nothing else differs.
 */
#include "cases/case.h"

void __real_case_run(const struct bench_case *bench_case);
void __wrap_case_run(const struct bench_case *bench_case);

void __wrap_case_run(const struct bench_case *bench_case)
{
    static unsigned runs;
    __real_case_run(bench_case);
    if (++runs % 20 == 0)
        __real_case_run(bench_case);
}
