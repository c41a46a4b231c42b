// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel

/// `local_reply_config`, ready for use.
final class CompiledLocalReplies: Sendable {
    struct Body: Sendable {
        let format: AccessLogFormat
        let contentType: ConstantBytes

        init(_ body: LocalReplyPolicy.Body) {
            format = body.format
            contentType = ConstantBytes(body.contentType)
        }
    }

    struct Mapper: Sendable {
        let filter: AccessLogFilter
        let status: UInt16?
        let text: ConstantBytes?
        let body: Body?
        let headers: [(name: ConstantBytes, mutation: HeaderMutation)]
    }

    let mappers: [Mapper]
    let body: Body?

    init(_ policy: LocalReplyPolicy, runtime: Runtime) {
        body = policy.body.map { Body($0) }
        mappers = policy.mappers.map { mapper in
            Mapper(
                filter: mapper.filter.bound(to: runtime), status: mapper.status, text: mapper.text.map { ConstantBytes($0) },
                body: mapper.body.map { Body($0) }, headers: mapper.headers.map { (ConstantBytes($0.name), $0) })
        }
    }
}

// A reply of the proxy's own as `local_reply_config` wants it.
extension ActiveStream {
    /// Changes status and headers of `response`, and gives the body that it shall have. The bytes lie in `worker.replyBody`
    /// or where they did.
    ///
    /// - Returns: the content type too; nil for the usual one.
    func rewriteReply(
        _ policy: CompiledLocalReplies, _ body: UnsafeRawBufferPointer
    ) -> (body: UnsafeRawBufferPointer, contentType: UnsafeRawBufferPointer?) {
        var text = body
        var form = policy.body
        // What the filters and formats read is the reply as it stands.
        info.status = response.status
        for mapper in policy.mappers where mapper.filter.admits(self, random: worker.random.next()) {
            if let own = mapper.text { text = own.bytes }
            for header in mapper.headers { apply(header.mutation, header.name.bytes) }
            if let status = mapper.status {
                response.status = status
                info.status = status
            }
            form = mapper.body ?? form
            break
        }
        guard let form else { return (text, nil) }
        let sink = worker.replyBody
        sink.removeAll()
        localReplyBody = text
        form.format.write(to: sink, context: self)
        localReplyBody = nil
        return (sink.bytes, form.contentType.bytes)
    }

    private func apply(_ mutation: HeaderMutation, _ name: UnsafeRawBufferPointer) {
        let sink = worker.scratch
        sink.removeAll()
        mutation.value.write(to: sink, context: self, missing: "", own: .response, block: response.headers)
        guard sink.count > 0 || mutation.keepEmptyValue else { return }
        let isThere = response.headers.firstIndex(named: name) >= 0
        switch mutation.action {
        case .addIfAbsent where isThere: return
        case .overwriteIfPresent where !isThere: return
        case .overwriteOrAdd, .overwriteIfPresent: response.headers.removeAll(named: name)
        case .appendOrAdd, .addIfAbsent: break
        }
        response.headers.append(name: name, value: sink.bytes, from: pool)
    }
}
