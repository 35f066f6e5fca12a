import Foundation
import Logging
import ServiceLifecycle

/// Says when the process runs out of file descriptors: each connection takes one, and without them nobody is answered.
struct OpenFiles: Service {
    let logger: Logger

    /// Takes as many as the system allows; shells and supervisors often begin with 1,024.
    static func raiseLimit() {
        var limit = rlimit()
        guard getrlimit(openFiles, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(openFiles, &limit)
    }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var wasFull = false
            while true {
                try await Task.sleep(for: .seconds(2))
                // `/dev/fd` has one for each that is open.
                guard let (count, most) = Self.count(), count * 10 >= most * 9 else {
                    wasFull = false
                    continue
                }
                if !wasFull {
                    logger.error(
                        "file descriptors run out, and connections wait or are refused",
                        metadata: ["open": "\(count)", "limit": "\(most)"]
                    )
                }
                wasFull = true
            }
        }
    }

    private static func count() -> (open: Int, limit: Int)? {
        var limit = rlimit()
        guard getrlimit(openFiles, &limit) == 0, limit.rlim_cur < UInt64(Int.max) else { return nil }
        // Without a descriptor left the folder cannot be opened: then all are in use.
        let count = try? FileManager.default.contentsOfDirectory(atPath: "/dev/fd").count
        return (count ?? Int(limit.rlim_cur), Int(limit.rlim_cur))
    }

    #if os(Linux)
    private static let openFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    private static let openFiles = RLIMIT_NOFILE
    #endif
}
