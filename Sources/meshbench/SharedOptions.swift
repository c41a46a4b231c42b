// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import MeshLoad

/// Where a result goes besides the terminal: the same for every command that has one.
struct ReportOptions: ParsableArguments {
    @Option(help: "Write the result as JSON.")
    var json: String?
    @Option(help: "Write its figures as CSV: a line for each stretch of a run, trial, or figure of a comparison.")
    var csv: String?
    @Option(help: "Write a page with plots.")
    var html: String?

    /// Writes what was asked for; forms that were not are not made.
    func write(json makeJSON: @autoclosure () -> [UInt8], csv makeCSV: @autoclosure () -> String, html makePage: @autoclosure () -> String) throws {
        if let json { try FileContents.write(makeJSON(), to: json) }
        if let csv { try FileContents.write(Array(makeCSV().utf8), to: csv) }
        if let html { try FileContents.write(Array(makePage().utf8), to: html) }
    }
}

/// Threads, and where they run.
struct ThreadOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "Threads.")
    var workers = 1
    @Option(help: "Pin the threads to CPUs, from this number on.")
    var pin: Int?

    /// - Throws: what `ProcessorCount.check` says.
    func check() throws {
        do throws(ScenarioError) { try ProcessorCount.check(pin: pin, workers: workers) } catch { throw ValidationError(error) }
    }
}

/// Whose cost is measured.
struct ObserveOptions: ParsableArguments {
    @Option(help: "Process whose CPU and memory are measured, with all below it.")
    var observe: Int32?
    @Option(help: "The same for a cgroup (v2) folder.")
    var observeCgroup: String?

    var subject: ObservedSubject? { observe.map { .process($0) } ?? observeCgroup.map { .cgroup($0) } }
}

/// Where proxies are started, and where what they are started with lies.
struct PlaceOptions: ParsableArguments {
    @Option(help: "CPU of the proxy.")
    var proxyCpu = 0
    @Option(help: "CPU of upstream and load.")
    var loadCpu = 1
    @Option(help: "Keep configurations, certificates and logs in this folder.")
    var folder: String?
    @Flag(help: "Write what the proxies are started with to --folder, print how, and start nothing.")
    var writeOnly = false

    func validate() throws {
        if writeOnly, folder == nil { throw ValidationError("--write-only needs --folder") }
    }

    /// Calls `body` with the whole path of the folder, for files point at each other by it. One that nobody named is removed
    /// afterwards.
    func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let place = folder.map { URL(fileURLWithPath: $0).path } ?? NSTemporaryDirectory() + "meshbench-\(getpid())"
        defer { if folder == nil { try? FileManager.default.removeItem(atPath: place) } }
        return try body(place)
    }
}
