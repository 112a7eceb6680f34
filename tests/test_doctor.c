/* The doctor's items, given what other machines show. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "machine/doctor.h"

/* A quiet server: core 3 of 8 cores with two threads each, which are 0-7 and 8-15. */
#define FLAGS "fpu vme sse2 avx avx2 fma"
static const char stat_0[] = "cpu  100 0 100 9000 0 0 0 0 0 0\n"
                             "cpu3 10 0 10 1000 5 0 0 0 0 0\n"
                             "cpu11 20 0 10 1000 5 0 0 0 0 0\n"
                             "intr 5 0 0\n";
static const char stat_1[] = "cpu  400 0 100 9200 0 0 0 0 0 0\n"
                             "cpu3 208 0 12 1000 5 0 0 0 0 0\n"
                             "cpu11 21 0 10 1199 5 0 0 0 0 0\n"
                             "intr 5 0 0\n";
static const char interrupts_0[] =
    "            CPU0       CPU3       CPU11\n"
    "   0:         29          0          0  IO-APIC   2-edge  timer\n"
    "  24:       9000         50          0  PCI-MSI 1-edge  nvme0q1\n"
    "  25:          0         70          0  PCI-MSI 2-edge  eth0-rx-1\n"
    " LOC:      90000      80000      70000  Local timer interrupts\n"
    " RES:        100        200        300  Rescheduling interrupts\n"
    " ERR:          7\n"
    " MIS:          0\n";
static const char interrupts_1[] =
    "            CPU0       CPU3       CPU11\n"
    "   0:         29          0          0  IO-APIC   2-edge  timer\n"
    "  24:       9000         51          0  PCI-MSI 1-edge  nvme0q1\n"
    "  25:          0         72          0  PCI-MSI 2-edge  eth0-rx-1\n"
    " LOC:      90500      80500      70500  Local timer interrupts\n"
    " RES:        100        201        300  Rescheduling interrupts\n"
    " ERR:          7\n"
    " MIS:          0\n";

static struct doctor_view quiet_server(void)
{
    return (struct doctor_view){
        .cpu = 3,
        .text =
            {
                [GOVERNOR] = "performance\n",
                [NO_TURBO] = "1\n",
                [SUPPLIES] = "",
                [SIBLINGS] = "3,11\n",
                [ISOLATED] = "\n",
                [NOHZ_FULL] = "(null)\n",
                [QUOTAS] = "",
                [CPUINFO] = "processor\t: 0\nmodel name\t: x\nflags\t\t: " FLAGS "\nbugs\t:\n",
                [LOAD] = "0.04 0.10 0.20 1/700 1234\n",
                [HUGE_PAGES] = "always [madvise] never\n",
                [ASLR] = "2\n",
                [PERSONALITY] = "00000000\n",
                [PARANOID] = "2\n",
                [MAPS] = "7f00-7f01 r-xp 00000000 fd:00 12  /usr/lib/blas/libopenblas-r0.3.21.so\n"
                         "7f02-7f03 r-xp 00000000 fd:00 13  /usr/lib/libm.so.6\n"
                         "7f04-7f05 rw-p 00000000 00:00 0\n",
                [UPTIME] = "86400.00 600000.00\n",
                [STAT_BEFORE] = stat_0,
                [STAT_AFTER] = stat_1,
                [INTERRUPTS_BEFORE] = interrupts_0,
                [INTERRUPTS_AFTER] = interrupts_1,
            },
        .watched_s = 2.0,
        .clock_ghz = 2.6,
        .spread = 0.004,
        .blas_core = "Haswell",
        .blas_file = "/usr/lib/blas/libopenblas-r0.3.21.so",
    };
}

static struct finding look(const char *name, const struct doctor_view *view)
{
    const struct doctor_item *item = doctor_items;
    while (item->name && strcmp(item->name, name) != 0)
        item++;
    assert_non_null(item->name);
    return item->look(view);
}

