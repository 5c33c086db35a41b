dnl SPDX-License-Identifier: LGPL-2.1-or-later
dnl SPDX-FileCopyrightText: the qcow-tool authors
dnl Programs that are run, not linked: none is needed to build.

# QT_QEMU_TOOL(VARIABLE, PROGRAM)
# Defines VARIABLE_PATH in config.h: what to execute for PROGRAM.  That is
# its plain name, found in PATH at run time, unless --with-PROGRAM=PATH says
# otherwise: where configure runs is seldom where qcow-tool does.
AC_DEFUN([QT_QEMU_TOOL],
[AC_ARG_WITH([$2],
    [AS_HELP_STRING([--with-$2=PATH], [what to run as $2 (default: $2)])],
    [qt_path=$withval], [qt_path=$2])
AS_CASE([$qt_path],
    [yes|no|''], [AC_MSG_ERROR([--with-$2 needs a path])])
AC_DEFINE_UNQUOTED([$1_PATH], ["$qt_path"], [What to run as $2.])
AC_MSG_CHECKING([for $qt_path])
# "qemu-img version 7.2.22 (...)", but "qemu-nbd 7.2.22 (...)"
qt_version=`$qt_path --version 2>/dev/null |
    sed -n '1s/@<:@^0-9@:>@*\(@<:@0-9.@:>@*\).*/\1/p'`
AS_IF([test -n "$qt_version"],
    [AC_MSG_RESULT([$qt_version])
    QT_REPORT_LINE([$2], [$qt_version, run as $qt_path])],
    [AC_MSG_RESULT([not found])
    QT_REPORT_LINE([$2],
        [WARNING: $qt_path not found; qcow-tool needs it to run])])
])

# QT_TEST_TOOL(VARIABLE, PROGRAM, TARGET)
# Sets VARIABLE to what is PROGRAM, which `make TARGET' runs.
AC_DEFUN([QT_TEST_TOOL],
[AC_ARG_VAR([$1], [what to run as $2 in `make $3'])
: "${$1:=$2}"
AC_CHECK_PROG([qt_has_$1], [$$1], [yes], [no])
AS_VAR_IF([qt_has_$1], [yes],
    [QT_REPORT_LINE([$2], [found])],
    [QT_REPORT_LINE([$2], [WARNING: not found; make $3 needs it])])
])
