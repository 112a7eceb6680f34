/* doctor.c - the items: what is made of what was seen. What was seen: see sources.c. */
#define _GNU_SOURCE /* memmem */
#include "machine/doctor.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "machine/turbo.h"
#include "text.h"

static const double load_max = 0.5;             /* one-minute average */
static const double sibling_busy_max = 0.05;    /* share of its time */
static const double interrupts_per_s_max = 100; /* one in a sample of 10 ms */
static const double spread_max = 0.03;          /* of the clock; as in the flag of a sample */

__attribute__((format(printf, 2, 3))) static struct finding say(enum level level,
                                                                const char *format, ...)
{
    struct finding finding = {.level = level};
    va_list args;
    va_start(args, format);
    vsnprintf(finding.text, sizeof(finding.text), format, args);
    va_end(args);
    return finding;
}

/* ---- reading texts ---- */

enum { WORD = 64 };

/* Whether "0-3,8" has the number. */
static bool in_list(const char *list, int number)
{
    while (isdigit((unsigned char)*list)) {
        char *end;
        const long first = strtol(list, &end, 10);
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        if (number >= first && number <= last)
            return true;
        list = *end == ',' ? end + 1 : "";
    }
    return false;
}

/* Whether the CPU's list of features has one; NULL for another architecture's way of listing. */
static const char *cpu_features(const char *cpuinfo)
{
    const char *flags = text_value(cpuinfo, "flags");
    return flags ? flags : text_value(cpuinfo, "Features");
}

static bool has_word(const char *line, const char *word)
{
    const size_t length = strlen(word);
    while (line && *line && *line != '\n') {
        line += strspn(line, " \t");
        const size_t here = strcspn(line, " \t\n");
        if (here == length && strncmp(line, word, length) == 0)
            return true;
        line += here;
    }
    return false;
}

/* ---- the core and its clock ---- */

static struct finding look_governor(const struct doctor_view *view)
{
    char word[WORD];
    if (!view->text[GOVERNOR])
        return say(UNKNOWN, "unknown: this kernel does not steer the clock; in a virtual machine "
                            "the host does");
    text_line(view->text[GOVERNOR], word, sizeof(word));
    if (strcmp(word, "performance") == 0)
        return say(FINE, "%s", word);
    return say(WARNING,
               "%s: the clock follows the load; sudo cpupower frequency-set -g performance", word);
}

static struct finding look_turbo(const struct doctor_view *view)
{
    const char *no_turbo = view->text[NO_TURBO];
    switch (turbo_of(no_turbo, view->text[BOOST])) {
    case TURBO_ON:
        return say(WARNING, "on: the clock follows heat and the other cores; echo %s | sudo tee %s",
                   no_turbo ? "1" : "0", no_turbo ? TURBO_NO_TURBO : TURBO_BOOST);
    case TURBO_OFF:
        return say(FINE, "off");
    default:
        return say(UNKNOWN, "unknown: this kernel does not say; see clock");
    }
}

/* A charger that is plugged in is online. Even then some batteries drain a
 * little. */
static struct finding look_supplies(const struct doctor_view *view)
{
    const char *at = view->text[SUPPLIES];
    bool plugged = false, battery = false, draining = false;
    if (!at)
        return say(UNKNOWN, "unknown: this kernel does not show power supplies");
    for (; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        char type[WORD], online[WORD], status[WORD];
        if (sscanf(at, "%63s %63s %63[^\n]", type, online, status) != 3)
            continue;
        battery |= strcmp(type, "Battery") == 0;
        draining |= strcmp(type, "Battery") == 0 && strcmp(status, "Discharging") == 0;
        plugged |= strcmp(type, "Battery") != 0 && strcmp(online, "1") == 0;
    }
    if (draining && !plugged)
        return say(WARNING,
                   "a battery, which is draining: the clock is held down to spare it; plug "
                   "in the charger");
    return say(FINE, battery ? "the charger; the battery is spared" : "no battery");
}

static struct finding look_clock(const struct doctor_view *view)
{
    if (view->clock_ghz <= 0.0)
        return say(UNKNOWN, "unknown: not watched");
    const double percent = 100.0 * view->spread;
    if (view->spread > spread_max)
        return say(WARNING,
                   "%.2f GHz, spread %.1f %% in %.0f s: see governor, turbo and load, let the CPU "
                   "cool, take more rounds",
                   view->clock_ghz, percent, view->watched_s);
    return say(FINE, "%.2f GHz, spread %.1f %% in %.0f s", view->clock_ghz, percent,
               view->watched_s);
}

