// SPDX-License-Identifier: Apache-2.0

/// How a line of an access log, or the body of a local reply, is made. Source: `SubstitutionFormatString`.
package struct AccessLogFormat: Equatable, Sendable {
    package let template: FormatTemplate
    package let isJSON: Bool
    /// What has no value is left out: nothing instead of `-`, in JSON no key. Source: `omit_empty_values`.
    package let omitsEmpty: Bool

    /// Text, with the line feed it ends in, if it ends in one.
    package init(_ text: FormatTemplate, omitsEmpty: Bool = false) {
        template = text
        isJSON = false
        self.omitsEmpty = omitsEmpty
    }

    /// JSON; every line ends in a line feed.
    ///
    /// - Throws: `FormatError` of a text in it.
    package init(json: JSONFormatNode, omitsEmpty: Bool = false, extensions: Set<FormatCommand> = []) throws(FormatError) {
        template = try FormatTemplate.compile(json: json, omitsEmpty: omitsEmpty, extensions: extensions)
        isJSON = true
        self.omitsEmpty = omitsEmpty
    }

    /// Appends one line.
    package func write(to sink: ByteSink, context: some FormatContext) {
        if isJSON {
            template.writeJSON(to: sink, context: context, omitsEmpty: omitsEmpty)
        } else {
            template.write(to: sink, context: context, missing: omitsEmpty ? "" : "-")
        }
    }
}

/// What a JSON format is made from: text with commands at its leaves. Source: `google.protobuf.Struct`.
package indirect enum JSONFormatNode: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([JSONFormatNode])
    /// Printed in the order of its keys, as Envoy does.
    case object([String: JSONFormatNode])
}
