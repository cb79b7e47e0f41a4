//! `resource.Quantity`: Kubernetes' amounts, in their canonical form.
//!
//! Go keeps the text as it is where it takes it for canonical, and else writes the number anew; both have
//! their oddities, which are followed: `1.500` stays, `+1` stays, `0.5` becomes `500m`, and what is finer than
//! a nano is rounded away from zero.
//!
//! Spec: <https://pkg.go.dev/k8s.io/apimachinery@v0.36.3/pkg/api/resource#Quantity>

use crate::run::go_types::error::GoTypeError;

/// Digits that surely fit an `i64`.
const SAFE_DIGITS: i64 = 18;
/// The finest power of ten.
const NANO: i64 = -9;
/// The largest amount with a binary suffix.
const MAX: &[u8] = b"9223372036854775807";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `12e6`
    Exponent,
    /// `12M`
    Decimal,
    /// `12Mi`
    Binary,
}

/// The text that Go writes for the quantity `text`.
pub(super) fn canonical(text: &str) -> Result<String, GoTypeError> {
    let wrong = || GoTypeError::form("quantity (500m, 1Gi)", text);
    // Go trims what Unicode calls white space, and so does Rust.
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong());
    }
    let parts = Parts::of(text).ok_or_else(wrong)?;
    let (form, exponent) = suffix(parts.suffix).ok_or_else(wrong)?;
    Ok(parts.canonical(text, form, exponent))
}

/// A quantity's text, taken apart.
struct Parts<'a> {
    negative: bool,
    /// The digits before the point, without leading zeros; `0` if there are none.
    whole: &'a str,
    /// The digits behind the point.
    fraction: &'a str,
    suffix: &'a str,
}

impl<'a> Parts<'a> {
    /// `None` when it has other characters behind the number than a suffix can have.
    fn of(text: &'a str) -> Option<Self> {
        let negative = text.starts_with('-');
        let rest = text.strip_prefix(['-', '+']).unwrap_or(text).trim_start_matches('0');
        let (whole, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
            None => ("", rest),
        };
        let digits = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
        let digits = digits.strip_prefix(['-', '+']).unwrap_or(digits);
        digits.bytes().all(|b| b.is_ascii_digit()).then_some(Self {
            negative,
            whole: if whole.is_empty() { "0" } else { whole },
            fraction,
            suffix,
        })
    }

    fn canonical(&self, text: &str, form: Form, exponent: i64) -> String {
        let digits = format!("{}{}", self.whole, self.fraction);
        match form {
            Form::Binary => self.binary(text, &digits, exponent),
            Form::Decimal | Form::Exponent => {
                let places = i64::try_from(self.fraction.len()).unwrap_or(i64::MAX);
                let scale = exponent.saturating_sub(places);
                let short = digits.len() <= 18;
                if short
                    && scale >= NANO
                    && scale % 3 == 0
                    && !digits.ends_with("000")
                    && !digits.starts_with('0')
                {
                    return text.to_owned();
                }
                Amount { negative: self.negative, digits: digits.into_bytes(), scale }.rounded().decimal(form)
            }
        }
    }

    fn binary(&self, text: &str, digits: &str, exponent: i64) -> String {
        // The fast path of Go: how many digits a product may have to surely fit.
        let room = SAFE_DIGITS - 4 - i64::try_from(digits.len()).unwrap_or(i64::MAX) - exponent * 3 / 10;
        let number: i64 = digits.parse().unwrap_or(i64::MAX);
        if self.fraction.is_empty() && room >= 0 && number & 7 != 0 {
            return text.to_owned();
        }
        let places = i64::try_from(self.fraction.len()).unwrap_or(i64::MAX);
        let mut digits = times(digits.as_bytes(), 1 << exponent);
        if digits.is_empty() {
            digits.push(b'0');
        }
        Amount { negative: self.negative, digits, scale: -places }.rounded().capped().binary()
    }
}

/// `digits` times ten to the power of `scale`.
struct Amount {
    negative: bool,
    digits: Vec<u8>,
    scale: i64,
}

