// SPDX-License-Identifier: Apache-2.0

/// A connection with one request at a time on it.
class SerialClientSession: ClientSession {
    private(set) var isBusy = false
    private var planned: UInt64 = 0
    private var sent: UInt64 = 0
    final var received = 0
    final var sentBytes = 0

    init(worker: LoadWorker) { super.init(worker: worker, width: 1) }

    /// A request is about to be written.
    final func begin(planned: UInt64) {
        self.planned = planned
        sent = BenchClock.now()
        isBusy = true
        received = 0
    }

    /// The answer is whole.
    final func answered(status: UInt16 = 200, isRight: Bool, messages: Int = 0) {
        isBusy = false
        worker.answered(
            status: status, isRight: isRight, planned: planned, sent: sent, received: received, sentBytes: sentBytes, messages: messages)
    }

    override final func failAll(_ kind: FailureKind) {
        guard isBusy else { return }
        isBusy = false
        worker.failed(kind, planned: planned, sent: sent)
    }

    override final func expire(sentBefore time: UInt64) {
        if isBusy, sent < time { ended(.timeout) }
    }
}