/* The item finds that level, and its text holds the words. */
static void expect(const char *name, const struct doctor_view *view, enum level level,
                   const char *words)
{
    const struct finding finding = look(name, view);
    if (finding.level != level || !strstr(finding.text, words))
        fail_msg("%s: level %d, '%s'; wanted level %d, '%s'", name, (int)finding.level,
                 finding.text, (int)level, words);
}

static void nothing_to_say_about_a_quiet_server(void **state)
{
    (void)state;
    const struct doctor_view view = quiet_server();
    for (const struct doctor_item *item = doctor_items; item->name; item++)
        expect(item->name, &view, FINE, "");
    expect("governor", &view, FINE, "performance");
    expect("clock", &view, FINE, "2.60 GHz, spread 0.4 %");
    expect("SMT sibling", &view, FINE, "core 11 is idle");
    expect("interrupts", &view, FINE, "2.0 per second");
}

/* Nothing can be read: every item says so, none crashes or claims that all is well. */
static void nothing_to_read(void **state)
{
    (void)state;
    const struct doctor_view view = {.refusal = {ENOENT, ENOENT, ENOENT, ENOENT}};
    for (const struct doctor_item *item = doctor_items; item->name; item++)
        expect(item->name, &view, UNKNOWN, "un");
}

/* What one file says, and what is made of it. */
static void one_text_differs(void **state)
{
    (void)state;
    static const struct {
        const char *item;
        enum source source;
        const char *text;
        enum level level;
        const char *words;
    } cases[] = {
        {"governor", GOVERNOR, "powersave\n", WARNING, "powersave: "},
        {"governor", GOVERNOR, "schedutil\n", WARNING, "cpupower frequency-set -g performance"},
        {"governor", GOVERNOR, "performance", FINE, "performance"},
        {"turbo", NO_TURBO, "0\n", WARNING, "no_turbo"},
        {"power supply", SUPPLIES, "", FINE, "no battery"},
        {"power supply", SUPPLIES, "Mains 0 -\nBattery - Discharging\n", WARNING, "plug in"},
        {"power supply", SUPPLIES, "Battery - Discharging\nMains 1 -\n", FINE, "charger"},
        {"power supply", SUPPLIES, "USB 1 -\nBattery - Discharging\n", FINE, "charger"},
        {"power supply", SUPPLIES, "Mains 1 -\nBattery - Not charging\n", FINE, "charger"},
        {"power supply", SUPPLIES, "Battery - Discharging\n", WARNING, "draining"},
        {"power supply", SUPPLIES, "Mains 0 -\n", FINE, "no battery"},
        {"SMT sibling", SIBLINGS, "3\n", FINE, "none"},
        {"SMT sibling", SIBLINGS, "2-3\n", UNKNOWN, "core 2"}, /* has no line in stat */
        {"isolated cores", ISOLATED, "2-3,8\n", FINE, "core 3 is isolated"},
        {"isolated cores", ISOLATED, "4-7,12-15\n", WARNING, "4-7,12-15, but core 3"},
        {"isolated cores", ISOLATED, "13,30-39\n", WARNING, "but core 3"},
        {"cgroup quota", QUOTAS, "max 100000\n", FINE, "none"},
        {"cgroup quota", QUOTAS, "-1 100000\n", FINE, "none"},
        {"cgroup quota", QUOTAS, "50000 100000\nmax 100000\n", WARNING, "0.50 of a core"},
        {"cgroup quota", QUOTAS, "max 100000\n400000 100000\n75000 50000\n", FINE, "1.50 cores"},
        {"cgroup quota", QUOTAS, "800000 100000\n100000 100000\n", WARNING, "1.00 of a core"},
        {"virtual", CPUINFO, "flags : fpu hypervisor avx2\n", WARNING, "one session"},
        {"virtual", CPUINFO, "flags : fpu hypervisors\nx : hypervisor\n", FINE, "no"},
        {"virtual", CPUINFO, "BogoMIPS : 50\nFeatures : fp asimd\n", UNKNOWN, "does not say"},
        {"load", LOAD, "1.92 1.50 1.00 3/700 1234\n", WARNING, "1.9: stop what else runs"},
        {"huge pages", HUGE_PAGES, "[always] madvise never\n", FINE, "always"},
        {"huge pages", HUGE_PAGES, "always madvise [never]\n", WARNING, "echo madvise"},
        {"huge pages", HUGE_PAGES, "never\n", UNKNOWN, "unknown"},
        {"ASLR", ASLR, "0\n", WARNING, "randomize_va_space=2"},
        {"ASLR", ASLR, "1\n", WARNING, "randomize_va_space=2"},
        {"ASLR", PERSONALITY, "00040000\n", WARNING, "setarch"},
        {"OpenBLAS", MAPS, "0-1 r-xp 0 fd:00 1 /opt/my libs/libopenblasp-r0.3.26.so\n", WARNING,
         "/opt/my libs/libopenblasp-r0.3.26.so is loaded"},
        {"OpenBLAS", MAPS, NULL, UNKNOWN, "serial"},
        {"BLAS kernels", CPUINFO, "flags : avx2 avx512f\n", WARNING, "Haswell, made for less"},
        {"BLAS kernels", CPUINFO, "flags : avx2 avx512fp16\n", FINE, "Haswell"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct doctor_view view = quiet_server();
        view.text[cases[i].source] = cases[i].text;
        expect(cases[i].item, &view, cases[i].level, cases[i].words);
    }
}

static void turbo_of_others(void **state)
{
    (void)state;
    struct doctor_view view = quiet_server();
    view.text[NO_TURBO] = NULL;
    expect("turbo", &view, UNKNOWN, "unknown");
    view.text[BOOST] = "1\n";
    expect("turbo", &view, WARNING, "cpufreq/boost");
    view.text[BOOST] = "0\n";
    expect("turbo", &view, FINE, "off");
}

/* Files of a supply, in a folder like that of the kernel. */
static void add_supply(const char *folder, const char *name, const char *const files[][2])
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; files[i][0]; i++) {
        snprintf(path, sizeof(path), "%s/%s/%s", folder, name, files[i][0]);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(files[i][1], file);
        fclose(file);
    }
}

