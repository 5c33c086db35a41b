/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whether a server reached with TLS has to prove who it is. */

#ifndef QT_TLS_H
#define QT_TLS_H

#include "base/error.h"

/* Refuses a URI by which libnbd would encrypt the connection, but take any
 * server's word for who it is (nbd_set_tls_certificates(3)): one that has
 * neither a certificate authority nor a file of shared keys.  A URI without
 * TLS is fine.  role begins the message.
 */
int nbd_tls_check(const char *role, const char *uri, struct error *err);

#endif
