// SPDX-License-Identifier: Apache-2.0
// libFuzzer's entry point; the library comes with -sanitize=fuzzer.
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*body)(const uint8_t *data, size_t size));