/* ---- who else is there ---- */

/* Share of its time that a core was busy, or -1. */
static double busy_share(const struct doctor_view *view, int cpu)
{
    int64_t before[STAT_COLUMNS], after[STAT_COLUMNS], all = 0, idle = 0;
    const int columns = stat_ticks(view->text[STAT_BEFORE], cpu, before);
    if (columns <= STAT_IDLE || stat_ticks(view->text[STAT_AFTER], cpu, after) != columns)
        return -1.0;
    for (int i = 0; i < columns; i++) {
        const int64_t ticks = after[i] - before[i];
        all += ticks;
        idle += i == STAT_IDLE || i == STAT_IOWAIT ? ticks : 0;
    }
    return all > 0 ? (double)(all - idle) / (double)all : -1.0;
}

static struct finding look_sibling(const struct doctor_view *view)
{
    enum { CPUS_MAX = 8192 };
    const char *list = view->text[SIBLINGS];
    if (!list)
        return say(UNKNOWN, "unknown: this kernel does not say who shares core %d", view->cpu);
    int siblings = 0, busiest = -1;
    double most = -1.0;
    for (int cpu = 0; cpu < CPUS_MAX; cpu++) {
        if (cpu == view->cpu || !in_list(list, cpu))
            continue;
        const double busy = busy_share(view, cpu);
        siblings++;
        if (busiest < 0 || busy > most) {
            busiest = cpu;
            most = busy;
        }
    }
    if (siblings == 0 && has_word(cpu_features(view->text[CPUINFO]), "hypervisor"))
        return say(UNKNOWN, "none shown; a virtual machine may hide one");
    if (siblings == 0)
        return say(FINE, "none");
    if (most < 0.0)
        return say(UNKNOWN, "core %d: unknown how busy it is", busiest);
    if (most > sibling_busy_max)
        return say(WARNING,
                   "core %d is busy %.0f %% of the time and shares core %d: stop what runs there, "
                   "or measure elsewhere with --cpu",
                   busiest, 100.0 * most, view->cpu);
    return say(FINE, "core %d is idle: keep it so", busiest);
}

struct interrupts {
    int64_t all, devices; /* those of timers left out: every core has them */
    char most[32];        /* the device with the most */
    int64_t of_most;
};

/* The place of a core's column in /proc/interrupts, which shows cores that are online; or -1. */
static int interrupts_column(const char *text, int cpu)
{
    int column = 0;
    for (text += strspn(text, " \t"); strncmp(text, "CPU", 3) == 0; column++) {
        char *end;
        if (strtol(text + 3, &end, 10) == cpu)
            return column;
        text = end + strspn(end, " \t");
    }
    return -1;
}

/* One line `label: count per core, what it is`; the last word names the device. */
static void add_interrupts(const char *line, size_t length, int column, struct interrupts *out)
{
    const char *end = line + length, *at = memchr(line, ':', length);
    if (!at || memmem(line, length, "timer", 5))
        return;
    int64_t count = 0;
    at++;
    for (int i = 0; i <= column; i++) {
        while (at < end && *at == ' ')
            at++;
        if (at == end || !isdigit((unsigned char)*at))
            return; /* a line with fewer columns counts no core's */
        char *next;
        count = strtoll(at, &next, 10);
        at = next;
    }
    out->all += count;
    if (!isdigit((unsigned char)line[strspn(line, " ")]))
        return;
    out->devices += count;
    if (count <= out->of_most)
        return;
    const char *name = memrchr(line, ' ', length);
    out->of_most = count;
    snprintf(out->most, sizeof(out->most), "%.*s", (int)(end - name - 1), name + 1);
}

static bool count_interrupts(const char *text, int cpu, struct interrupts *out)
{
    *out = (struct interrupts){0};
    const int column = text ? interrupts_column(text, cpu) : -1;
    if (column < 0)
        return false;
    while ((text = strchr(text, '\n')) && *++text)
        add_interrupts(text, strcspn(text, "\n"), column, out);
    return true;
}

