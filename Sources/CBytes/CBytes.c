// SPDX-License-Identifier: Apache-2.0
#include "CBytes.h"
#include <malloc.h>

void apus_release_free_pages(void) { malloc_trim(0); }
