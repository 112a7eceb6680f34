/* .npy files: what NumPy writes is read, anything else is refused with its reason. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/npy.h"

/* A file of format 1.0 with this dictionary and this many floats; returns its size. */
static size_t make_file(unsigned char *out, const char *dictionary, size_t floats)
{
    const size_t length = strlen(dictionary);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (unsigned char)(length & 0xff);
    out[9] = (unsigned char)(length >> 8);
    memcpy(out + 10, dictionary, length);
    memset(out + 10 + length, 0, floats * 4);
    return 10 + length + floats * 4;
}

static bool parse(const char *dictionary, size_t floats, struct npy *npy, struct err *err)
{
    static unsigned char file[4096];
    return npy_parse(file, make_file(file, dictionary, floats), "f.npy", npy, err);
}

static void shapes_are_read(void **state)
{
    (void)state;
    struct npy npy;
    struct err err;
    assert_true(
        parse("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 6, &npy, &err));
    assert_int_equal(npy.rank, 2);
    assert_int_equal(npy.shape[0], 2);
    assert_int_equal(npy.shape[1], 3);
    assert_int_equal(npy.elements, 6);
    assert_true(parse("{'shape':(5,),'fortran_order':False,'descr':'<f4'}", 5, &npy, &err));
    assert_int_equal(npy.rank, 1);
    assert_true(parse("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 1, &npy, &err));
    assert_int_equal(npy.rank, 0);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *dictionary;
        size_t floats;
        const char *said;
    } bad[] = {
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", 2, "float32"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 1, "float32"},
        {"{'fortran_order': False, 'shape': (1,), }", 1, "missing"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", 1, "C order"},
        {"{'descr': '<f4', 'shape': (1,), }", 1, "C order"},
        {"{'descr': '<f4', 'fortran_order': False, }", 1, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", 2, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 2, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (x,), }", 2, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1), }", 1, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 1,
         "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (65536,65536,4), }", 1, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 2, "8 bytes of data where"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 4, "16 bytes of data where"},
        {"", 0, "float32"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct npy npy;
        struct err err = {0};
        assert_false(parse(bad[i].dictionary, bad[i].floats, &npy, &err));
        if (!strstr(err.text, bad[i].said) || strncmp(err.text, "f.npy: ", 7) != 0)
            fail_msg("%s got: %s", bad[i].dictionary, err.text);
    }
}

/* Every prefix of a good file, in memory of exactly that size, so that a sanitizer sees overruns.
 */
static void every_truncation_is_refused(void **state)
{
    (void)state;
    unsigned char file[256];
    const size_t size =
        make_file(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 6);
    for (size_t length = 0; length < size; length++) {
        unsigned char *exact = malloc(length ? length : 1);
        struct npy npy;
        struct err err;
        assert_non_null(exact);
        memcpy(exact, file, length);
        assert_false(npy_parse(exact, length, "f.npy", &npy, &err));
        free(exact);
    }
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    char path[] = "/tmp/seqbench-npy-XXXXXX";
    const int fd = mkstemp(path);
    const float data[] = {1.0f, -2.5f, 3e-39f, 4.0f, 5.0f, 6.0f};
    unsigned char bytes[512];
    struct npy npy;
    struct err err;
    assert_true(fd >= 0);
    assert_true(npy_write(path, data, 3, (int64_t[]){1, 2, 3}, &err));
    const ssize_t size = read(fd, bytes, sizeof(bytes));
    assert_int_equal(size, 128 + sizeof(data));
    assert_true(npy_parse(bytes, (size_t)size, path, &npy, &err));
    assert_int_equal(npy.rank, 3);
    assert_int_equal(npy.shape[2], 3);
    assert_memory_equal(npy.data, data, sizeof(data));
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_read),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
