// SPDX-License-Identifier: Apache-2.0
import CProcess
import Glibc
import MeshDataPlane
import MeshIO
import MeshModel
import MeshStats
import MeshUV

/// Everything that reaches the control thread from others.
enum ControlEvent: Sendable {
    case worker(WorkerEvent)
    case admin(AdminCommand)
}

/// The thread that decides: compiles configuration, starts and ends workers, answers signals. It waits for nobody; every
/// answer of a worker arrives as an event.
final class ControlThread: TimerTarget {
    private enum Phase {
        case starting
        case live
        /// Told to end; workers finish what is in flight.
        case draining
        /// Workers are ending.
        case stopping
    }

    let options: ServerOptions
    let log: ApplicationLog
    let catalog = StatCatalog()
    let loop = UVLoop()
    let mailbox = Mailbox<ControlEvent>()
    let view = AdminViewSlot()
    let startedAt: MonotonicInstant
    let logWriter: LogWriter
    let stats: ControlStats
    let pages: StatPages
    let workerCount: Int

    private let limit: ConnectionLimit
    private let sockets = SocketSource()
    private let replies = ReplyJournal()
    private var node = NodeIdentity()
    private var workers: [WorkerThread] = []
    private var admin: LocalServer?
    private var compiler: ConfigCompiler?
    private var discovery: DNSClusters?
    /// Changes that workers get when they start, which is when every cluster is warm.
    private var held: [ConfigDelta] = []
    private var isWarming = true
    private var phase = Phase.starting
    private var generation: UInt64 = 0
    /// Workers that have not yet answered what the phase waits for.
    private var awaited: Set<Int> = []
    /// One for each `Deadline`, in order.
    private var timers: [TimerID] = []
    /// Which listeners admin drains or stops; they are all, once they all were.
    var drainedScope: ListenerScope?
    var stoppedScope = ListenerScope.inbound
    private var overload: OverloadWatch?
    private var memoryLimit: UInt64?
    private let onLive: ((@escaping @Sendable (AdminCommand) -> Void) -> Void)?

    /// How long workers may take to end after `.stop`, which needs nothing from outside. - Unit: milliseconds.
    private static let stopPatience: UInt64 = 5_000

    init(
        options: ServerOptions, log: ApplicationLog, startedAt: MonotonicInstant, maxConnections: UInt64?,
        onLive: ((@escaping @Sendable (AdminCommand) -> Void) -> Void)?
    ) {
        self.options = options
        self.log = log
        self.startedAt = startedAt
        self.onLive = onLive
        limit = ConnectionLimit(limit: maxConnections)
        logWriter = LogWriter(catalog: catalog)
        stats = ControlStats(catalog: catalog)
        pages = catalog.makePages()
        workerCount = ProcessSize.workers(
            requested: options.concurrency, usableCPUs: Int(apus_usable_cpus()),
            quota: Cgroup(SystemFile.read)?.cpuQuota(SystemFile.read))
        timers = Deadline.allCases.map { loop.timers.make(target: self, tag: $0.rawValue) }
        mailbox.attach(loop.makeWaker { [unowned self] in readMail() })
        setState(.preInitializing)
        pages.set(stats.concurrency, UInt64(workerCount))
        pages.set(stats.version, UInt64(ApusVersion.envoy.major) << 16 | UInt64(ApusVersion.envoy.minor) << 8)
        pages.set(stats.live, 1)
        pages.set(stats.workersStarted, 0)
        pages.set(stats.listenersWarming, 0)
        pages.set(stats.listenersDraining, 0)
        pages.set(stats.clustersWarming, 0)
    }

    // MARK: Start

