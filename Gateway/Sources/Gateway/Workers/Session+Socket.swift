import WhatsAppSessions

// What a worker has to know of a session, beside what is stored.
extension Session {
    /// Whether it is offline for a reason that a person must look at; `nil` when it is not offline, or nobody said why.
    var waitsForPerson: Bool? {
        guard status == .disconnected, let disconnectReason else { return nil }
        return KnownReason(text: disconnectReason.text)?.waitsForPerson == true
    }

    /// Whether a worker that has no socket for it opens one. A session that was disconnected while the gateway or its worker was
    /// away, perhaps in the middle of a reconnection, gets one again; what a person must look at first does not, and neither does
    /// one that was disconnected without a reason, by hand.
    var needsSocket: Bool {
        switch wish {
        case .stop: false
        case .pair: true
        // Only over a connection is it unlinked.
        case .logOut where isLinked: true
        case .logOut, nil: status != .disconnected || waitsForPerson == false
        }
    }

    /// Whether it is offline for a reason of the gateway's own, which says nothing about the account.
    var isOfflineByItself: Bool {
        guard status == .disconnected, let disconnectReason else { return false }
        return switch KnownReason(text: disconnectReason.text) {
        case .workerGone, .released, .gatewayStopped, .stopped: true
        default: false
        }
    }

    /// Whether the account was logged out and no other was linked since.
    var isLoggedOut: Bool { status != .connected && disconnectReason?.isLogout == true }

    /// Whether a worker has credentials for it: only that one, or one that shares its store, can bring it online without a pairing.
    var isLinked: Bool {
        switch status {
        case .connected: true
        // With a code nobody is linked.
        case .qrWaiting: false
        case .initializing, .disconnected:
            phoneNumber != nil && wish != .pair && !isLoggedOut
        }
    }
}