/* A laptop without its charger and a mouse that charges: the folder is read, and judged. */
static void supplies_of_a_laptop(void **state)
{
    (void)state;
    char folder[] = "/tmp/seqbench-supplies-XXXXXX", command[64];
    struct doctor_view view = quiet_server();
    assert_non_null(mkdtemp(folder));
    char *text = doctor_supplies(folder);
    assert_string_equal(text, "");
    free(text);
    add_supply(folder, "AC", (const char *const[][2]){{"type", "Mains\n"}, {"online", "0\n"}, {0}});
    add_supply(folder, "BAT0",
               (const char *const[][2]){{"type", "Battery\n"}, {"status", "Discharging\n"}, {0}});
    add_supply(
        folder, "hid-mouse",
        (const char *const[][2]){{"type", "USB\n"}, {"online", "1\n"}, {"scope", "Device\n"}, {0}});
    text = doctor_supplies(folder);
    view.text[SUPPLIES] = text;
    assert_non_null(strstr(text, "Mains 0 -\n"));
    assert_non_null(strstr(text, "Battery - Discharging\n"));
    assert_null(strstr(text, "USB"));
    expect("power supply", &view, WARNING, "draining");
    free(text);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    assert_null(doctor_supplies(folder));
}

static void isolated_without_tick(void **state)
{
    (void)state;
    struct doctor_view view = quiet_server();
    view.text[ISOLATED] = "3\n";
    expect("isolated cores", &view, FINE, "nohz_full would");
    view.text[NOHZ_FULL] = "2-3\n";
    expect("isolated cores", &view, FINE, "no timer tick");
}