static struct finding look_interrupts(const struct doctor_view *view)
{
    struct interrupts before, after;
    if (!count_interrupts(view->text[INTERRUPTS_BEFORE], view->cpu, &before) ||
        !count_interrupts(view->text[INTERRUPTS_AFTER], view->cpu, &after) ||
        view->watched_s <= 0.0)
        return say(UNKNOWN, "unknown: /proc/interrupts does not show core %d", view->cpu);
    const double now = (double)(after.all - before.all) / view->watched_s;
    const double up_s = view->text[UPTIME] ? strtod(view->text[UPTIME], NULL) : 0.0;
    const double since_boot = up_s > 0.0 ? (double)after.devices / up_s : 0.0;
    if (since_boot > interrupts_per_s_max)
        return say(WARNING,
                   "core %d took %.0f per second from devices since boot, most from %s: measure "
                   "elsewhere with --cpu, or move them (/proc/irq/*/smp_affinity_list)",
                   view->cpu, since_boot, after.most);
    if (now > interrupts_per_s_max)
        return say(WARNING,
                   "core %d takes %.0f per second beside the timer's: measure elsewhere with "
                   "--cpu, or stop what causes them",
                   view->cpu, now);
    return say(FINE,
               "core %d takes %.1f per second beside the timer's, %.1f from devices since boot",
               view->cpu, now, since_boot);
}

static struct finding look_isolated(const struct doctor_view *view)
{
    char cores[WORD];
    if (!view->text[ISOLATED])
        return say(UNKNOWN, "unknown: this kernel does not say");
    text_line(view->text[ISOLATED], cores, sizeof(cores));
    const bool tickless = view->text[NOHZ_FULL] && in_list(view->text[NOHZ_FULL], view->cpu);
    if (*cores == '\0')
        return say(FINE,
                   "none, which is usual; isolcpus=%d nohz_full=%d at boot would keep others "
                   "off core %d",
                   view->cpu, view->cpu, view->cpu);
    if (!in_list(cores, view->cpu))
        return say(WARNING,
                   "%s, but core %d is measured: use one of them, taskset -c N seqbench ... "
                   "--cpu N",
                   cores, view->cpu);
    return say(FINE, "core %d is isolated%s", view->cpu,
               tickless ? " and has no timer tick" : "; nohz_full would stop its timer tick too");
}

static struct finding look_quota(const struct doctor_view *view)
{
    const char *at = view->text[QUOTAS];
    if (!at)
        return say(UNKNOWN, "unknown: no cgroup files to read");
    double tightest = 0.0; /* cores; 0: no limit */
    for (; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        double quota, period;
        if (sscanf(at, "%lf %lf", &quota, &period) != 2 || quota <= 0.0 || period <= 0.0)
            continue; /* max */
        if (tightest == 0.0 || quota / period < tightest)
            tightest = quota / period;
    }
    if (tightest == 0.0)
        return say(FINE, "none");
    if (tightest <= 1.0)
        return say(WARNING,
                   "%.2f of a core: the kernel stops what has used it up; give this container or "
                   "service more than one (docker run --cpus, CPUQuota=)",
                   tightest);
    return say(FINE, "%.2f cores, enough for one", tightest);
}

static struct finding look_virtual(const struct doctor_view *view)
{
    if (!view->text[CPUINFO] || !text_value(view->text[CPUINFO], "flags"))
        return say(UNKNOWN, "unknown: this CPU does not say whether it is a virtual machine's");
    if (!has_word(cpu_features(view->text[CPUINFO]), "hypervisor"))
        return say(FINE, "no");
    return say(WARNING,
               "yes: one session here is not a CPU's number; repeat at other times, or use "
               "a machine of your own");
}

static struct finding look_steal(const struct doctor_view *view)
{
    int64_t before[STAT_COLUMNS], after[STAT_COLUMNS], all = 0;
    if (stat_ticks(view->text[STAT_BEFORE], view->cpu, before) <= STAT_STEAL ||
        stat_ticks(view->text[STAT_AFTER], view->cpu, after) <= STAT_STEAL)
        return say(UNKNOWN, "unknown: /proc/stat shows none for core %d", view->cpu);
    for (int i = 0; i < STAT_COLUMNS; i++)
        all += after[i] - before[i];
    const int64_t stolen = after[STAT_STEAL] - before[STAT_STEAL];
    if (stolen > 0 && all > 0)
        return say(WARNING,
                   "%.1f %% of core %d went to other guests: repeat when the host is quiet",
                   100.0 * (double)stolen / (double)all, view->cpu);
    if (after[STAT_STEAL] > 0)
        return say(FINE, "none now, %" PRId64 " ticks since boot", after[STAT_STEAL]);
    if (has_word(cpu_features(view->text[CPUINFO]), "hypervisor"))
        return say(UNKNOWN, "none since boot; a host may hide it");
    return say(FINE, "none");
}

