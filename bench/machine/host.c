/* host.c - who this machine is, from hwloc, /proc and /sys. What cannot be read says so. */
#include "machine/host.h"

#include <build_commit.h>
#include <build_flags.h>
#include <cblas.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/chunk.h"
#include "engines/blis_library.h"
#include "kernels.h"
#include "machine/turbo.h"
#include "measure/memory.h"
#include "measure/pin.h"
#include "peers/peer.h"
#include "text.h"
#include "vmath.h"

#ifdef SEQBENCH_ONEDNN
#include "peers/onednn.h"
#endif
#ifdef SEQBENCH_EIGEN
#include "peers/eigen_step.h"
#endif

extern char **environ;

static const char unknown[] = "unknown";

/* First line of a file, or the fallback. */
static const char *read_line(const char *path, const char *fallback, char *out, size_t size)
{
    char *text = text_of(path);
    const char *line = text && *text ? text_line(text, out, size) : fallback;
    free(text);
    return line;
}

/* Value of the first `key : value` line of /proc/cpuinfo, or the fallback. */
static const char *cpuinfo(const char *key, const char *fallback, char *out, size_t size)
{
    char *text = text_of("/proc/cpuinfo");
    const char *value = text_value(text, key);
    const char *line = value ? text_line(value, out, size) : fallback;
    free(text);
    return line;
}

static void add_cpuinfo(cJSON *group, const char *name, const char *key)
{
    char value[4096];
    cJSON_AddStringToObject(group, name, cpuinfo(key, unknown, value, sizeof(value)));
}

static void add_line(cJSON *group, const char *name, const char *path, const char *fallback)
{
    char value[256];
    cJSON_AddStringToObject(group, name, read_line(path, fallback, value, sizeof(value)));
}

static void add_core_line(cJSON *group, const char *name, int cpu, const char *file,
                          const char *fallback)
{
    char path[256];
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/%s", cpu, file);
    add_line(group, name, path, fallback);
}

static void add_turbo(cJSON *group)
{
    static const char *const words[] = {
        [TURBO_UNKNOWN] = unknown, [TURBO_OFF] = "off", [TURBO_ON] = "on"};
    char *no_turbo = text_of(TURBO_NO_TURBO), *boost = text_of(TURBO_BOOST);
    cJSON_AddStringToObject(group, "turbo", words[turbo_of(no_turbo, boost)]);
    free(no_turbo);
    free(boost);
}

static void add_core_kind(cJSON *cpu_group, hwloc_topology_t topology, int cpu)
{
    const int kinds = hwloc_cpukinds_get_nr(topology, 0), kind = pin_core_kind(topology, cpu);
    char text[64];
    if (kinds < 1 || kind < 0)
        snprintf(text, sizeof(text), "%s", unknown);
    else
        snprintf(text, sizeof(text), "efficiency rank %d of %d kinds", kind, kinds);
    cJSON_AddStringToObject(cpu_group, "core_kind", text);
}

static void add_caches(cJSON *cpu_group, hwloc_topology_t topology, int cpu)
{
    cJSON *caches = cJSON_AddArrayToObject(cpu_group, "caches");
    for (hwloc_obj_t at = hwloc_get_pu_obj_by_os_index(topology, (unsigned)cpu); at;
         at = at->parent) {
        if (!hwloc_obj_type_is_dcache(at->type))
            continue;
        cJSON *cache = cJSON_CreateObject();
        cJSON_AddNumberToObject(cache, "level", at->attr->cache.depth);
        cJSON_AddNumberToObject(cache, "bytes", (double)at->attr->cache.size);
        cJSON_AddNumberToObject(cache, "shared_by_cores", hwloc_bitmap_weight(at->cpuset));
        cJSON_AddItemToArray(caches, cache);
    }
}

static void add_cpu(cJSON *host, hwloc_topology_t topology, int cpu)
{
    cJSON *group = cJSON_AddObjectToObject(host, "cpu");
    add_cpuinfo(group, "model", "model name");
    add_cpuinfo(group, "vendor", "vendor_id");
    add_cpuinfo(group, "family", "cpu family");
    add_cpuinfo(group, "model_number", "model");
    add_cpuinfo(group, "stepping", "stepping");
    add_cpuinfo(group, "microcode", "microcode");
    add_cpuinfo(group, "mhz_now", "cpu MHz");
    add_cpuinfo(group, "flags", "flags");
    cJSON_AddNumberToObject(group, "logical_cores",
                            hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU));
    cJSON_AddNumberToObject(group, "measured_core", cpu);
    add_core_kind(group, topology, cpu);
    add_caches(group, topology, cpu);
    add_core_line(group, "governor", cpu, "cpufreq/scaling_governor", "unavailable");
    add_core_line(group, "max_khz", cpu, "cpufreq/cpuinfo_max_freq", "unavailable");
    add_core_line(group, "smt_siblings", cpu, "topology/thread_siblings_list", unknown);
    add_line(group, "smt", "/sys/devices/system/cpu/smt/control", unknown);
    add_turbo(group);
}

