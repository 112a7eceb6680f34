/*
 * samples.c - samples.csv. A new column is one line in one of the lists below and one line in
 * results/README.md. The columns of the last list are empty in a row that failed.
 */
#include "run/samples.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cases/case.h"
#include "cases/dims.h"
#include "cases/kernel.h"
#include "run/append.h"

void utc_stamp(char out[32])
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    const size_t length = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + length, 32 - length, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

#define IDENTITY_COLUMNS(COLUMN)                                                                   \
    COLUMN(kernel, "%s", v->kernel->name)                                                          \
    COLUMN(kind, "%s", kernel_kind(v->kernel))                                                     \
    COLUMN(layer, "%.*s", kernel_layer_length(v->kernel), v->kernel->name)                         \
    COLUMN(variant, "%s", kernel_variant(v->kernel))                                               \
    COLUMN(engine, "%s", v->kernel->engine_name)

/* Between them stand the dimensions. */
#define VISIT_COLUMNS(COLUMN)                                                                      \
    COLUMN(round, "%" PRId64, v->round)                                                            \
    COLUMN(cache, "%s", condition_text(s->condition, condition))                                   \
    COLUMN(lanes, "%d", VMATH_LANES)                                                               \
    COLUMN(sample, "%" PRId64, s->index)                                                           \
    COLUMN(order, "%" PRId64, v->order)

#define MEASURED_COLUMNS(COLUMN)                                                                   \
    COLUMN(iterations, "%" PRId64, s->iterations)                                                  \
    COLUMN(wall_ns, "%.0f", s->wall_ns)                                                            \
    COLUMN(cpu_ns, "%.0f", s->cpu_ns)                                                              \
    COLUMN(started_utc, "%s", s->started_utc)                                                      \
    COLUMN(cpu_before, "%d", s->cpu_before)                                                        \
    COLUMN(cpu_after, "%d", s->cpu_after)                                                          \
    COLUMN(voluntary_switches, "%" PRId64, s->noise.voluntary_switches)                            \
    COLUMN(involuntary_switches, "%" PRId64, s->noise.involuntary_switches)                        \
    COLUMN(minor_faults, "%" PRId64, s->noise.minor_faults)                                        \
    COLUMN(major_faults, "%" PRId64, s->noise.major_faults)                                        \
    COLUMN(steal_ticks, "%s", noise_text(s->noise.steal_ticks, text))                              \
    COLUMN(clock_ghz_before, "%.4f", s->noise.clock_ghz_before)                                    \
    COLUMN(clock_ghz_after, "%.4f", s->noise.clock_ghz_after)                                      \
    COLUMN(cycles, "%s", noise_text(s->noise.counter[CYCLES], text))                               \
    COLUMN(instructions, "%s", noise_text(s->noise.counter[INSTRUCTIONS], text))                   \
    COLUMN(l2_misses, "%s", noise_text(s->noise.counter[L2_MISSES], text))                         \
    COLUMN(last_level_misses, "%s", noise_text(s->noise.counter[LAST_LEVEL_MISSES], text))         \
    COLUMN(sentinel_ns, "%.1f", s->sentinel_ns)                                                    \
    COLUMN(sentinel_ratio, "%.4f", s->sentinel_ratio)                                              \
    COLUMN(subnormals, "%" PRId64, s->output.subnormals)                                           \
    COLUMN(nonfinite, "%" PRId64, s->output.nonfinite)                                             \
    COLUMN(checksum, "%016" PRIx64, s->output.checksum)                                            \
    COLUMN(flags, "%s", flags_text(s->flags, text))                                                \
    COLUMN(flops, "%" PRId64, 2 * cost.multiply_adds)                                              \
    COLUMN(elementwise_flops, "%" PRId64, cost.elementwise)                                        \
    COLUMN(exps, "%" PRId64, cost.exps)                                                            \
    COLUMN(logs, "%" PRId64, cost.logs)                                                            \
    COLUMN(sigmoids, "%" PRId64, cost.sigmoids)                                                    \
    COLUMN(tanhs, "%" PRId64, cost.tanhs)                                                          \
    COLUMN(rsqrts, "%" PRId64, cost.rsqrts)                                                        \
    COLUMN(parameters, "%" PRId64, kernel_parameters(v->kernel, v->dims))                          \
    COLUMN(bytes, "%" PRId64, case_compulsory_bytes(v->kernel, v->dims))                           \
    COLUMN(streamed_bytes, "%" PRId64, kernel_streamed_bytes(v->kernel, v->dims))                  \
    COLUMN(resident_bytes, "%zu", case_bytes(v->kernel, v->dims))

static const char *const flag_names[] = {"migration", "switch",   "steal",
                                         "clock",     "sentinel", "output"};

enum { TEXT_MAX = 64 };

/* The names of the flags with + between; empty without any. */
static const char *flags_text(unsigned flags, char out[TEXT_MAX])
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++)
        if (flags & 1u << i)
            length += (size_t)snprintf(out + length, TEXT_MAX - length, "%s%s", length ? "+" : "",
                                       flag_names[i]);
    return out;
}

static void write_header(FILE *out)
{
#define COLUMN(name, ...) fputs(#name ",", out);
    IDENTITY_COLUMNS(COLUMN)
    dims_write_header(out);
    fputc(',', out);
    VISIT_COLUMNS(COLUMN)
    MEASURED_COLUMNS(COLUMN)
#undef COLUMN
    fputs("status,error\n", out);
}

static void write_row(FILE *out, const struct sample *s)
{
    const struct visit *v = &s->visit;
    const struct cost cost = kernel_cost(v->kernel, v->dims);
    char text[TEXT_MAX], condition[CONDITION_TEXT];
#define COLUMN(name, ...) (fprintf(out, __VA_ARGS__), fputc(',', out));
    IDENTITY_COLUMNS(COLUMN)
    dims_write(v->dims, out);
    fputc(',', out);
    VISIT_COLUMNS(COLUMN)
#undef COLUMN
#define COLUMN(name, ...) ((s->error ? 0 : fprintf(out, __VA_ARGS__)), fputc(',', out));
    MEASURED_COLUMNS(COLUMN)
#undef COLUMN
    if (s->error)
        fprintf(out, "failed,\"%s\"\n", s->error);
    else
        fputs("ok,\n", out);
}

bool samples_append(int fd, const struct sample *sample, struct err *err)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    write_row(out, sample);
    fclose(out);
    const bool ok = append_text(fd, "samples.csv", text, length, err);
    free(text);
    return ok;
}

bool samples_create(const char *path, struct err *err)
{
    FILE *file = fopen(path, "wx");
    if (!file)
        return err_set(err, "%s: %s", path, strerror(errno));
    write_header(file);
    if (fclose(file) != 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    return true;
}
