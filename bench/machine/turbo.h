/* turbo.h - whether the clock may rise above its base rate. */
#ifndef SEQBENCH_TURBO_H
#define SEQBENCH_TURBO_H

/* The file that says so: of intel_pstate, and of the other drivers. */
#define TURBO_NO_TURBO "/sys/devices/system/cpu/intel_pstate/no_turbo"
#define TURBO_BOOST "/sys/devices/system/cpu/cpufreq/boost"

enum turbo { TURBO_UNKNOWN, TURBO_OFF, TURBO_ON };

/* From the texts of the two files; NULL: there is no such file. The first counts when both are. */
enum turbo turbo_of(const char *no_turbo, const char *boost);

#endif
