//! The version of the rules that a run learns by: the one place that says what a version means.
use drgan_text::WordRule;
use serde::{Deserialize, Serialize};

/// Rules of learning that have changed between versions of this crate. A run keeps those that it was begun by: its number is
/// a setting, so that a checkpoint holds it, and settings of a run that say nothing of it are those of the first recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
#[non_exhaustive]
pub enum Recipe {
    /// 1: words of ASCII letters in vocabularies made from captions, full descriptions divided at underscores too, and
    /// equal captions of two images are mismatches.
    First,
    /// 2: words of every script, full descriptions of the tokenizer's words, and captions that are read as equal are no
    /// mismatches, in the discriminators as in the DAMSM.
    EveryScript,
    /// 3: keys of a tar's records are without `./` and `//`, so that they divide a tar as they do the folder that it was made of.
    #[default]
    NormalKeys,
}

impl Recipe {
    /// All recipes, the first first and that of a new run last.
    pub const ALL: [Self; 3] = [Self::First, Self::EveryScript, Self::NormalKeys];

    /// How captions are divided into words where a vocabulary is made from them.
    pub fn words(self) -> WordRule {
        if self < Self::EveryScript { WordRule::Ascii } else { WordRule::Unicode }
    }

    /// Whether keys of a tar's records are their names as they were written, `./a` for `./a.png`.
    pub fn keys_by_written_names(self) -> bool {
        self < Self::NormalKeys
    }

    /// Whether full descriptions consist of the tokenizer's words.
    pub(crate) fn describes_by_tokens(self) -> bool {
        self >= Self::EveryScript
    }

    /// Whether two captions that the text encoder reads as the same are no mismatch of each other.
    pub(crate) fn equal_captions_match(self) -> bool {
        self >= Self::EveryScript
    }

    /// Whether records of a batch have their classes compared where another record of it has none.
    pub(crate) fn compares_classes_one_by_one(self) -> bool {
        self >= Self::EveryScript
    }
}

impl From<Recipe> for u32 {
    fn from(recipe: Recipe) -> Self {
        match recipe {
            Recipe::First => 1,
            Recipe::EveryScript => 2,
            Recipe::NormalKeys => 3,
        }
    }
}

impl TryFrom<u32> for Recipe {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|recipe| u32::from(*recipe) == number);
        found.ok_or_else(|| format!("recipe {number} is not known; was it written by a newer drgan?"))
    }
}