/* x86 shows a hypervisor bit; elsewhere the firmware's vendor string would have to be guessed at.
 */
static void add_virtual(cJSON *group)
{
    char flags[4096];
    const char *found = cpuinfo("flags", NULL, flags, sizeof(flags));
    if (found)
        cJSON_AddBoolToObject(group, "virtual", strstr(found, " hypervisor") != NULL);
    else
        cJSON_AddNullToObject(group, "virtual");
}

static void add_machine(cJSON *host)
{
    cJSON *group = cJSON_AddObjectToObject(host, "machine");
    add_virtual(group);
    cJSON_AddNumberToObject(group, "memory_bytes", (double)memory_info_bytes("MemTotal"));
    add_line(group, "transparent_huge_pages", "/sys/kernel/mm/transparent_hugepage/enabled",
             unknown);
    add_line(group, "aslr", "/proc/sys/kernel/randomize_va_space", unknown);
}

static void add_os(cJSON *host)
{
    cJSON *group = cJSON_AddObjectToObject(host, "os");
    struct utsname name;
    uname(&name); /* fails for a bad pointer only */
    cJSON_AddStringToObject(group, "kernel", name.release);
    cJSON_AddStringToObject(group, "kernel_build", name.version);
    cJSON_AddStringToObject(group, "architecture", name.machine);
    char *release = text_of("/etc/os-release");
    const char *line = release ? strstr(release, "PRETTY_NAME=") : NULL;
    char distribution[256] = "unknown";
    if (line)
        sscanf(line, "PRETTY_NAME=\"%255[^\"]", distribution);
    free(release);
    cJSON_AddStringToObject(group, "distribution", distribution);
}

static void add_build(cJSON *host)
{
    cJSON *group = cJSON_AddObjectToObject(host, "build");
    cJSON_AddStringToObject(group, "version", SEQBENCH_VERSION);
    cJSON_AddStringToObject(group, "compiler", SEQBENCH_COMPILER);
    cJSON_AddStringToObject(group, "flags", SEQBENCH_FLAGS);
    cJSON_AddNumberToObject(group, "lanes", VMATH_LANES);
    cJSON_AddNumberToObject(group, "chunk", STATE_CHUNK);
    cJSON_AddStringToObject(group, "cxx_compiler", SEQBENCH_CXX_COMPILER);
    cJSON_AddStringToObject(group, "cxx_flags", SEQBENCH_CXX_FLAGS);
    cJSON_AddStringToObject(group, "commit", SEQBENCH_COMMIT);
    cJSON_AddBoolToObject(group, "dirty", SEQBENCH_DIRTY);
}

/* The environment variables that steer a BLAS. */
static void add_blas_environment(cJSON *group)
{
    cJSON *set = cJSON_AddObjectToObject(group, "blas_environment");
    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        char name[128];
        if (!equals || (size_t)(equals - *entry) >= sizeof(name) ||
            (strncmp(*entry, "OPENBLAS_", 9) != 0 && strncmp(*entry, "BLIS_", 5) != 0 &&
             strncmp(*entry, "OMP_", 4) != 0))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(equals - *entry), *entry);
        cJSON_AddStringToObject(set, name, equals + 1);
    }
}

static void add_blis(cJSON *group)
{
    const char *version = blis_version();
    cJSON_AddStringToObject(group, "blis", version ? version : "not built in");
    if (version)
        cJSON_AddStringToObject(group, "blis_kernels", blis_kernels());
}

/* Threads are those that it uses once a kernel has told it how many. */
static void add_onednn(cJSON *group)
{
#ifdef SEQBENCH_ONEDNN
    const dnnl_version_t *v = dnnl_version();
    char version[64];
    snprintf(version, sizeof(version), "%d.%d.%d", v->major, v->minor, v->patch);
    onednn_is_serial();
    cJSON_AddStringToObject(group, "onednn", version);
    cJSON_AddStringToObject(group, "onednn_runtime", onednn_runtime());
    cJSON_AddNumberToObject(group, "onednn_threads", onednn_threads());
#else
    cJSON_AddStringToObject(group, "onednn", "not built in");
#endif
}

static void add_eigen(cJSON *group)
{
#ifdef SEQBENCH_EIGEN
    cJSON_AddStringToObject(group, "eigen", eigen_version());
#else
    cJSON_AddStringToObject(group, "eigen", "not built in");
#endif
}

static void add_libraries(cJSON *host, hwloc_topology_t topology)
{
    cJSON *group = cJSON_AddObjectToObject(host, "libraries");
    cJSON_AddStringToObject(group, "openblas_config", openblas_get_config());
    cJSON_AddStringToObject(group, "openblas_corename", openblas_get_corename());
    cJSON_AddNumberToObject(group, "openblas_parallel", openblas_get_parallel());
    cJSON_AddStringToObject(group, "openblas_folder", SEQBENCH_BLAS_DIR);
    add_blas_environment(group);
    add_blis(group);
    add_onednn(group);
    add_eigen(group);
    cJSON_AddItemToObject(group, "peers", peers_describe());
    cJSON_AddStringToObject(group, "google_benchmark", SEQBENCH_BENCHMARK_VERSION);
    const char *version = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "hwlocVersion");
    cJSON_AddStringToObject(group, "hwloc", version ? version : unknown);
}

