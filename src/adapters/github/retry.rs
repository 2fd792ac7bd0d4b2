//! The retry policy, as data: what an outcome means, and how long to wait before another try. Pure.
//!
//! A read is repeated a few times. A write is never repeated blindly: a 502 may come after GitHub did what was asked.
//! Rate limits: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

use super::error::complaint;
use axum::http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How often and how long a call is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries in all, the first included.
    pub tries: u32,
    /// The longest wait before the second try; it doubles with each further one.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// For one try, from the request's first byte to the answer's last.
    pub timeout: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            tries: 3,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// The wait after the `tried`th try (from 1), where `dice` is in 0..1: between half of the step and the whole.
    pub fn wait(&self, tried: u32, dice: f64) -> Duration {
        let step = self.first.saturating_mul(1 << tried.saturating_sub(1).min(16)).min(self.longest);
        step.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
    }
}

/// Whether a call may be sent again without looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// A read, or a write that GitHub documents as having the same effect twice.
    Safe,
    /// A write: once.
    Never,
}

/// How one try ended.
pub enum Outcome<'a> {
    Answered {
        status: StatusCode,
        headers: &'a HeaderMap,
        body: &'a [u8],
    },
    /// Nothing was sent: the connection was not made.
    Unreached,
    /// Sent; no whole answer came back.
    Lost,
}

/// What an outcome means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// Try again after a short wait, or report that it failed for the time being.
    Again,
    /// Whether the write happened is not known.
    Unknown,
    /// The credential is no longer good: get another, once.
    Expired,
    /// Not before this time.
    Limited(Timestamp),
    /// The App may not, and says why.
    Forbidden,
    /// The repository has another name now, or was transferred.
    Moved,
    NotFound,
    /// The content is at fault.
    Invalid,
    /// A request that should not have been made.
    Bug,
}

/// A rate limit without a time: GitHub asks for at least a minute.
const UNTIMED_LIMIT: SignedDuration = SignedDuration::from_secs(60);
/// No limit of GitHub's lasts longer than its hour; a header that says more is not believed.
const LONGEST_LIMIT: SignedDuration = SignedDuration::from_secs(3_700);

/// The table.
pub fn judge(repeat: Repeat, outcome: &Outcome<'_>, now: Timestamp) -> Verdict {
    let (status, headers, body) = match outcome {
        Outcome::Unreached => return Verdict::Again,
        Outcome::Lost if repeat == Repeat::Safe => return Verdict::Again,
        Outcome::Lost => return Verdict::Unknown,
        Outcome::Answered { status, headers, body } => (*status, *headers, *body),
    };
    match status.as_u16() {
        200..=299 => Verdict::Done,
        300..=399 => Verdict::Moved,
        401 => Verdict::Expired,
        403 | 429 => match limited_until(status, headers, body, now) {
            Some(until) => Verdict::Limited(until),
            None => Verdict::Forbidden,
        },
        404 | 410 => Verdict::NotFound,
        405 | 409 | 422 => Verdict::Invalid,
        451 => Verdict::Forbidden,
        408 | 500..=599 if repeat == Repeat::Safe => Verdict::Again,
        408 | 500..=599 => Verdict::Unknown,
        _ => Verdict::Bug,
    }
}

/// When a 403 or 429 is a rate limit: its end.
fn limited_until(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Timestamp> {
    let number =
        |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse::<i64>().ok());
    let within = |at: Timestamp| at.clamp(now + SignedDuration::from_secs(1), now + LONGEST_LIMIT);
    if let Some(seconds) = number("retry-after") {
        return Some(within(now + SignedDuration::from_secs(seconds.clamp(0, LONGEST_LIMIT.as_secs()))));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let reset = number("x-ratelimit-reset").and_then(|s| Timestamp::from_second(s).ok());
        // A second more, since the reset is told in whole seconds.
        return Some(within(reset.map_or(now + UNTIMED_LIMIT, |at| at + SignedDuration::from_secs(1))));
    }
    let said = complaint(body).to_ascii_lowercase();
    let limit =
        status == StatusCode::TOO_MANY_REQUESTS || said.contains("rate limit") || said.contains("abuse detection");
    limit.then(|| now + UNTIMED_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn outcomes_and_what_they_mean() {
        use Repeat::{Never, Safe};
        let limited = |s| Verdict::Limited(at(s));
        let secondary = r#"{"message":"You have exceeded a secondary rate limit"}"#;
        let forbidden = r#"{"message":"Resource not accessible by integration"}"#;
        // (repeat, status, headers, body, verdict); now is second 1,000
        for (repeat, status, headers, body, verdict) in [
            (Safe, 200, &[][..], "", Verdict::Done),
            (Never, 204, &[], "", Verdict::Done),
            (Never, 307, &[], "", Verdict::Moved),
            (Safe, 401, &[], "", Verdict::Expired),
            (Never, 401, &[], "", Verdict::Expired),
            (Safe, 403, &[], forbidden, Verdict::Forbidden),
            (Safe, 403, &[("x-ratelimit-remaining", "12")], forbidden, Verdict::Forbidden),
            (Safe, 403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1500")], "", limited(1_501)),
            (Never, 403, &[("x-ratelimit-remaining", "0")], "", limited(1_060)),
            (Never, 403, &[("retry-after", "30"), ("x-ratelimit-remaining", "0")], secondary, limited(1_030)),
            (Safe, 403, &[], secondary, limited(1_060)),
            (Safe, 429, &[], "", limited(1_060)),
            (Safe, 429, &[("retry-after", "0")], "", limited(1_001)),
            (Safe, 429, &[("retry-after", "999999999999")], "", limited(4_700)),
            (Safe, 429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "10")], "", limited(1_001)),
            (Safe, 404, &[], "", Verdict::NotFound),
            (Never, 410, &[], "", Verdict::NotFound),
            (Never, 405, &[], "", Verdict::Invalid),
            (Never, 409, &[], "", Verdict::Invalid),
            (Never, 422, &[], "", Verdict::Invalid),
            (Safe, 400, &[], "", Verdict::Bug),
            (Never, 413, &[], "", Verdict::Bug),
            (Safe, 500, &[], "", Verdict::Again),
            (Safe, 502, &[], "", Verdict::Again),
            (Safe, 503, &[], "", Verdict::Again),
            (Safe, 504, &[], "", Verdict::Again),
            (Never, 500, &[], "", Verdict::Unknown),
            (Never, 502, &[], "", Verdict::Unknown),
            (Never, 503, &[], "", Verdict::Unknown),
            (Never, 504, &[], "", Verdict::Unknown),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let map: HeaderMap = headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect();
            let outcome = Outcome::Answered { status, headers: &map, body: body.as_bytes() };
            assert_eq!(judge(repeat, &outcome, at(1_000)), verdict, "{repeat:?} {status} {headers:?} {body}");
        }
        assert_eq!(judge(Safe, &Outcome::Lost, at(0)), Verdict::Again);
        assert_eq!(judge(Never, &Outcome::Lost, at(0)), Verdict::Unknown);
        assert_eq!(judge(Never, &Outcome::Unreached, at(0)), Verdict::Again);
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        let patience = Patience::default();
        for (tried, dice, millis) in
            [(1, 0.0, 250), (1, 1.0, 500), (2, 1.0, 1_000), (3, 0.5, 1_500), (9, 1.0, 5_000), (4_000, 0.0, 2_500)]
        {
            assert_eq!(patience.wait(tried, dice).as_millis(), millis, "try {tried}, dice {dice}");
        }
    }
}
