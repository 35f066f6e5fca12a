import AsyncAlgorithms
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import WhatsAppSessions

/// The changes of all sessions as server-sent events, for any number of followers.
///
/// A follower costs a cursor and no queue: the journal is the buffer, and a follower that reads slowly is served as it reads.
final class ChangeStream: Sendable {
    private static let pingInterval = Duration.seconds(15)
    /// How long the network may leave what was sent unacknowledged, in milliseconds. The client has vanished.
    private static let acknowledgeTimeout = 30_000
    private static let pageSize = 256

    private let manager: SessionManager
    private let board: SessionBoard
    private let leases: WorkerLeases
    private let count = Atomic(0)
    /// The events that were encoded last, or are being encoded: most followers are at the same place, so each is encoded once.
    private let encoded = Mutex<[ChangeCursor: Task<ByteBuffer?, any Error>]>([:])
    private let encodings = Atomic(0)

    private let logger: Logger

    init(manager: SessionManager, board: SessionBoard, leases: WorkerLeases, logger: Logger) {
        self.manager = manager
        self.board = board
        self.leases = leases
        self.logger = logger
    }

    /// How many follow right now.
    var followers: Int { count.load(ordering: .relaxed) }
    /// How many events were encoded.
    var encodedEvents: Int { encodings.load(ordering: .relaxed) }

