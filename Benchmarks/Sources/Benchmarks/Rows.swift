import Foundation

/// Nanoseconds of one operation on each kind: the median over all rounds.
typealias Times = [Kind: Double]

extension [Double] {
    var median: Double { sorted()[count / 2] }
}

/// Runs `body` and returns how many nanoseconds it took.
func time<Value>(_ body: () async throws -> Value) async rethrows -> (nanoseconds: Double, value: Value) {
    let start = DispatchTime.now().uptimeNanoseconds
    let value = try await body()
    return (Double(DispatchTime.now().uptimeNanoseconds - start), value)
}

func newIDs(_ count: Int) -> [String] { (0..<count).map { _ in UUID().uuidString.lowercased() } }

/// The kinds with sessions in them that all wait for a QR code to be scanned, with every field set.
struct Filled {
    let ids: [String]
    let subjects: [(kind: Kind, subject: any Subject)]

    init(rows: Int, kinds: [Kind]) async throws {
        ids = newIDs(rows)
        subjects = try kinds.map { ($0, try $0.open()) }
        for (_, subject) in subjects {
            _ = try await subject.run(.create, Batch(ids))
            for operation in [Operation.updateThree, .updateStatus, .updateQRCode] {
                _ = try await subject.run(operation, Batch(ids, updates: operation.updates))
            }
        }
    }
}

/// Measures every operation. In each round every kind does the same with the same ids, in turns, so that a noisy moment
/// hits all alike.
func measureOperations(rows: Int, rounds: Int, kinds: [Kind] = Kind.allCases) async throws -> [Operation: Times] {
    let filled = try await Filled(rows: rows, kinds: kinds)
    let count = min(rows, 500)
    var all: [Operation: [Kind: [Double]]] = [:]
    for round in 0..<rounds {
        let known = (0..<count).map { _ in filled.ids.randomElement()! }
        let sample = Array(Set(known))
        let new = newIDs(count)
        for operation in Operation.allCases {
            let ids =
                switch operation {
                case .getMiss, .create: new
                case .delete: new.shuffled()
                case .updateQRCode, .updateStatus, .updateThree, .updateRefused: sample
                case .get, .exists, .getAll: known
                }
            let batch = Batch(ids, updates: operation.updates)
            let succeeding =
                switch operation {
                case .getMiss, .updateRefused: 0
                case .getAll: rows
                default: ids.count
                }
            for turn in filled.subjects.indices {
                let (kind, subject) = filled.subjects[(turn + round) % filled.subjects.count]
                let (nanoseconds, succeeded) = try await time { try await subject.run(operation, batch) }
                precondition(succeeded == succeeding, "\(kind.rawValue): \(operation) \(succeeded) of \(succeeding)")
                let operations = operation == .getAll ? rows : ids.count
                all[operation, default: [:]][kind, default: []].append(nanoseconds / Double(operations))
            }
            guard operation == .updateRefused else { continue }
            for operation in [Operation.updateStatus, .updateQRCode] {
                let batch = Batch(sample, updates: operation.updates)
                for (_, subject) in filled.subjects { _ = try await subject.run(operation, batch) }
            }
        }
    }
    return all.mapValues { $0.mapValues(\.median) }
}
