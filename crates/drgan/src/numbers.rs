//! Numbers of the command line: what is out of its range is refused with the range's name.
use drgan_train::config::Range;

/// A parser of whole numbers of a range.
pub(crate) fn whole<T: TryFrom<u64>>(range: Range) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse::<u64>().ok().filter(|n| match range {
            Range::Whole(low, high) => (low..=high).contains(n),
            _ => false,
        });
        number.and_then(|n| n.try_into().ok()).ok_or_else(|| format!("it must be {range}"))
    }
}

/// A parser of numbers of a range.
pub(crate) fn number(range: Range) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| {
        let number = text.parse::<f64>().ok().filter(|x| match range {
            Range::Above(low, high) => *x > low && *x <= high,
            Range::Between(low, high) => (low..=high).contains(x),
            _ => false,
        });
        number.ok_or_else(|| format!("it must be {range}"))
    }
}

/// The range of a setting that has a flag of its own.
pub(crate) fn of_setting(key: &str) -> Range {
    Range::of(key).unwrap_or(Range::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_in_their_range_and_refused_by_its_name() {
        let threads = whole::<u16>(Range::Whole(1, 1024));
        assert_eq!((threads("1"), threads("1024")), (Ok(1), Ok(1024)));
        for out in ["0", "1025", "65535", "65536", "99999999999999999999", "-1", "1.5", "", "many", " 1"] {
            assert_eq!(threads(out).unwrap_err(), "it must be a whole number of at least 1 and at most 1024");
        }
        let seed = whole::<u64>(of_setting("seed"));
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        assert!(seed("18446744073709551616").unwrap_err().contains("18446744073709551615"));
        let scale = number(of_setting("generator.mask_logit_scale"));
        assert_eq!(scale("0.25"), Ok(0.25));
        for out in ["0", "-1", "nan", "inf", "1001", "x"] {
            assert!(scale(out).unwrap_err().contains("a number above 0 and at most 1000"), "{out}");
        }
    }
}