static struct finding look_load(const struct doctor_view *view)
{
    if (!view->text[LOAD])
        return say(UNKNOWN, "unknown: no /proc/loadavg");
    const double load = strtod(view->text[LOAD], NULL);
    if (load > load_max)
        return say(WARNING, "%.1f: stop what else runs on this machine", load);
    return say(FINE, "%.1f", load);
}

/* ---- how memory is laid out ---- */

static struct finding look_huge_pages(const struct doctor_view *view)
{
    const char *text = view->text[HUGE_PAGES], *chosen = text ? strchr(text, '[') : NULL;
    if (!chosen)
        return say(UNKNOWN, "unknown: this kernel has no transparent huge pages to show");
    char word[WORD];
    snprintf(word, sizeof(word), "%.*s", (int)strcspn(chosen + 1, "]\n"), chosen + 1);
    if (strcmp(word, "never") == 0)
        return say(WARNING,
                   "%s: where 4 KiB pages lie changes times from round to round; echo madvise | "
                   "sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
                   word);
    return say(FINE, "%s", word);
}

static struct finding look_aslr(const struct doctor_view *view)
{
    const unsigned long no_randomize = 0x0040000; /* ADDR_NO_RANDOMIZE of personality(2) */
    if (view->text[PERSONALITY] && strtoul(view->text[PERSONALITY], NULL, 16) & no_randomize)
        return say(WARNING, "off for this process: rounds would share one layout; start it without "
                            "setarch -R and without a debugger");
    if (!view->text[ASLR])
        return say(UNKNOWN, "unknown: no /proc/sys/kernel/randomize_va_space");
    if (*view->text[ASLR] != '2')
        return say(WARNING,
                   "%c: rounds would share one layout; sudo sysctl kernel.randomize_va_space=2",
                   *view->text[ASLR]);
    return say(FINE, "on");
}

/* ---- counters and libraries ---- */

/* Why neither cycles nor instructions can be had. */
static struct finding explain_refusal(const struct doctor_view *view, int refusal)
{
    char paranoid[WORD] = "unknown";
    if (view->text[PARANOID])
        text_line(view->text[PARANOID], paranoid, sizeof(paranoid));
    if (refusal == EACCES || refusal == EPERM)
        return say(WARNING,
                   "refused, perf_event_paranoid is %s: sudo sysctl kernel.perf_event_paranoid=2; "
                   "a container must allow perf_event_open",
                   paranoid);
    if (refusal == ENOENT || refusal == EOPNOTSUPP || refusal == ENODEV || refusal == ENOSYS)
        return say(UNKNOWN, "unavailable: this machine shows none; usual in a virtual machine");
    if (refusal == ENODATA)
        return say(UNKNOWN,
                   "unavailable: they open and never count; another program may hold them, "
                   "or a hypervisor hide them");
    return say(UNKNOWN, "unavailable: %s", strerror(refusal));
}

static struct finding look_perf(const struct doctor_view *view)
{
    char have[128] = "", lack[128] = "";
    for (int i = 0; i < COUNTERS; i++) {
        char *list = view->refusal[i] == 0 ? have : lack;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof(have) - used, "%s%s", used ? ", " : "", counter_names[i]);
    }
    for (int i = CYCLES; i <= INSTRUCTIONS; i++)
        if (view->refusal[i] != 0)
            return explain_refusal(view, view->refusal[i]);
    return say(FINE, "%s%s%s", have, *lack ? "; unavailable: " : "", lack);
}

/* The first mapped file named like an OpenBLAS that is not the one asked for; its length. */
static const char *foreign_blas(const char *maps, const char *asked, int *length)
{
    for (const char *line = maps; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const size_t all = strcspn(line, "\n");
        const char *path = memchr(line, '/', all); /* nothing before the path has a slash */
        if (!path || !memmem(path, all - (size_t)(path - line), "/libopenblas", 12))
            continue;
        *length = (int)(all - (size_t)(path - line));
        if (strlen(asked) != (size_t)*length || strncmp(path, asked, (size_t)*length) != 0)
            return path;
    }
    return NULL;
}

