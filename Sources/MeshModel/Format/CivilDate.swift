// SPDX-License-Identifier: Apache-2.0

/// A time as date and clock in UTC (the proleptic Gregorian calendar), made without the C library.
struct CivilDate {
    let year: Int64
    /// From 1.
    let month: Int64
    let day: Int64
    let hour: Int64
    let minute: Int64
    let second: Int64
    /// Since 1970-01-01.
    private let dayNumber: Int64

    /// - Parameter seconds: since 1970-01-01T00:00:00Z.
    init(_ seconds: Int64) {
        dayNumber = (seconds >= 0 ? seconds : seconds - 86_399) / 86_400
        let ofDay = seconds - dayNumber * 86_400
        // Years that begin in March, in eras of 400 years (146,097 days); 719,468 days lie before 1970.
        let shifted = dayNumber + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let marchDay = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * marchDay + 2) / 153
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        day = marchDay - (153 * marchMonth + 2) / 5 + 1
        (hour, minute, second) = (ofDay / 3600, ofDay / 60 % 60, ofDay % 60)
    }

    /// From 0.
    var dayOfYear: Int64 { dayNumber - CivilDate.days(year, 1, 1) }

    /// From Sunday, which is 0; 1970 began on a Thursday.
    var dayOfWeek: Int64 { ((dayNumber + 4) % 7 + 7) % 7 }

    /// Days from 1970 to a date.
    static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let marchYear = month <= 2 ? year - 1 : year
        let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
        let yearOfEra = marchYear - era * 400
        let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + ofYear - 719_468
    }
}
