import WhatsAppSessions

/// What an operator asks of a session, beside deleting it.
enum Command: String, CaseIterable {
    /// Go offline, and stay so; the account stays linked.
    case stop
    /// Go online again.
    case start
    /// Link an account anew: the worker forgets the one before, and shows a code.
    case pair
    /// Unlink the account on the phone.
    case logOut = "logout"

    /// The one that leaves a wish.
    init(_ wish: Session.Wish) {
        self =
            switch wish {
            case .stop: .stop
            case .logOut: .logOut
            case .pair: .pair
            }
    }

    /// The update that it makes. What the worker must do first stays a wish until the worker has reported it.
    ///
    /// - Throws: ``Problem`` when it makes no sense for the session as it is.
    func updates(for session: Session) throws -> SessionUpdates {
        let isOffline = session.status == .disconnected
        switch self {
        case .stop:
            // Nobody else would report it.
            let isOver = !isOffline && session.holder == nil
            // Why it went offline before says more than that it was stopped.
            let says = isOver || isOffline && session.waitsForPerson != true
            return SessionUpdates(
                status: isOver ? .disconnected : nil,
                disconnectReason: says ? .set(.stopped) : .unchanged,
                wish: .set(.stop)
            )
        case .start:
            guard isOffline else { return SessionUpdates(wish: .clear) }
            // Of one that was logged out, whoever scans the next code is linked.
            let account = session.isLinked || session.wish == .pair ? FieldUpdate<String>.unchanged : .clear
            return SessionUpdates(status: .initializing, phoneNumber: account, name: account, wish: .clear)
        case .pair:
            // It shows its codes already.
            if session.status == .qrWaiting { return SessionUpdates(wish: .clear) }
            guard isOffline || !session.isLinked else {
                throw Problem(
                    status: .conflict,
                    code: "still_linked",
                    detail: "The account is linked and not offline: stop it or log it out first, and then pair another."
                )
            }
            // One that is not offline may show a code by the time that this is stored.
            return SessionUpdates(status: isOffline ? .initializing : nil, wish: .set(.pair))
        case .logOut:
            guard session.isLinked else {
                throw Problem(status: .conflict, code: "not_linked", detail: "No account is linked to this session.")
            }
            return SessionUpdates(wish: .set(.logOut))
        }
    }
}
