// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

extension Duration {
    /// The duration in whole nanoseconds, saturating; negative ones are 0.
    package var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return .max }
        let (sum, carry) = product.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
        return carry ? .max : sum
    }
}

extension Optional where Wrapped == Duration {
    /// The timeout in nanoseconds, with 0 for none; Envoy's durations of 0 mean the same.
    package var timeoutNanoseconds: UInt64 { self?.nanoseconds ?? 0 }
}
