/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whether a server reached with TLS has to prove who it is. */

#ifndef QT_TLS_H
#define QT_TLS_H

#include "base/error.h"

#include <stdbool.h>

/* Refuses a URI by which libnbd would encrypt the connection, but take any
 * server's word for who it is (nbd_set_tls_certificates(3)): one that has
 * neither a certificate authority nor a file of shared keys.  A URI without
 * TLS is fine.  role begins the message.
 */
int nbd_tls_check(const char *role, const char *uri, struct error *err);

/* The part of it that is about libnbd: it may have been built without TLS; and
 * before 1.10 it did not look for tls-certificates in a URI, so what is said
 * there of who the server has to be would not count.
 */
int nbd_tls_check_library(const char *role, const char *uri,
                          const char *version, bool has_tls,
                          struct error *err);

#endif
