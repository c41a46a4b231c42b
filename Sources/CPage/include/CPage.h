// SPDX-License-Identifier: Apache-2.0
#ifndef CPAGE_H
#define CPAGE_H

#include <stddef.h>

/// The page that admin shows at `/`, in the read-only segment of the binary.
const unsigned char *_Nonnull cpage_bytes(void);

/// Length of the page in bytes.
size_t cpage_length(void);

#endif
