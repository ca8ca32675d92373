//! Which words a record is described with.
use drgan_data::Record;
use rand::Rng;

/// All the words of a record's captions, in order, each once: label first, then what tags and phrases add.
///
/// The fullest description that fits `max_words`, and what R-precision asks with.
pub(crate) fn full(record: &Record, max_words: usize) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in record.captions.iter().flat_map(|c| c.split(|c: char| !c.is_alphanumeric())) {
        if !word.is_empty() && !words.iter().any(|w| w.eq_ignore_ascii_case(word)) {
            words.push(word);
        }
    }
    words.truncate(max_words);
    words.join(" ")
}

/// One of the record's captions, or with probability `full_rate` its full description.
pub(crate) fn draw(record: &Record, max_words: usize, full_rate: f64, rng: &mut impl Rng) -> String {
    if rng.random_bool(full_rate) {
        return full(record, max_words);
    }
    record.captions[rng.random_range(0..record.captions.len())].clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn record(captions: &[&str]) -> Record {
        Record { captions: captions.iter().map(|c| (*c).to_owned()).collect(), ..Record::default() }
    }

    #[test]
    fn the_full_description_names_each_word_once_and_stops_in_time() {
        let r = record(&["a red heart", "Heart, love", "symbol of love"]);
        assert_eq!(full(&r, 12), "a red heart love symbol of");
        assert_eq!(full(&r, 3), "a red heart");
        assert_eq!(full(&record(&["one"]), 12), "one");
    }

    #[test]
    fn the_rate_decides_which_kind_is_drawn() {
        let r = record(&["a red heart", "love"]);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        assert_eq!(draw(&r, 12, 1., &mut rng), "a red heart love");
        let drawn: Vec<_> = (0..20).map(|_| draw(&r, 12, 0., &mut rng)).collect();
        assert!(drawn.iter().any(|c| c == "love") && drawn.iter().any(|c| c == "a red heart"));
    }
}
