dnl SPDX-License-Identifier: LGPL-2.1-or-later
dnl SPDX-FileCopyrightText: the qcow-tool authors
dnl Libraries: all of them are looked for before a missing one is an error,
dnl so that one run of configure names everything there is to install.

# QT_LIBRARY(PREFIX, MODULE, VERSION, DEBIAN-PACKAGE, FEDORA-PACKAGE)
# Sets PREFIX_CFLAGS and PREFIX_LIBS from the pkg-config module.
AC_DEFUN([QT_LIBRARY],
[PKG_CHECK_MODULES([$1], [$2 >= $3],
    [qt_version=`$PKG_CONFIG --modversion $2`
    QT_REPORT_LINE([$2], [$qt_version])],
    [QT_REPORT_LINE([$2], [NOT FOUND])
    qt_missing="$qt_missing
    $2 $3 or later: package $4 (Debian), $5 (Fedora)"])
])

# QT_OPTIONAL_LIBRARY(PREFIX, MODULE, VERSION, WITHOUT)
# The same for one that may be missing; WITHOUT says what that means.  Defines
# HAVE_<MODULE> in config.h if it is there.
AC_DEFUN([QT_OPTIONAL_LIBRARY],
[PKG_CHECK_MODULES([$1], [$2 >= $3],
    [qt_version=`$PKG_CONFIG --modversion $2`
    AC_DEFINE(AS_TR_CPP([HAVE_$2]), [1], [Define if there is $2.])
    QT_REPORT_LINE([$2], [$qt_version])],
    [QT_REPORT_LINE([$2], [WARNING: not found; $4])])
])

# QT_STATIC_LIBRARY(PREFIX, MODULE, NAME, FUNCTION, [NEEDED])
# With --with-static-libs: has lib<NAME>.a linked in the place of the shared
# library, with the libraries NEEDED if a program that calls FUNCTION cannot be
# linked without.
AC_DEFUN([QT_STATIC_LIBRARY],
[AS_IF([test "x$with_static_libs" = xyes],
    [AC_MSG_CHECKING([for lib$3.a])
    qt_saved_LIBS=$LIBS
    qt_found=
    for qt_needed in '' '$5'
    do
        qt_try=`$PKG_CONFIG --libs-only-L $2`
        qt_try="$qt_try -l:lib$3.a $qt_needed"
        LIBS="$qt_try $qt_saved_LIBS"
        AC_LINK_IFELSE([AC_LANG_CALL([], [$4])], [qt_found=$qt_try; break])
    done
    LIBS=$qt_saved_LIBS
    AS_IF([test -n "$qt_found"],
        [AC_MSG_RESULT([$qt_found])
        $1_LIBS=$qt_found
        QT_REPORT_LINE([lib$3.a], [linked into the program])],
        [AC_MSG_RESULT([no])
        AC_MSG_ERROR([--with-static-libs: no lib$3.a that can be linked])])])
])

# QT_REQUIRE_LIBRARIES
# Ends configure if a library was missing.
AC_DEFUN([QT_REQUIRE_LIBRARIES],
[AS_IF([test -n "$qt_missing"],
    [QT_REPORT
    AC_MSG_ERROR([libraries are missing:$qt_missing])])
])
