import Foundation

/// What runs under callgrind: an operation on 1,000 sessions, so many times; to create is to delete again too, in memory.
func repeatOperation(_ operation: Operation, on kind: Kind, count: Int, path: String? = nil) throws {
    let subject = try kind.open(path) as! any SynchronousSubject
    let known = randomIDs(1000)
    for operation in Population.operations { _ = try subject.run(operation, Batch(known, for: operation)) }
    let ids = operation == .create ? randomIDs(count) : (0..<count).map { known[$0 % known.count] }
    let batch = Batch(ids, for: operation)
    _ = try subject.run(operation, batch)
    // In a file a deletion would have the log erased, which takes as long as it takes.
    if operation == .create, path == nil { _ = try subject.run(.delete, batch) }
}

/// How many instructions the library takes for an operation, in memory or in a file, to C: repeatable, where times are not.
func instructionRatio(_ operation: Operation, inFile: Bool = false) throws -> Double {
    // Valgrind 3.19 cannot read the debug information that Swift writes.
    let program = FileManager.default.temporaryDirectory.appending(path: "Benchmarks-\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: program) }
    _ = try run("strip", "-g", "-o", program, Bundle.main.executablePath!)

    func instructions(_ kind: Kind, count: Int) throws -> Double {
        // In memory too, since a sync is no instruction.
        let folder = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
        let path = "\(folder)/Benchmarks-\(UUID()).sqlite"
        defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
        let output = try run(
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            program,
            "repeat",
            "\(operation)",
            "\(kind)",
            "\(count)",
            inFile ? path : ""
        )
        let line = output.split(separator: "\n").last { $0.contains("Collected : ") }!
        return Double(line.split(separator: " ").last!)!
    }
    // The difference leaves out what starts and fills.
    func instructions(_ kind: Kind) throws -> Double {
        try instructions(kind, count: 2000) - instructions(kind, count: 1000)
    }
    return try instructions(.library) / instructions(.c)
}

/// Runs a program to its end, and returns what it said on standard error.
@discardableResult
func run(_ command: String...) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    let standardError = Pipe()
    process.standardError = standardError
    try process.run()
    let output = String(decoding: try standardError.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { fatalError("\(command.joined(separator: " ")): \(output)") }
    return output
}
