// SPDX-License-Identifier: Apache-2.0
import MeshModel

/// What the process's state of overload and health means for the connections of one worker. Plain values that the request path
/// reads; the worker writes them when control tells it to.
///
/// A worker has two: the listeners that bypass the overload manager see one that stays calm.
final class WorkerPressure {
    private(set) var levels = OverloadLevels()
    /// `/healthcheck/fail`: responses ask clients to go away.
    private(set) var isHealthCheckFailed = false
    /// Nothing below has to be looked at.
    private(set) var isCalm = true

    func set(_ levels: OverloadLevels) {
        self.levels = levels
        settle()
    }

    func setHealthCheckFailed(_ isFailed: Bool) {
        isHealthCheckFailed = isFailed
        settle()
    }

    private func settle() { isCalm = levels == OverloadLevels() && !isHealthCheckFailed }
}

@available(*, unavailable) extension WorkerPressure: Sendable {}
