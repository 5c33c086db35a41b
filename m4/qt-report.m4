dnl SPDX-License-Identifier: LGPL-2.1-or-later
dnl SPDX-FileCopyrightText: the qcow-tool authors
dnl The table at the end of configure.

# QT_REPORT_LINE(WHAT, FOUND)
# Adds a line to the table.
AC_DEFUN([QT_REPORT_LINE],
[qt_line=`printf '    %-20s  %s' "$1" "$2"`
qt_report="$qt_report
$qt_line"
])

# QT_REPORT
# Prints the table.
AC_DEFUN([QT_REPORT],
[AS_ECHO(["
$PACKAGE_STRING
$qt_report
"])
])
