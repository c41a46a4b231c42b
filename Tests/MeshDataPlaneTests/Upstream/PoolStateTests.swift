// SPDX-License-Identifier: Apache-2.0
import MeshModel
import Testing

@testable import MeshDataPlane

@Suite struct PoolStateTests {
    private func arrive(_ state: inout PoolState, requests: Bool = true, pending: Bool = true) -> PoolAction {
        state.requestArrived(hasRequestRoom: requests, hasPendingRoom: pending)
    }

    /// A pool with so many idle connections.
    private func pool(idle: Int) -> PoolState {
        var state = PoolState()
        state.connecting(idle)
        for _ in 0..<idle {
            state.connected()
            #expect(state.offer(hasRequestRoom: true) == .keep)
        }
        return state
    }

    @Test func aRequestWithoutAConnectionWaitsAndAsksForOne() {
        var state = PoolState()
        #expect(arrive(&state) == .wait)
        #expect(state.wantsConnection(preconnectRatio: 1))
        state.connecting()
        #expect(!state.wantsConnection(preconnectRatio: 1))
        state.connected()
        #expect(state.offer(hasRequestRoom: true) == .serve)
        #expect(state.busy == 1 && state.waiting == 0)
        #expect(state.offer(hasRequestRoom: true) == .keep)
        #expect(state.idle == 1 && state.busy == 0)
    }

    @Test func anIdleConnectionIsUsedWhateverTheLimitOnWaiting() {
        var state = pool(idle: 1)
        #expect(arrive(&state, pending: false) == .useIdle)
        #expect(arrive(&state, pending: false) == .overflow(.pending))
        #expect(state.waiting == 0)
    }

    @Test func theLimitOnRequestsCountsWhereARequestMeetsAConnection() {
        var state = pool(idle: 1)
        #expect(arrive(&state, requests: false) == .overflow(.requests))
        #expect(state.idle == 1)
        _ = arrive(&state)
        // Nobody knows yet whether there will be room when a connection is.
        #expect(arrive(&state, requests: false) == .wait)
        #expect(state.offer(hasRequestRoom: false) == .refuse)
        #expect(state.offer(hasRequestRoom: false) == .keep)
        #expect(state.idle == 1 && state.busy == 0 && state.waiting == 0)
    }

    @Test(arguments: [(1.0, 3), (1.5, 5), (2.0, 6), (3.0, 9)])
    func thePreconnectRatioSaysHowManyConnectionsThereAre(ratio: Double, connections: Int) {
        var state = PoolState()
        for _ in 0..<3 { _ = arrive(&state) }
        while state.wantsConnection(preconnectRatio: ratio) { state.connecting() }
        #expect(state.connections == connections)
    }

    @Test func anIdlePoolWantsNoConnections() {
        #expect(!PoolState().wantsConnection(preconnectRatio: 3))
        #expect(!pool(idle: 2).wantsConnection(preconnectRatio: 3))
    }

    @Test func idleConnectionsCountAsPreconnected() {
        var state = pool(idle: 2)
        _ = arrive(&state)
        #expect(!state.wantsConnection(preconnectRatio: 2))
        #expect(state.wantsConnection(preconnectRatio: 2.5))
    }

    @Test func whateverHappensTheCountsFitWhatHappened() {
        var random = RandomStream(seed: 3)
        var state = PoolState()
        var (idle, busy, connecting, waiting) = (0, 0, 0, 0)
        for _ in 0..<20_000 {
            let hasRoom = random.next(below: 4) > 0
            switch random.next(below: 6) {
            case 0:
                switch arrive(&state, requests: hasRoom) {
                case .useIdle: (idle, busy) = (idle - 1, busy + 1)
                case .wait: waiting += 1
                case .overflow: #expect(!hasRoom && idle > 0)
                }
            case 1 where state.wantsConnection(preconnectRatio: 1):
                state.connecting()
                connecting += 1
            case 2 where connecting > 0:
                state.connected()
                connecting -= 1
                busy += 1
                settle()
            case 3 where busy > 0: settle()
            case 4 where connecting > 0:
                state.connectFailed()
                connecting -= 1
            case 5 where waiting > 0:
                state.waitingEnded()
                waiting -= 1
            default: continue
            }
            func settle() {
                while true {
                    switch state.offer(hasRequestRoom: hasRoom) {
                    case .serve:
                        waiting -= 1
                        return
                    case .refuse: waiting -= 1
                    case .keep:
                        #expect(waiting == 0)
                        (busy, idle) = (busy - 1, idle + 1)
                        return
                    }
                }
            }
            #expect(state.idle == idle && state.busy == busy && state.connecting == connecting && state.waiting == waiting)
            #expect(waiting == 0 || idle == 0, "a request waits beside an idle connection")
        }
    }
}
