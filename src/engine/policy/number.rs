//! Numbers as Go's `strconv.ParseFloat` spells them, compared exactly: Flux compares float64 values, which tie above 2^53.

use std::{borrow::Cow, cmp::Ordering};

/// The bounds within which a hexadecimal float is turned into decimal digits; float64 holds far less.
const HEX_DIGITS_MAX: usize = 256;
const HEX_EXPONENT_MAX: i64 = 4096;

/// A number, infinite ones included. `-0` equals `0`, `007` equals `7`, `1e3` equals `1_000`.
#[derive(Clone, Debug)]
pub struct Number<'a> {
    negative: bool,
    size: Size<'a>,
}

/// A number's absolute value.
#[derive(Clone, Debug)]
enum Size<'a> {
    Zero,
    /// `0.d1d2d3… × 10^exponent`. `digits` begins and ends with a digit that is not 0; a point and underscores that
    /// stand between them do not count. Never expanded, so that `1e999999999` costs nothing.
    Finite {
        exponent: i64,
        digits: Cow<'a, str>,
    },
    Infinite,
}

impl<'a> Number<'a> {
    /// Reads a number; `None` where `text` is none, is NaN (which has no place in an order), or has an exponent that
    /// exceeds 64 bits.
    pub fn parse(text: &'a str) -> Option<Self> {
        // What most tags hold.
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Some(Number { negative: false, size: whole(text) });
        }
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let size = if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
            Size::Infinite
        } else if let Some(hex) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
            hexadecimal(hex)?
        } else {
            decimal(unsigned)?
        };
        Some(Number { negative, size })
    }
}

/// A mantissa split from its exponent.
struct Parts<'a> {
    mantissa: &'a str,
    /// How many digits the mantissa has before its point.
    whole: usize,
    exponent: Option<i64>,
}

/// Reads digits with at most one point, then an exponent after `mark`. Underscores stand between digits only;
/// `after_prefix` says that the base's prefix counts as a digit to their left.
fn parts(text: &str, is_digit: fn(&u8) -> bool, mark: u8, after_prefix: bool) -> Option<Parts<'_>> {
    let bytes = text.as_bytes();
    let (mut at, mut digits, mut whole) = (0, 0, None);
    while let Some(b) = bytes.get(at) {
        match b {
            b'.' if whole.is_none() => whole = Some(digits),
            b'_' => {
                let before = if at == 0 { after_prefix } else { is_digit(&bytes[at - 1]) };
                if !before || !bytes.get(at + 1).is_some_and(is_digit) {
                    return None;
                }
            }
            b if is_digit(b) => digits += 1,
            _ => break,
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    let exponent = match bytes.get(at) {
        None => None,
        Some(b) if b.to_ascii_lowercase() == mark => Some(exponent(&text[at + 1..])?),
        Some(_) => return None,
    };
    Some(Parts { mantissa: &text[..at], whole: whole.unwrap_or(digits), exponent })
}

fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let mut value = 0i64;
    for b in digits.bytes().filter(|b| *b != b'_') {
        value = value.checked_mul(10)?.checked_add(i64::from(b.is_ascii_digit().then(|| b - b'0')?))?;
    }
    Some(if text.starts_with('-') { -value } else { value })
}

/// Of digits alone.
fn whole(text: &str) -> Size<'_> {
    let digits = text.trim_start_matches('0');
    match i64::try_from(digits.len()) {
        Ok(exponent) if exponent > 0 => Size::Finite { exponent, digits: Cow::Borrowed(digits.trim_end_matches('0')) },
        _ => Size::Zero,
    }
}

fn decimal(text: &str) -> Option<Size<'_>> {
    let Parts { mantissa, whole, exponent } = parts(text, u8::is_ascii_digit, b'e', false)?;
    significant(Cow::Borrowed(mantissa), whole, exponent.unwrap_or(0))
}

