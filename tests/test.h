/* test.h - cmocka with what it needs. */
#ifndef SEQBENCH_TEST_H
#define SEQBENCH_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
