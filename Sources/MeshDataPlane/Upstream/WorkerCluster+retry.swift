// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshStats

extension WorkerCluster {
    // MARK: The breaker of retries

    private func breakers(isHighPriority: Bool) -> CircuitBreakers {
        isHighPriority ? compiled.highBreakers : compiled.breakers
    }

    /// Whether one more retry may be under way.
    func hasRetryRoom(isHighPriority: Bool) -> Bool { breakers(isHighPriority: isHighPriority).hasRetryRoom }

    func retryStarted(isHighPriority: Bool) { breakers(isHighPriority: isHighPriority).retries.add(stats) }
    func retryEnded(isHighPriority: Bool) { breakers(isHighPriority: isHighPriority).retries.remove(stats) }

    // MARK: The endpoint of another attempt

    /// Chooses an endpoint that is none of `failed` and no canary, as far as `attempts` more picks find one.
    ///
    /// - Parameters:
    ///   - policy: which of the two it asks for.
    ///   - excluded: priorities to leave out, as bits; 0 for none.
    func pickEndpoint(
        _ policy: UnsafePointer<CompiledRetryPolicy>, avoiding failed: borrowing FailedEndpoints, excluding excluded: UInt64
    ) -> Unmanaged<ActiveEndpoint>? {
        let (avoids, omits) = (policy.pointee.avoidsPreviousHosts, policy.pointee.omitsCanaryHosts)
        var rest = avoids || omits ? policy.pointee.hostSelectionAttempts : 0
        while true {
            guard let endpoint = excluded == 0 ? pickEndpoint() : pickEndpoint(excluding: excluded) else { return nil }
            let isRefused = (avoids && failed.contains(endpoint))
                || (omits && endpoint._withUnsafeGuaranteedRef { $0.endpoint.isCanary })
            if rest == 0 || !isRefused { return endpoint }
            rest -= 1
        }
    }
}

/// The endpoints on which a request has failed. They are compared and never used: one of them may be gone.
struct FailedEndpoints: ~Copyable {
    private var identities: ContiguousArray<UnsafeRawPointer> = []

    var isEmpty: Bool { identities.isEmpty }
    func contains(_ endpoint: Unmanaged<ActiveEndpoint>) -> Bool { identities.contains(UnsafeRawPointer(endpoint.toOpaque())) }
    mutating func add(_ endpoint: Unmanaged<ActiveEndpoint>) { identities.append(UnsafeRawPointer(endpoint.toOpaque())) }
    /// The memory stays for the next request.
    mutating func removeAll() { if !identities.isEmpty { identities.removeAll(keepingCapacity: true) } }
}
