// SPDX-License-Identifier: Apache-2.0
import MeshRegex

/// A route configuration compiled for matching: immutable, shared by all workers, flat.
///
/// It holds no reference to what it was made from. A worker matches through its own `RouteMatcher`.
// Sendable because nothing changes after the initialiser.
package final class RouteTable: @unchecked Sendable {
    /// Name of the route configuration.
    package let name: String
    /// Clusters the routes speak of, by the index in `CompiledRoute.cluster` and `CompiledTarget.cluster`. No
    /// duplicates.
    package let clusterNames: [String]
    /// Regexes of all kinds, no duplicates; every worker compiles its own when it needs them.
    let programs: [RegexProgram]
    /// Lists of programs that are asked together.
    let regexSets: [[Int32]]
    let text: FlatArray<UInt8>
    let domains: DomainTable
    let virtualHosts: FlatArray<CompiledVirtualHost>
    let routes: FlatArray<CompiledRoute>
    let targets: FlatArray<CompiledTarget>
    let redirects: FlatArray<CompiledRedirect>
    let upgrades: FlatArray<CompiledUpgrade>
    let retryPolicies: FlatArray<CompiledRetryPolicy>
    let virtualClusters: FlatArray<CompiledVirtualCluster>
    let statusCodes: FlatArray<UInt32>
    let resetHeaders: FlatArray<CompiledResetHeader>
    let headerMatchers: FlatArray<CompiledHeaderMatcher>
    let queryMatchers: FlatArray<CompiledQueryMatcher>
    let operations: FlatArray<HeaderOperation>
    let nodes: FlatArray<PathNode>
    let lists: FlatArray<Int32>
    /// Values of the runtime that routes ask; `heldRuntimeValues` keeps them alive.
    let runtimeValues: FlatArray<Unmanaged<RuntimeValue>>
    private let heldRuntimeValues: [RuntimeValue]
    /// Keeps the formats alive that `operations` point to.
    private let formats: [FormatTemplate]
    /// Metadata of routes and virtual hosts, for logs.
    package let metadata: [MetadataTable]
    let requestOperations: TableRange
    let responseOperations: TableRange
    let outermostFirst: Bool
    let ignoresPortInHost: Bool
    let ignoresPathParameters: Bool
    let maxTreeDepth: Int
    /// Lower-case names removed from external requests.
    package let internalOnlyHeaders: TableRange
    let nameTable: FlatArray<HeaderName>

    /// Compiles a configuration.
    ///
    /// - Parameter maxRegexProgramSize: RE2 programs larger than this are refused; nil takes all, for who
    ///   translates the configuration has asked already.
    /// - Parameter runtime: where the keys of `runtime_fraction` are looked up; nil leaves the defaults in force.
    /// - Throws: `ResourceError` for a domain given twice, or an invalid or too large regex.
    package init(
        _ configuration: RouteConfiguration, maxRegexProgramSize: Int? = nil, runtime: Runtime? = nil
    ) throws(ResourceError) {
        var builder = RouteTableBuilder(maxRegexProgramSize: maxRegexProgramSize, runtime: runtime)
        try builder.add(configuration)
        name = configuration.name
        clusterNames = builder.clusterNames
        programs = builder.programs
        regexSets = builder.tree.sets
        text = FlatArray(builder.text)
        domains = DomainTable(
            entries: builder.domains, fallback: builder.fallbackHost,
            text: UnsafeRawBufferPointer(start: text.base, count: text.count))
        virtualHosts = FlatArray(builder.virtualHosts)
        routes = FlatArray(builder.routes)
        targets = FlatArray(builder.targets)
        redirects = FlatArray(builder.redirects)
        upgrades = FlatArray(builder.upgrades)
        retryPolicies = FlatArray(builder.retryPolicies)
        virtualClusters = FlatArray(builder.virtualClusters)
        statusCodes = FlatArray(builder.statusCodes)
        resetHeaders = FlatArray(builder.resetHeaders)
        headerMatchers = FlatArray(builder.headerMatchers)
        queryMatchers = FlatArray(builder.queryMatchers)
        operations = FlatArray(builder.operations)
        nodes = FlatArray(builder.tree.nodes)
        lists = FlatArray(builder.tree.lists)
        heldRuntimeValues = builder.runtimeValues
        runtimeValues = FlatArray(builder.runtimeValues.map { Unmanaged.passUnretained($0) })
        formats = builder.formats
        metadata = builder.metadata
        requestOperations = builder.requestOperations
        responseOperations = builder.responseOperations
        outermostFirst = configuration.mostSpecificHeaderMutationsWin
        ignoresPortInHost = configuration.ignorePortInHostMatching
        ignoresPathParameters = configuration.ignorePathParameters
        maxTreeDepth = builder.tree.maxDepth
        internalOnlyHeaders = builder.internalOnlyHeaders
        nameTable = FlatArray(builder.names)
    }

    deinit {
        text.deallocate()
        domains.deallocate()
        virtualHosts.deallocate()
        routes.deallocate()
        targets.deallocate()
        redirects.deallocate()
        upgrades.deallocate()
        retryPolicies.deallocate()
        virtualClusters.deallocate()
        statusCodes.deallocate()
        resetHeaders.deallocate()
        headerMatchers.deallocate()
        queryMatchers.deallocate()
        operations.deallocate()
        nodes.deallocate()
        lists.deallocate()
        nameTable.deallocate()
        runtimeValues.deallocate()
    }

    /// The virtual cluster at an index. Valid while the table lives.
    package func virtualCluster(_ index: Int) -> UnsafePointer<CompiledVirtualCluster> {
        UnsafePointer(virtualClusters.base + index)
    }

    /// The text of a range of this table. Valid while the table lives.
    package func bytes(_ range: TableRange) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: text.base + Int(range.start), count: Int(range.count))
    }

    /// A route by the index in `RouteMatchResult.route`. Valid while the table lives.
    package func route(_ index: Int32) -> UnsafePointer<CompiledRoute> {
        assert(index >= 0 && index < routes.count)
        return UnsafePointer(routes.base + Int(index))
    }

    /// A virtual host by its index. Valid while the table lives.
    package func virtualHost(_ index: Int32) -> UnsafePointer<CompiledVirtualHost> {
        assert(index >= 0 && index < virtualHosts.count)
        return UnsafePointer(virtualHosts.base + Int(index))
    }

    /// Target `offset` of a weighted route. Valid while the table lives.
    package func target(_ route: UnsafePointer<CompiledRoute>, _ offset: Int) -> UnsafePointer<CompiledTarget> {
        assert(offset >= 0 && offset < route.pointee.weighted.count)
        return UnsafePointer(targets.base + Int(route.pointee.weighted.start) + offset)
    }

    /// Which target of a weighted route a random value falls on.
    package func pickTarget(_ route: UnsafePointer<CompiledRoute>, random: UInt64) -> Int {
        let range = route.pointee.weighted
        guard route.pointee.totalWeight > 0 else { return 0 }
        if route.pointee.asksRuntimeForWeights { return pickByRuntime(range, random) }
        let point = random % route.pointee.totalWeight
        var low = 0
        var high = Int(range.count) - 1
        while low < high {
            let middle = (low + high) / 2
            if point < targets[Int(range.start) + middle].upperBound { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// The weights of the runtime are asked one by one: a change of one between two looks shifts a pick by that much.
    private func pickByRuntime(_ range: TableRange, _ random: UInt64) -> Int {
        var total: UInt64 = 0
        for index in range.indices { total &+= weight(targets.base + index) }
        guard total > 0 else { return 0 }
        var point = random % total
        for index in range.indices {
            let weight = weight(targets.base + index)
            if point < weight { return index - Int(range.start) }
            point -= weight
        }
        return 0
    }

    private func weight(_ target: UnsafeMutablePointer<CompiledTarget>) -> UInt64 {
        let weight = UInt64(target.pointee.weight)
        guard target.pointee.runtime >= 0 else { return weight }
        // 32 bits each, so that the sum of any list fits.
        return min(
            runtimeValues[Int(target.pointee.runtime)]._withUnsafeGuaranteedRef { $0.number(fallback: weight) },
            UInt64(UInt32.max))
    }

    /// Upgrade `offset` of a route's overrides.
    package func upgrade(_ route: UnsafePointer<CompiledRoute>, _ offset: Int) -> CompiledUpgrade {
        upgrades[Int(route.pointee.upgrades.start) + offset]
    }
}

/// Where a request goes.
package struct RouteMatchResult: Equatable, Sendable {
    /// Index into the table; -1 when no route matched.
    package var route: Int32
    /// Index into the table; -1 when no domain matched.
    package var virtualHost: Int32

    package init(route: Int32, virtualHost: Int32) {
        self.route = route
        self.virtualHost = virtualHost
    }

    package static let none = RouteMatchResult(route: -1, virtualHost: -1)
    package var isMatch: Bool { route >= 0 }
}
