/*
 * sources.c - where what the doctor's items look at comes from: a table of files, the watched
 * clock, the counters, the BLAS at hand.
 */
#define _GNU_SOURCE /* memmem */
#include <build_flags.h>
#include <cblas.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engines/blis_library.h"
#include "machine/doctor.h"
#include "machine/turbo.h"
#include "measure/pin.h"
#include "text.h"

static const struct probe {
    enum source source;
    enum { BEFORE, AFTER } when; /* the clock is watched */
    bool of_core;                /* below /sys/devices/system/cpu/cpuN/ */
    const char *path;
} probes[] = {
    {GOVERNOR, BEFORE, true, "cpufreq/scaling_governor"},
    {NO_TURBO, BEFORE, false, TURBO_NO_TURBO},
    {BOOST, BEFORE, false, TURBO_BOOST},
    {SIBLINGS, BEFORE, true, "topology/thread_siblings_list"},
    {ISOLATED, BEFORE, false, "/sys/devices/system/cpu/isolated"},
    {NOHZ_FULL, BEFORE, false, "/sys/devices/system/cpu/nohz_full"},
    {CPUINFO, BEFORE, false, "/proc/cpuinfo"},
    {LOAD, BEFORE, false, "/proc/loadavg"},
    {HUGE_PAGES, BEFORE, false, "/sys/kernel/mm/transparent_hugepage/enabled"},
    {ASLR, BEFORE, false, "/proc/sys/kernel/randomize_va_space"},
    {PERSONALITY, BEFORE, false, "/proc/self/personality"},
    {PARANOID, BEFORE, false, "/proc/sys/kernel/perf_event_paranoid"},
    {MAPS, BEFORE, false, "/proc/self/maps"},
    {STAT_BEFORE, BEFORE, false, "/proc/stat"},
    {INTERRUPTS_BEFORE, BEFORE, false, "/proc/interrupts"},
    {INTERRUPTS_AFTER, AFTER, false, "/proc/interrupts"},
    {STAT_AFTER, AFTER, false, "/proc/stat"},
    {UPTIME, AFTER, false, "/proc/uptime"},
};

static void gather(int when, int cpu, char *texts[SOURCES])
{
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        char path[PATH_MAX];
        if ((int)probes[i].when != when)
            continue;
        if (probes[i].of_core)
            snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/%s", cpu, probes[i].path);
        else
            snprintf(path, sizeof(path), "%s", probes[i].path);
        texts[probes[i].source] = text_of(path);
    }
}

static void copy_line(const char *folder, const char *file, char end, FILE *out)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    char *text = text_of(path);
    if (text)
        fprintf(out, "%.*s%c", (int)strcspn(text, "\n"), text, end);
    free(text);
}

/* The limits of a cgroup and of those above it. In a container outer ones cannot be seen. */
static void copy_limits(const char *root, const char *group, FILE *out)
{
    char path[PATH_MAX];
    const size_t root_length = strlen(root);
    snprintf(path, sizeof(path), "%s%.*s", root, (int)strcspn(group, "\n"), group);
    for (char *slash = path; slash && strlen(path) >= root_length;) {
        copy_line(path, "cpu.max", '\n', out);         /* cgroup 2 */
        copy_line(path, "cpu.cfs_quota_us", ' ', out); /* cgroup 1 */
        copy_line(path, "cpu.cfs_period_us", '\n', out);
        slash = strrchr(path, '/');
        if (slash)
            *slash = '\0';
    }
}

/* Lines of /proc/self/cgroup are `number:controllers:path`, without controllers in cgroup 2. */
static char *read_quotas(void)
{
    static const char root_1[] = "/sys/fs/cgroup/cpu", root_2[] = "/sys/fs/cgroup";
    char *groups = text_of("/proc/self/cgroup"), *text = NULL;
    const bool unified = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
    if (!groups || (!unified && access(root_1, F_OK) != 0)) {
        free(groups);
        return NULL;
    }
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    char *rest;
    for (char *line = strtok_r(groups, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *controllers = strchr(line, ':');
        const char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        if (path == controllers + 1 && unified)
            copy_limits(root_2, path + 1, out);
        else if (strncmp(controllers, ":cpu,", 5) == 0 || strncmp(controllers, ":cpu:", 5) == 0 ||
                 memmem(controllers, (size_t)(path - controllers + 1), ",cpu:", 5))
            copy_limits(root_1, path + 1, out);
    }
    fclose(out);
    free(groups);
    return text;
}

static void copy_word(const char *folder, const char *file, char end, FILE *out)
{
    char path[PATH_MAX + 64], word[64];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    char *text = text_of(path);
    fprintf(out, "%s%c", text && *text ? text_line(text, word, sizeof(word)) : "-", end);
    free(text);
}

/* Whether a supply feeds a mouse or a headset, not the machine. */
static bool is_of_device(const char *supply)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/scope", supply);
    char *text = text_of(path);
    const bool found = text && strncmp(text, "Device", 6) == 0;
    free(text);
    return found;
}