impl Amount {
    /// Without leading zeros, and rounded away from zero to whole nanos.
    fn rounded(mut self) -> Self {
        let finer = usize::try_from(NANO.saturating_sub(self.scale)).unwrap_or(0);
        if finer > 0 {
            let kept = self.digits.len().saturating_sub(finer);
            let inexact = self.digits.split_off(kept).iter().any(|digit| *digit != b'0');
            self.scale = NANO;
            if inexact {
                increment(&mut self.digits);
            }
        }
        let zeros = self.digits.iter().take_while(|digit| **digit == b'0').count();
        self.digits.drain(..zeros);
        self
    }

    fn capped(self) -> Self {
        let (whole, fraction) = self.split();
        let over = whole.len() > MAX.len()
            || whole.len() == MAX.len() && (whole.as_slice() > MAX || whole == MAX && !fraction.is_empty());
        if over { Self { digits: MAX.to_vec(), scale: 0, ..self } } else { self }
    }

    /// The digits before the point and those behind it, without zeros that say nothing.
    fn split(&self) -> (Vec<u8>, Vec<u8>) {
        let mut whole = self.digits.clone();
        let places = usize::try_from(-self.scale).unwrap_or(0);
        let mut fraction = whole.split_off(whole.len().saturating_sub(places));
        while fraction.last() == Some(&b'0') {
            fraction.pop();
        }
        (whole, fraction)
    }

    /// With a power of a thousand as large as can be.
    fn decimal(mut self, form: Form) -> String {
        if self.digits.is_empty() {
            return "0".to_owned();
        }
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
            self.scale = self.scale.saturating_add(1);
        }
        while self.scale % 3 != 0 {
            self.digits.push(b'0');
            self.scale -= 1;
        }
        let suffix = match form {
            Form::Exponent if self.scale == 0 => String::new(),
            Form::Exponent => format!("e{}", self.scale),
            Form::Decimal | Form::Binary => decimal_suffix(self.scale).to_owned(),
        };
        self.signed(&suffix)
    }

    /// With a power of 1024, if it is a whole number from 1024 on.
    fn binary(self) -> String {
        let (whole, fraction) = self.split();
        let number: u64 = std::str::from_utf8(&whole).ok().and_then(|whole| whole.parse().ok()).unwrap_or(0);
        if number < 1024 || !fraction.is_empty() {
            return self.decimal(Form::Decimal);
        }
        let (mut number, mut power) = (number, 0_usize);
        while number >= 1024 && number % 1024 == 0 {
            number /= 1024;
            power += 1;
        }
        let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(power).copied().unwrap_or("");
        Self { digits: number.to_string().into_bytes(), ..self }.signed(suffix)
    }

    fn signed(&self, suffix: &str) -> String {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}{suffix}", String::from_utf8_lossy(&self.digits))
    }
}

/// The form that a suffix stands for, and its power: of ten, or for a binary one of two.
fn suffix(suffix: &str) -> Option<(Form, i64)> {
    let decimal = |power| Some((Form::Decimal, power));
    let binary = |power| Some((Form::Binary, power));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        other => {
            let power: i64 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            // Go cuts it to 32 bits.
            #[expect(clippy::cast_possible_truncation, reason = "as in Go")]
            let power = power as i32;
            Some((Form::Exponent, i64::from(power)))
        }
    }
}

/// Nothing beyond `E`: Go leaves the power out there.
fn decimal_suffix(power: i64) -> &'static str {
    match power {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => "",
    }
}

/// The product of a decimal number and `factor`, without leading zeros.
fn times(digits: &[u8], factor: u64) -> Vec<u8> {
    let mut product = Vec::with_capacity(digits.len() + 20);
    let mut carry: u128 = 0;
    for digit in digits.iter().rev() {
        carry += u128::from(digit - b'0') * u128::from(factor);
        product.push(last_digit(carry));
        carry /= 10;
    }
    while carry > 0 {
        product.push(last_digit(carry));
        carry /= 10;
    }
    while product.last() == Some(&b'0') {
        product.pop();
    }
    product.reverse();
    product
}

fn last_digit(number: u128) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or(0)
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}