/// Strips the zeros at both ends of a mantissa.
fn significant(mantissa: Cow<'_, str>, whole: usize, exponent: i64) -> Option<Size<'_>> {
    let significant = |b: u8| matches!(b, b'1'..=b'9');
    let Some(first) = mantissa.bytes().position(significant) else { return Some(Size::Zero) };
    let last = mantissa.bytes().rposition(significant).unwrap_or(first);
    let leading_zeros = mantissa.bytes().take(first).filter(u8::is_ascii_digit).count();
    let shift = i64::try_from(whole).ok()? - i64::try_from(leading_zeros).ok()?;
    let digits = match mantissa {
        Cow::Borrowed(text) => Cow::Borrowed(&text[first..=last]),
        Cow::Owned(text) => Cow::Owned(text[first..=last].to_owned()),
    };
    Some(Size::Finite { exponent: exponent.checked_add(shift)?, digits })
}

/// `text` follows `0x`; the exponent, of two, is mandatory.
fn hexadecimal(text: &str) -> Option<Size<'static>> {
    let Parts { mantissa, whole, exponent } = parts(text, u8::is_ascii_hexdigit, b'p', true)?;
    let digits: Vec<u32> = mantissa.chars().filter_map(|c| c.to_digit(16)).collect();
    let binary = exponent?.checked_sub(4 * i64::try_from(digits.len() - whole).ok()?)?;
    if digits.iter().all(|d| *d == 0) {
        return Some(Size::Zero);
    }
    if digits.len() > HEX_DIGITS_MAX || binary.abs() > HEX_EXPONENT_MAX {
        return None;
    }
    let mut value = Natural::default();
    for digit in digits {
        value.multiply_add(16, digit);
    }
    // m / 2^n = m × 5^n / 10^n
    let factor = if binary < 0 { 5 } else { 2 };
    for _ in 0..binary.unsigned_abs() {
        value.multiply_add(factor, 0);
    }
    let digits = value.to_string();
    let whole = digits.len();
    significant(Cow::Owned(digits), whole, binary.min(0))
}

/// A natural number of any size: groups of nine decimal digits, the lowest first.
#[derive(Default)]
struct Natural(Vec<u32>);

impl Natural {
    fn multiply_add(&mut self, factor: u32, addend: u32) {
        const BASE: u64 = 1_000_000_000;
        let mut carry = u64::from(addend);
        for group in &mut self.0 {
            let value = u64::from(*group) * u64::from(factor) + carry;
            *group = (value % BASE) as u32;
            carry = value / BASE;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }
}

impl std::fmt::Display for Natural {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut groups = self.0.iter().rev();
        write!(f, "{}", groups.next().unwrap_or(&0))?;
        groups.try_for_each(|group| write!(f, "{group:09}"))
    }
}

