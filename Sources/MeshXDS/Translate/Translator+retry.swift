// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    /// When a route's requests are made again.
    func retryPolicy(_ message: Envoy_Config_Route_V3_RetryPolicy, at path: String) throws(ConfigError) -> RetryPolicy {
        var policy = RetryPolicy()
        var names = message.retryOn
        policy.conditions = names.withUTF8 { RetryConditions(names: UnsafeRawBufferPointer($0)) }
        if message.hasNumRetries { policy.retries = message.numRetries.value }
        if message.hasPerTryTimeout { policy.perTryTimeout = message.perTryTimeout.timeout }
        if message.hasPerTryIdleTimeout { policy.perTryIdleTimeout = message.perTryIdleTimeout.timeout }
        for (index, predicate) in message.retryHostPredicate.enumerated() {
            try add(predicate, to: &policy, at: "\(path).retry_host_predicate[\(index)]")
        }
        let attempts = message.hostSelectionRetryMaxAttempts
        // Envoy takes 0 for "not set".
        if attempts != 0 { policy.hostSelectionAttempts = UInt32(clamping: attempts) }
        if message.hasRetryPriority {
            policy.priorityUpdateFrequency = try updateFrequency(message.retryPriority, at: path + ".retry_priority")
        }
        policy.statusCodes = message.retriableStatusCodes
        for (index, header) in message.retriableHeaders.enumerated() {
            policy.responseHeaders.append(try headerMatcher(header, at: "\(path).retriable_headers[\(index)]"))
        }
        for (index, header) in message.retriableRequestHeaders.enumerated() {
            policy.requestHeaders.append(try headerMatcher(header, at: "\(path).retriable_request_headers[\(index)]"))
        }
        if message.hasRetryBackOff { try setBackOff(of: &policy, message.retryBackOff, at: path + ".retry_back_off") }
        for header in message.rateLimitedRetryBackOff.resetHeaders {
            policy.resetHeaders.append(
                RetryPolicy.ResetHeader(
                    name: header.name.lowercased(), format: header.format == .unixTimestamp ? .unixTimestamp : .seconds))
        }
        if message.rateLimitedRetryBackOff.hasMaxInterval {
            policy.maxResetInterval = message.rateLimitedRetryBackOff.maxInterval.duration
        }
        return policy
    }

    private func setBackOff(
        of policy: inout RetryPolicy, _ message: Envoy_Config_Route_V3_RetryPolicy.RetryBackOff, at path: String
    ) throws(ConfigError) {
        policy.baseInterval = message.baseInterval.duration
        guard message.hasMaxInterval else { return }
        let longest = message.maxInterval.duration
        guard longest >= policy.baseInterval else {
            throw error(
                path + ".max_interval", found: "\(longest)", allowed: "at least the base_interval of \(policy.baseInterval)")
        }
        policy.maxInterval = longest
    }

    /// The predicates there are have nothing to be configured.
    private func add(
        _ message: Envoy_Config_Route_V3_RetryPolicy.RetryHostPredicate, to policy: inout RetryPolicy, at path: String
    ) throws(ConfigError) {
        let previousHosts = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        let canaryHosts = "envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate"
        let config = try typedConfig(name: message.name, message.typedConfig, at: path)
        switch config.messageName {
        case previousHosts: policy.avoidsPreviousHosts = true
        case canaryHosts: policy.omitsCanaryHosts = true
        default: throw error(path + ".typed_config", found: "'\(config.messageName)'", allowed: "\(previousHosts) or \(canaryHosts)")
        }
    }

    private func updateFrequency(
        _ message: Envoy_Config_Route_V3_RetryPolicy.RetryPriority, at path: String
    ) throws(ConfigError) -> UInt32 {
        typealias Config = Envoy_Extensions_Retry_Priority_PreviousPriorities_V3_PreviousPrioritiesConfig
        let inner = try unwrapped(message.typedConfig, at: path + ".typed_config")
        guard TypeURL.messageName(inner.typeURL) == Config.protoMessageName else {
            throw error(
                path + ".typed_config", found: "'\(TypeURL.messageName(inner.typeURL))'", allowed: Config.protoMessageName)
        }
        let config = try decode(Config.self, from: inner, at: path + ".typed_config")
        guard config.updateFrequency > 0 else {
            throw error(path + ".typed_config.update_frequency", found: "\(config.updateFrequency)", allowed: "1 or more")
        }
        return UInt32(config.updateFrequency)
    }

    func retryBudget(_ message: Envoy_Config_Cluster_V3_CircuitBreakers.Thresholds.RetryBudget) -> RetryBudget {
        var budget = RetryBudget()
        if message.hasBudgetPercent { budget.percent = message.budgetPercent.value }
        if message.hasMinRetryConcurrency { budget.minConcurrency = message.minRetryConcurrency.value }
        return budget
    }
}
