/* turbo.c - the two ways in which the kernel says it. */
#include "machine/turbo.h"

#include <stddef.h>

enum turbo turbo_of(const char *no_turbo, const char *boost)
{
    if (no_turbo)
        return *no_turbo == '0' ? TURBO_ON : TURBO_OFF;
    if (boost)
        return *boost == '1' ? TURBO_ON : TURBO_OFF;
    return TURBO_UNKNOWN;
}
