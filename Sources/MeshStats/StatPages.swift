// SPDX-License-Identifier: Apache-2.0
import Glibc
public import Synchronization

/// One thread's values of every stat: rows of `UInt64` that only this thread writes and any thread may read.
///
/// A row is written by a relaxed load and a relaxed store, which compile to the plain instructions; a reader sums the rows
/// of all threads in place and stops no one. The rows are a reservation of address space that the kernel fills with zero
/// pages on the first write, so they never move, growing costs nothing, and an unused row uses no memory.
///
/// A gauge keeps its value in the low 63 bits (two's complement) and in bit 63 whether it was ever set.
///
/// Invariants:
/// - `row < StatPages.rowCapacity` for every ID a `StatCatalog` made.
/// - Exactly one thread calls the writing functions.
// Sendable because only the owning thread writes, every access is atomic, and the memory lives until `deinit`, which
// cannot run while the catalog, the only other holder, is alive.
@usableFromInline package final class StatPages: @unchecked Sendable {
    @usableFromInline let rows: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline let histograms: UnsafeMutablePointer<Atomic<UInt64>>
    /// Every block of bins, for `deinit`; the owning thread's alone.
    private var ownedBins: [UnsafeMutableRawPointer] = []

    /// Rows of counters and gauges together: 5,000 clusters of 100 rows eight times over. 32 MiB of address space.
    package static let rowCapacity = 1 << 22
    /// Histograms; a header is 16 words, so this is 32 MiB of address space too.
    package static let histogramCapacity = 1 << 18
    /// Words of a histogram header: sum, number of zeros, and `HistogramBins.decades` pointers to bins.
    @usableFromInline static let headerWords = 16

    /// Nil when the kernel refuses the address space.
    package init?() {
        guard let rows = StatPages.reserve(words: StatPages.rowCapacity),
            let histograms = StatPages.reserve(words: StatPages.histogramCapacity * StatPages.headerWords)
        else { return nil }
        self.rows = rows
        self.histograms = histograms
    }

    deinit {
        for bins in ownedBins { free(bins) }
        munmap(rows, StatPages.rowCapacity * 8)
        munmap(histograms, StatPages.histogramCapacity * StatPages.headerWords * 8)
    }

    private static func reserve(words: Int) -> UnsafeMutablePointer<Atomic<UInt64>>? {
        let bytes = words * 8
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else { return nil }
        // With transparent huge pages one touched row would cost 2 MiB.
        madvise(memory, bytes, MADV_NOHUGEPAGE)
        return memory.bindMemory(to: Atomic<UInt64>.self, capacity: words)
    }

    // MARK: Writing, by the owning thread

    /// Adds `n` to a counter.
    @inlinable @inline(__always) package func add(_ id: CounterID, _ n: UInt64 = 1) {
        let value = rows[Int(id.row)].load(ordering: .relaxed)
        rows[Int(id.row)].store(value &+ n, ordering: .relaxed)
    }

    /// Raises a gauge.
    @inlinable @inline(__always) package func increment(_ id: GaugeID, _ n: UInt64 = 1) {
        let value = rows[Int(id.row)].load(ordering: .relaxed)
        rows[Int(id.row)].store((value &+ n) | (1 << 63), ordering: .relaxed)
    }

    /// Lowers a gauge. What one thread lowered and another raised adds up: only the sum has a meaning.
    @inlinable @inline(__always) package func decrement(_ id: GaugeID, _ n: UInt64 = 1) {
        let value = rows[Int(id.row)].load(ordering: .relaxed)
        rows[Int(id.row)].store((value &- n) | (1 << 63), ordering: .relaxed)
    }

    /// Sets this thread's part of a gauge.
    @inlinable @inline(__always) package func set(_ id: GaugeID, _ value: UInt64) {
        rows[Int(id.row)].store(value | (1 << 63), ordering: .relaxed)
    }

    /// Puts a value into a histogram.
    /// - Parameter value: whole units of the histogram; values above 10¹² count as 10¹² in the bins.
    @inlinable package func record(_ id: HistogramID, _ value: UInt64) {
        let header = histograms + Int(id.row) &* StatPages.headerWords
        header[0].store(header[0].load(ordering: .relaxed) &+ value, ordering: .relaxed)
        if value == 0 {
            header[1].store(header[1].load(ordering: .relaxed) &+ 1, ordering: .relaxed)
            return
        }
        let (decade, bin) = HistogramBins.position(of: value)
        var address = header[2 &+ decade].load(ordering: .relaxed)
        if address == 0 { address = makeBins(header, decade) }
        guard let bins = UnsafeMutablePointer<Atomic<UInt64>>(bitPattern: UInt(address)) else { return }
        bins[bin].store(bins[bin].load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }

    /// Makes the bins of one power of ten on its first value: most histograms live within two.
    @usableFromInline @inline(never)
    func makeBins(_ header: UnsafeMutablePointer<Atomic<UInt64>>, _ decade: Int) -> UInt64 {
        guard let memory = calloc(HistogramBins.binsPerDecade, 8) else { return 0 }
        ownedBins.append(memory)
        let address = UInt64(UInt(bitPattern: memory))
        // Released so that a reader that sees the address sees the zeros behind it.
        header[2 &+ decade].store(address, ordering: .releasing)
        return address
    }

    // MARK: Reading, by any thread

    /// The counter's value on this thread's pages.
    package func value(_ id: CounterID) -> UInt64 { rows[Int(id.row)].load(ordering: .relaxed) }

    /// The gauge's part on this thread's pages; nil where it was never set.
    package func value(_ id: GaugeID) -> Int64? {
        let word = rows[Int(id.row)].load(ordering: .relaxed)
        guard word >> 63 == 1 else { return nil }
        return Int64(bitPattern: word << 1) >> 1
    }

    /// Two numbers of a histogram of which one changes with every value: the sum, and how many zeros.
    func pulse(histogram: UInt32) -> (sum: UInt64, zeros: UInt64) {
        let header = histograms + Int(histogram) * StatPages.headerWords
        return (header[0].load(ordering: .relaxed), header[1].load(ordering: .relaxed))
    }

    /// Adds this thread's part of a histogram to `total`.
    package func merge(_ id: HistogramID, into total: inout HistogramBins) {
        let header = histograms + Int(id.row) * StatPages.headerWords
        total.sum &+= header[0].load(ordering: .relaxed)
        total.addZeros(header[1].load(ordering: .relaxed))
        for decade in 0..<HistogramBins.decades {
            let address = header[2 + decade].load(ordering: .acquiring)
            guard let bins = UnsafeMutablePointer<Atomic<UInt64>>(bitPattern: UInt(address)) else { continue }
            for bin in 0..<HistogramBins.binsPerDecade {
                let count = bins[bin].load(ordering: .relaxed)
                if count != 0 { total.add(count, decade: decade, bin: bin) }
            }
        }
    }

    /// Sets a row to a plain number; for pages that only keep what other pages stood at.
    func setWord(row: UInt32, _ value: UInt64) { rows[Int(row)].store(value, ordering: .relaxed) }

    /// Zeroes rows before they are given to another stat. Only once no thread writes them any more.
    func clear(row: UInt32) { rows[Int(row)].store(0, ordering: .relaxed) }

    /// Zeroes a histogram before it is given to another stat; its bins stay for the next owner.
    func clear(histogram: UInt32) {
        let header = histograms + Int(histogram) * StatPages.headerWords
        header[0].store(0, ordering: .relaxed)
        header[1].store(0, ordering: .relaxed)
        for decade in 0..<HistogramBins.decades {
            let address = header[2 + decade].load(ordering: .relaxed)
            guard let bins = UnsafeMutablePointer<Atomic<UInt64>>(bitPattern: UInt(address)) else { continue }
            for bin in 0..<HistogramBins.binsPerDecade { bins[bin].store(0, ordering: .relaxed) }
        }
    }
}
