// SPDX-License-Identifier: Apache-2.0
import MeshStats

/// What the control thread counts. Scopes `server.`, `listener_manager.` and `cluster_manager.`.
struct ControlStats: Sendable {
    let live: GaugeID
    let state: GaugeID
    let concurrency: GaugeID
    let version: GaugeID
    let staticUnknownFields: CounterID
    let dynamicUnknownFields: CounterID
    let initializationTime: HistogramID
    let workersStarted: GaugeID
    let listenersActive: GaugeID
    let listenersWarming: GaugeID
    let listenersDraining: GaugeID
    let listenersAdded: CounterID
    let listenersCreated: CounterID
    let listenersRefused: CounterID
    let clustersActive: GaugeID
    let clustersWarming: GaugeID
    let clustersAdded: CounterID
    let fileUpdates: CounterID
    let fileRefusals: CounterID

    init(catalog: StatCatalog) {
        (live, state, concurrency, version, staticUnknownFields, dynamicUnknownFields, initializationTime) =
            catalog.declare(.literal("server.")) { scope in
                (
                    scope.gauge("live", "1 while the process serves."),
                    scope.gauge("state", "0 live, 1 draining, 2 before initialization, 3 initializing."),
                    scope.gauge("concurrency", "Number of workers."),
                    scope.gauge("version", "Version as a number."),
                    scope.counter("static_unknown_fields", "Fields of the bootstrap that are unknown or not honoured."),
                    scope.counter("dynamic_unknown_fields", "Fields of xDS resources that are unknown or not honoured."),
                    scope.histogram("initialization_time_ms", unit: .milliseconds, "Start of the process to live.")
                )
            }
        (workersStarted, listenersActive, listenersWarming, listenersDraining, listenersAdded, listenersCreated, listenersRefused) =
            catalog.declare(.literal("listener_manager.")) { scope in
                (
                    scope.gauge("workers_started", "1 when the workers run."),
                    scope.gauge("total_listeners_active", "Listeners in force."),
                    scope.gauge("total_listeners_warming", "Listeners that wait for other resources."),
                    scope.gauge("total_listeners_draining", "Listeners being drained."),
                    scope.counter("listener_added", "Listeners added."),
                    scope.counter("listener_create_success", "Listeners put in force, counted for each worker."),
                    scope.counter("listener_create_failure", "Listeners that were refused.")
                )
            }
        // Envoy has no stats of static certificate files; these are of Apus.
        (fileUpdates, fileRefusals) = catalog.declare(.literal("tls_files.")) { scope in
            (
                scope.counter("update_success", "Times changed files made new TLS contexts."),
                scope.counter("update_rejected", "Times changed files could not be used.")
            )
        }
        (clustersActive, clustersWarming, clustersAdded) = catalog.declare(.literal("cluster_manager.")) { scope in
            (
                scope.gauge("active_clusters", "Clusters in force."),
                scope.gauge("warming_clusters", "Clusters that wait for other resources."),
                scope.counter("cluster_added", "Clusters added.")
            )
        }
    }
}
