#include "err.h"

#include <stdarg.h>
#include <stdio.h>

bool err_set(struct err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    err->status = 2;
    return false;
}

bool err_passed_on(struct err *err, int status)
{
    err->text[0] = '\0';
    err->status = status;
    return false;
}
