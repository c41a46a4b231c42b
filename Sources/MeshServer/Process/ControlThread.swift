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
    private var workers: [WorkerThread] = []
    private var admin: LocalServer?
    private var compiler: ConfigCompiler?
    private var phase = Phase.starting
    private var generation: UInt64 = 0
    /// Workers that have not yet answered what the phase waits for.
    private var awaited: Set<Int> = []
    private var timer = TimerID.none
    private var fileTimer = TimerID.none
    /// What the timer is for.
    private var deadline = Deadline.none
    private let onLive: ((@escaping @Sendable (AdminCommand) -> Void) -> Void)?

    private enum Deadline {
        case none
        /// End of a graceful `/drain_listeners`: stop accepting.
        case stopAccepting(inboundOnly: Bool)
        /// The drain of a terminating process has taken long enough.
        case giveUpDraining
        /// A worker does not end.
        case giveUpStopping
    }

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
        workerCount = options.concurrency > 0 ? Int(options.concurrency) : max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        timer = loop.timers.make(target: self)
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
        setState(.initializing)
        let runtime = Runtime(model.runtimeLayers)
        if let address = model.adminAddress { try startAdmin(address.address, runtime) }

        let compiler = ConfigCompiler(
            registry: .builtin, catalog: catalog, pages: pages, workers: workerCount, node: model.node, sockets: sockets,
            logFiles: logWriter, runtime: runtime
        ) { [unowned self] delta in
            generation = delta.generation
            if workers.isEmpty { startWorkers() }
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
        // Nothing to listen on and nothing to send to is still a configuration.
        if workers.isEmpty { startWorkers() }
        awaited = generation > 0 ? Set(0..<workerCount) : []
        logWriter.start()
        watchSignals()
        if awaited.isEmpty { becomeLive() }
    }

    private func startWorkers() {
        log.info("config", "all dependencies initialized. starting workers")
        let declarations = WorkerStats(catalog: catalog)
        let mailbox = mailbox
        for index in 0..<workerCount {
            workers.append(WorkerThread(
                index: index, options: options, pages: catalog.makePages(), declarations: declarations,
                sink: logWriter, limit: limit, report: { mailbox.post(.worker($0)) }))
        }
    }

    private func startAdmin(_ address: Address, _ runtime: Runtime) throws(StartError) {
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
        let isPipe = if case .pipe = address { true } else { false }
        let endpoints = AdminEndpoints(context: AdminContext(
            view: view, catalog: catalog, log: log, process: ProcessGauges(catalog: catalog, startedAt: startedAt, view: view),
            runtime: runtime, runtimeStats: RuntimeStats(catalog: catalog, runtime: runtime), access: AdminAccess(checksHost: !isPipe),
            command: { mailbox.post(.admin($0)) }))
        admin = LocalServer(socket: socket, name: "admin", server: "envoy") { endpoints.answer($0) }
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
        if options.mode == .initOnly { return stopWorkers() }
        let mailbox = mailbox
        onLive? { mailbox.post(.admin($0)) }
    }

    // MARK: Files of TLS contexts

    private static let fileTimerTag: UInt32 = 1
    /// How soon after a file was replaced its content is used. - Unit: milliseconds.
    private static let fileInterval: UInt64 = 1_000

    private func startFileWatch() {
        fileTimer = loop.timers.make(target: self, tag: ControlThread.fileTimerTag)
        loop.timers.arm(fileTimer, at: loop.now.advanced(byMilliseconds: ControlThread.fileInterval))
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
        loop.timers.arm(fileTimer, at: loop.now.advanced(byMilliseconds: ControlThread.fileInterval))
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
        loop.timers.free(&timer)
        loop.timers.free(&fileTimer)
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
            for worker in workers { worker.handle.post(.healthCheckFailed(fails)) }
        case .drainListeners(let inboundOnly, let graceful, let skipExit):
            guard phase == .live else { return }
            drain(inboundOnly: inboundOnly, stopsAccepting: !graceful && !skipExit)
            if graceful, !skipExit {
                arm(.stopAccepting(inboundOnly: inboundOnly), milliseconds: UInt64(options.drainTimeSeconds) * 1_000)
            }
        }
    }

    // MARK: Drain and end

    private func drain(inboundOnly: Bool, stopsAccepting: Bool) {
        if !inboundOnly { setState(.draining) }
        for worker in workers {
            worker.handle.post(.drain(DrainRequest(inboundOnly: inboundOnly, stopsAccepting: stopsAccepting)))
        }
    }

    /// SIGTERM and SIGINT: finish what is in flight and end; a second one ends at once.
    private func terminate() {
        guard phase == .live else { return stopWorkers() }
        phase = .draining
        awaited = Set(0..<workers.count)
        drain(inboundOnly: false, stopsAccepting: true)
        arm(.giveUpDraining, milliseconds: UInt64(options.drainTimeSeconds) * 1_000)
    }

    private func stopWorkers() {
        guard phase != .stopping else { return }
        phase = .stopping
        setState(.draining)
        pages.set(stats.live, 0)
        awaited = Set(0..<workers.count)
        log.info("main", "shutting down")
        arm(.giveUpStopping, milliseconds: ControlThread.stopPatience)
        for worker in workers { worker.handle.post(.stop) }
        if awaited.isEmpty { loop.stop() }
    }

    private func arm(_ deadline: Deadline, milliseconds: UInt64) {
        self.deadline = deadline
        loop.timers.arm(timer, at: loop.now.advanced(byMilliseconds: milliseconds))
    }

    func onTimer(_ tag: UInt32) {
        if tag == ControlThread.fileTimerTag { return lookAtFiles() }
        let due = deadline
        deadline = .none
        switch due {
        case .none: break
        case .stopAccepting(let inboundOnly): drain(inboundOnly: inboundOnly, stopsAccepting: true)
        case .giveUpDraining:
            log.warning("main", "drain time is over; closing what is left")
            stopWorkers()
        case .giveUpStopping:
            log.critical("main", "workers \(awaited.sorted()) did not end")
            // Joining them would hang; what they hold, the kernel frees.
            _exit(0)
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
