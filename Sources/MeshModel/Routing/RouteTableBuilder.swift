// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshRegex

/// Gathers what a `RouteTable` is made of. Runs on the control thread.
struct RouteTableBuilder {
    let maxRegexProgramSize: Int?
    let runtime: Runtime?
    var runtimeValues: [RuntimeValue] = []
    var text: [UInt8] = []
    var clusterNames: [String] = []
    var programs: [RegexProgram] = []
    var domains: [DomainTable.Entry] = []
    var fallbackHost: Int32 = -1
    var virtualHosts: [CompiledVirtualHost] = []
    var virtualClusters: [CompiledVirtualCluster] = []
    var routes: [CompiledRoute] = []
    var targets: [CompiledTarget] = []
    var redirects: [CompiledRedirect] = []
    var upgrades: [CompiledUpgrade] = []
    var retryPolicies: [CompiledRetryPolicy] = []
    var statusCodes: [UInt32] = []
    var resetHeaders: [CompiledResetHeader] = []
    var headerMatchers: [CompiledHeaderMatcher] = []
    var queryMatchers: [CompiledQueryMatcher] = []
    var operations: [HeaderOperation] = []
    var formats: [FormatTemplate] = []
    var metadata: [MetadataTable] = []
    var names: [HeaderName] = []
    var tree = PathTreeBuilder()
    var requestOperations = TableRange()
    var responseOperations = TableRange()
    var internalOnlyHeaders = TableRange()
    private var clusterIndices: [String: Int32] = [:]
    private var programIndices: [String: Int32] = [:]
    private var textIndices: [[UInt8]: TableRange] = [:]

    init(maxRegexProgramSize: Int?, runtime: Runtime?) {
        self.maxRegexProgramSize = maxRegexProgramSize
        self.runtime = runtime
    }

    mutating func add(_ configuration: RouteConfiguration) throws(ResourceError) {
        (requestOperations, responseOperations) = add(configuration.headers)
        let start = names.count
        names.append(contentsOf: configuration.internalOnlyHeaders.map { addName($0) })
        internalOnlyHeaders = TableRange(start: start, count: configuration.internalOnlyHeaders.count)
        var seen: Set<String> = []
        for (index, host) in configuration.virtualHosts.enumerated() {
            let path = "virtual_hosts[\(index)]"
            try add(domainsOf: host, at: path, seen: &seen)
            try add(host, at: path)
        }
    }

    // MARK: Text, names, clusters, regexes

    mutating func add(_ bytes: [UInt8]) -> TableRange {
        if bytes.isEmpty { return TableRange() }
        if let known = textIndices[bytes] { return known }
        let range = TableRange(start: text.count, count: bytes.count)
        text.append(contentsOf: bytes)
        textIndices[bytes] = range
        return range
    }

    mutating func add(_ string: String) -> TableRange { add(Array(string.utf8)) }

    static func lowercase(_ string: String) -> [UInt8] { string.utf8.map { ASCII.lowercase($0) } }

    mutating func add(_ table: MetadataTable) -> Int32 {
        if table.isEmpty { return -1 }
        metadata.append(table)
        return Int32(metadata.count - 1)
    }

    /// `host` is the old name of `:authority`.
    mutating func addName(_ name: String) -> HeaderName {
        guard !name.isEmpty else { return HeaderName() }
        var lower = Self.lowercase(name)
        if lower == Array("host".utf8) { lower = Array(":authority".utf8) }
        return HeaderName(token: lower.withUnsafeBytes { HeaderToken.find($0) }, text: add(lower))
    }

    mutating func addCluster(_ name: String) -> Int32 {
        if name.isEmpty { return -1 }
        if let known = clusterIndices[name] { return known }
        let index = Int32(clusterNames.count)
        clusterNames.append(name)
        clusterIndices[name] = index
        return index
    }

    mutating func addRegex(_ pattern: String, at path: String) throws(ResourceError) -> Int32 {
        if let known = programIndices[pattern] { return known }
        let program: RegexProgram
        do throws(RegexError) {
            program = try RegexProgram(pattern, maxProgramSize: maxRegexProgramSize)
        } catch {
            throw ResourceError(path: path, found: "'\(pattern)': \(error.description)", allowed: "an RE2 pattern")
        }
        let index = Int32(programs.count)
        programs.append(program)
        programIndices[pattern] = index
        return index
    }

    mutating func addRewrite(_ rewrite: RegexRewrite, at path: String) throws(ResourceError) -> (
        regex: Int32, text: TableRange
    ) {
        let regex = try addRegex(rewrite.pattern, at: path + ".pattern.regex")
        // A reference to a group that the pattern has not is no error in Envoy either: nothing is replaced then.
        return (regex, add(rewrite.substitution))
    }

    // MARK: Domains and virtual hosts

