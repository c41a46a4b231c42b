// SPDX-License-Identifier: Apache-2.0
#include "CPage.h"

static const unsigned char page[] = {
#embed "home.html"
};

const unsigned char *cpage_bytes(void) {
    return page;
}

size_t cpage_length(void) {
    return sizeof(page);
}
