// SPDX-License-Identifier: Apache-2.0

/// The operators that take two values of the same kind. Overflow is an error, as is everything that is not listed.
enum CELArithmetic {
    static func negated(_ value: CELValue) -> CELValue {
        switch value {
        case .int(let number): number == .min ? .error : .int(-number)
        case .double(let number): .double(-number)
        default: .error
        }
    }

    static func value(_ operation: CELProgram.Step.Operation, _ left: CELValue, _ right: CELValue) -> CELValue {
        switch (left, right) {
        case (.int(let left), .int(let right)): checked(integers(operation, left, right)).map { .int($0) } ?? .error
        case (.uint(let left), .uint(let right)): checked(integers(operation, left, right)).map { .uint($0) } ?? .error
        case (.double(let left), .double(let right)): doubles(operation, left, right)
        default: times(operation, left, right)
        }
    }

    private static func checked<Number>(_ result: (partialValue: Number, overflow: Bool)?) -> Number? {
        guard let result, !result.overflow else { return nil }
        return result.partialValue
    }

    private static func integers<Number: FixedWidthInteger>(
        _ operation: CELProgram.Step.Operation, _ left: Number, _ right: Number
    ) -> (partialValue: Number, overflow: Bool)? {
        switch operation {
        case .add: left.addingReportingOverflow(right)
        case .subtract: left.subtractingReportingOverflow(right)
        case .multiply: left.multipliedReportingOverflow(by: right)
        case .divide: left.dividedReportingOverflow(by: right)
        case .modulo: left.remainderReportingOverflow(dividingBy: right)
        default: nil
        }
    }

    private static func doubles(_ operation: CELProgram.Step.Operation, _ left: Double, _ right: Double) -> CELValue {
        switch operation {
        case .add: .double(left + right)
        case .subtract: .double(left - right)
        case .multiply: .double(left * right)
        case .divide: .double(left / right)
        default: .error
        }
    }

    private static func times(_ operation: CELProgram.Step.Operation, _ left: CELValue, _ right: CELValue) -> CELValue {
        switch (operation, left, right) {
        case (.add, .duration(let left), .duration(let right)):
            return checked(left.addingReportingOverflow(right)).map { .duration($0) } ?? .error
        case (.subtract, .duration(let left), .duration(let right)):
            return checked(left.subtractingReportingOverflow(right)).map { .duration($0) } ?? .error
        case (.add, .timestamp(let seconds, let nanoseconds), .duration(let span)),
            (.add, .duration(let span), .timestamp(let seconds, let nanoseconds)):
            return moved(seconds, nanoseconds, by: span)
        case (.subtract, .timestamp(let seconds, let nanoseconds), .duration(let span)):
            return span == .min ? .error : moved(seconds, nanoseconds, by: -span)
        case (.subtract, .timestamp(let left, let leftNanoseconds), .timestamp(let right, let rightNanoseconds)):
            let (whole, tooLong) = (left - right).multipliedReportingOverflow(by: 1_000_000_000)
            let (span, overflow) = whole.addingReportingOverflow(Int64(leftNanoseconds) - Int64(rightNanoseconds))
            return tooLong || overflow ? .error : .duration(span)
        default: return .error
        }
    }

    private static func moved(_ seconds: Int64, _ nanoseconds: Int32, by span: Int64) -> CELValue {
        let (whole, part) = span.quotientAndRemainder(dividingBy: 1_000_000_000)
        return CivilTime.timestamp(seconds: seconds + whole, nanoseconds: Int64(nanoseconds) + part)
    }
}
