dnl SPDX-License-Identifier: LGPL-2.1-or-later
dnl SPDX-FileCopyrightText: the qcow-tool authors
dnl Compiler flags of this project, which leave CFLAGS to the user.

# QT_ADD_CFLAG(FLAG, [IF-UNKNOWN])
# Adds FLAG to QT_CFLAGS if programs can be compiled and linked with it,
# which both takes for a sanitizer.
AC_DEFUN([QT_ADD_CFLAG],
[AS_VAR_PUSHDEF([known], [qt_cv_cflag_$1])
AC_CACHE_CHECK([whether $CC knows $1], [known],
    [qt_saved_CFLAGS=$CFLAGS
    # An unknown -W flag is only a warning to some compilers.
    CFLAGS="$CFLAGS -Werror $1"
    AC_LINK_IFELSE([AC_LANG_SOURCE([int main(void) { return 0; }])],
        [AS_VAR_SET([known], [yes])], [AS_VAR_SET([known], [no])])
    CFLAGS=$qt_saved_CFLAGS])
AS_VAR_IF([known], [yes], [QT_CFLAGS="$QT_CFLAGS $1"], [$2])
AS_VAR_POPDEF([known])
])

# QT_ZERO_INITIALIZERS
# Goes behind -Wextra.  gcc 4.9 (not 5) warns about {0} if the first member is
# a struct or an array, and about .member.of = ...: not where that is so.
AC_DEFUN([QT_ZERO_INITIALIZERS],
[AC_CACHE_CHECK([whether $CC warns about {0}], [qt_cv_warns_zero],
    [qt_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $QT_CFLAGS -Werror"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
        struct inner { int first, second; };
        struct outer { struct inner inner; int third; };
        ]], [[
        struct outer zero = {0};
        struct outer one = {.inner.first = 1};

        return zero.third + one.third;
        ]])],
        [qt_cv_warns_zero=no], [qt_cv_warns_zero=yes])
    CFLAGS=$qt_saved_CFLAGS])
AS_IF([test "x$qt_cv_warns_zero" = xyes],
    [QT_ADD_CFLAG([-Wno-missing-braces])
    QT_ADD_CFLAG([-Wno-missing-field-initializers])])
])
