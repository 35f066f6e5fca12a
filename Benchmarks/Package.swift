// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that what it depends on is nobody else's.
let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    products: [
        // Preloaded into the part that measures a slow disk.
        .library(name: "SlowDisk", type: .dynamic, targets: ["SlowDisk"])
    ],
    traits: [
        .trait(name: "Postgres", description: "The part that measures sessions in PostgreSQL.")
    ],
    dependencies: [
        .package(
            name: "whatsapp-sessions",
            path: "..",
            traits: [.trait(name: "Postgres", condition: .when(traits: ["Postgres"]))]
        ),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    ],
    targets: [
        .target(name: "CBaseline", linkerSettings: [.linkedLibrary("sqlite3")]),
        .target(name: "SlowDisk"),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "CBaseline",
                .product(name: "WhatsAppSessions", package: "whatsapp-sessions"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            resources: [.embedInCode("migrations")]
        ),
    ],
    swiftLanguageModes: [.v6]
)
