/* manual.c - the man page and bash's completion: what the tables say, and the words around it. */
#include "manual.h"

#include <string.h>

#include "machine/host.h"

/* ---- the man page ---- */

/* Text as roff: a hyphen is one that can be copied, a newline of a help is a blank. */
static void put_text(const char *text, FILE *out)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++)
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\'')
            fputs("\\(aq", out);
        else
            fputc(*text == '\n' ? ' ' : *text, out);
}

static void put_font(char font, const char *text, FILE *out)
{
    fprintf(out, "\\f%c", font);
    put_text(text, out);
    fputs("\\fR", out);
}

static void put_commands(const struct verb *verbs, FILE *out)
{
    fputs(".SH COMMANDS\n", out);
    for (const struct verb *verb = verbs; verb->name; verb++) {
        if (!verb->help)
            continue;
        fputs(".TP\n", out);
        put_font('B', verb->name, out);
        put_font('I', verb->operands, out);
        fputc('\n', out);
        put_text(verb->help, out);
        fputc('\n', out);
    }
}

static bool is_for_people(const struct setting *setting, const struct verb *verbs)
{
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (verb->help && setting->commands & verb->command)
            return true;
    return false;
}

/* "Of plan, run, stream." */
static void put_takers(const struct setting *setting, const struct verb *verbs, FILE *out)
{
    const char *between = "Of ";
    for (const struct verb *verb = verbs; verb->name; verb++) {
        if (!verb->help || !(setting->commands & verb->command))
            continue;
        fputs(between, out);
        put_text(verb->name, out);
        between = ", ";
    }
    fputs(".\n", out);
}

static void put_options(const struct verb *verbs, FILE *out)
{
    fputs(".SH OPTIONS\nLists have commas between. What stands in parentheses is taken where the "
          "option is not given.\n",
          out);
    for (const struct setting *s = settings_table; s->flag; s++) {
        if (!is_for_people(s, verbs))
            continue;
        fputs(".TP\n", out);
        put_font('B', s->flag, out);
        if (s->metavar) {
            fputc(' ', out);
            put_font('I', s->metavar, out);
        }
        fputc('\n', out);
        put_text(s->help, out);
        if (s->metavar && s->fallback && *s->fallback) {
            fputs(" (", out);
            put_text(s->fallback, out);
            fputc(')', out);
        }
        fputs(".\n", out);
        put_takers(s, verbs, out);
    }
    fputs(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nthe options of a command.\nOf every command.\n"
          ".TP\n\\fB\\-\\-version\\fR\nversion, commit, compiler and libraries.\nWithout a "
          "command.\n",
          out);
}

static const char before_commands[] =
    ".SH NAME\n"
    "seqbench \\- time sequence layers on one CPU core\n"
    ".SH SYNOPSIS\n"
    ".B seqbench\n"
    ".I COMMAND\n"
    ".RI [ OPTION ...]\n"
    ".SH DESCRIPTION\n"
    "Times RNN, LSTM, Transformer block and their relatives, forward, on one pinned core,\n"
    "over sequence lengths (S) and sizes (H).\n"
    "Every kernel is checked against a reference in double precision before it is timed.\n"
    "A run is several rounds: each is a fresh process that visits every case once, in an order of\n"
    "its own.\n"
    "It is one folder, with a row in samples.csv for each sample.\n";

static const char after_options[] =
    ".SH TABLES, FIGURES AND PAGE\n"
    "These commands are installed beside this one.\n"
    "They make the rest of a run folder from its samples, and need Python with numpy, scipy,\n"
    "pandas, statsmodels, tabulate, matplotlib and jinja2.\n"
    "Each tells its options with\n"
    ".BR \\-\\-help .\n"
    ".TP\n\\fBseqbench\\-summarise\\fR \\fIRUN\\fR...\n"
    "every table; the others read them.\n"
    ".TP\n\\fBseqbench\\-plot\\fR \\fIRUN\\fR\n"
    "the figures.\n"
    ".TP\n\\fBseqbench\\-answer\\fR \\fIRUN\\fR\n"
    "print which layer takes less time at which size.\n"
    ".TP\n\\fBseqbench\\-report\\fR \\fIRUN\\fR...\n"
    "one HTML page of a run, or of several side by side.\n"
    ".TP\n\\fBseqbench\\-compare\\fR \\fIA\\fR \\fIB\\fR...\n"
    "which cases of run B are faster or slower than those of run A.\n"
    ".TP\n\\fBseqbench\\-predict\\fR \\fIRUN\\fR\n"
    "the times of a run from the roofs of another, which \\fB\\-\\-roofs\\fR names.\n"
    ".TP\n\\fBseqbench\\-stream\\fR \\fIRUN\\fR...\n"
    "quantiles of the calls that the command stream has timed; seqbench\\-report has a page for "
    "it.\n"
    ".SH EXIT STATUS\n"
    "0: done; 1: a check or all cases of a run failed; 2: refused, with the reason in one line on\n"
    "standard error; 128 and the number of a signal: interrupted, and the line says how to go on.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n\\fBSEQBENCH_LOCKS\\fR\n"
    "folder in which runs that share a core lock it (/tmp).\n"
    ".TP\n\\fBOPENBLAS_CORETYPE\\fR\n"
    "read by OpenBLAS: its kernels for another CPU than this one.\n"
    ".SH FILES\n"
    "README.md of the folder results in share/seqbench explains each file of a run and each of\n"
    "its columns.\n"
    "README.md in share/doc/seqbench tells what is compared and what was found.\n"
    ".SH EXAMPLES\n"
    "A run of a few seconds, and what it says:\n"
    ".PP\n.EX\n"
    "run=$(seqbench run \\-k \\(aqlstm/*,transformer/*\\(aq \\-S 64,512 \\-H 256 \\-\\-budget 20)\n"
    "seqbench\\-summarise \"$run\"\n"
    "seqbench\\-answer \"$run\"\n"
    "seqbench\\-report \"$run\"\n"
    ".EE\n";

