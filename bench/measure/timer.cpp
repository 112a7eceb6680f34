// timer.cpp - the Google Benchmark shim, the only C++ file.
//
// Each sample is a benchmark of its own with a fixed iteration count and one repetition, so that
// rows come back one by one and in the order of our own seeded plan.
#include "measure/timer.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace
{

class Capture : public benchmark::BenchmarkReporter
{
public:
    bool ReportContext(const Context &) override
    {
        return true;
    }

    void ReportRuns(const std::vector<Run> &runs) override
    {
        for (const Run &run : runs) {
            if (run.run_type != Run::RT_Iteration)
                continue;
            timing.wall_ns = run.real_accumulated_time * 1e9;
            timing.cpu_ns = run.cpu_accumulated_time * 1e9;
            seen++;
        }
    }

    struct timing timing = {0.0, 0.0};
    int seen = 0;
};

} // namespace

int timer_sample(const char *name, void (*run)(const void *), const void *arg, int64_t iterations,
                 struct timing *out)
{
    Capture capture;
    benchmark::RegisterBenchmark(name,
                                 [run, arg](benchmark::State &state) {
                                     for (auto _ : state)
                                         run(arg);
                                 })
        ->Iterations(iterations)
        ->UseRealTime();
    benchmark::RunSpecifiedBenchmarks(&capture);
    benchmark::ClearRegisteredBenchmarks();
    if (capture.seen != 1)
        return -1;
    *out = capture.timing;
    return 0;
}
