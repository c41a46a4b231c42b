// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// A head or trailers between the wire and the driver.
struct StoredHead: ~Copyable {
    var headers = HeaderBlock()
    var method = HTTPMethod.get
    var status: UInt16 = 0
    var framing = BodyFraming.none
    var expectsContinue = false
    var isUpgrade = false
    var isBodyless = false
}

/// The heads a session holds, in one array whose places are used again.
struct HeadStore: ~Copyable {
    private struct Place: ~Copyable {
        var head: StoredHead
        var next: Int32
    }

    private var places: UnsafeMutablePointer<Place>?
    private var capacity = 0
    private var firstFree: Int32 = -1

    init() {}

    deinit {
        guard let places else { return }
        places.deinitialize(count: capacity)
        places.deallocate()
    }

    private mutating func grow() {
        let wider = UnsafeMutablePointer<Place>.allocate(capacity: max(2, capacity * 2))
        if let places {
            wider.moveInitialize(from: places, count: capacity)
            places.deallocate()
        }
        places = wider
        let old = capacity
        capacity = max(2, capacity * 2)
        for index in (old..<capacity).reversed() {
            (wider + index).initialize(to: Place(head: StoredHead(), next: firstFree))
            firstFree = Int32(truncatingIfNeeded: index)
        }
    }

    /// An empty place. Its block keeps no fields of an earlier use.
    mutating func take() -> Int32 {
        if firstFree < 0 { grow() }
        let index = firstFree
        firstFree = places.unsafelyUnwrapped[Int(index)].next
        return index
    }

    /// The head at a place that was taken. Valid until the next `take`.
    func head(_ index: Int32) -> UnsafeMutablePointer<StoredHead> {
        // The head is the first member of its place.
        UnsafeMutableRawPointer(places.unsafelyUnwrapped + Int(index)).assumingMemoryBound(to: StoredHead.self)
    }

    mutating func free(_ index: Int32) {
        head(index).pointee.headers.reset()
        places.unsafelyUnwrapped[Int(index)].next = firstFree
        firstFree = index
    }
}
