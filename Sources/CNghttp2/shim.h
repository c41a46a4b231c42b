// SPDX-License-Identifier: Apache-2.0
// nghttp2 1.52 of Debian, with the limits its security updates brought (max_continuations, stream_reset_rate_limit).
#pragma once
#include <nghttp2/nghttp2.h>
