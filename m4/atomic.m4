dnl SPDX-License-Identifier: LGPL-2.1-or-later
dnl SPDX-FileCopyrightText: the qcow-tool authors
dnl Atomic variables: some machines have no instruction for those of 64 bits
dnl (MIPS and PowerPC of 32 bits, i386 before the Pentium), or of 8 bits.

# QT_LIBATOMIC
# Sets LIBATOMIC to what has to be linked for the atomic variables that are
# used: nothing where the compiler has instructions for all of them.
AC_DEFUN([QT_LIBATOMIC],
[AC_CACHE_CHECK([what atomic variables have to be linked with],
    [qt_cv_libatomic],
    [qt_saved_LIBS=$LIBS
    qt_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -std=c11"
    qt_cv_libatomic=unknown
    for qt_try in '' -latomic
    do
        LIBS="$qt_try $qt_saved_LIBS"
        AC_LINK_IFELSE([AC_LANG_PROGRAM([[
            #include <stdatomic.h>
            #include <stdint.h>
            atomic_uint_fast64_t total;
            atomic_ullong offset;
            atomic_ulong moves;
            atomic_int failure;
            atomic_bool is_told;
        ]], [[
            int none = 0;

            atomic_fetch_add(&total, 1);
            atomic_store(&offset, atomic_load(&total));
            atomic_fetch_add(&moves, 1);
            atomic_compare_exchange_strong(&failure, &none, 1);
            return atomic_exchange(&is_told, 1);
        ]])], [qt_cv_libatomic=$qt_try; break])
    done
    LIBS=$qt_saved_LIBS
    CFLAGS=$qt_saved_CFLAGS])
AS_IF([test "x$qt_cv_libatomic" = xunknown],
    [AC_MSG_ERROR([no program with atomic variables can be linked])])
AC_SUBST([LIBATOMIC], [$qt_cv_libatomic])
AS_IF([test -n "$LIBATOMIC"],
    [QT_REPORT_LINE([atomic variables], [by $LIBATOMIC])])
])
