// SPDX-License-Identifier: Apache-2.0
#include "CSchema.h"

static const unsigned char table[] = {
#embed "v3.schema"
};

const unsigned char *cschema_bytes(void) {
    return table;
}

size_t cschema_length(void) {
    return sizeof(table);
}
