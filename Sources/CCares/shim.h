// SPDX-License-Identifier: Apache-2.0
// c-ares 1.18 of Debian: ares_getaddrinfo reads the hosts file and gives the time to live of each address.
#pragma once
#include <ares.h>