void manual_page(const struct verb *verbs, FILE *out)
{
    fprintf(out, ".TH SEQBENCH 1 %s \"seqbench %s\" \"User Commands\"\n", host_released(),
            host_version());
    fputs(before_commands, out);
    put_commands(verbs, out);
    put_options(verbs, out);
    fputs(after_options, out);
}

/* ---- completion ---- */

/* Words with ", " between as words with blanks. */
static void put_words(const char *words, FILE *out)
{
    for (; *words; words++)
        if (*words != ',')
            fputc(*words, out);
}

static void put_verb_names(const struct verb *verbs, FILE *out)
{
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (verb->help)
            fprintf(out, "%s ", verb->name);
}

/* An arm of a case: the option of each command that takes it, and what it offers. */
static void put_values(const struct setting *setting, const struct verb *verbs, FILE *out)
{
    const char *words, *between = "    ";
    const enum offer offer = settings_offer(setting, &words);
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (setting->commands & verb->command) {
            fprintf(out, "%s%s,%s", between, verb->name, setting->flag);
            between = " | ";
        }
    fputs(")\n", out);
    if (offer == KERNELS)
        fputs("        _seqbench_list \"$word\" \"$(_seqbench_column \"$1\" 1)\"\n", out);
    if (offer == ENGINES)
        fprintf(out, "        _seqbench_list \"$word\" \"%s $(_seqbench_column \"$1\" 5)\"\n",
                words);
    if (offer == WORDS || offer == WORDS_OR_FILES) {
        fputs("        mapfile -t COMPREPLY < <(compgen -W '", out);
        put_words(words, out);
        fprintf(out, "'%s -- \"$word\")\n", offer == WORDS_OR_FILES ? " -f" : "");
    }
    if (offer == FOLDERS)
        fputs("        mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n", out);
    if (offer == FOLDERS || offer == WORDS_OR_FILES)
        fputs("        compopt -o filenames 2>/dev/null\n", out);
    fputs("        return ;;\n", out);
}

/* An arm of a case: the options of a command, then the folders that stand without one. */
static void put_flags(const struct verb *verb, FILE *out)
{
    fprintf(out, "    %s)\n        mapfile -t COMPREPLY < <(compgen -W '", verb->name);
    for (const struct setting *s = settings_table; s->flag; s++)
        if (s->commands & verb->command)
            fprintf(out, "%s ", s->flag);
    fprintf(out, "-h --help'%s -- \"$word\")\n%s        ;;\n", *verb->operands ? " -d" : "",
            *verb->operands ? "        compopt -o filenames 2>/dev/null\n" : "");
}

static const char helpers[] =
    "# Completion of seqbench for bash; `seqbench completion` prints it.\n"
    "\n"
    "# _seqbench_column PROGRAM N: names in column N of its kernels.csv.\n"
    "_seqbench_column()\n"
    "{\n"
    "    \"$1\" list --csv 2>/dev/null | tail -n +2 | cut -d, -f\"$2\" | sort -u\n"
    "}\n"
    "\n"
    "# _seqbench_list LIST WORDS: goes on with what follows the last comma or ! of a list.\n"
    "_seqbench_list()\n"
    "{\n"
    "    local last=${1##*[,!]}\n"
    "    mapfile -t COMPREPLY < <(compgen -P \"${1%\"$last\"}\" -W \"$2\" -- \"$last\")\n"
    "}\n"
    "\n"
    "_seqbench()\n"
    "{\n"
    "    local word=$2 before=$3 command=${COMP_WORDS[1]}\n"
    "    COMPREPLY=()\n"
    "    # bash takes --engine=packed for three words\n"
    "    if [[ $word == '=' ]]; then\n"
    "        word=\n"
    "    elif [[ $before == '=' ]]; then\n"
    "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n";

void manual_completion(const struct verb *verbs, FILE *out)
{
    fputs(helpers, out);
    fputs("    if ((COMP_CWORD == 1)) || [[ $command == help ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W '",
          out);
    put_verb_names(verbs, out);
    fputs("help --help --version' -- \"$word\")\n        return\n    fi\n"
          "    case $command,$before in\n",
          out);
    for (const struct setting *s = settings_table; s->flag; s++)
        if (s->metavar && is_for_people(s, verbs))
            put_values(s, verbs, out);
    fputs("    esac\n    case $command in\n", out);
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (verb->help)
            put_flags(verb, out);
    fputs("    esac\n}\n\ncomplete -F _seqbench seqbench\n", out);
}
