# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Puts the parts that pages share into one: a line __INCLUDE:NAME__ becomes the
# file NAME.pod in the directory `parts'.
/^# SPDX/ { next }
/^__INCLUDE:.*__$/ {
    file = parts "/" substr($0, 11, length($0) - 12) ".pod"
    while ((status = (getline line < file)) > 0)
        if (line !~ /^# SPDX/)
            print line
    if (status < 0) {
        print "expand.awk: cannot read " file > "/dev/stderr"
        exit 1
    }
    close(file)
    next
}
{ print }