    /// Takes the configuration over: binds admin, compiles, starts the workers.
    ///
    /// - Throws: `StartError`; then nothing was started that must be ended.
    func start(_ configuration: LoadedConfiguration) throws(StartError) {
        var model = configuration.model
        pages.add(stats.staticUnknownFields, UInt64(configuration.unsupported.count))
        let rules = StatRules(model.stats, statsTags: options.statsTags)
        if rules.excludesAny { catalog.include { rules.isIncluded() } }
        for pattern in rules.refusedPatterns { log.warning("stats", "ignored, for RE2 does not take it: \(pattern)") }
        view.update { view in
            view.statRules = rules
            view.bootstrapWire = configuration.wire
            view.loadedAt = loop.wallClock
            view.startedAt = startedAt
            view.node = model.node
            view.nodeMetadata = configuration.nodeMetadata
            view.unsupported = configuration.unsupported
            view.options = options
            view.concurrency = workerCount
        }
        node = model.node
        setState(.initializing)
        let statsInterval = Int64(clamping: model.stats.flushInterval.nanoseconds / 1_000_000)
        watchOverload(model.overload)
        let runtime = Runtime(model.runtimeLayers)
        if let address = model.adminAddress { try startAdmin(address.address, runtime, model.adminAccessLogs, statsInterval) }

        let compiler = ConfigCompiler(
            registry: .builtin, catalog: catalog, pages: pages, workers: workerCount, node: model.node, sockets: sockets,
            logFiles: logWriter, runtime: runtime
        ) { [unowned self] delta in
            generation = delta.generation
            if isWarming { held.append(delta) }
            for worker in workers { worker.handle.post(.apply(delta)) }
        }
        self.compiler = compiler
        let rejections = compiler.apply(model.resources)
        for warning in compiler.takeWarnings() { log.warning("config", warning) }
        for rejection in rejections { log.critical("config", "\(rejection.kind.rawValue) '\(rejection.name)': \(rejection.reason)") }
        if let first = rejections.first {
            throw StartError("\(first.kind.rawValue) '\(first.name)': \(first.reason)")
        }
        publishView(model.resources)
        model.resources = ChangeSet()
        logWriter.start()
        watchSignals()
        discovery = makeDiscovery(compiler)
        discovery?.follow()
        pages.set(stats.clustersWarming, UInt64(discovery?.warmingCount ?? 0))
        if discovery?.warmingCount == 0 { becomeWarm() }
    }

    /// Keeps the hosts of clusters of names up to date. Its lookups run on this thread.
    private func makeDiscovery(_ compiler: ConfigCompiler) -> DNSClusters {
        let resolverStats = DNSResolverStats(catalog: catalog)
        return DNSClusters(
            loop: loop, compiler: compiler, seed: UInt64.random(in: .min ... .max),
            makeResolver: { [unowned self] options in
                CaresResolver(loop: loop, options: options) { [pages] in resolverStats.count($0, pages) }
            },
            onChange: { [unowned self] name, endpoints in view.update { $0.endpoints[name] = endpoints } },
            onWarm: { [unowned self] in becomeWarm() })
    }

    /// Every cluster has its first hosts, or has failed to find any: the workers start.
    private func becomeWarm() {
        guard isWarming, phase == .starting else { return }
        isWarming = false
        pages.set(stats.clustersWarming, 0)
        startWorkers()
        for delta in held { for worker in workers { worker.handle.post(.apply(delta)) } }
        held = []
        awaited = generation > 0 ? Set(0..<workerCount) : []
        // Nothing to listen on and nothing to send to is still a configuration.
        if awaited.isEmpty { becomeLive() }
    }

    private func startWorkers() {
        log.info("config", "all dependencies initialized. starting workers")
        let declarations = WorkerStats(catalog: catalog, replies: replies)
        let mailbox = mailbox
        for index in 0..<workerCount {
            workers.append(WorkerThread(
                index: index, options: options, pages: catalog.makePages(worker: index), declarations: declarations,
                sink: logWriter, node: node, limit: limit, report: { mailbox.post(.worker($0)) }))
        }
    }

    private func startAdmin(
        _ address: Address, _ runtime: Runtime, _ logs: [AccessLogConfig], _ statsInterval: Int64
    ) throws(StartError) {
        let isLocal = if case .pipe = address { true } else { address.isLoopback }
        guard isLocal else {
            throw StartError("admin.address: found \(address); allowed: a loopback address or a unix socket")
        }
        let socket: ListeningSocket
        do throws(ListenError) {
            socket = try LocalSocket.listen(on: address)
        } catch {
            throw StartError("admin: \(error)")
        }
        let mailbox = mailbox
        let accessLog: AdminAccessLog
        do throws(LogFileFailure) {
            accessLog = try AdminAccessLog(
                logs, sink: logWriter, runtime: runtime, localAddress: socket.address,
                hostAddress: HostAddress.find(options.localAddressIPVersion))
        } catch {
            throw StartError("admin.access_log: \(error.reason)")
        }
        let isPipe = if case .pipe = address { true } else { false }
        let endpoints = AdminEndpoints(context: AdminContext(
            view: view, catalog: catalog, log: log, process: ProcessGauges(catalog: catalog, startedAt: startedAt, view: view),
            runtime: runtime, runtimeStats: RuntimeStats(catalog: catalog, runtime: runtime), access: AdminAccess(checksHost: !isPipe),
            accessLog: accessLog, replies: replies,
            command: { mailbox.post(.admin($0)) }))
        let intervals = endpoints.context.intervals
        admin = LocalServer(
            socket: socket, name: "admin", server: "envoy",
            tick: LocalServer.Tick(everyMilliseconds: statsInterval) { intervals.flush() },
            observer: AdminStats(catalog: catalog)
        ) { endpoints.answer($0) }
        log.info("admin", "admin address: \(socket.address)")
        if !options.adminAddressPath.isEmpty, !TextFile.write(socket.address.description, to: options.adminAddressPath) {
            log.critical("main", "cannot open admin address output file \(options.adminAddressPath) for writing.")
        }
    }