char *doctor_supplies(const char *folder)
{
    DIR *supplies = opendir(folder);
    char *text = NULL;
    size_t size = 0;
    if (!supplies)
        return NULL;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    for (const struct dirent *entry; (entry = readdir(supplies));) {
        char path[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%.3000s/%s", folder, entry->d_name);
        if (is_of_device(path))
            continue;
        copy_word(path, "type", ' ', out);
        copy_word(path, "online", ' ', out);
        copy_word(path, "status", '\n', out);
    }
    closedir(supplies);
    fclose(out);
    return text;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double doctor_spread(double *ghz, size_t n, double *median)
{
    *median = 0.0;
    if (n == 0)
        return 0.0;
    qsort(ghz, n, sizeof(*ghz), compare_doubles);
    *median = ghz[n / 2];
    return (ghz[n - 1 - n / 100] - ghz[n / 100]) / *median;
}

/* Median of what the clock showed in a time as long as a sample. */
static double window_ghz(void)
{
    const double window_ns = 10e6;
    enum { MOST = 4096 };
    double ghz[MOST], median;
    size_t n = 0;
    for (const double start = monotonic_ns(); n < MOST && monotonic_ns() - start < window_ns;)
        ghz[n++] = noise_clock_ghz();
    doctor_spread(ghz, n, &median);
    return median;
}

/* Keeps the core busy; what it does while it wakes up is left out. */
static void watch_clock(struct doctor_view *view)
{
    enum { WAKE = 10, WINDOWS = 200 };
    double ghz[WINDOWS];
    const double start = monotonic_ns();
    for (int i = 0; i < WAKE; i++)
        window_ghz();
    for (int i = 0; i < WINDOWS; i++)
        ghz[i] = window_ghz();
    view->watched_s = 1e-9 * (monotonic_ns() - start);
    view->spread = doctor_spread(ghz, WINDOWS, &view->clock_ghz);
}

static void try_counters(struct doctor_view *view)
{
    struct noise_meter meter;
    noise_open(view->cpu, &meter);
    memcpy(view->refusal, meter.refusal, sizeof(view->refusal));
    noise_close(&meter);
}

static void look_at_everything(struct doctor_view *view, char *texts[SOURCES],
                               char blas_file[PATH_MAX])
{
    view->blas_parallel = openblas_get_parallel() != 0;
    view->blas_core = openblas_get_corename();
    view->blis_kernels = blis_kernels();
    view->blas_file = realpath(SEQBENCH_BLAS_DIR "/libopenblas.so.0", blas_file);
    try_counters(view);
    texts[QUOTAS] = read_quotas();
    texts[SUPPLIES] = doctor_supplies("/sys/class/power_supply");
    gather(BEFORE, view->cpu, texts);
    watch_clock(view);
    gather(AFTER, view->cpu, texts);
    for (int i = 0; i < SOURCES; i++)
        view->text[i] = texts[i];
}

static bool choose_and_bind(int requested, int *cpu, struct err *err)
{
    hwloc_topology_t topology;
    if (!topology_load(&topology, err))
        return false;
    const bool ok = pin_choose(topology, requested, cpu, err) && pin_bind(topology, *cpu, err);
    hwloc_topology_destroy(topology);
    return ok;
}

bool doctor_run(int requested, bool warnings_only, FILE *out, struct err *err)
{
    static const char *const words[] = {"ok", "warn", "info"};
    struct doctor_view view = {0};
    char blas_file[PATH_MAX], *texts[SOURCES] = {NULL};
    if (!choose_and_bind(requested, &view.cpu, err))
        return false;
    look_at_everything(&view, texts, blas_file);
    bool quiet = true;
    for (const struct doctor_item *item = doctor_items; item->name; item++) {
        const struct finding finding = item->look(&view);
        quiet &= finding.level != WARNING;
        if (!warnings_only || finding.level == WARNING)
            fprintf(out, "%-4s  %-14s %s\n", words[finding.level], item->name, finding.text);
    }
    if (warnings_only && quiet)
        fprintf(out, "%-4s  %-14s %s\n", words[FINE], "all items",
                "nothing seen that disturbs timings; seqbench doctor tells what was looked at");
    for (int i = 0; i < SOURCES; i++)
        free(texts[i]);
    return true;
}
