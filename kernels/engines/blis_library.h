/* blis_library.h - what the library behind engine blis says of itself; NULL: not built in. */
#ifndef SEQBENCH_BLIS_LIBRARY_H
#define SEQBENCH_BLIS_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef SEQBENCH_BLIS

const char *blis_version(void);
const char *blis_kernels(void); /* the kind of CPU that the kernels it uses are made for */
bool blis_is_threaded(void);

#else

static inline const char *blis_version(void)
{
    return NULL;
}

static inline const char *blis_kernels(void)
{
    return NULL;
}

static inline bool blis_is_threaded(void)
{
    return false;
}

#endif

#endif