    private mutating func add(domainsOf host: VirtualHost, at path: String, seen: inout Set<String>)
        throws(ResourceError)
    {
        for (index, domain) in host.domains.enumerated() {
            let lower = String(decoding: Self.lowercase(domain), as: UTF8.self)
            guard seen.insert(lower).inserted else {
                throw ResourceError(
                    path: "\(path).domains[\(index)]", found: "'\(domain)' a second time", allowed: "each domain once")
            }
            let owner = Int32(virtualHosts.count)
            if lower == "*" {
                fallbackHost = owner
            } else if lower.hasPrefix("*") {
                domains.append(.init(virtualHost: owner, text: add(String(lower.dropFirst())), kind: .suffix))
            } else if lower.hasSuffix("*") {
                domains.append(.init(virtualHost: owner, text: add(String(lower.dropLast())), kind: .prefix))
            } else {
                domains.append(.init(virtualHost: owner, text: add(lower), kind: .exact))
            }
        }
    }

    private mutating func add(_ host: VirtualHost, at path: String) throws(ResourceError) {
        var compiled = CompiledVirtualHost()
        compiled.name = add(host.name)
        compiled.metadata = add(host.metadata)
        compiled.tlsRequirement = host.tlsRequirement
        compiled.includesAttemptCount = host.includeRequestAttemptCount
        compiled.includesAttemptCountInResponse = host.includeAttemptCountInResponse
        compiled.includesIsTimeoutRetry = host.includeIsTimeoutRetry
        let hostPolicy = try host.retryPolicy.map { policy throws(ResourceError) in
            try add(policy, at: path + ".retry_policy")
        }
        compiled.virtualClusters = TableRange(start: virtualClusters.count, count: host.virtualClusters.count)
        for (index, cluster) in host.virtualClusters.enumerated() {
            var made = CompiledVirtualCluster()
            made.name = add(cluster.name)
            made.headers = try add(cluster.headers, at: "\(path).virtual_clusters[\(index)].headers")
            virtualClusters.append(made)
        }
        (compiled.requestOperations, compiled.responseOperations) = add(host.headers)
        var entries: [PathTreeBuilder.Entry] = []
        var lowerCaseEntries: [PathTreeBuilder.Entry] = []
        var connectRoutes: [Int32] = []
        for (index, route) in host.routes.enumerated() {
            let number = Int32(routes.count)
            var compiledRoute = try compile(route, at: "\(path).routes[\(index)]")
            if compiledRoute.retryPolicy < 0, let hostPolicy { compiledRoute.retryPolicy = hostPolicy }
            let limit = route.requestBufferLimit == .inherit ? host.requestBufferLimit : route.requestBufferLimit
            compiledRoute.setRequestBufferLimit(limit)
            routes.append(compiledRoute)
            let key = Array(text[compiledRoute.pathText.indices])
            var entry = PathTreeBuilder.Entry(key: key, kind: .passing, route: number)
            switch compiledRoute.pathKind {
            case .prefix: break
            case .exact: entry.kind = .ending
            case .separatedPrefix: entry.kind = .separated
            case .regex:
                entry.key = programs[Int(compiledRoute.regex)].literalPrefix
                entry.regex = compiledRoute.regex
            case .connect:
                connectRoutes.append(number)
                continue
            }
            if route.match.caseSensitive || compiledRoute.pathKind == .regex {
                entries.append(entry)
            } else {
                lowerCaseEntries.append(entry)
            }
        }
        compiled.root = buildTree(entries)
        compiled.lowerCaseRoot = buildTree(lowerCaseEntries)
        compiled.connectRoutes = TableRange(start: tree.lists.count, count: connectRoutes.count)
        tree.lists.append(contentsOf: connectRoutes)
        virtualHosts.append(compiled)
    }

    private mutating func buildTree(_ entries: [PathTreeBuilder.Entry]) -> Int32 {
        // The text is lent to the closure: both are parts of this value.
        var labels = text
        let root = tree.build(entries) { label in
            let range = TableRange(start: labels.count, count: label.count)
            labels.append(contentsOf: label)
            return range
        }
        text = labels
        return root
    }

    // MARK: Header operations

    mutating func add(_ mutations: HeaderMutations) -> (request: TableRange, response: TableRange) {
        (
            add(remove: mutations.requestRemove, add: mutations.requestAdd),
            add(remove: mutations.responseRemove, add: mutations.responseAdd)
        )
    }

    private mutating func add(remove removals: [String], add additions: [HeaderMutation]) -> TableRange {
        let start = operations.count
        for name in removals {
            var operation = HeaderOperation()
            operation.name = addName(name)
            operations.append(operation)
        }
        for addition in additions {
            var operation = HeaderOperation()
            operation.name = addName(addition.name)
            operation.keepEmptyValue = addition.keepEmptyValue
            operation.kind =
                switch addition.action {
                case .appendOrAdd: .appendOrAdd
                case .addIfAbsent: .addIfAbsent
                case .overwriteOrAdd: .overwriteOrAdd
                case .overwriteIfPresent: .overwriteIfPresent
                }
            if let literal = addition.value.literal {
                operation.literal = add(Array(literal))
            } else {
                formats.append(addition.value)
                operation.format = Unmanaged.passUnretained(addition.value)
            }
            operations.append(operation)
        }
        return TableRange(start: start, count: operations.count - start)
    }
}
