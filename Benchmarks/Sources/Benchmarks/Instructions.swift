import Foundation

/// What runs under callgrind: an operation on 250 sessions, so many times; to create is to delete again too, in memory.
func repeatOperation(_ operation: Operation, on kind: Kind, count: Int, path: String? = nil) throws {
    let subject = try kind.open(path) as! any SynchronousSubject
    let known = randomIDs(250)
    for operation in Population.operations { _ = try subject.run(operation, Batch(known, for: operation)) }
    // What is refused is a code that comes too late.
    if operation == .updateRefused { _ = try subject.run(.updateThree, Batch(known, for: .updateThree)) }
    let ids = operation == .create ? randomIDs(count) : (0..<count).map { known[$0 % known.count] }
    let batch = Batch(ids, for: operation)
    _ = try subject.run(operation, batch)
    // In a file a deletion would have the log erased, which takes as long as it takes.
    if operation == .create, path == nil { _ = try subject.run(.delete, batch) }
}

/// How many instructions an operation takes, which is repeatable where times are not.
struct Instructions {
    let c: Double
    let library: Double

    var ratio: Double { library / c }

    /// Counts all, as many at once as there are processors.
    static func count(
        inMemory: [Operation],
        inFile: [Operation]
    ) throws -> (inMemory: [Operation: Instructions], inFile: [Operation: Instructions]) {
        // Valgrind 3.19 cannot read the debug information that Swift writes.
        let program = FileManager.default.temporaryDirectory.appending(path: "Benchmarks-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: program) }
        try run("strip", "-g", "-o", program, Bundle.main.executablePath!)

        let jobs = inMemory.map { ($0, false) } + inFile.map { ($0, true) }
        var counted = [Instructions?](repeating: nil, count: jobs.count)
        counted.withUnsafeMutableBufferPointer { counted in
            nonisolated(unsafe) let counted = counted
            DispatchQueue.concurrentPerform(iterations: jobs.count) { number in
                let (operation, isInFile) = jobs[number]
                counted[number] = Instructions(
                    c: count(operation, .c, isInFile, program),
                    library: count(operation, .library, isInFile, program)
                )
            }
        }
        let results = zip(jobs, counted).map { ($0.0, $1!) }
        return (
            Dictionary(uniqueKeysWithValues: results.prefix(inMemory.count)),
            Dictionary(uniqueKeysWithValues: results.dropFirst(inMemory.count))
        )
    }

    /// The difference of two runs leaves out what starts and fills.
    private static func count(_ operation: Operation, _ kind: Kind, _ isInFile: Bool, _ program: String) -> Double {
        func instructions(_ count: Int) -> Double {
            // In memory too, since a sync is no instruction.
            let folder = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
            let path = "\(folder)/Benchmarks-\(UUID()).sqlite"
            defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
            let output = try! run(
                "valgrind",
                "--tool=callgrind",
                "--callgrind-out-file=/dev/null",
                program,
                "repeat",
                "\(operation)",
                "\(kind)",
                "\(count)",
                isInFile ? path : ""
            )
            let line = output.split(separator: "\n").last { $0.contains("Collected : ") }!
            return Double(line.split(separator: " ").last!)!
        }
        return (instructions(1000) - instructions(500)) / 500
    }
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