    private func publishView(_ resources: ChangeSet) {
        let listeners = resources.listeners.map { listener in
            ListenerStatus(name: listener.name, addresses: sockets.boundAddresses[listener.name] ?? listener.addresses.map(\.address))
        }
        view.update { view in
            view.listeners = listeners
            view.clusters = resources.clusters
            view.endpoints = compiler?.endpoints ?? [:]
            view.hosts = compiler?.hosts
            view.certificates = compiler?.certificates ?? []
        }
        pages.set(stats.listenersActive, UInt64(listeners.count))
        pages.add(stats.listenersAdded, UInt64(listeners.count))
        pages.add(stats.listenersCreated, UInt64(listeners.count * workerCount))
        pages.set(stats.clustersActive, UInt64(resources.clusters.count))
        pages.add(stats.clustersAdded, UInt64(resources.clusters.count))
    }

    private func becomeLive() {
        phase = .live
        if compiler?.watchesFiles == true { startFileWatch() }
        pages.set(stats.workersStarted, 1)
        pages.record(stats.initializationTime, MonotonicInstant.current().nanoseconds(since: startedAt) / 1_000_000)
        setState(.live)
        log.info("main", "starting main dispatch loop")
        // What starting needed and serving does not, the schema of the API above all, goes back to the system.
        apus_trim_heap()
        apus_forget_code_pages()
        setMemoryBudgets()
        if options.mode == .initOnly { return stopWorkers() }
        let mailbox = mailbox
        onLive? { mailbox.post(.admin($0)) }
    }

    // MARK: Files of TLS contexts

    /// How soon after a file was replaced its content is used. - Unit: milliseconds.
    private static let fileInterval: UInt64 = 1_000

    private func startFileWatch() {
        arm(.fileWatch, milliseconds: ControlThread.fileInterval)
    }

    private func lookAtFiles() {
        guard phase == .live, let compiler else { return }
        let outcome = compiler.reloadTLS()
        for warning in compiler.takeWarnings() { log.warning("config", warning) }
        for name in outcome.updated { log.info("config", "new TLS context: \(name)") }
        for reason in outcome.refused { log.error("config", "changed TLS files are not used: \(reason)") }
        if !outcome.updated.isEmpty {
            let certificates = compiler.certificates
            view.update { $0.certificates = certificates }
            pages.add(stats.fileUpdates)
        }
        if !outcome.refused.isEmpty { pages.add(stats.fileRefusals) }
        arm(.fileWatch, milliseconds: ControlThread.fileInterval)
    }

    // MARK: Overload

    private func watchOverload(_ configured: OverloadOptions) {
        let given = UInt64(options.memoryLimitMegabytes) << 20
        let limit = given > 0 ? given : Cgroup(SystemFile.read)?.memory(SystemFile.read)?.limit
        let watch = OverloadWatch(configured, memoryLimit: limit, catalog: catalog, pages: pages)
        if let limit { log.info("main", "load is shed near \(limit >> 20) MiB of resident memory") }
        guard watch.isNeeded else { return }
        overload = watch
        memoryLimit = limit
        arm(.overload, milliseconds: watch.interval)
    }

    /// Memory that the process has without any traffic is not theirs, and a quarter is left for what is no buffer, what one turn
    /// brings, and buffers of other sizes that wait to be used again.
    private func setMemoryBudgets() {
        guard let memoryLimit else { return }
        let most = memoryLimit / 4 * 3
        let free = most - min(ProcessMemory.resident() ?? 0, most)
        tellWorkers(.memoryBudget(max(Int(clamping: free) / workerCount, ControlThread.leastBudget)))
    }

    /// Some connections' buffers; a process with less could serve nobody. - Unit: bytes.
    private static let leastBudget = 8 << 20

    private func lookAtOverload() {
        guard let overload else { return }
        let orders = overload.tick(at: loop.now)
        if let levels = orders.levels { tellWorkers(.overload(levels)) }
        if let choice = orders.resetHeaviest { tellWorkers(.resetHeaviest(choice)) }
        if orders.trims {
            tellWorkers(.trim)
            apus_trim_heap()
        }
        arm(.overload, milliseconds: overload.interval)
    }

    private func setState(_ state: ServerState) {
        view.update { $0.state = state }
        pages.set(stats.state, UInt64(state.rawValue))
    }

    // MARK: Run

    /// Serves until a signal or admin ends it.
    func run() {
        loop.run()
        for worker in workers { worker.join() }
        admin?.stop()
        logWriter.stop()
        loop.closeHandles()
        for index in timers.indices { loop.timers.free(&timers[index]) }
        loop.close()
        log.info("main", "exiting")
    }