/* How each engine of the suite stores weights and multiplies, in this build. */
static void add_engines(cJSON *host)
{
    cJSON *group = cJSON_AddObjectToObject(host, "engines");
    for (int i = 0; engines[i]; i++)
        cJSON_AddStringToObject(group, engines[i]->name, engines[i]->method);
}

const char *host_version(void)
{
    return SEQBENCH_VERSION;
}

const char *host_released(void)
{
    return SEQBENCH_RELEASED;
}

void host_print_version(FILE *out)
{
    fprintf(out, "seqbench %s, commit %s%s\n", SEQBENCH_VERSION, SEQBENCH_COMMIT,
            SEQBENCH_DIRTY ? " with changes" : "");
    fprintf(out, "compiler: %s\n", SEQBENCH_COMPILER);
    fprintf(out, "BLAS: %s, kernels for %s\n", openblas_get_config(), openblas_get_corename());
    if (blis_version())
        fprintf(out, "BLIS: %s, kernels for %s\n", blis_version(), blis_kernels());
    fprintf(out, "Google Benchmark: %s\n", SEQBENCH_BENCHMARK_VERSION);
}

cJSON *host_describe(hwloc_topology_t topology, int cpu)
{
    cJSON *host = cJSON_CreateObject();
    add_cpu(host, topology, cpu);
    add_machine(host);
    add_os(host);
    add_build(host);
    add_libraries(host, topology);
    add_engines(host);
    return host;
}

/* "AMD EPYC" is every CPU of that brand: a name without a number needs family and model. */
static void cpu_name(char *out, size_t size)
{
    char text[3][256];
    const char *model = cpuinfo("model name", "unknown CPU", text[0], sizeof(text[0]));
    const char *family = cpuinfo("cpu family", NULL, text[1], sizeof(text[1]));
    const char *number = cpuinfo("model", NULL, text[2], sizeof(text[2]));
    if (strpbrk(model, "0123456789") || !family || !number)
        snprintf(out, size, "%s", model);
    else
        snprintf(out, size, "%s %s %s", model, family, number);
}

void host_cpu_slug(char *out, size_t size)
{
    char name[512];
    cpu_name(name, sizeof(name));
    size_t length = 0;
    for (const char *from = name; *from && length + 1 < size; from++) {
        if (isalnum((unsigned char)*from))
            out[length++] = (char)tolower((unsigned char)*from);
        else if (length > 0 && out[length - 1] != '-')
            out[length++] = '-';
    }
    while (length > 0 && out[length - 1] == '-')
        length--;
    out[length] = '\0';
}

/* Whether an <info> line of hwloc's XML names the host, its serials or an address. */
static bool is_private(const char *line)
{
    static const char *const kept[] = {
        "Architecture", "Backend",   "CPUFamilyNumber", "CPUModel",    "CPUModelNumber",
        "CPUStepping",  "CPUVendor", "Inclusive",       "LinuxCgroup", "MemoryMode",
        "OSName",       "OSRelease", "OSVersion",       "hwlocVersion"};
    const char *name = strstr(line, "<info name=\"");
    if (!name)
        return false;
    name += strlen("<info name=\"");
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (strncmp(name, kept[i], strlen(kept[i])) == 0 && name[strlen(kept[i])] == '"')
            return false;
    return true;
}

bool host_write_topology(hwloc_topology_t topology, const char *path, struct err *err)
{
    char *xml = NULL;
    int length = 0;
    if (hwloc_topology_export_xmlbuffer(topology, &xml, &length, 0) != 0)
        return err_set(err, "hwloc cannot export its topology: %s", strerror(errno));
    FILE *file = fopen(path, "wx");
    if (!file) {
        const int cause = errno;
        hwloc_free_xmlbuffer(topology, xml);
        return err_set(err, "%s: %s", path, strerror(cause));
    }
    char *rest;
    for (char *line = strtok_r(xml, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (!is_private(line))
            fprintf(file, "%s\n", line);
    hwloc_free_xmlbuffer(topology, xml);
    const bool written = !ferror(file);
    if (fclose(file) != 0 || !written)
        return err_set(err, "%s: %s", path, strerror(errno));
    return true;
}

bool host_blas_is_serial(struct err *err)
{
    if (blis_is_threaded())
        return err_set(err,
                       "the BLIS %s is multi-threaded: a single core cannot be measured with it; "
                       "build with BLAS=blis, which takes the serial one",
                       blis_version());
    if (openblas_get_parallel() == 0)
        return true;
    return err_set(err,
                   "the BLAS is multi-threaded (%s): a single core cannot be measured with "
                   "it; build with a serial OpenBLAS, see OPENBLAS= in `make help`",
                   openblas_get_config());
}