    /// Answers with the changes after a cursor, or with all sessions and then the changes.
    ///
    /// - Parameters:
    ///   - cursor: Where to begin; `nil` for the beginning.
    ///   - worker: The worker whose lease this stream keeps alive.
    func response(to request: Request, after cursor: ChangeCursor?, worker: Worker?, context: GatewayContext)
        -> Response
    {
        let body = ResponseBody { writer in
            // All of it belongs to the body, which a HEAD request drops.
            self.count.add(1, ordering: .relaxed)
            defer { self.count.subtract(1, ordering: .relaxed) }
            do {
                try await self.follow(after: cursor, worker, request, context, &writer)
            } catch let error as DatabaseError {
                context.logger.error("a stream of changes ended", metadata: ["error": .error(error)])
            } catch {
                // The client has gone.
                context.logger.debug("a stream of changes ended", metadata: ["error": "\(type(of: error))"])
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok,
            // nginx would keep events back otherwise.
            headers: [.contentType: "text/event-stream", .xAccelBuffering: "no"],
            body: body
        )
    }

    private func follow(
        after cursor: ChangeCursor?,
        _ worker: Worker?,
        _ request: Request,
        _ context: GatewayContext,
        _ writer: inout any ResponseBodyWriter
    ) async throws {
        try await noticeVanishedClient(context.channel)
        // Holds nothing back: whoever sends waits until the client takes it.
        let events = AsyncChannel<ByteBuffer>()
        try await withGracefulShutdownHandler {
            try await request.body.consumeWithInboundCloseHandler { _ in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        // An error, of the database perhaps, ends the stream: its follower comes back and sees.
                        defer { events.finish() }
                        guard let worker else {
                            return try await self.sendChanges(after: cursor, context.record.access, to: events)
                        }
                        try await self.serve(worker, after: cursor, to: events)
                    }
                    group.addTask { try? await self.sendPings(to: events) }
                    for await event in events { try await writer.write(event, context) }
                    group.cancelAll()
                    // Why the changes ended, if they did.
                    try await group.waitForAll()
                }
            } onInboundClosed: {
                events.finish()
            }
        } onGracefulShutdown: {
            events.finish()
        }
    }

    /// Without it a client that left without a word is noticed after a quarter of an hour.
    private func noticeVanishedClient(_ channel: any Channel) async throws {
        #if os(Linux)
        // TCP_USER_TIMEOUT, tcp(7)
        let option = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: 18))
        try await channel.setOption(option, value: .init(Self.acknowledgeTimeout)).get()
        #endif
    }

    // MARK: Leases

    private static let beginning = ContinuousClock.now
    /// A clock that goes on while the machine sleeps, and that nobody sets: workers count their leases by it.
    private static var clock: Duration { beginning.duration(to: .now) }

    /// Sends a worker its lease, then the changes, and keeps the lease alive meanwhile.
    private func serve(
        _ worker: Worker,
        after cursor: ChangeCursor?,
        to events: AsyncChannel<ByteBuffer>
    ) async throws {
        let start = Self.clock
        let lease = try await leases.open(worker)
        await events.send(ByteBuffer(lease: lease, since: start, lasting: leases.duration))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.sendChanges(after: cursor, .full, to: events) }
            group.addTask { try await self.keepAlive(lease, of: worker, events) }
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    /// Renews a lease until the task is cancelled, and tells the worker each time: it counts the lease from there. One that was lost,
    /// while the database could not be written for instance, is replaced.
    private func keepAlive(_ first: SessionLease, of worker: Worker, _ events: AsyncChannel<ByteBuffer>) async throws {
        var lease = first
        await leases.noteStream(of: lease, isOpen: true)
        while (try? await Task.sleep(for: leases.duration / 3)) != nil {
            let start = Self.clock
            do {
                try await leases.renewNow(lease)
            } catch is LeaseLostError {
                guard let another = try? await leases.open(worker) else { continue }
                await leases.noteStream(of: lease, isOpen: false)
                lease = another
                await leases.noteStream(of: lease, isOpen: true)
            } catch {
                logger.error("a lease was not renewed", metadata: ["error": .error(error)])
                continue
            }
            await events.send(ByteBuffer(lease: lease, since: start, lasting: leases.duration))
        }
        await leases.noteStream(of: lease, isOpen: false)
        // The worker has all of the lease's time to come back.
        try? await leases.renewNow(lease)
    }

    // MARK: Events

    private func sendChanges(
        after start: ChangeCursor?,
        _ access: Access,
        to events: AsyncChannel<ByteBuffer>
    ) async throws {
        var start = start
        while !Task.isCancelled {
            do {
                try await sendChanges(after: sendNews(after: start, access, to: events), to: events)
            } catch let error as ChangeCursorExpiredError {
                if let damage = error.damage {
                    logger.error("a change cannot be read", metadata: ["error": "\(damage)"])
                }
                start = nil
            }
        }
    }

    /// Sends what the follower doesn't know yet, then `ready`.
    private func sendNews(
        after start: ChangeCursor?,
        _ access: Access,
        to events: AsyncChannel<ByteBuffer>
    ) async throws -> ChangeCursor {
        var cursor: ChangeCursor
        if let start {
            cursor = start
            while case let page = try await manager.getChanges(after: cursor, limit: Self.pageSize),
                let last = page.last
            {
                for change in page { try await send(change, to: events) }
                cursor = last.cursor
            }
        } else {
            let snapshot = try await board.snapshot()
            // Only the end has an id: a follower that loses the connection before begins anew. All begin with the same pieces, and
            // each piece has its own time to be read.
            await events.send(ByteBuffer(event: "reset", data: "{}"))
            for chunk in snapshot.chunks where chunk.joinedEvents.readableBytes > 0 {
                await events.send(chunk.joinedEvents)
            }
            cursor = snapshot.cursor
        }
        // The page shows what its token allows.
        let data = access == .full ? "{}" : #"{"access":"\#(access.rawValue)"}"#
        await events.send(ByteBuffer(event: "ready", data: data, id: cursor))
        return cursor
    }

    private func sendChanges(after cursor: ChangeCursor, to events: AsyncChannel<ByteBuffer>) async throws {
        for try await change in manager.changes(after: cursor) { try await send(change, to: events) }
    }

    private func send(_ change: SessionChange, to events: AsyncChannel<ByteBuffer>) async throws {
        if let event = try await event(for: change) { await events.send(event) }
    }

    private func event(for change: SessionChange) async throws -> ByteBuffer? {
        let task = encoded.withLock { encoded in
            if let task = encoded[change.cursor] { return task }
            if encoded.count == Self.pageSize { encoded.removeAll(keepingCapacity: true) }
            let task = Task.detached { try await self.encode(change) }
            encoded[change.cursor] = task
            return task
        }
        do {
            return try await task.value
        } catch {
            // Another follower, or this one when it comes back, tries again.
            encoded.withLock { $0[change.cursor] = nil }
            throw error
        }
    }

    /// The session as it is now, which may be newer than the change; `nil` when it was deleted meanwhile, and that follows, or
    /// when its row is damaged.
    private func encode(_ change: SessionChange) async throws -> ByteBuffer? {
        encodings.add(1, ordering: .relaxed)
        if change.kind == .deleted {
            let data = try JSONEncoder.gateway.encode(["id": change.sessionID])
            return ByteBuffer(event: "deleted", data: String(decoding: data, as: UTF8.self), id: change.cursor)
        }
        do {
            return try await manager.getSession(change.sessionID).map { ByteBuffer(session: $0, id: change.cursor) }
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            logger.error("a session cannot be read", metadata: ["error": .error(error)])
            return nil
        }
    }

    /// Browsers drop an event without data. The time lets a page correct its clock.
    private func sendPings(to events: AsyncChannel<ByteBuffer>) async throws {
        while true {
            try await Task.sleep(for: Self.pingInterval)
            await events.send(ByteBuffer(event: "ping", data: #"{"time":"\#(Date().iso8601)"}"#))
        }
    }
}

extension ByteBuffer {
    /// One event. The data is JSON, which has no line breaks.
    fileprivate init(event: String, data: String, id: ChangeCursor? = nil) {
        self.init(string: "event: \(event)\n\(id.map { "id: \($0)\n" } ?? "")data: \(data)\n\n")
    }

    /// - Parameter start: Before the lease was opened or renewed.
    fileprivate init(lease: SessionLease, since start: Duration, lasting duration: Duration) {
        self.init(
            event: "lease",
            data: #"{"clock":\#(start / .seconds(1)),"lease":"\#(lease.number)","seconds":\#(duration / .seconds(1))}"#
        )
    }

    fileprivate init(session: Session, id: ChangeCursor) {
        var text = Array("event: session\nid: \(id)\ndata: ".utf8)
        text.writeSession(session)
        text.writeStaticString("\n\n")
        self.init(bytes: text)
    }
}

extension HTTPField.Name {
    static let xAccelBuffering = Self("X-Accel-Buffering")!
    static let lastEventID = Self("Last-Event-ID")!
}
