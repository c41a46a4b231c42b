// SPDX-License-Identifier: Apache-2.0
// Byte scans that Swift's SIMD cannot express well (no movemask): static inline, so that they inline into Swift.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Asks the allocator to return the pages it holds free to the kernel.
void apus_release_free_pages(void);
