import Foundation
import WhatsAppSessionsSystem

/// A few threads owned by the library, for blocking work: Swift's pool must not block, and Dispatch's runs out of threads.
///
/// A thread is started when there is work and none is idle, and ends after a second without work.
final class Threads: Sendable {
    typealias Start = @Sendable (@escaping @Sendable () -> Void) throws -> Void

    private struct State {
        var work: [@Sendable () -> Void] = []
        var threads = 0
        var idle = 0

        var hasWork: Bool { !work.isEmpty }
    }

    private let limit: Int
    private let start: Start
    private let state = Lock(State())

    /// - Parameters:
    ///   - limit: How many threads there may be.
    ///   - start: Starts a thread that runs something.
    init(limit: Int, start: @escaping Start = Threads.start) {
        self.limit = limit
        self.start = start
    }

    /// Runs something on one of the threads, in the order of the calls.
    ///
    /// - Throws: ``DatabaseError`` when there is no thread, and none can be started.
    func run(_ body: @escaping @Sendable () -> Void) throws {
        try state.withLock { state in
            state.work.append(body)
            guard state.idle < state.work.count, state.threads < limit else { return }
            do {
                try start { self.work() }
                state.threads += 1
            } catch  where state.threads == 0 {
                state.work.removeLast()
                throw error
            } catch {
                // The threads that are there will come to it.
            }
        }
    }

    /// The same for a caller that waits without blocking.
    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try run { continuation.resume(with: Result(catching: body)) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    private func work() {
        while let body = next() { body() }
    }

    /// The next piece of work; `nil` when none came for a second, and the thread ends.
    private func next() -> (@Sendable () -> Void)? {
        state.withLock { $0.idle += 1 }
        return state.withLock(when: \.hasWork, orAfter: 1) { state in
            state.idle -= 1
            if state.hasWork { return state.work.removeFirst() }
            state.threads -= 1
            return nil
        }
    }

    /// Starts a thread, which ends when `body` returns.
    static func start(_ body: @escaping @Sendable () -> Void) throws {
        try start(body, using: whatsapp_sessions_start_thread)
    }

    /// The same with a function that may fail, as `pthread_create` does.
    static func start(
        _ body: @escaping @Sendable () -> Void,
        using startThread: (@escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, UnsafeMutableRawPointer?) ->
            Int32
    ) throws {
        let context = Unmanaged.passRetained(Box(body))
        let code = startThread(
            { context in Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body() },
            context.toOpaque()
        )
        guard code == 0 else {
            context.release()
            throw DatabaseError(
                resultCode: .cannotOpen,
                message: "no thread can be started: \(String(cString: strerror(code)))"
            )
        }
    }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
