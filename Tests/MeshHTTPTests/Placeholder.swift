// SPDX-License-Identifier: Apache-2.0
// Placeholder until the target has its first file.
