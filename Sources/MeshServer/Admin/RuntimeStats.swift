// SPDX-License-Identifier: Apache-2.0
package import MeshModel
package import MeshStats

/// What is counted of the runtime. Scope `runtime.`. Written by the admin thread once the process serves.
package final class RuntimeStats: Sendable {
    private let pages: StatPages
    private let loads: CounterID
    private let keys: GaugeID
    private let layers: GaugeID
    private let overrides: GaugeID

    /// Counts the runtime as it was loaded.
    package init(catalog: StatCatalog, runtime: Runtime) {
        (loads, keys, layers, overrides) = catalog.declare(.literal("runtime.")) { scope in
            (
                scope.counter("load_success", "Times the runtime was loaded or changed."),
                scope.gauge("num_keys", "Keys with a value in any layer."),
                scope.gauge("num_layers", "Layers."),
                scope.gauge("admin_overrides_active", "1 while admin overrides a value.")
            )
        }
        pages = catalog.makePages()
        count(runtime)
    }

    /// Counts it after a change.
    func count(_ runtime: Runtime) {
        let all = runtime.layers
        pages.add(loads)
        pages.set(layers, UInt64(all.count))
        pages.set(keys, UInt64(all.reduce(into: Set<String>()) { $0.formUnion($1.values.keys) }.count))
        pages.set(overrides, all.contains { $0.isAdmin && !$0.values.isEmpty } ? 1 : 0)
    }
}
