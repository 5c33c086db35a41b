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

# QT_REQUIRE_LIBRARIES
# Ends configure if a library was missing.
AC_DEFUN([QT_REQUIRE_LIBRARIES],
[AS_IF([test -n "$qt_missing"],
    [QT_REPORT
    AC_MSG_ERROR([libraries are missing:$qt_missing])])
])
