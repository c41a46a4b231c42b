// SPDX-License-Identifier: Apache-2.0
import CProcess
import Glibc
import MeshIO
import MeshUV
import Synchronization

/// `apus demo`: a proxy, the upstream behind it and admin, on loopback, with a first request made and shown.
package enum Demo {
    /// Runs until SIGINT, or with `once` until the first request is answered. Returns the exit status.
    package static func run(listenerPort: UInt16, adminPort: UInt16, once: Bool) -> Int32 {
        do throws(ListenError) {
            let (upstream, upstreamPort) = try DemoUpstream.start()
            let ports = (listener: try freePort(near: listenerPort), admin: try freePort(near: adminPort))
            var options = ServerOptions()
            options.configYAML = bootstrap(listener: ports.listener, admin: ports.admin, upstream: upstreamPort)
            options.concurrency = 1
            options.logLevel = .warning
            options.fileFlushIntervalMilliseconds = 200
            let outcome = FirstRequestOutcome()
            let status = Server.run(options) { control in
                // The control thread must stay free to answer workers, so the request has a thread of its own.
                outcome.thread.withLock { thread in
                    thread = NamedThread(name: "demo") {
                        outcome.succeeded.withLock { $0 = show(ports: ports, upstream: upstreamPort, once: once) }
                        if once || !outcome.succeeded.withLock({ $0 }) { control(.quit) }
                    }
                }
            }
            outcome.thread.withLock { $0 }?.join()
            upstream.stop()
            return status == 0 && !outcome.succeeded.withLock({ $0 }) ? 1 : status
        } catch {
            apus_print_error("apus demo: \(error)\n")
            return 1
        }
    }

    /// The port asked for, or a free one when it is taken.
    private static func freePort(near wanted: UInt16) throws(ListenError) -> UInt16 {
        for port in [wanted, 0] {
            guard let socket = try? LocalSocket.listen(on: .ipv4(0x7F00_0001, port: port)) else { continue }
            close(socket.descriptor)
            if let free = socket.address.port { return free }
        }
        throw ListenError(step: .bind, code: EADDRINUSE, address: .ipv4(0x7F00_0001, port: wanted))
    }

    private static func bootstrap(listener: UInt16, admin: UInt16, upstream: UInt16) -> String {
        """
        admin: {address: {socket_address: {address: 127.0.0.1, port_value: \(admin)}}}
        static_resources:
          listeners:
          - name: demo
            address: {socket_address: {address: 127.0.0.1, port_value: \(listener)}}
            filter_chains:
            - filters:
              - name: envoy.filters.network.http_connection_manager
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                  stat_prefix: demo
                  access_log:
                  - name: envoy.access_loggers.stdout
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
                  route_config:
                    name: demo
                    virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                      - match: {path: /direct}
                        direct_response: {status: 200, body: {inline_string: "answered by the proxy itself\\n"}}
                      - match: {prefix: /old}
                        redirect: {prefix_rewrite: /new}
                      - match: {prefix: /}
                        route: {cluster: upstream}
                        request_headers_to_add:
                        - header: {key: x-demo, value: "added by the proxy"}
                  http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          clusters:
          - name: upstream
            type: STATIC
            load_assignment:
              cluster_name: upstream
              endpoints:
              - lb_endpoints:
                - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: \(upstream)}}}
        """
    }

    /// Makes the first request and prints it, its answer, and what to try. False when it was not answered with 200.
    private static func show(ports: (listener: UInt16, admin: UInt16), upstream: UInt16, once: Bool) -> Bool {
        print("""
            Apus \(ApusVersion.number) demo
              listener  http://127.0.0.1:\(ports.listener)
              upstream  127.0.0.1:\(upstream) (built in)
              admin     http://127.0.0.1:\(ports.admin)

            GET /hello through the proxy:

            """)
        let request = "GET /hello HTTP/1.1\r\nhost: demo.example\r\nuser-agent: apus-demo\r\nconnection: close\r\n\r\n"
        guard let answer = LocalClient.exchange(.ipv4(0x7F00_0001, port: ports.listener), request) else {
            print("no answer")
            return false
        }
        for line in answer.replacing("\r\n", with: "\n").split(separator: "\n", omittingEmptySubsequences: false) {
            print("  \(line)")
        }
        let succeeded = answer.hasPrefix("HTTP/1.1 200 ")
        if !once {
            print("""
                Try:
                  curl -v http://127.0.0.1:\(ports.listener)/anything
                  curl -v http://127.0.0.1:\(ports.listener)/direct          answered by the proxy itself
                  curl -v http://127.0.0.1:\(ports.listener)/old/page        a redirect
                  curl 'http://127.0.0.1:\(ports.admin)/stats?usedonly'
                  curl http://127.0.0.1:\(ports.admin)/config_dump
                Ctrl-C ends it. Access log lines follow.

                """)
        }
        fflush(nil)
        return succeeded
    }
}
