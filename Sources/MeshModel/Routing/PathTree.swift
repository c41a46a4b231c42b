// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// A radix tree over path bytes. It narrows: each node on the way of a path lists the routes whose path condition
/// holds, or for a regex may hold, there. The order of the routes decides among them.
///
/// Nodes of all virtual hosts lie in one array; the children of a node are neighbours, sorted by their first byte.
struct PathNode: BitwiseCopyable {
    /// Bytes between the parent and this node; empty at a root.
    var label = TableRange()
    var firstChild: Int32 = 0
    var childCount: UInt16 = 0
    var firstByte: UInt8 = 0
    /// Routes for all paths that come by, ascending.
    var passing = TableRange()
    /// Routes for the path that ends here.
    var ending = TableRange()
    /// Routes for the path that ends here or goes on with `/`.
    var separated = TableRange()
    /// Regex routes that are asked together: their indices, ascending, and the set in the regex pool; -1 without.
    var inSet = TableRange()
    var set: Int32 = -1

    var hasRoutes: Bool { !passing.isEmpty || !ending.isEmpty || !separated.isEmpty || set >= 0 }
}

/// Which list of a node an entry goes to.
enum PathListKind: UInt8 { case passing, ending, separated }

/// Gathers paths and lays out nodes.
struct PathTreeBuilder {
    struct Entry {
        var key: [UInt8]
        var kind: PathListKind
        var route: Int32
        /// The regex's program; -1 for none.
        var regex: Int32 = -1
    }

    /// From so many regexes in one place on, they are asked as a set. Below, single matches are as fast and need no
    /// set's automaton.
    static let leastSetSize = 8

    var nodes: [PathNode] = []
    var lists: [Int32] = []
    var sets: [[Int32]] = []
    /// Most nodes with routes on one way down.
    var maxDepth = 0

    private struct Work {
        var node: Int
        var range: Range<Int>
        /// Bytes of the keys that are consumed at this node.
        var length: Int
        var depth: Int
    }

    /// Adds a tree; returns its root, or -1 for no entries. `addText` stores bytes in the table's text.
    mutating func build(_ unsorted: [Entry], addText: (ArraySlice<UInt8>) -> TableRange) -> Int32 {
        guard !unsorted.isEmpty else { return -1 }
        let entries = unsorted.sorted { left, right in
            left.key == right.key ? left.route < right.route : left.key.lexicographicallyPrecedes(right.key)
        }
        let root = nodes.count
        nodes.append(PathNode())
        var work = [Work(node: root, range: 0..<entries.count, length: 0, depth: 1)]
        while let item = work.popLast() {
            maxDepth = max(maxDepth, item.depth)
            var index = item.range.lowerBound
            while index < item.range.upperBound, entries[index].key.count == item.length { index += 1 }
            addLists(of: entries[item.range.lowerBound..<index], to: item.node)
            // Every run of equal next bytes becomes a child.
            var children: [(range: Range<Int>, length: Int)] = []
            while index < item.range.upperBound {
                let byte = entries[index].key[item.length]
                var end = index + 1
                while end < item.range.upperBound, entries[end].key[item.length] == byte { end += 1 }
                // Sorted: what the first and the last share, all share.
                let (first, last) = (entries[index].key, entries[end - 1].key)
                var length = item.length + 1
                while length < first.count, length < last.count, first[length] == last[length] { length += 1 }
                children.append((index..<end, length))
                index = end
            }
            nodes[item.node].firstChild = Int32(nodes.count)
            nodes[item.node].childCount = UInt16(children.count)
            for child in children {
                var node = PathNode()
                node.label = addText(entries[child.range.lowerBound].key[item.length..<child.length])
                node.firstByte = entries[child.range.lowerBound].key[item.length]
                work.append(Work(node: nodes.count, range: child.range, length: child.length, depth: item.depth + 1))
                nodes.append(node)
            }
        }
        return Int32(root)
    }

    private mutating func addLists(of entries: ArraySlice<Entry>, to node: Int) {
        guard !entries.isEmpty else { return }
        let regexes = entries.filter { $0.regex >= 0 }
        let usesSet = regexes.count >= Self.leastSetSize
        nodes[node].passing = add(entries.filter { $0.kind == .passing && !(usesSet && $0.regex >= 0) })
        nodes[node].ending = add(entries.filter { $0.kind == .ending })
        nodes[node].separated = add(entries.filter { $0.kind == .separated })
        if usesSet {
            nodes[node].inSet = add(regexes)
            nodes[node].set = Int32(sets.count)
            sets.append(regexes.map(\.regex))
        }
    }

    private mutating func add(_ entries: [Entry]) -> TableRange {
        let start = lists.count
        lists.append(contentsOf: entries.map(\.route))
        return TableRange(start: start, count: entries.count)
    }
}
