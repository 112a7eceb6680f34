/* oneDNN stays in the thread that calls it, whatever OpenMP was told before. */
#include "test.h"

#include <dirent.h>
#include <string.h>

#include "cases/case.h"
#include "cases/kernel.h"

#ifdef SEQBENCH_ONEDNN

void omp_set_num_threads(int count);

static int threads_of_this_process(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));)
        count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static void run_once(const struct kernel *kernel, struct dims dims)
{
    struct arena arena;
    struct err err;
    struct bench_case c;
    assert_true(arena_map(case_bytes(kernel, dims), &arena, &err));
    case_place(kernel, dims, &arena, &c);
    case_draw(&c, 1);
    case_prepare(&c);
    case_run(&c);
    case_release(&c);
    arena_unmap(&arena);
}

static void kernels_start_no_thread(void **state)
{
    (void)state;
    int seen = 0;
    omp_set_num_threads(4);
    for (int i = 0; kernel_at(i); i++) {
        if (strcmp(kernel_at(i)->engine_name, "onednn") != 0)
            continue;
        run_once(kernel_at(i), (struct dims){.S = 256, .H = 256, .A = 4, .B = 1});
        assert_int_equal(threads_of_this_process(), 1);
        seen++;
    }
    assert_true(seen >= 3);
}

#else

static void kernels_start_no_thread(void **state)
{
    (void)state;
    print_message("built without oneDNN: `make deps-peers` installs it\n");
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernels_start_no_thread)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