static void busy_sibling(void **state)
{
    (void)state;
    struct doctor_view view = quiet_server();
    view.text[STAT_AFTER] = "cpu3 208 0 12 1000 5 0 0 0 0 0\n"
                            "cpu11 140 0 40 1050 5 0 0 0 0 0\n";
    expect("SMT sibling", &view, WARNING, "core 11 is busy 75 % of the time and shares core 3");
    view.text[SIBLINGS] = "3,10-11\n"; /* the busiest of two, one of them unknown */
    expect("SMT sibling", &view, WARNING, "core 11");
    view.text[SIBLINGS] = "3\n";
    view.text[CPUINFO] = "flags : hypervisor\n";
    expect("SMT sibling", &view, UNKNOWN, "virtual machine");
}

static void steal_shown_and_not(void **state)
{
    (void)state;
    struct doctor_view view = quiet_server();
    view.text[STAT_AFTER] = "cpu3 200 0 10 1000 5 0 0 10 0 0\n";
    expect("steal", &view, WARNING, "5.0 % of core 3");
    view.text[STAT_BEFORE] = view.text[STAT_AFTER];
    expect("steal", &view, FINE, "10 ticks since boot");
    view.text[STAT_AFTER] = view.text[STAT_BEFORE] = "cpu3 10 0 10 1000 5 0 0\n"; /* no column */
    expect("steal", &view, UNKNOWN, "shows none for core 3");
    view = quiet_server();
    view.text[CPUINFO] = "flags : hypervisor\n";
    expect("steal", &view, UNKNOWN, "may hide it");
    view.cpu = 4; /* offline: no line */
    expect("steal", &view, UNKNOWN, "core 4");
}

static void many_interrupts(void **state)
{
    (void)state;
    struct doctor_view view = quiet_server();
    view.text[INTERRUPTS_AFTER] = "            CPU0       CPU3\n"
                                  "  24:       9000   30000000  PCI-MSI 1-edge  nvme0q1\n"
                                  "  25:          0   99000000  PCI-MSI 2-edge  eth0-rx-1\n";
    expect("interrupts", &view, WARNING, "1493 per second from devices since boot, most from eth0");
    view = quiet_server();
    view.text[INTERRUPTS_AFTER] = "            CPU0       CPU3\n"
                                  "  24:       9000         50  PCI-MSI 1-edge  nvme0q1\n"
                                  "  25:          0         70  PCI-MSI 2-edge  eth0-rx-1\n"
                                  " CAL:          0       2200  Function call interrupts\n";
    expect("interrupts", &view, WARNING, "takes 1000 per second beside the timer's");
    view.cpu = 4; /* has no column */
    expect("interrupts", &view, UNKNOWN, "core 4");
    view.cpu = 11; /* every line is too short for its column */
    view.text[INTERRUPTS_BEFORE] = view.text[INTERRUPTS_AFTER] = " CPU0 CPU11\n  1: 5\n  2: 7\n";
    expect("interrupts", &view, FINE, "0.0 per second");
}

/* ARM counts its timer as a device. */
static void timers_are_left_out(void **state)
{
    (void)state;
    struct doctor_view view = quiet_server();
    view.text[INTERRUPTS_AFTER] = "           CPU0       CPU3\n"
                                  " 11:   90000000   90000000     GICv3  27 Level     arch_timer\n";
    view.text[INTERRUPTS_BEFORE] =
        "           CPU0       CPU3\n"
        " 11:   89000000   89000000     GICv3  27 Level     arch_timer\n";
    expect("interrupts", &view, FINE, "0.0 per second");
}

static void unsteady_clock(void **state)
{
    (void)state;
    struct doctor_view view = quiet_server();
    view.spread = 0.08;
    expect("clock", &view, WARNING, "spread 8.0 % in 2 s");

    double ghz[200], median;
    for (int i = 0; i < 200; i++)
        ghz[i] = i % 2 ? 2.0 : 2.5;
    ghz[7] = 0.1; /* two moments are not a trend */
    ghz[8] = 9.9;
    const double spread = doctor_spread(ghz, 200, &median);
    assert_true(spread == 0.25 || spread == 0.2);
    assert_true(median == 2.0 || median == 2.5);
    assert_true(doctor_spread(ghz, 1, &median) == 0.0 && median == 0.1);
    assert_true(doctor_spread(ghz, 0, &median) == 0.0 && median == 0.0);
}

