import Foundation

/// The same sessions in each kind: all wait for a QR code to be scanned and have every field set.
struct Population {
    let ids: [String]
    let subjects: [(kind: Kind, subject: any Subject)]

    /// What makes a session of an id.
    static let operations: [Operation] = [.create, .updateThree, .updateStatus, .updateQRCode]

    init(rows: Int, kinds: [Kind], folder: String?) async throws {
        ids = randomIDs(rows)
        subjects = try kinds.map { ($0, try $0.open(folder.map { "\($0)/\(UUID())" })) }
        for operation in Self.operations {
            let batch = Batch(ids, for: operation)
            for (_, subject) in subjects { _ = try await subject.run(operation, batch) }
        }
    }
}

/// What one operation took on each kind, in nanoseconds, a figure for each round.
struct Times {
    var rounds: [Kind: [Double]] = [:]

    subscript(kind: Kind) -> Double { rounds[kind]!.median }

    /// The median of what a kind took in a round, divided by what another took in the same one.
    func ratio(_ kind: Kind, to other: Kind) -> Double {
        zip(rounds[kind]!, rounds[other]!).map { $0 / $1 }.median
    }
}

extension [Double] {
    var median: Double { sorted()[count / 2] }
}

/// Runs `body` and says how many nanoseconds it took.
func time<Value>(_ body: () async throws -> Value) async rethrows -> (nanoseconds: Double, value: Value) {
    let start = DispatchTime.now().uptimeNanoseconds
    let value = try await body()
    return (Double(DispatchTime.now().uptimeNanoseconds - start), value)
}

/// Measures every operation, `batch` of each a round. In a round every kind does the same with the same ids, in turns,
/// so that a noisy moment hits all alike.
func measureOperations(
    rows: Int,
    rounds: Int,
    batch count: Int,
    kinds: [Kind] = Kind.allCases,
    folder: String? = nil
) async throws -> [Operation: Times] {
    let population = try await Population(rows: rows, kinds: kinds, folder: folder)
    var times: [Operation: Times] = [:]
    for round in 0..<rounds {
        let known = population.ids.sample(count)
        let new = randomIDs(count)
        for operation in Operation.allCases {
            let (ids, succeeding) =
                switch operation {
                case .get, .exists: (known, count)
                case .getAll: ([], rows)
                case .getMiss: (new, 0)
                case .create: (new, count)
                case .delete: (new.shuffledAgain(), count)
                case .updateRefused: (known, 0)
                case .updateQRCode, .updateStatus, .updateThree, .updateName: (known, count)
                }
            let batch = Batch(ids, for: operation)
            for turn in kinds.indices {
                let (kind, subject) = population.subjects[(turn + round) % kinds.count]
                let (nanoseconds, succeeded) = try await time { try await subject.run(operation, batch) }
                precondition(succeeded == succeeding, "\(kind.rawValue), \(operation.rawValue): \(succeeded) succeeded")
                let operations = Double(operation == .getAll ? rows : count)
                times[operation, default: Times()].rounds[kind, default: []].append(nanoseconds / operations)
            }
        }
        for operation in [Operation.updateStatus, .updateQRCode] {
            let batch = Batch(known, for: operation)
            for (_, subject) in population.subjects { _ = try await subject.run(operation, batch) }
        }
    }
    return times
}
