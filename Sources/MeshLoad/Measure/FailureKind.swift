// SPDX-License-Identifier: Apache-2.0

/// How a request can fail. Every planned request ends in an answer or in one of these.
public enum FailureKind: Int, CaseIterable, Sendable, Codable {
    /// The connection was refused or could not be made.
    case connect
    /// The TLS handshake failed.
    case tls
    /// The connection was reset or closed before the answer was whole.
    case closed
    /// The stream was reset by the peer.
    case streamReset
    /// The answer is not of the protocol.
    case malformed
    /// Status 4xx.
    case status4xx
    /// Status 5xx.
    case status5xx
    /// A gRPC status other than OK.
    case grpcStatus
    /// Status, size or content are not those that the answer had to have.
    case wrongAnswer
    /// No answer within the time limit.
    case timeout
    /// Planned, and never sent: no connection was free before the run ended.
    case notSent
    /// Sent, and not answered when the run was given up.
    case unanswered

    /// Its name in reports.
    public var name: String {
        switch self {
        case .connect: "connect"
        case .tls: "tls"
        case .closed: "closed"
        case .streamReset: "stream reset"
        case .malformed: "malformed"
        case .status4xx: "4xx"
        case .status5xx: "5xx"
        case .grpcStatus: "grpc status"
        case .wrongAnswer: "wrong answer"
        case .timeout: "timeout"
        case .notSent: "not sent"
        case .unanswered: "unanswered"
        }
    }
}

/// Failures by kind.
public struct FailureCounts: Equatable, Sendable, Codable {
    private var counts = [UInt64](repeating: 0, count: FailureKind.allCases.count)

    public init() {}

    public subscript(kind: FailureKind) -> UInt64 {
        get { counts[kind.rawValue] }
        set { counts[kind.rawValue] = newValue }
    }

    public var total: UInt64 { counts.reduce(0, +) }

    public mutating func add(_ other: FailureCounts) {
        for index in counts.indices { counts[index] += other.counts[index] }
    }

    /// Those that happened, in the order of the kinds.
    public var present: [(kind: FailureKind, count: UInt64)] {
        FailureKind.allCases.filter { self[$0] > 0 }.map { ($0, self[$0]) }
    }
}
