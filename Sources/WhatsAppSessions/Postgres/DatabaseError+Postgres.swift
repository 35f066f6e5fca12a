#if Postgres
extension DatabaseError {
    init(_ refusal: PostgresRefusal) {
        let code: ResultCode =
            switch refusal.state {
            case "53100": .full
            case "53200": .outOfMemory
            case "54000", "22001": .tooBig
            case "25006": .readOnly
            case "58030": .ioError
            case "XX001", "XX002": .corrupt
            case let state where state.hasPrefix("23"): .constraint
            case let state where state.hasPrefix("28") || state.hasPrefix("3D"): .cannotOpen
            default: .error
            }
        self.init(resultCode: code, message: refusal.message, sqlState: refusal.state)
    }

    init(_ lost: PostgresConnectionLost) {
        self.init(resultCode: .busy, message: lost.message, sqlState: lost.state ?? "08006")
    }
}
#endif
