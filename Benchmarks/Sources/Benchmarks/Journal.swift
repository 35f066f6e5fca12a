/// What the journal costs: C on the library's schema, to C on the same schema without it.
struct Journal {
    var inMemory: [Operation: Double] = [:]
    var inFile: [Operation: Double] = [:]

    static let operations: [Operation] = [.create, .updateQRCode, .updateStatus, .updateName, .delete]

    static func measure(folder: String) async throws -> Journal {
        try await Journal(
            inMemory: ratios(rows: 1000, rounds: 61, batch: 200, folder: nil),
            inFile: ratios(rows: 100, rounds: 31, batch: 20, folder: folder)
        )
    }

    private static func ratios(rows: Int, rounds: Int, batch count: Int, folder: String?) async throws
        -> [Operation: Double]
    {
        let subjects = [Schema.sql, Schema.withoutJournal].enumerated().map { number, schema in
            CSubject(folder.map { "\($0)/journal\(number).sqlite" }, schema: schema)
        }
        let ids = randomIDs(rows)
        for operation in Population.operations {
            for subject in subjects { _ = subject.run(operation, Batch(ids, for: operation)) }
        }
        var times: [Operation: [[Double]]] = [:]
        for round in 0..<rounds {
            let (known, new) = (ids.sample(count), randomIDs(count))
            for operation in operations {
                let batch = Batch([.create, .delete].contains(operation) ? new : known, for: operation)
                var turn = [0.0, 0.0]
                for number in [round % 2, 1 - round % 2] {
                    turn[number] = await time { subjects[number].run(operation, batch) }.nanoseconds
                }
                times[operation, default: []].append(turn)
            }
            // Where the updates began.
            for operation in [Operation.updateStatus, .updateQRCode] {
                for subject in subjects { _ = subject.run(operation, Batch(known, for: operation)) }
            }
        }
        return times.mapValues { $0.map { $0[0] / $0[1] }.median }
    }
}
