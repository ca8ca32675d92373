//! Which words a record is described with.
use crate::config::RunConfig;
use crate::error::TrainError;
use drgan_data::Record;
use drgan_text::Tokenize;
use rand::Rng;

/// All the words of a record's captions, in order, each once: label first, then what tags and phrases add.
///
/// The fullest description that fits `damsm.max_words`, and what R-precision asks with. Its words are the tokenizer's that the
/// vocabulary has; where it has none, the first caption stands for them.
///
/// # Errors
/// A caption that cannot be divided into words.
pub(crate) fn full(record: &Record, cfg: &RunConfig, tokenizer: &dyn Tokenize) -> Result<String, TrainError> {
    let most = cfg.damsm.max_words;
    if !cfg.recipe.describes_by_tokens() {
        return Ok(first_recipe(record, most));
    }
    let mut words: Vec<String> = Vec::new();
    for caption in &record.captions {
        for word in tokenizer.known_words(caption)? {
            if words.len() < most && !words.contains(&word) {
                words.push(word);
            }
        }
        if words.len() == most {
            break;
        }
    }
    match words.is_empty() {
        true => Ok(record.captions.first().cloned().unwrap_or_default()),
        false => Ok(words.join(" ")),
    }
}

/// The description as runs of the first recipe have it, which divides at underscores and counts unknown words.
fn first_recipe(record: &Record, most: usize) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in record.captions.iter().flat_map(|c| c.split(|c: char| !c.is_alphanumeric())) {
        if !word.is_empty() && !words.iter().any(|w| w.eq_ignore_ascii_case(word)) {
            words.push(word);
        }
    }
    words.truncate(most);
    words.join(" ")
}

/// One of the record's captions, or with probability `damsm.full_rate` its full description.
///
/// # Errors
/// As [`full`].
pub(crate) fn draw(
    record: &Record,
    cfg: &RunConfig,
    tokenizer: &dyn Tokenize,
    rng: &mut impl Rng,
) -> Result<String, TrainError> {
    if rng.random_bool(cfg.damsm.full_rate) {
        return full(record, cfg, tokenizer);
    }
    Ok(record.captions[rng.random_range(0..record.captions.len())].clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Recipe;
    use drgan_text::{Tokenizer, Vocabulary};
    use rand::SeedableRng;

    fn record(captions: &[&str]) -> Record {
        Record { captions: captions.iter().map(|c| (*c).to_owned()).collect(), ..Record::default() }
    }

    fn cfg(recipe: Recipe, max_words: usize, full_rate: f64) -> RunConfig {
        let mut cfg = RunConfig { recipe, ..RunConfig::default() };
        (cfg.damsm.max_words, cfg.damsm.full_rate) = (max_words, full_rate);
        cfg
    }

    fn tokenizer(recipe: Recipe, captions: &[&'static str]) -> Tokenizer {
        let words = Vocabulary::from_captions(captions.iter().copied(), recipe.words());
        words.and_then(|words| Tokenizer::new(&words)).expect("there are words")
    }

    fn described(recipe: Recipe, captions: &[&'static str], known: &[&'static str], most: usize) -> String {
        full(&record(captions), &cfg(recipe, most, 1.), &tokenizer(recipe, known)).expect("words")
    }

    #[test]
    fn the_full_description_names_each_word_once_and_stops_in_time() {
        for recipe in Recipe::ALL {
            let captions = ["a red heart", "Heart, love", "symbol of love"];
            let full = |captions: &[&'static str], most| described(recipe, captions, captions, most);
            assert_eq!(full(&captions, 12), "a red heart love symbol of");
            assert_eq!(full(&captions, 3), "a red heart");
            assert_eq!(full(&["one"], 12), "one");
        }
    }

    #[test]
    fn words_of_a_description_are_the_tokenizers() {
        let tags = ["red_square, flat_colour", "RED_SQUARE big"];
        assert_eq!(described(Recipe::EveryScript, &tags, &tags, 12), "red_square flat_colour big");
        assert_eq!(described(Recipe::First, &tags, &tags, 12), "red square flat colour big");
        let scripts = ["pe\u{302}che P\u{ca}CHE", "красная, 红鸟"];
        assert_eq!(described(Recipe::EveryScript, &scripts, &scripts, 12), "p\u{ea}che красная 红 鸟");
        // Unknown words take no place, and a description of none is the caption, which says so when it is read.
        let captions = ["a qwertz red bird"];
        assert_eq!(described(Recipe::EveryScript, &captions, &["red bird"], 2), "red bird");
        assert_eq!(described(Recipe::EveryScript, &captions, &["blue"], 2), "a qwertz red bird");
    }

    #[test]
    fn the_rate_decides_which_kind_is_drawn() {
        let captions = ["a red heart", "love"];
        let (r, tokenizer) = (record(&captions), tokenizer(Recipe::default(), &captions));
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut drawn =
            |rate| draw(&r, &cfg(Recipe::default(), 12, rate), &tokenizer, &mut rng).expect("words");
        assert_eq!(drawn(1.), "a red heart love");
        let drawn: Vec<_> = (0..20).map(|_| drawn(0.)).collect();
        assert!(drawn.iter().any(|c| c == "love") && drawn.iter().any(|c| c == "a red heart"));
    }
}
