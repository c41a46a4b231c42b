// SPDX-License-Identifier: Apache-2.0

/// Envoy's default tags: what `use_all_default_tags` takes out of a stat's name.
///
/// Envoy has a list of patterns; those of stats that Apus has are written out here. As in Envoy each looks at the whole
/// name, a value of most ends at the next dot, and the order is that of the list, in which those that may begin anywhere
/// come first.
package enum DefaultTags {
    /// One tag that was found: its name, what leaves the stat's name, and what the value is.
    package struct Found: Equatable, Sendable {
        package let name: String
        package let cut: Range<Int>
        package let value: Range<Int>
        /// Whether the tag is one of names that begin in one way (`cluster.…`): Envoy asks for those last.
        package var isAnchored = true
    }

    /// Every tag in `name`, in the order they are printed.
    package static func find(in name: UnsafeBufferPointer<UInt8>) -> [Found] {
        var found: [Found] = []
        responseCode(name, &found)
        secured(name, &found)
        worker(name, &found)
        for index in found.indices { found[index].isAnchored = false }
        let tokens = Tokens(name)
        guard tokens.count > 2 else { return found }
        switch name.first {
        case UInt8(ascii: "c") where tokens.is(0, "cluster"):
            if let cut = agreed(name, after: ".ssl.ciphers.") { found.append(Found(name: "cipher_suite", cut: cut.cut, value: cut.value)) }
            tokens.append(1, as: "envoy.cluster_name", &found)
        case UInt8(ascii: "l") where tokens.is(0, "listener"): listener(name, tokens, &found)
        case UInt8(ascii: "h") where tokens.is(0, "http"):
            if tokens.is(2, "user_agent") { tokens.append(3, as: "envoy.http_user_agent", &found) }
            if tokens.is(2, "fault") { tokens.append(3, as: "envoy.fault_downstream_cluster", &found) }
            tokens.append(1, as: "envoy.http_conn_manager_prefix", &found)
            if tokens.is(2, "rds"), tokens.count > 4 {
                // The name of a route configuration may have dots: all but the last token.
                let range = tokens.start(3)..<tokens.start(tokens.count - 1)
                found.append(Found(name: "envoy.rds_route_config", cut: range, value: range.lowerBound..<range.upperBound - 1))
            }
        case UInt8(ascii: "t") where tokens.is(0, "tcp"): tokens.append(1, as: "envoy.tcp_prefix", &found)
        case UInt8(ascii: "u") where tokens.is(0, "udp"): tokens.append(1, as: "envoy.udp_prefix", &found)
        case UInt8(ascii: "v") where tokens.is(0, "vhost"):
            if tokens.is(2, "vcluster") { tokens.append(3, as: "envoy.virtual_cluster", &found) }
            tokens.append(1, as: "envoy.virtual_host", &found)
            if tokens.is(2, "route") { tokens.append(3, as: "envoy.route", &found) }
        default: break
        }
        return found
    }

    /// A trailing `_rq_200` loses `_200`, and `_rq_2xx` loses `2`.
    private static func responseCode(_ name: UnsafeBufferPointer<UInt8>, _ found: inout [Found]) {
        let end = name.count
        guard end >= 7, matches(name, at: end - 7, "_rq_"), isDigit(name[end - 3]) else { return }
        if isDigit(name[end - 2]), isDigit(name[end - 1]) {
            found.append(Found(name: "envoy.response_code", cut: end - 4..<end, value: end - 3..<end))
        } else if name[end - 2] == UInt8(ascii: "x"), name[end - 1] == UInt8(ascii: "x") {
            found.append(Found(name: "envoy.response_code_class", cut: end - 3..<end - 2, value: end - 3..<end - 2))
        }
    }

    /// What a handshake agreed on, and the names of certificates.
    private static func secured(_ name: UnsafeBufferPointer<UInt8>, _ found: inout [Found]) {
        guard matches(name, at: 0, "listener.") || matches(name, at: 0, "cluster."), index(of: ".ssl.", in: name) != nil else { return }
        let labels: [(StaticString, String)] = [
            (".ssl.versions.", "envoy.ssl_version"), (".ssl.curves.", "envoy.ssl_curve"), (".ssl.sigalgs.", "envoy.ssl_sigalg"),
        ]
        for (mark, label) in labels {
            if let part = agreed(name, after: mark) { found.append(Found(name: label, cut: part.cut, value: part.value)) }
        }
        let certificate: StaticString = ".ssl.certificate."
        if let mark = index(of: certificate, in: name) {
            let start = mark + certificate.utf8CodeUnitCount
            if let end = name[start...].firstIndex(of: UInt8(ascii: ".")) {
                found.append(Found(name: "envoy.tls_certificate", cut: start..<end + 1, value: start..<end))
            }
        }
    }

    /// Everything after `mark`, with the dot at its end as part of the cut.
    private static func agreed(
        _ name: UnsafeBufferPointer<UInt8>, after mark: StaticString
    ) -> (cut: Range<Int>, value: Range<Int>)? {
        guard let at = index(of: mark, in: name) else { return nil }
        let start = at + mark.utf8CodeUnitCount
        return start < name.count ? (start - 1..<name.count, start..<name.count) : nil
    }

    /// `.worker_3.` loses `_3`.
    private static func worker(_ name: UnsafeBufferPointer<UInt8>, _ found: inout [Found]) {
        let mark: StaticString = ".worker_"
        guard let at = index(of: mark, in: name) else { return }
        let start = at + mark.utf8CodeUnitCount
        var end = start
        while end < name.count, isDigit(name[end]) { end += 1 }
        guard end > start, end < name.count, name[end] == UInt8(ascii: ".") else { return }
        found.append(Found(name: "envoy.worker_id", cut: start - 1..<end, value: start..<end))
    }

    private static func listener(_ name: UnsafeBufferPointer<UInt8>, _ tokens: Tokens, _ found: inout [Found]) {
        if let part = agreed(name, after: ".ssl.ciphers.") { found.append(Found(name: "envoy.ssl_cipher", cut: part.cut, value: part.value)) }
        let mark: StaticString = ".http."
        if let at = index(of: mark, in: name) {
            let start = at + mark.utf8CodeUnitCount
            if let end = name[start...].firstIndex(of: UInt8(ascii: ".")), end > start {
                found.append(Found(name: "envoy.http_conn_manager_prefix", cut: start..<end + 1, value: start..<end))
            }
        }
        // The process's own listener is no address and keeps its name.
        if tokens.is(1, "admin") { return }
        let start = tokens.start(1)
        let end = addressEnd(name, from: start) ?? tokens.start(2) - 1
        found.append(Found(name: "envoy.listener_address", cut: start..<end + 1, value: start..<end))
    }

    /// Where `1.2.3.4_80` or `[__1]_80` ends, a dot following it.
    private static func addressEnd(_ name: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        var at = start
        if name[start] == UInt8(ascii: "[") {
            guard let close = name[start...].firstIndex(of: UInt8(ascii: "]")) else { return nil }
            at = close + 1
        } else {
            for part in 0..<4 {
                let first = at
                while at < name.count, isDigit(name[at]), at - first < 3 { at += 1 }
                guard at > first else { return nil }
                if part < 3 {
                    guard at < name.count, name[at] == UInt8(ascii: ".") else { return nil }
                    at += 1
                }
            }
        }
        guard at < name.count, name[at] == UInt8(ascii: "_") else { return nil }
        at += 1
        let first = at
        while at < name.count, isDigit(name[at]) { at += 1 }
        return at > first && at < name.count && name[at] == UInt8(ascii: ".") ? at : nil
    }

    /// The parts of a name between its dots.
    private struct Tokens {
        let name: UnsafeBufferPointer<UInt8>
        private var dots: [Int] = []

        init(_ name: UnsafeBufferPointer<UInt8>) {
            self.name = name
            for index in name.indices where name[index] == UInt8(ascii: ".") { dots.append(index) }
        }

        var count: Int { dots.count + 1 }
        func start(_ index: Int) -> Int { index == 0 ? 0 : dots[index - 1] + 1 }
        private func end(_ index: Int) -> Int { index < dots.count ? dots[index] : name.count }

        func `is`(_ index: Int, _ text: StaticString) -> Bool {
            index < count && end(index) - start(index) == text.utf8CodeUnitCount && DefaultTags.matches(name, at: start(index), text)
        }

        /// Token `index` is a value, if something follows it.
        func append(_ index: Int, as tag: String, _ found: inout [Found]) {
            guard index + 1 < count, end(index) > start(index) else { return }
            found.append(Found(name: tag, cut: start(index)..<end(index) + 1, value: start(index)..<end(index)))
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    private static func matches(_ name: UnsafeBufferPointer<UInt8>, at start: Int, _ text: StaticString) -> Bool {
        guard start >= 0, start + text.utf8CodeUnitCount <= name.count else { return false }
        for offset in 0..<text.utf8CodeUnitCount where name[start + offset] != text.utf8Start[offset] { return false }
        return true
    }

    private static func index(of text: StaticString, in name: UnsafeBufferPointer<UInt8>) -> Int? {
        guard name.count >= text.utf8CodeUnitCount else { return nil }
        return (0...(name.count - text.utf8CodeUnitCount)).first { matches(name, at: $0, text) }
    }
}
