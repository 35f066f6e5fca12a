/// What an operation returns or throws, or `nil` when it takes longer: then it goes on, and nobody hears of it.
func within<Value: Sendable>(
    _ time: Duration,
    _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value? {
    let (answers, continuation) = AsyncStream.makeStream(of: Result<Value?, any Error>.self)
    let timeout = Task {
        try await Task.sleep(for: time)
        continuation.yield(.success(nil))
    }
    Task {
        do { continuation.yield(.success(try await operation())) } catch { continuation.yield(.failure(error)) }
    }
    defer { timeout.cancel() }
    // None comes only when this task is cancelled.
    return try await answers.first { _ in true }?.get()
}
