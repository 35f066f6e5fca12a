import Synchronization

/// What becomes known about a request while it is answered.
final class RequestRecord: Sendable {
    private struct State {
        var access = Access.full
        var worker: String?
        var isBodyRead = false
    }

    private let state = Mutex(State())

    /// What its token allows.
    var access: Access {
        get { state.withLock { $0.access } }
        set { state.withLock { $0.access = newValue } }
    }

    /// The worker that it says it is from.
    var worker: String? {
        get { state.withLock { $0.worker } }
        set { state.withLock { $0.worker = newValue } }
    }

    /// Whether all of its body has come.
    var isBodyRead: Bool {
        get { state.withLock { $0.isBodyRead } }
        set { state.withLock { $0.isBodyRead = newValue } }
    }
}
