/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which files may be opened, from inside of a cage. */

#include "config.h"

#include "base/cage-rules.h"

#include <stdlib.h>

VECTOR_FUNCTIONS(cage_rules, struct cage_file, "files of a sandbox");

/* What programs read at their start, or look at if it is there: the loader,
 * libnuma, GnuTLS, OpenSSL, libselinux.
 */
static const char *const of_system[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/selinux/config",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/etc/gnutls",
    "/sys/devices",
    "/proc/self",
    "/proc/sys/crypto",
    "/sys/kernel/mm",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/sys/vm",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
};

int cage_rules_add(struct cage_rules *rules, const char *name, unsigned rights,
                   struct error *err)
{
    const struct cage_file file = {.name = name, .fd = -1, .rights = rights};

    return name == NULL ? 0 : cage_rules_push(rules, file, err);
}

int cage_rules_add_fd(struct cage_rules *rules, int fd, unsigned rights,
                      struct error *err)
{
    const struct cage_file file = {.fd = fd, .rights = rights};

    return cage_rules_push(rules, file, err);
}

/* Lists of the caller's, for the loader.  They stay where they are. */
static int add_loader_files(struct cage_rules *rules, const char *variable,
                            struct error *err)
{
    const char *value = getenv(variable);

    /* A list of several would have to be cut up: no caller has one. */
    if (value == NULL || value[0] != '/')
        return 0;
    return cage_rules_add(rules, value, CAGE_READ, err);
}

int cage_rules_add_program(struct cage_rules *rules,
                           const struct cage_program *program,
                           struct error *err)
{
    const unsigned run = CAGE_READ | CAGE_EXECUTE;

    if (cage_rules_add(rules, "/dev/null", CAGE_READ | CAGE_WRITE, err) == -1)
        return -1;
    if (program->is_script)
        return cage_rules_add(rules, "/", run, err);
    for (size_t i = 0; i < sizeof of_system / sizeof of_system[0]; i++)
        if (cage_rules_add(rules, of_system[i], CAGE_READ, err) == -1)
            return -1;
    if (cage_rules_add(rules, program->path, run, err) == -1 ||
        cage_rules_add(rules, program->interpreter, run, err) == -1 ||
        cage_rules_add(rules, program->home, CAGE_READ, err) == -1 ||
        add_loader_files(rules, "LD_LIBRARY_PATH", err) == -1 ||
        add_loader_files(rules, "LD_PRELOAD", err) == -1)
        return -1;
    return 0;
}

void cleanup_cage_rules(struct cage_rules *rules)
{
    cage_rules_free(rules);
}
