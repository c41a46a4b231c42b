// SPDX-License-Identifier: Apache-2.0
// What the C library says about this process and Swift's module of it leaves out.
#pragma once
#include <stdint.h>

/// Bytes in use, bytes taken from the system, bytes free inside those (mallinfo2).
void apus_heap(uint64_t *in_use, uint64_t *taken, uint64_t *unused);
/// Gives free memory back to the system.
void apus_trim_heap(void);
/// Gives back the pages of code and constants that are mapped now, of every loaded object; those that are still needed come
/// back from the page cache with the next access. Reading configuration touches megabytes that serving never does.
void apus_forget_code_pages(void);
/// The kernel's number of the calling thread.
int32_t apus_thread_number(void);
/// Names the calling thread; cut to the kernel's 15 bytes.
void apus_set_thread_name(const char *name);
/// A non-blocking, close-on-exec pipe {read, write}; 0, or -1.
int apus_wake_pipe(int ends[2]);
/// Writes all of the text to stderr, whatever happens to it.
void apus_print_error(const char *text);
/// CPUs the process may run on.
int apus_usable_cpus(void);
/// Raises the limit of open descriptors to the hard one; returns what it is then.
uint64_t apus_raise_descriptor_limit(void);
/// Core dumps: the soft limit becomes 0, or the hard limit.
void apus_allow_core_dumps(int allow);
