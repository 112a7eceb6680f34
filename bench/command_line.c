/* command_line.c - getopt_long and the help, both from the table of settings. */
#include "command_line.h"

#include <getopt.h>
#include <string.h>

enum {
    FIRST_LONG = 256, /* what getopt returns for a long option: this and its row */
    SHORTS = 2 * SETTINGS_MAX + 3
};

/* Rows that the command takes, as getopt wants them: ":k:S:", and the long ones. */
static void describe(enum command command, char shorts[SHORTS],
                     struct option longs[SETTINGS_MAX + 2])
{
    *shorts++ = ':';
    *shorts++ = 'h';
    *longs++ = (struct option){"help", no_argument, NULL, 'h'};
    for (int i = 0; settings_table[i].flag; i++) {
        const struct setting *s = &settings_table[i];
        if (!(s->commands & command))
            continue;
        if (s->flag[1] == '-') {
            *longs++ = (struct option){s->flag + 2, s->metavar ? required_argument : no_argument,
                                       NULL, FIRST_LONG + i};
            continue;
        }
        *shorts++ = s->flag[1];
        *shorts++ = ':';
    }
    *shorts = '\0';
    *longs = (struct option){0};
}

static int row_of(enum command command, int found)
{
    if (found >= FIRST_LONG)
        return found - FIRST_LONG;
    for (int i = 0; settings_table[i].flag; i++)
        if (settings_table[i].flag[1] == found && settings_table[i].commands & command)
            return i;
    return -1;
}

/* What getopt took for '?': an option that is unknown, ambiguous or has a value too many. */
static bool refuse(const char *name, const char *argument, struct err *err)
{
    if (optopt >= FIRST_LONG)
        return err_set(err, "%s: option '%s' takes no value", name,
                       settings_table[optopt - FIRST_LONG].flag);
    if (optopt)
        return err_set(err, "%s: unknown option '-%c'; see `seqbench %s --help`", name, optopt,
                       name);
    return err_set(err, "%s: unknown option '%.60s'; see `seqbench %s --help`", name, argument,
                   name);
}

bool command_line_parse(enum command command, int argc, char **argv, struct options *out,
                        char ***operands, struct err *err)
{
    char shorts[SHORTS];
    struct option longs[SETTINGS_MAX + 2];
    const char *given[SETTINGS_MAX] = {NULL};
    describe(command, shorts, longs);
    *operands = NULL;
    opterr = 0;
    for (int found; (found = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (found == 'h')
            return true;
        if (found == ':')
            return err_set(err, "%s: option '%s' needs a value", argv[0], argv[optind - 1]);
        if (found == '?')
            return refuse(argv[0], argv[optind - 1], err);
        given[row_of(command, found)] = optarg ? optarg : "";
    }
    *operands = argv + optind;
    return settings_parse(command, given, out, err);
}

void command_line_help(enum command command, FILE *out)
{
    for (const struct setting *s = settings_table; s->flag; s++) {
        char left[32];
        if (!(s->commands & command))
            continue;
        snprintf(left, sizeof(left), "%s%s%s", s->flag, s->metavar ? " " : "",
                 s->metavar ? s->metavar : "");
        const char *more = strchr(s->help, '\n');
        fprintf(out, "  %-18s %.*s", left, (int)strcspn(s->help, "\n"), s->help);
        if (s->metavar && s->fallback && *s->fallback)
            fprintf(out, " (%s)", s->fallback);
        fputc('\n', out);
        if (more)
            fprintf(out, "  %-18s %s\n", "", more + 1);
    }
    fprintf(out, "  %-18s %s\n", "-h, --help", "this list");
}
