/*
 * doctor.h - what on this machine disturbs a timing, and what to do about it. Changes nothing.
 *
 * An item is a function of what was seen: texts of files and a few measured values. Where they come
 * from is known to one table in sources.c; the tests give items the texts of other machines.
 */
#ifndef SEQBENCH_DOCTOR_H
#define SEQBENCH_DOCTOR_H

#include <stdio.h>

#include "err.h"
#include "measure/noise.h"

/* Contents of files of /proc and /sys; NULL: there is no such file, or it cannot be read. */
enum source {
    GOVERNOR,
    NO_TURBO, /* Intel: 1 is off */
    BOOST,    /* others: 1 is on */
    SUPPLIES, /* "type online status" of each power supply, a line each; - for what it does not say */
    SIBLINGS,
    ISOLATED,
    NOHZ_FULL,
    QUOTAS, /* "quota period" in us, a line per cgroup from this process's up; "max" or -1: none */
    CPUINFO,
    LOAD,
    HUGE_PAGES,
    ASLR,
    PERSONALITY,
    PARANOID,
    MAPS,
    UPTIME,
    STAT_BEFORE, /* before and after the clock was watched */
    STAT_AFTER,
    INTERRUPTS_BEFORE,
    INTERRUPTS_AFTER,
    SOURCES
};

struct doctor_view {
    int cpu; /* the measured core */
    const char *text[SOURCES];
    double watched_s;         /* between before and after */
    double clock_ghz, spread; /* median of the clock, and how far it moved, 0.01 = 1 % */
    int refusal[COUNTERS];    /* as in struct noise_meter */
    bool blas_parallel;       /* more than one thread */
    const char *blas_core;    /* OpenBLAS's name of its kernel set */
    const char *blis_kernels; /* the same of BLIS; NULL: not built in */
    const char *blas_file;    /* the library that was asked for; NULL: not found any more */
};

enum level {
    FINE,
    WARNING, /* with what to do about it */
    UNKNOWN, /* cannot be known here */
};

struct finding {
    enum level level;
    char text[256];
};

struct doctor_item {
    const char *name;
    struct finding (*look)(const struct doctor_view *view);
};

/* In the order in which they are printed; ends with a NULL name. */
extern const struct doctor_item doctor_items[];

/*
 * (99th - 1st percentile) / median of n clock rates, and their median. Sorts them. A dip shorter
 * than 1 % of the time is nothing that a sample would notice.
 */
double doctor_spread(double *ghz, size_t n, double *median);

/* What SUPPLIES is, of a folder like /sys/class/power_supply, to be freed; NULL: it is not there. */
char *doctor_supplies(const char *folder);

/* Looks for about two seconds and prints a line per item. requested: as in pin_choose. */
bool doctor_run(int requested, bool warnings_only, FILE *out, struct err *err);

#endif
