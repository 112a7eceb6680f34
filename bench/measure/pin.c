/* pin.c - choosing, binding and verifying the measured core. */
#define _GNU_SOURCE /* hwloc's CPU sets */
#include "measure/pin.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

bool topology_load(hwloc_topology_t *out, struct err *err)
{
    if (hwloc_topology_init(out) != 0)
        return err_set(err, "hwloc cannot start: %s", strerror(errno));
    if (hwloc_topology_load(*out) != 0) {
        hwloc_topology_destroy(*out);
        return err_set(err, "hwloc cannot read this machine: %s", strerror(errno));
    }
    if (!hwloc_topology_is_thissystem(*out)) {
        hwloc_topology_destroy(*out);
        return err_set(err, "hwloc was given another machine's topology (HWLOC_XMLFILE and the "
                            "like): binding would do nothing");
    }
    return true;
}

/* The cores in the topology that this process is allowed to run on. */
static hwloc_bitmap_t allowed_cpus(hwloc_topology_t topology)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (!set)
        abort();
    if (hwloc_get_cpubind(topology, set, HWLOC_CPUBIND_PROCESS) != 0)
        hwloc_bitmap_fill(set);
    hwloc_bitmap_and(set, set, hwloc_topology_get_allowed_cpuset(topology));
    return set;
}

int pin_core_kind(hwloc_topology_t topology, int cpu)
{
    hwloc_bitmap_t one = hwloc_bitmap_alloc();
    if (!one)
        abort();
    hwloc_bitmap_only(one, (unsigned)cpu);
    const int kind = hwloc_cpukinds_get_by_cpuset(topology, one, 0);
    int efficiency = -1;
    if (kind >= 0)
        hwloc_cpukinds_get_info(topology, (unsigned)kind, NULL, &efficiency, NULL, NULL, 0);
    hwloc_bitmap_free(one);
    return efficiency;
}

/* Performance cores first; the last of them, so that core 0 is taken only when it is alone. */
static int preferred(hwloc_topology_t topology, hwloc_const_bitmap_t allowed)
{
    int best = hwloc_bitmap_last(allowed);
    for (int cpu = best - 1; cpu > 0; cpu--)
        if (hwloc_bitmap_isset(allowed, (unsigned)cpu) &&
            pin_core_kind(topology, cpu) > pin_core_kind(topology, best))
            best = cpu;
    return best;
}

bool pin_choose(hwloc_topology_t topology, int requested, int *cpu, struct err *err)
{
    hwloc_bitmap_t allowed = allowed_cpus(topology);
    char list[256];
    hwloc_bitmap_list_snprintf(list, sizeof(list), allowed);
    const int all = hwloc_bitmap_last(hwloc_topology_get_complete_cpuset(topology));
    const bool exists = requested <= all;
    const bool ok = requested < 0 || (exists && hwloc_bitmap_isset(allowed, (unsigned)requested));
    *cpu = requested < 0 ? preferred(topology, allowed) : requested;
    hwloc_bitmap_free(allowed);
    return ok || err_set(err, "cannot pin to core %d: %s; allowed: %s", requested,
                         exists ? "not allowed" : "there is no such core", list);
}

bool pin_bind(hwloc_topology_t topology, int cpu, struct err *err)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (!set)
        abort();
    hwloc_bitmap_only(set, (unsigned)cpu);
    const int flags = HWLOC_CPUBIND_THREAD | HWLOC_CPUBIND_STRICT;
    bool ok = hwloc_set_cpubind(topology, set, flags) == 0;
    const int cause = ok ? 0 : errno;
    if (ok)
        ok = hwloc_get_last_cpu_location(topology, set, HWLOC_CPUBIND_THREAD) == 0 &&
             hwloc_bitmap_weight(set) == 1 && hwloc_bitmap_isset(set, (unsigned)cpu);
    hwloc_bitmap_free(set);
    return ok || err_set(err, "cannot pin to core %d: %s", cpu,
                         cause ? strerror(cause) : "the thread runs elsewhere");
}

int64_t pin_last_level_bytes(hwloc_topology_t topology, int cpu)
{
    const hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(topology, (unsigned)cpu);
    int64_t bytes = 0;
    for (hwloc_obj_t at = pu; at; at = at->parent)
        if (hwloc_obj_type_is_dcache(at->type))
            bytes = (int64_t)at->attr->cache.size;
    return bytes;
}

bool pin_set_flush_to_zero(bool on)
{
#if defined(__SSE2__)
    const unsigned ftz = 0x8000, daz = 0x0040;
    _mm_setcsr(on ? _mm_getcsr() | ftz | daz : _mm_getcsr() & ~(ftz | daz));
    return (_mm_getcsr() & (ftz | daz)) == (on ? ftz | daz : 0);
#elif defined(__aarch64__)
    uint64_t fpcr;
    const uint64_t fz = (uint64_t)1 << 24;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = on ? fpcr | fz : fpcr & ~fz;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return ((fpcr & fz) != 0) == on;
#else
    return !on;
#endif
}

bool pin_set_fifo(bool on, struct err *err)
{
    const struct sched_param lowest = {.sched_priority =
                                           on ? sched_get_priority_min(SCHED_FIFO) : 0};
    if (sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &lowest) == 0)
        return true;
    return err_set(err,
                   "--fifo: no right to real-time scheduling: %s; it takes root, CAP_SYS_NICE or "
                   "a limit `ulimit -r` of at least %d",
                   strerror(errno), lowest.sched_priority);
}
