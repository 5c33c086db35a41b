/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whether a server reached with TLS has to prove who it is. */

#include "config.h"

#include "base/cleanup.h"
#include "nbd/client.h"
#include "nbd/tls.h"

#include <libnbd.h>
#include <libxml/uri.h>
#include <libxml/xmlmemory.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void cleanup_uri(xmlURI **uri)
{
    xmlFreeURI(*uri);
}

static bool is_named(const char *parameter, size_t length, const char *name)
{
    char *decoded = xmlURIUnescapeString(parameter, length, NULL);
    bool is_same = decoded != NULL && strcmp(decoded, name) == 0;

    xmlFree(decoded);
    return is_same;
}

/* The value of a parameter of uri, as libnbd takes it: the last one of that
 * name.  Memory for xmlFree(); NULL: there is none.
 */
static char *find_parameter(const xmlURI *uri, const char *name)
{
    const char *at = uri->query_raw;
    char *value = NULL;

    while (at != NULL && *at != '\0') {
        size_t length = strcspn(at, "&;");
        const char *equals = memchr(at, '=', length);

        if (equals != NULL && is_named(at, equals - at, name)) {
            size_t rest = length - (equals + 1 - at);

            xmlFree(value);
            /* A length of 0 would mean all that follows. */
            value = rest == 0 ? xmlMemStrdup("")
                              : xmlURIUnescapeString(equals + 1, rest, NULL);
        }
        at += length;
        at += strspn(at, "&;");
    }
    return value;
}

static bool has_authority(const char *directory, const char *below)
{
    char *CLEANUP(free_ptr) path = NULL;

    return directory != NULL &&
           asprintf(&path, "%s%s/ca-cert.pem", directory, below) != -1 &&
           access(path, R_OK) == 0;
}

/* Where libnbd looks by itself. */
#define ROOTS_DIRECTORY "/etc/pki/libnbd"
#define USERS_DIRECTORY "/.pki/libnbd"

static bool has_usual_authority(void)
{
    if (geteuid() == 0)
        return has_authority(ROOTS_DIRECTORY, "");
    return has_authority(getenv("HOME"), USERS_DIRECTORY) ||
           has_authority(getenv("HOME"), "/.config/pki/libnbd");
}

static int check_certificates(const char *role, const char *uri,
                              const char *directory, struct error *err)
{
    if (directory == NULL) {
        if (has_usual_authority())
            return 0;
        return error_set(err, 0,
                         "%s: cannot verify who %s is: there is no "
                         "tls-certificates=DIRECTORY in it, and no "
                         "ca-cert.pem in %s",
                         role, uri,
                         geteuid() == 0 ? ROOTS_DIRECTORY
                                        : "~" USERS_DIRECTORY);
    }
    if (has_authority(directory, ""))
        return 0;
    return error_set(err, 0,
                     "%s: cannot verify who %s is: there is no "
                     "%s/ca-cert.pem",
                     role, uri, directory);
}

int nbd_tls_check_library(const char *role, const char *uri,
                          const char *version, bool has_tls, struct error *err)
{
    int major = 0, minor = 0;

    if (!has_tls)
        return error_set(err, 0,
                         "%s: cannot connect to %s: this libnbd was built "
                         "without TLS",
                         role, uri);
    if (sscanf(version, "%d.%d", &major, &minor) == 2 &&
        (major > 1 || (major == 1 && minor >= 10)))
        return 0;
    return error_set(err, 0,
                     "%s: cannot verify who %s is: that needs libnbd 1.10, "
                     "and this is %s",
                     role, uri, version);
}

static int check_libnbd(const char *role, const char *uri, struct error *err)
{
    struct nbd_handle *nbd = nbd_create();
    char version[LIBNBD_VERSION_SPACE];
    /* Without a handle, whoever connects says what is wrong. */
    bool has_tls = nbd == NULL || nbd_supports_tls(nbd) == 1;

    nbd_close(nbd);
    nbd_client_version(version);
    return nbd_tls_check_library(role, uri, version, has_tls, err);
}

int nbd_tls_check(const char *role, const char *uri, struct error *err)
{
    xmlURI *CLEANUP(uri) parsed = NULL;
    char *keys, *directory;
    int r;

    if (strncmp(uri, "nbds", 4) != 0)
        return 0;
    parsed = xmlParseURI(uri);
    if (parsed == NULL)
        return error_set(err, 0,
                         "%s: cannot verify who %s is: that is not a URI "
                         "(RFC 3986)",
                         role, uri);
    keys = find_parameter(parsed, "tls-psk-file");
    if (keys != NULL) {
        xmlFree(keys);
        return check_libnbd(role, uri, err);
    }
    /* Without a host's name libnbd takes any certificate. */
    if (strncmp(uri, "nbds+", 5) == 0)
        return error_set(err, 0,
                         "%s: cannot verify who %s is: a socket without a "
                         "host's name needs tls-psk-file=FILE",
                         role, uri);
    directory = find_parameter(parsed, "tls-certificates");
    r = check_certificates(role, uri, directory, err);
    xmlFree(directory);
    return r == 0 ? check_libnbd(role, uri, err) : -1;
}