    private func watchSignals() {
        signal(SIGHUP, SIG_IGN)
        for number in [SIGTERM, SIGINT] {
            loop.onSignal(number) { [unowned self] in
                log.warning("main", "caught \(number == SIGTERM ? "ENVOY_SIGTERM" : "SIGINT")")
                terminate()
            }
        }
        loop.onSignal(SIGUSR1) { [unowned self] in
            log.info("main", "caught SIGUSR1. Reopening access logs.")
            reopenLogs()
        }
    }

    private func reopenLogs() {
        for worker in workers { worker.handle.post(.flushLogs) }
        logWriter.reopen()
        log.reopen()
    }

    private func readMail() {
        for event in mailbox.takeAll() {
            switch event {
            case .worker(let event): handle(event)
            case .admin(let command): handle(command)
            }
        }
    }

    private func handle(_ event: WorkerEvent) {
        switch (event, phase) {
        case (.applied(let worker, let applied), .starting):
            if applied >= generation { awaited.remove(worker) }
            if awaited.isEmpty { becomeLive() }
        case (.drained(let worker), .draining):
            awaited.remove(worker)
            if awaited.isEmpty { stopWorkers() }
        case (.stopped(let worker), .stopping):
            awaited.remove(worker)
            if awaited.isEmpty { loop.stop() }
        default: break
        }
    }

    private func handle(_ command: AdminCommand) {
        switch command {
        case .quit: stopWorkers()
        case .reopenLogs: reopenLogs()
        case .failHealthCheck(let fails):
            pages.set(stats.live, fails || phase == .stopping ? 0 : 1)
            if phase == .live { pages.set(stats.state, UInt64((fails ? ServerState.draining : .live).rawValue)) }
            tellWorkers(.healthCheckFailed(fails))
        case .drainListeners(let inboundOnly, let graceful, let skipExit):
            guard phase == .live else { return }
            drainListeners(inboundOnly ? .inbound : .all, graceful: graceful, skipExit: skipExit)
        }
    }

    func tellWorkers(_ command: WorkerCommand) {
        for worker in workers { worker.handle.post(command) }
    }

    // MARK: End

    /// SIGTERM and SIGINT: finish what is in flight and end; a second one ends at once.
    private func terminate() {
        guard phase == .live else { return stopWorkers() }
        phase = .draining
        setState(.draining)
        awaited = Set(0..<workers.count)
        beginTermination()
    }

    func stopWorkers() {
        guard phase != .stopping else { return }
        phase = .stopping
        discovery?.stop()
        setState(.draining)
        pages.set(stats.live, 0)
        awaited = Set(0..<workers.count)
        log.info("main", "shutting down")
        arm(.giveUpStopping, milliseconds: ControlThread.stopPatience)
        tellWorkers(.stop)
        if awaited.isEmpty { loop.stop() }
    }

    /// The timers of the control thread, by their tags.
    enum Deadline: UInt32, CaseIterable {
        /// Look whether files of TLS contexts changed.
        case fileWatch
        /// The connections that began before the drain have arrived: close the listening sockets and ask clients to go away.
        case closeForTermination
        /// The drain of a terminating process has taken long enough.
        case giveUpDraining
        /// A worker does not end.
        case giveUpStopping
        /// End of a graceful `/drain_listeners`: stop accepting.
        case stopAccepting
        /// As `closeForTermination`, for listeners that admin stops.
        case closeListeners
        /// Read the resource monitors.
        case overload
    }

    func arm(_ deadline: Deadline, milliseconds: UInt64) {
        loop.timers.arm(timers[Int(deadline.rawValue)], at: loop.now.advanced(byMilliseconds: milliseconds))
    }

    func onTimer(_ tag: UInt32) {
        switch Deadline(rawValue: tag) {
        case .fileWatch: lookAtFiles()
        case .closeForTermination: askToGoAway()
        case .giveUpDraining:
            guard phase == .draining else { return }
            log.warning("main", "drain time is over; closing what is left")
            stopWorkers()
        case .giveUpStopping:
            log.critical("main", "workers \(awaited.sorted()) did not end")
            // Joining them would hang; what they hold, the kernel frees.
            _exit(0)
        case .stopAccepting: stopListeners()
        case .overload: lookAtOverload()
        case .closeListeners: tellWorkers(.closeListeners(stoppedScope))
        case nil: break
        }
    }
}

/// Why the server does not start, in words for the operator.
struct StartError: Error, Equatable, Sendable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Small files written once.
enum TextFile {
    static func write(_ text: String, to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        return Glibc.write(descriptor, bytes, bytes.count) == bytes.count
    }
}
