/* histogram.c - bins of three significant digits. */
#include "measure/histogram.h"

#include <inttypes.h>
#include <string.h>

enum { HALF = 1024, HALF_BITS = 10 };

int histogram_bin(int64_t ns)
{
    if (ns < 2 * HALF)
        return ns < 0 ? 0 : (int)ns;
    const int shift = 63 - __builtin_clzll((unsigned long long)ns) - HALF_BITS;
    const int bin = shift * HALF + (int)(ns >> shift);
    return bin < HISTOGRAM_BINS ? bin : HISTOGRAM_BINS - 1;
}

int64_t histogram_low(int bin)
{
    return bin < 2 * HALF ? bin : (int64_t)(bin % HALF + HALF) << (bin / HALF - 1);
}

void histogram_clear(struct histogram *h)
{
    if (h->calls > 0)
        memset(h->count + h->lowest, 0, (size_t)(h->highest - h->lowest + 1) * sizeof(h->count[0]));
    h->calls = 0;
}

void histogram_add(struct histogram *h, int64_t ns)
{
    const int bin = histogram_bin(ns);
    h->lowest = h->calls == 0 || bin < h->lowest ? bin : h->lowest;
    h->highest = h->calls == 0 || bin > h->highest ? bin : h->highest;
    h->count[bin]++;
    h->calls++;
}

void histogram_write(const struct histogram *h, FILE *out)
{
    const char *between = "";
    for (int bin = h->lowest; h->calls > 0 && bin <= h->highest; bin++)
        if (h->count[bin]) {
            fprintf(out, "%s%" PRId64 ":%" PRIu32, between, histogram_low(bin), h->count[bin]);
            between = " ";
        }
}