static struct finding look_blas(const struct doctor_view *view)
{
    int length = 0;
    if (view->blas_parallel)
        return say(WARNING, "multi-threaded: a run refuses it; build with a serial one, see "
                            "OPENBLAS= in make help");
    if (!view->text[MAPS] || !view->blas_file)
        return say(UNKNOWN, "serial; unknown from which file");
    const char *other = foreign_blas(view->text[MAPS], view->blas_file, &length);
    if (other)
        return say(WARNING, "%.*s is loaded, %s was asked for: see LD_PRELOAD and LD_LIBRARY_PATH",
                   length < 90 ? length : 90, other, view->blas_file);
    return say(FINE, "serial, %s", view->blas_file);
}

/* Kernel sets of OpenBLAS and BLIS that leave a feature of the CPU unused. */
static const struct {
    const char *core, *unused;
} old_cores[] = {
    {"Katmai", "avx2"},       {"Coppermine", "avx2"},  {"Northwood", "avx2"},
    {"Prescott", "avx2"},     {"Banias", "avx2"},      {"Atom", "avx2"},
    {"Core2", "avx2"},        {"Penryn", "avx2"},      {"Dunnington", "avx2"},
    {"Nehalem", "avx2"},      {"Athlon", "avx2"},      {"Opteron", "avx2"},
    {"Opteron_SSE3", "avx2"}, {"Barcelona", "avx2"},   {"Nano", "avx2"},
    {"Bobcat", "avx2"},       {"Sandybridge", "avx2"}, {"Bulldozer", "avx2"},
    {"Piledriver", "avx2"},   {"Steamroller", "avx2"}, {"Generic", "avx2"},
    {"Unknown", "avx2"},      {"Haswell", "avx512f"},  {"Zen", "avx512f"},
    {"Zen2", "avx512f"},      {"Zen3", "avx512f"},     {"Generic", "asimd"},
    {"armv8", "asimd"},
};

/* The feature that kernels made for a core leave unused; NULL: none. */
static const char *unused_feature(const char *core, const char *features)
{
    for (size_t i = 0; i < sizeof(old_cores) / sizeof(old_cores[0]); i++)
        if (strcasecmp(core, old_cores[i].core) == 0 && has_word(features, old_cores[i].unused))
            return old_cores[i].unused;
    return NULL;
}

static void describe_kernels(const char *core, const char *unused, const char *remedy, char *out,
                             size_t size)
{
    if (unused)
        snprintf(out, size, "%s, made for less than this CPU (%s): %s", core, unused, remedy);
    else
        snprintf(out, size, "%s", core);
}

static struct finding look_blas_kernels(const struct doctor_view *view)
{
    const char *core = view->blas_core, *features = cpu_features(view->text[CPUINFO]);
    const char *blis = view->blis_kernels ? view->blis_kernels : "";
    if (!core || !features)
        return say(UNKNOWN, "%s; unknown what this CPU could do", core ? core : "unknown");
    const char *unused = unused_feature(core, features);
    const char *unused_by_blis = unused_feature(blis, features);
    char of_openblas[144], of_blis[96];
    describe_kernels(core, unused,
                     "unset OPENBLAS_CORETYPE, or build with a newer OpenBLAS (OPENBLAS= in make "
                     "help)",
                     of_openblas, sizeof(of_openblas));
    describe_kernels(blis, unused_by_blis, "set BLIS_ARCH_TYPE (0: skx, 3: haswell)", of_blis,
                     sizeof(of_blis));
    return say(unused || unused_by_blis ? WARNING : FINE, "%s%s%s", of_openblas,
               *blis ? "; BLIS: " : "", of_blis);
}

const struct doctor_item doctor_items[] = {
    {"governor", look_governor},
    {"turbo", look_turbo},
    {"power supply", look_supplies},
    {"clock", look_clock},
    {"SMT sibling", look_sibling},
    {"interrupts", look_interrupts},
    {"isolated cores", look_isolated},
    {"cgroup quota", look_quota},
    {"virtual", look_virtual},
    {"steal", look_steal},
    {"load", look_load},
    {"huge pages", look_huge_pages},
    {"ASLR", look_aslr},
    {"perf counters", look_perf},
    {"OpenBLAS", look_blas},
    {"BLAS kernels", look_blas_kernels},
    {NULL, NULL},
};
