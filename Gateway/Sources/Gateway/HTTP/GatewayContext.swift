import Hummingbird
import NIOCore

extension ResponseBodyWriter {
    /// Writes a piece, and closes the connection if it isn't taken for a minute: the client acknowledges what comes and reads nothing.
    mutating func write(_ piece: ByteBuffer, _ context: GatewayContext) async throws {
        let timeout = context.channel.eventLoop.scheduleTask(in: .seconds(60)) { [channel = context.channel] in
            channel.close(promise: nil)
        }
        defer { timeout.cancel() }
        try await write(piece)
    }
}

/// A request's context, with its connection.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    let record = RequestRecord()

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// Closes the connection once the client has had time to read the answer. Otherwise Hummingbird would go on to read
    /// the rest of a body that is too large, however long it is.
    func closeSoon() {
        channel.eventLoop.scheduleTask(in: .seconds(1)) { [channel] in channel.close(promise: nil) }
    }
}
