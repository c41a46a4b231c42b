// SPDX-License-Identifier: Apache-2.0
import MeshDataPlane
import MeshModel
import Testing

struct ReplyJournalTests {
    let journal = ReplyJournal()

    @Test func answersOfOneKindAreCounted() {
        journal.note(.routeNotFound, status: 404, cluster: nil, now: 1)
        journal.note(.noHealthyUpstream, status: 503, cluster: nil, now: 2)
        journal.note(.routeNotFound, status: 404, cluster: nil, now: 3)
        let seen = journal.latest
        #expect(seen.map(\.reason) == [.routeNotFound, .noHealthyUpstream])
        #expect(seen.map(\.count) == [2, 1] && seen.map(\.last) == [3, 2])
    }

    @Test func theKindSeenLongestAgoMakesRoom() {
        for status in 0..<UInt16(ReplyJournal.limit) { journal.note(.upstreamReset, status: status, cluster: nil, now: UInt64(status) + 1) }
        journal.note(.upstreamReset, status: 0, cluster: nil, now: 900)
        journal.note(.upstreamReset, status: 999, cluster: nil, now: 1_000)
        let statuses = journal.latest.map(\.status)
        #expect(statuses.count == ReplyJournal.limit && statuses.prefix(2) == [999, 0] && !statuses.contains(1))
    }
}
