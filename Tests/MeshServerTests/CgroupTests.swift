// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshServer

struct CgroupTests {
    private func reader(_ files: [String: String]) -> Cgroup.Reader { { files[$0] } }

    private let unified = ["/proc/self/cgroup": "0::/kubepods/pod1/c1\n", "/sys/fs/cgroup/cgroup.controllers": "cpu memory\n"]

    @Test func versionTwoTakesTheLowestLimitOfAllLevels() throws {
        let read = reader(unified.merging([
            "/sys/fs/cgroup/kubepods/pod1/c1/cpu.max": "max 100000\n", "/sys/fs/cgroup/kubepods/pod1/cpu.max": "250000 100000\n",
            "/sys/fs/cgroup/kubepods/cpu.max": "800000 100000\n",
            "/sys/fs/cgroup/kubepods/pod1/c1/memory.max": "268435456\n", "/sys/fs/cgroup/kubepods/pod1/c1/memory.current": "1000\n",
            "/sys/fs/cgroup/kubepods/pod1/memory.max": "536870912\n",
        ]) { $1 })
        let group = try #require(Cgroup(read))
        #expect(group.cpuQuota(read) == 2.5)
        let memory = try #require(group.memory(read))
        #expect(memory == (1_000, 268_435_456))
    }

    @Test func insideAContainerTheRootIsTheGroup() throws {
        let read = reader([
            "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cgroup.controllers": "", "/sys/fs/cgroup/cpu.max": "50000 100000\n",
        ])
        let group = try #require(Cgroup(read))
        #expect(group.cpuQuota(read) == 0.5)
    }

    @Test func versionOneHasADirectoryForEachController() throws {
        let read = reader([
            "/proc/self/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n",
            "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.stat": "nr_periods 10\nnr_throttled 3\nthrottled_time 5000000\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "1048576\n",
            "/sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes": "524288\n",
        ])
        let group = try #require(Cgroup(read))
        #expect(group.cpuQuota(read) == 1.5)
        #expect(group.cpuTime(read) == Cgroup.CPUTime(periods: 10, throttledPeriods: 3, throttled: 5_000, used: 0))
        let memory = try #require(group.memory(read))
        #expect(memory == (524_288, 1_048_576))
    }

    @Test func withoutLimitsThereAreNone() throws {
        let read = reader(unified.merging([
            "/sys/fs/cgroup/cpu.max": "max 100000\n", "/sys/fs/cgroup/memory.max": "max\n", "/sys/fs/cgroup/memory.current": "7\n",
        ]) { $1 })
        let group = try #require(Cgroup(read))
        #expect(group.cpuQuota(read) == nil)
        #expect(group.memory(read)?.limit == nil)
        #expect(Cgroup(reader([:])) == nil)
    }

    @Test(arguments: ["", "max", "x 100000", "100000 0", "-5 100000", "1 2 3"])
    func whatIsNoQuotaIsNone(text: String) { #expect(Cgroup.quota(text) == nil) }

    @Test func throttlingIsReadFromBothFormats() {
        let time = Cgroup.cpuTime("usage_usec 900\nuser_usec 1\nnr_periods 4\nnr_throttled 2\nthrottled_usec 77\nodd\n")
        #expect(time == Cgroup.CPUTime(periods: 4, throttledPeriods: 2, throttled: 77, used: 900))
    }
}

struct ProcessSizeTests {
    @Test(arguments: [
        (UInt32(0), 8, nil, 8), (0, 8, 2.5, 3), (0, 8, 0.1, 1), (0, 2, 16, 2), (0, 0, nil, 1), (5, 2, 1, 5), (0, 4, 2, 2),
    ] as [(UInt32, Int, Double?, Int)])
    func workers(requested: UInt32, cpus: Int, quota: Double?, expected: Int) {
        #expect(ProcessSize.workers(requested: requested, usableCPUs: cpus, quota: quota) == expected)
    }
}

struct ResourceReaderTests {
    @Test(arguments: [("0.95\n", 0.95), ("1", 1), ("0", 0), ("", nil), ("x", nil), ("1.5", nil), ("-0.1", nil), ("nan", nil)] as [(String, Double?)])
    func anInjectedPressureIsAPart(text: String, expected: Double?) { #expect(ResourceReader.injected(text) == expected) }

    @Test func theMachinesTimeIsWorkAndIdleness() throws {
        let time = try #require(ResourceReader.machineTime("cpu  10 20 30 40 5 6 7 0 0 0\ncpu0 1 2 3 4\n"))
        #expect(time == (60, 100))
        #expect(ResourceReader.machineTime("intr 5") == nil)
    }
}
