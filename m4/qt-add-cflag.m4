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
