// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// What a pool does about a new request.
enum PoolAction: Equatable {
    /// Send it on an idle connection.
    case useIdle
    /// Let it wait for a connection: one that becomes idle, or one that `wantsConnection` asks for.
    case wait
    /// Refuse it: a limit of the cluster is reached.
    case overflow(Limit)

    enum Limit: Equatable { case requests, pending }
}

/// What a pool does with a connection that can take a request.
enum PoolOffer: Equatable {
    /// Give it to the request that has waited longest.
    case serve
    /// Refuse the request that has waited longest, for the limit on requests is reached, and offer the connection again.
    case refuse
    /// Nobody waits.
    case keep
}

/// The counts of one HTTP/1 pool and the decisions that follow from them; no connection in sight.
///
/// Invariants: `connecting` connections were asked for and are not yet usable; `waiting` requests have no connection.
struct PoolState: Equatable {
    private(set) var idle = 0
    private(set) var busy = 0
    private(set) var connecting = 0
    private(set) var waiting = 0

    /// Connections in any state.
    var connections: Int { idle + busy + connecting }

    /// A request wants a connection. As in Envoy, `max_requests` counts where a request meets a connection, and
    /// `max_pending_requests` where it does not.
    mutating func requestArrived(hasRequestRoom: Bool, hasPendingRoom: Bool) -> PoolAction {
        if idle > 0 {
            guard hasRequestRoom else { return .overflow(.requests) }
            idle -= 1
            busy += 1
            return .useIdle
        }
        guard hasPendingRoom else { return .overflow(.pending) }
        waiting += 1
        return .wait
    }

    /// Whether another connection is to be opened: one for each request that waits, and with a `preconnectRatio` above 1
    /// so many more than the requests there are. Idle ones count as there.
    func wantsConnection(preconnectRatio: Double) -> Bool {
        if preconnectRatio <= 1 { return waiting > connecting + idle }
        return Double(waiting + busy) * preconnectRatio > Double(connecting + idle + busy)
    }

    /// A connection is being opened.
    mutating func connecting(_ count: Int = 1) { connecting += count }

    /// A connection was made; `offer` says what it does.
    mutating func connected() {
        connecting -= 1
        busy += 1
    }

    /// What a connection is to do that was made, or has answered its request. Until it is kept it counts as busy, so that
    /// whoever hears of a refusal finds no idle connection that is not there yet.
    mutating func offer(hasRequestRoom: Bool) -> PoolOffer {
        guard waiting > 0 else {
            busy -= 1
            idle += 1
            return .keep
        }
        waiting -= 1
        return hasRequestRoom ? .serve : .refuse
    }

    /// A connection that was being opened failed.
    mutating func connectFailed() { connecting -= 1 }

    /// A connection with a request on it ended.
    mutating func busyClosed() { busy -= 1 }

    /// An idle connection ended.
    mutating func idleClosed() { idle -= 1 }

    /// A waiting request was given up or failed.
    mutating func waitingEnded() { waiting -= 1 }
}
