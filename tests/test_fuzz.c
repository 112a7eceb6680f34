/* The fuzzer's seeds, and what it has ever crashed on, once more. */
#include "test.h"

#include <dirent.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seeds_do_not_crash(void **state)
{
    (void)state;
    DIR *folder = opendir("tests/fuzz/seeds");
    assert_non_null(folder);
    int files = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        static uint8_t data[1 << 16];
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "tests/fuzz/seeds/%s", entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        const size_t size = fread(data, 1, sizeof(data), file);
        fclose(file);
        assert_int_equal(LLVMFuzzerTestOneInput(data, size), 0);
        files++;
    }
    closedir(folder);
    assert_true(files > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeds_do_not_crash)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
