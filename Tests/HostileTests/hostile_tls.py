class HostileTLS: pass
