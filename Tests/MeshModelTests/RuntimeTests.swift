// SPDX-License-Identifier: Apache-2.0
import MeshModel
import Testing

struct RuntimeTests {
    @Test func theLastLayerWithAKeyWins() {
        let runtime = Runtime([
            RuntimeLayer(name: "a", values: ["x": "1", "y": "2"]), RuntimeLayer(name: "b", values: ["x": "3"]),
        ])
        #expect(runtime.value(of: "x").number(fallback: 9) == 3)
        #expect(runtime.value(of: "y").number(fallback: 9) == 2)
        #expect(runtime.value(of: "z").number(fallback: 9) == 9)
    }

    @Test func withoutAnAdminLayerNothingChanges() {
        let runtime = Runtime([RuntimeLayer(name: "a", values: ["x": "1"])])
        let value = runtime.value(of: "x")
        #expect(!runtime.modify([("x", "2")]))
        #expect(value.number(fallback: 9) == 1)
    }

    @Test func anEmptyValueUncoversTheLayerBelow() {
        let runtime = Runtime([RuntimeLayer(name: "a", values: ["x": "1"]), RuntimeLayer(name: "admin", isAdmin: true)])
        let value = runtime.value(of: "x")
        #expect(runtime.modify([("x", "2"), ("new", "true")]))
        #expect(value.number(fallback: 9) == 2)
        #expect(runtime.value(of: "new").truth(fallback: false))
        #expect(runtime.modify([("x", "")]))
        #expect(value.number(fallback: 9) == 1)
        #expect(runtime.layers[1].values == ["new": "true"])
    }

    /// What Envoy takes for a number, a share, or neither.
    @Test(arguments: [
        ("25", 24, true), ("25", 25, false), ("2.9", 1, true), ("2.9", 2, false), ("-3", 0, true), ("text", 0, true),
        ("1000", 99, true), ("numerator: 1, denominator: HUNDRED", 0, true), ("numerator: 1, denominator: HUNDRED", 1, false),
        ("{\"numerator\": 2, \"denominator\": \"TEN_THOUSAND\"}", 10_001, true),
        ("numerator: 2\ndenominator: TEN_THOUSAND", 10_002, false), ("numerator: x", 0, true), ("denominator: MILLION", 0, false),
        ("numerator: 5, other: 1", 0, true), ("true", 0, true), ("", 0, true), ("1e400", 0, true),
    ] as [(String, UInt64, Bool)])
    func aShareIsReadAsEnvoyReadsIt(text: String, random: UInt64, isIn: Bool) {
        let runtime = Runtime([RuntimeLayer(name: "a", values: ["k": text])])
        let all = FractionalPercent(numerator: 100)
        #expect(runtime.value(of: "k").contains(random: random, fallback: all) == isIn)
    }
}
