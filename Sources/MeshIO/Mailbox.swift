// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Messages from other threads to one loop: written under a lock, read whole by the loop.
package final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let waker = Mutex<(any Waker)?>(nil)

    package init() {}

    /// Sets who is woken by `post`. Messages posted before are not lost: the loop reads once when it attaches.
    package func attach(_ waker: any Waker) {
        self.waker.withLock { $0 = waker }
        waker.wake()
    }

    /// Puts a message in and wakes the loop if the box was empty. Any thread.
    package func post(_ message: Message) {
        let wasEmpty = messages.withLock { queue in
            queue.append(message)
            return queue.count == 1
        }
        if wasEmpty { waker.withLock { $0 }?.wake() }
    }

    /// Takes everything out, in the order it was posted.
    package func takeAll() -> [Message] {
        messages.withLock { queue in
            let all = queue
            queue = []
            return all
        }
    }
}
