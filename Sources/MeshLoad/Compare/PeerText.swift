// SPDX-License-Identifier: Apache-2.0

/// HAProxy: one thread, upstream connections shared and kept, no log; certificate chains verified, names not. It splices bulk
/// and copies small exchanges, which is the cheaper way for it in either case.
enum HAProxyText {
    static func configuration(_ setup: ProxySetup) -> String {
        let isTCP = setup.door == .tcp || setup.door == .bulk
        let certificates = setup.certificates
        var bind = "bind 127.0.0.1:\(setup.port)"
        var server = "server upstream 127.0.0.1:\(setup.upstreamPort)"
        switch setup.door {
        case .http, .logged: server += " maxconn 4096 pool-max-conn -1"
        case .tcp, .bulk: break
        case .h2:
            bind += " proto h2"
            server += " proto h2 pool-max-conn -1"
        case .toMTLS:
            server += " ssl crt \(certificates)/client-both.pem ca-file \(certificates)/ca.pem verify required sni str(localhost) alpn h2 pool-max-conn -1"
        case .mtls:
            bind += " ssl crt \(certificates)/server-both.pem ca-file \(certificates)/ca.pem verify required alpn h2,http/1.1"
            server += " pool-max-conn -1"
        }
        return """
            global
                nbthread 1
                no strict-limits
                maxconn 19000
                tune.maxpollevents 256
                ssl-default-bind-options ssl-min-ver TLSv1.3
                ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
                ssl-default-bind-curves X25519
                ssl-default-server-options ssl-min-ver TLSv1.3
                ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256

            defaults
                mode \(isTCP ? "tcp" : "http")
                timeout connect 5s
                timeout client 300s
                timeout server 300s
                timeout http-request 300s
                timeout http-keep-alive 300s
            \(isTCP ? "" : "    option http-keep-alive\n    http-reuse always\n")\(setup.door == .bulk ? "    option splice-request\n    option splice-response\n" : "")
            frontend door
                \(bind)
                default_backend upstream

            backend upstream
                \(server)

            """
    }
}

/// nginx: one process, upstream connections kept, no log, answers up to 256 KiB buffered in memory and never on disk.
enum NginxText {
    static func configuration(_ setup: ProxySetup, stream: String?) -> String {
        let isTCP = setup.door == .tcp || setup.door == .bulk
        let folder = setup.folder
        return """
            \(isTCP ? stream.map { "load_module \($0);\n" } ?? "" : "")daemon off;
            master_process off;
            worker_processes 1;
            worker_rlimit_nofile 20000;
            pid \(folder)/nginx.pid;
            error_log \(folder)/nginx-error.log error;
            events { worker_connections 19900; }
            \(isTCP ? tcp(setup) : http(setup))
            """
    }

    private static func tcp(_ setup: ProxySetup) -> String {
        """
        stream {
            server {
                listen 127.0.0.1:\(setup.port) backlog=4096;
                proxy_pass 127.0.0.1:\(setup.upstreamPort);
            }
        }

        """
    }

    private static func http(_ setup: ProxySetup) -> String {
        let folder = setup.folder
        let certificates = setup.certificates
        let tls = """
                    ssl_certificate \(certificates)/server.pem;
                    ssl_certificate_key \(certificates)/server.key;
                    ssl_client_certificate \(certificates)/ca.pem;
                    ssl_verify_client on;
                    ssl_protocols TLSv1.3;
                    ssl_ecdh_curve X25519;
                    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;

            """
        return """
            http {
                access_log off;
                keepalive_timeout 300s;
                keepalive_requests 1000000000;
                client_header_timeout 300s;
                client_body_temp_path \(folder)/nginx-body;
                proxy_temp_path \(folder)/nginx-proxy;
                fastcgi_temp_path \(folder)/nginx-fastcgi;
                uwsgi_temp_path \(folder)/nginx-uwsgi;
                scgi_temp_path \(folder)/nginx-scgi;
                proxy_buffer_size 16k;
                proxy_buffers 16 16k;
                proxy_busy_buffers_size 32k;
                proxy_max_temp_file_size 0;
                upstream upstream {
                    server 127.0.0.1:\(setup.upstreamPort);
                    keepalive 1024;
                    keepalive_requests 1000000000;
                    keepalive_timeout 300s;
                }
                server {
                    listen 127.0.0.1:\(setup.port)\(setup.door == .mtls ? " ssl http2" : "") backlog=4096;
            \(setup.door == .mtls ? tls : "")        location / {
                        proxy_pass http://upstream;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                    }
                }
            }

            """
    }
}

/// nghttpx: one process and thread, no log; certificate chains verified, and the host name of its upstream.
enum NghttpxText {
    static func configuration(_ setup: ProxySetup) -> String {
        let certificates = setup.certificates
        let upstream =
            switch setup.door {
            case .h2: "proto=h2"
            case .toMTLS: "proto=h2;tls;sni=localhost"
            default: "proto=http/1.1"
            }
        return """
            frontend=127.0.0.1,\(setup.port)\(setup.door == .mtls ? "" : ";no-tls")
            backend=127.0.0.1,\(setup.upstreamPort);;\(upstream)
            workers=1
            single-thread=yes
            single-process=yes
            accesslog-file=/dev/null
            log-level=ERROR
            no-ocsp=yes
            frontend-http2-read-timeout=300s
            frontend-read-timeout=300s
            frontend-keep-alive-timeout=300s
            backend-read-timeout=300s
            private-key-file=\(certificates)/server.key
            certificate-file=\(certificates)/server.pem
            verify-client=\(setup.door == .mtls ? "yes" : "no")
            verify-client-cacert=\(certificates)/ca.pem
            client-private-key-file=\(certificates)/client.key
            client-cert-file=\(certificates)/client.pem
            cacert=\(certificates)/ca.pem
            tls-min-proto-version=TLSv1.3
            tls13-ciphers=TLS_AES_128_GCM_SHA256
            tls13-client-ciphers=TLS_AES_128_GCM_SHA256
            ecdh-curves=X25519
            npn-list=h2,http/1.1
            pid-file=\(setup.folder)/nghttpx.pid

            """
    }
}