impl Ord for Size<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |size: &Self| match size {
            Size::Zero => 0,
            Size::Finite { .. } => 1,
            Size::Infinite => 2,
        };
        match (self, other) {
            (Size::Finite { exponent: e, digits: d }, Size::Finite { exponent: f, digits: g }) => {
                // Up to the first byte that differs, points and underscores stand at the same places.
                e.cmp(f).then_with(|| match d.bytes().zip(g.bytes()).find(|(a, b)| a != b) {
                    Some((a, b)) if a.is_ascii_digit() && b.is_ascii_digit() => a.cmp(&b),
                    // The last digit is not 0, so the longer of two that begin alike is the greater.
                    None => d.len().cmp(&g.len()),
                    Some(_) => {
                        let plain = |text| str::bytes(text).filter(u8::is_ascii_digit);
                        plain(d).cmp(plain(g))
                    }
                })
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |n: &Self| match (&n.size, n.negative) {
            (Size::Zero, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| match self.negative {
            true => other.size.cmp(&self.size),
            false => self.size.cmp(&other.size),
        })
    }
}

macro_rules! equal_by_order {
    ($($name:ident),*) => {$(
        impl PartialOrd for $name<'_> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl PartialEq for $name<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }
        impl Eq for $name<'_> {}
    )*};
}
equal_by_order!(Size, Number);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order() {
        #[rustfmt::skip]
        let ascending: &[&[&str]] = &[
            &["-inf", "-Infinity"],
            &["-1e999999999999"],
            &["-62", "-0x3Ep0", "-62.000"],
            &["-0.5", "-.5", "-5e-1"],
            &["-1e-999999999"],
            &["0", "-0", "+0", "00.00", "0e999999999999", "0x0p99999"],
            &["1e-999999999"],
            &["0.1"],
            &["0.25", "0x1p-2", "0x.4p0", "25e-2"],
            &["7", "007", "7.", "+7", "0x7p0", "0x_7p0"],
            &["10.5", "1_0.5"],
            &["10.65", "1_0.65"],
            &["72.9"],
            &["105", "1_05"],
            &["106", "1_06"],
            &["999"],
            &["1000", "1_000", "1e3", "1E+3", "1000.000"],
            &["12345", "1_2345", "12_345", "1_2_345.0"],
            &["12345.25", "1_2345.25", "12_345.25"],
            &["12345.5", "12_345.5"],
            &["12346", "1_2346", "12_346"],
            &["20240101123456788"],
            &["20240101123456789"],
            &["340282366920938463463374607431768211455"],
            &["340282366920938463463374607431768211456", "0x1p128"],
            &["340282366920938463463374607431768211457"],
            &["12e4567"],
            &["1e999999999"],
            &["inf", "+Inf", "infinity"],
        ];
        for (i, group) in ascending.iter().enumerate() {
            for (j, other) in ascending.iter().enumerate() {
                for (a, b) in group.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
                    let (x, y) = (Number::parse(a).unwrap(), Number::parse(b).unwrap());
                    assert_eq!(x.cmp(&y), i.cmp(&j), "{a} against {b}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_number() {
        #[rustfmt::skip]
        let cases = [
            "", "a", "1a", "+", "-", ".", "e3", "1e", "1e+", "1e1.5", "nan", "NaN", "+nan", " 1", "1 ", "1_", "_1",
            "1__0", "1_.0", "1._0", "1_e3", "1e_3", "1e3_", "0x", "0x10", "0xp1", "0x1p", "0x_p1", "0x1p_1", "1.2.3",
            "20260528-153652", "0b1", "0o7", "--1", "1e99999999999999999999", "0x1p9999999", "in", "infinit", "١",
        ];
        for text in cases {
            assert!(Number::parse(text).is_none(), "{text:?}");
        }
        for (text, is_number) in [
            (format!("0x{}p0", "f".repeat(256)), true),
            (format!("0x{}p0", "f".repeat(257)), false),
            ("0x1p4096".to_owned(), true),
            ("0x1p4097".to_owned(), false),
            ("0x1p-4096".to_owned(), true),
            ("0x1p-4097".to_owned(), false),
        ] {
            assert_eq!(Number::parse(&text).is_some(), is_number, "{text}");
        }
    }

    proptest! {
        #[test]
        fn integers_compare_as_integers(a: i128, b: i128, zeros in 0usize..3) {
            let (x, y) = (format!("{a}{}", &".00"[..if zeros == 0 { 0 } else { zeros + 1 }]), b.to_string());
            prop_assert_eq!(Number::parse(&x).unwrap().cmp(&Number::parse(&y).unwrap()), a.cmp(&b));
        }

        #[test]
        fn floats_compare_as_floats(a: f64, b: f64) {
            let Some(order) = a.partial_cmp(&b) else { return Ok(()) };
            let (x, y) = (format!("{a:e}"), b.to_string());
            prop_assert_eq!(Number::parse(&x).unwrap().cmp(&Number::parse(&y).unwrap()), order);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,20}|[0-9a-fA-FxXpP_.+-]{0,30}") {
            if let Some(number) = Number::parse(&text) {
                prop_assert_eq!(number.cmp(&number), Ordering::Equal);
            }
        }
    }
}
