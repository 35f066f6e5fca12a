import Foundation

/// What runs under callgrind: `count` operations on a database of 1,000 rows.
func repeatOperation(_ operation: Operation, on kind: Kind, count: Int) throws {
    let subject = try kind.open() as! any SynchronousSubject
    let known = newIDs(1000)
    for operation in [Operation.create, .updateThree, .updateStatus, .updateQRCode] {
        _ = try subject.run(operation, Batch(known, updates: operation.updates))
    }
    let ids = operation == .create ? newIDs(count) : (0..<count).map { known[$0 % known.count] }
    let batch = Batch(ids, updates: operation.updates)
    _ = try subject.run(operation, batch)
    if operation == .create { _ = try subject.run(.delete, batch) }
}