static void counters_refused(void **state)
{
    (void)state;
    struct doctor_view view = quiet_server();
    view.refusal[LAST_LEVEL_MISSES] = ENOENT;
    expect("perf counters", &view, FINE,
           "cycles, instructions, L2 misses; unavailable: last-level misses");
    view.refusal[CYCLES] = view.refusal[INSTRUCTIONS] = EACCES;
    view.text[PARANOID] = "4\n";
    expect("perf counters", &view, WARNING, "perf_event_paranoid is 4");
    view.refusal[CYCLES] = EOPNOTSUPP;
    expect("perf counters", &view, UNKNOWN, "usual in a virtual machine");
    view.refusal[CYCLES] = ENODATA;
    expect("perf counters", &view, UNKNOWN, "never count");
    view.refusal[CYCLES] = EMFILE;
    expect("perf counters", &view, UNKNOWN, strerror(EMFILE));
}

static void wrong_blas(void **state)
{
    (void)state;
    static const struct {
        const char *core, *cpuinfo;
        enum level level;
    } cases[] = {
        {"Prescott", "flags : " FLAGS "\n", WARNING},
        {"Sandybridge", "flags : " FLAGS "\n", WARNING},
        {"Sandybridge", "flags : sse2 avx\n", FINE},
        {"Zen", "flags : " FLAGS "\n", FINE},
        {"Zen", "flags : avx2 avx512f\n", WARNING},
        {"SkylakeX", "flags : avx2 avx512f\n", FINE},
        {"generic", "flags : " FLAGS "\n", WARNING},
        {"armv8", "Features\t: fp asimd\n", WARNING},
        {"neoversen1", "Features\t: fp asimd\n", FINE},
        {"anything new", "flags : avx2 avx512f\n", FINE},
        {"Haswell", "cpu : POWER9\n", UNKNOWN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct doctor_view view = quiet_server();
        view.blas_core = cases[i].core;
        view.text[CPUINFO] = cases[i].cpuinfo;
        expect("BLAS kernels", &view, cases[i].level, cases[i].core);
    }
    struct doctor_view view = quiet_server();
    view.blis_kernels = "zen3";
    expect("BLAS kernels", &view, FINE, "Haswell; BLIS: zen3");
    view.text[CPUINFO] = "flags : avx512f\n";
    view.blas_core = "SkylakeX";
    expect("BLAS kernels", &view, WARNING, "BLIS: zen3, made for less than this CPU (avx512f)");
    view.blis_kernels = "skx";
    expect("BLAS kernels", &view, FINE, "SkylakeX; BLIS: skx");
    view = quiet_server();
    view.blis_kernels = "generic";
    expect("BLAS kernels", &view, WARNING,
           "Haswell; BLIS: generic, made for less than this CPU (avx2): set BLIS_ARCH_TYPE");
    view.blas_core = "Prescott";
    expect("BLAS kernels", &view, WARNING, "OPENBLAS= in make help); BLIS: generic, made for less");
    view.blas_file = NULL;
    expect("OpenBLAS", &view, UNKNOWN, "serial");
    view.blas_parallel = true;
    expect("OpenBLAS", &view, WARNING, "multi-threaded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_say_about_a_quiet_server),
        cmocka_unit_test(nothing_to_read),
        cmocka_unit_test(one_text_differs),
        cmocka_unit_test(turbo_of_others),
        cmocka_unit_test(supplies_of_a_laptop),
        cmocka_unit_test(isolated_without_tick),
        cmocka_unit_test(busy_sibling),
        cmocka_unit_test(steal_shown_and_not),
        cmocka_unit_test(many_interrupts),
        cmocka_unit_test(timers_are_left_out),
        cmocka_unit_test(unsteady_clock),
        cmocka_unit_test(counters_refused),
        cmocka_unit_test(wrong_blas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
