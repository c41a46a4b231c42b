// SPDX-License-Identifier: Apache-2.0
#ifndef CSCHEMA_H
#define CSCHEMA_H

#include <stddef.h>

/// The table of Envoy's v3 API that Scripts/make-schema.py writes, as text.
///
/// It lies in the read-only segment of the binary: no page of it is resident before the first byte is read, and the
/// kernel may drop the pages again.
const unsigned char *_Nonnull cschema_bytes(void);

/// Length of the table in bytes.
size_t cschema_length(void);

#endif
