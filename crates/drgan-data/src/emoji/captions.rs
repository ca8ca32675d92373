//! Labels and tags to captions.
use super::color;
use drgan_tensor::internal::fnv1a;

/// Largest number of captions per image.
const MOST: usize = 8;
/// Captions of a hundred, among those that name no color, that get the color word.
const COLORED: u64 = 60;
/// Tags that are slang, not something a reader would ask for.
const SLANG: &[&str] = &[
    "ily", "xoxo", "bae", "adorbs", "muah", "lol", "omg", "haha", "rofl", "smh", "fml", "idk", "jk", "lmao",
    "nsfw", "oof", "yolo", "bff", "imho", "imo", "lmk", "brb", "ftw", "gg", "gtg", "ikr", "bestest", "heh",
    "hehe", "teehee", "roflol", "cus", "tho", "zzz", "meh", "welp", "ugh", "duh", "yas", "yay", "dang",
    "damn", "butt", "shit", "poo", "poop", "wtf",
];
/// Things without a number: no article before these.
const MASS: &[&str] = &[
    "bread",
    "rice",
    "butter",
    "salt",
    "meat",
    "bacon",
    "sushi",
    "sake",
    "milk",
    "honey",
    "tea",
    "ice",
    "wood",
    "fog",
    "fire",
    "cooking",
    "spaghetti",
    "popcorn",
    "food",
    "mahjong",
    "money",
    "yarn",
    "thread",
    "soap",
    "luggage",
    "yen",
    "ginger",
    "garlic",
    "broccoli",
    "hair",
    "curry",
    "oden",
    "water",
    "sparkles",
    "up",
    "down",
    "fuji",
    "tongue-out",
    "wind",
    "dna",
    "skating",
    "skiing",
    "locked",
    "unlocked",
    "o'clock",
    "thirty",
    "music",
    "snow",
    "rain",
    "lightning",
    "science",
    "oil",
];

/// What is known of an image.
pub(super) struct Facts<'a> {
    pub(super) key: &'a str,
    pub(super) label: &'a str,
    pub(super) tags: &'a [String],
    pub(super) subgroup: &'a str,
    pub(super) color: Option<&'static str>,
}

/// A label as written in captions: lower case, plain quotes, no colon.
pub(super) fn plain(label: &str) -> String {
    let text = label.to_lowercase().replace(['“', '”', '(', ')', '!'], "").replace('’', "'");
    match text.split_once(": ") {
        Some((who, "bald")) => format!("bald {who}"),
        Some((who, what)) if what.ends_with("hair") || what == "beard" => format!("{who} with {what}"),
        Some(("family", who)) => {
            format!("family of {}", who.replacen(", ", " and ", usize::from(who.matches(", ").count() == 1)))
        }
        Some((what, who)) => format!("{what}, {}", who.replace(", ", " and ")),
        None => text,
    }
}

/// Between four and eight unique captions of an image, the plain label first; see docs/data.md.
pub(super) fn captions(facts: &Facts<'_>) -> Vec<String> {
    let label = plain(facts.label);
    let tags: Vec<&str> = facts.tags.iter().map(String::as_str).filter(|t| usable(t, &label)).collect();
    let one = with_article(&label, facts.subgroup);
    let mut tag_list = String::new();
    let mut all = vec![label.clone(), one.clone()];
    if facts.subgroup == "geometric" && label.contains(' ') {
        all.extend(shape_forms(&label));
    }
    if let Some(tag) = symbol_of(facts, &tags) {
        all.push(format!("symbol of {tag}"));
    }
    // Tags in an order that differs between images, so that alphabetical neighbours are not always paired.
    let mut shuffled = tags.clone();
    shuffled.sort_by_key(|t| fnv1a(format!("{}/{t}", facts.key).as_bytes()));
    if let [a, ..] = shuffled[..] {
        all.push(format!("{label}, {a}"));
    }
    if let [_, a, b, ..] = shuffled[..] {
        all.push(format!("{one}, {a} and {b}"));
    }
    if let [a, b, ..] = shuffled[..] {
        tag_list = format!("{a}, {b}");
        all.push(tag_list.clone());
    }
    all.push(format!("a picture of {one}"));
    if let Some(kind) = kind(facts.subgroup)
        .filter(|k| !label.ends_with(k.trim_start_matches("a ").trim_start_matches("an ")))
    {
        all.push(format!("{label}, {kind}"));
    }
    all.push(format!("an emoji of {one}"));
    if one == label {
        all.push(format!("{label} emoji"));
        all.push(format!("a drawing of {label}"));
    }
    let mut unique: Vec<String> = Vec::new();
    for caption in all {
        let caption = colored(&caption, facts, caption == tag_list);
        if unique.len() < MOST && !unique.contains(&caption) {
            unique.push(caption);
        }
    }
    unique
}

/// A person's color word would read as skin, not as the image.
fn is_person(subgroup: &str) -> bool {
    subgroup.starts_with("person") || subgroup == "family"
}

/// Puts the color word before what the caption speaks of, for the share of captions that a hash chooses.
fn colored(caption: &str, facts: &Facts<'_>, is_list: bool) -> String {
    let chosen = fnv1a(format!("{}/{caption}", facts.key).as_bytes()) % 100 < COLORED;
    let allowed = chosen && !is_person(facts.subgroup) && color::named(caption).is_none();
    let Some(color) = facts.color.filter(|_| allowed) else {
        return caption.to_owned();
    };
    let (lead, rest) = ["a picture of ", "an emoji of ", "a drawing of ", "symbol of "]
        .into_iter()
        .find_map(|lead| Some((lead, caption.strip_prefix(lead)?)))
        .unwrap_or(("", caption));
    if is_list {
        return format!("{caption}, {color}");
    }
    if lead == "symbol of " {
        return format!("{color} {caption}");
    }
    match rest.strip_prefix("a ").or_else(|| rest.strip_prefix("an ")) {
        Some(rest) => format!("{lead}{} {color} {rest}", article(color)),
        None => format!("{lead}{color} {rest}"),
    }
}

/// 'black large square' is also 'a black square' and 'a large black square'. Only the large ones take the short name, so
/// that a color and a shape have one image.
fn shape_forms(label: &str) -> Vec<String> {
    let words: Vec<&str> = label.split(' ').collect();
    match words[..] {
        [color, "large", shape] => {
            vec![format!("{color} {shape}"), format!("a {color} {shape}"), format!("a large {color} {shape}")]
        }
        [color, size @ ("medium" | "small" | "medium-small"), shape] => {
            vec![format!("a {size} {color} {shape}")]
        }
        _ => Vec::new(),
    }
}

fn symbol_of<'a>(facts: &Facts<'_>, tags: &[&'a str]) -> Option<&'a str> {
    const MEANINGS: [&str; 6] = ["love", "peace", "religion", "luck", "death", "danger"];
    let symbol = matches!(facts.subgroup, "heart" | "religion" | "warning" | "other-symbol");
    tags.iter().copied().find(|t| symbol && MEANINGS.contains(t))
}

fn usable(tag: &str, label: &str) -> bool {
    let letters = tag.chars().all(|c| c.is_ascii_lowercase() || c == ' ' || c == '-');
    let said =
        label.split(|c: char| !c.is_alphanumeric()).any(|w| w == tag || w.strip_suffix('s') == Some(tag));
    // A tag that names a color speaks of the thing in general ('apple': green, red), not of this image.
    letters && tag.len() > 2 && !said && !SLANG.contains(&tag) && color::named(tag).is_none()
}

fn article(word: &str) -> &'static str {
    let an = word.starts_with(['a', 'e', 'i', 'o', 'u'])
        && !["uni", "eu", "one", "use", "u-"].iter().any(|p| word.starts_with(p))
        || word.starts_with("hour");
    if an { "an" } else { "a" }
}

fn with_article(label: &str, subgroup: &str) -> String {
    let head = label.split(" with ").next().unwrap_or(label).split([',']).next().unwrap_or(label);
    let head = [
        " of ",
        " in ",
        " showing ",
        " facing ",
        " pointing ",
        " holding ",
        " playing ",
        " lifting ",
        " savoring ",
    ]
    .iter()
    .fold(head, |head, by| head.split(by).next().unwrap_or(head));
    let last = head.rsplit(' ').next().unwrap_or(head);
    let plural = last.ends_with('s')
        && !last.ends_with("ss")
        && !last.ends_with("us")
        && !last.ends_with("is")
        && last != "rhinoceros"
        || matches!(last, "men" | "women" | "people" | "feet" | "teeth" | "dice" | "children");
    let counted =
        ["two ", "three ", "men ", "women ", "people ", "mount "].iter().any(|p| label.starts_with(p));
    // 'bowling', but 'a building'.
    let doing =
        last == label && label.ends_with("ing") && !matches!(label, "ring" | "wing" | "building" | "drawing");
    let bare =
        plural || counted || doing || MASS.contains(&last) || matches!(subgroup, "zodiac" | "currency-name");
    if bare { label.to_owned() } else { format!("{} {label}", article(label)) }
}

/// What a subgroup of emojibase holds, as a reader would say it.
fn kind(subgroup: &str) -> Option<&'static str> {
    Some(match subgroup {
        "face-smiling" => "a smiling face",
        "face-affection" => "a loving face",
        "face-tongue" => "a face with tongue",
        "face-neutral-skeptical" => "a doubtful face",
        "face-sleepy" => "a sleepy face",
        "face-unwell" => "a sick face",
        "face-negative" => "an angry face",
        "face-costume" => "a fantasy face",
        "cat-face" => "a cat face",
        "monkey-face" => "a monkey face",
        "heart" => "a symbol",
        "hand-fingers-open"
        | "hand-fingers-partial"
        | "hand-single-finger"
        | "hand-fingers-closed"
        | "hands" => "a hand",
        "hand-prop" => "a hand",
        "body-parts" => "a part of the body",
        "person-role" => "a person at work",
        "person-fantasy" => "a fantasy person",
        "animal-mammal" => "an animal",
        "animal-bird" => "a bird",
        "animal-amphibian" | "animal-reptile" => "an animal",
        "animal-marine" => "a sea animal",
        "animal-bug" => "an insect",
        "plant-flower" => "a flower",
        "plant-other" => "a plant",
        "food-fruit" => "a fruit",
        "food-vegetable" => "a vegetable",
        "food-prepared" | "food-asian" => "food",
        "food-sweet" => "a dessert",
        "drink" => "a drink",
        "dishware" => "tableware",
        "place-geographic" => "a landscape",
        "place-building" | "place-religious" => "a building",
        "place-map" | "place-other" => "a place",
        "transport-ground" => "a vehicle",
        "transport-water" => "a boat",
        "transport-air" => "an aircraft",
        "time" => "a clock",
        "sky-weather" => "the sky and weather",
        "event" => "a celebration",
        "award-medal" => "an award",
        "sport" => "a sport",
        "game" => "a game",
        "clothing" => "clothing",
        "musical-instrument" => "a musical instrument",
        "phone" | "computer" | "light-video" => "a device",
        "book-paper" | "mail" | "writing" | "office" => "an office object",
        "money" => "money",
        "tool" => "a tool",
        "science" => "a scientific instrument",
        "medical" => "a medical object",
        "household" => "a household object",
        "transport-sign" | "warning" => "a sign",
        "arrow" => "a direction sign",
        "zodiac" => "a zodiac sign",
        "geometric" => "a geometric shape",
        "av-symbol" => "a player button",
        "religion" | "gender" | "math" | "punctuation" | "currency" | "other-symbol" | "alphanum" => {
            "a symbol"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(label: &str, tags: &[&str], subgroup: &str, color: Option<&'static str>) -> Vec<String> {
        let tags: Vec<String> = tags.iter().map(|t| (*t).to_owned()).collect();
        captions(&Facts { key: "k", label, tags: &tags, subgroup, color })
    }

    #[test]
    fn labels_read_as_english() {
        assert_eq!(plain("man: red hair"), "man with red hair");
        assert_eq!(plain("woman: bald"), "bald woman");
        assert_eq!(plain("kiss: woman, man"), "kiss, woman and man");
        assert_eq!(plain("Japanese “secret” button"), "japanese secret button");
        assert_eq!(with_article("orange heart", "heart"), "an orange heart");
        assert_eq!(with_article("unicorn", "animal-mammal"), "a unicorn");
        assert_eq!(with_article("two hearts", "heart"), "two hearts");
        assert_eq!(with_article("glasses", "clothing"), "glasses");
        assert_eq!(with_article("man lifting weights", "person-sport"), "a man lifting weights");
        assert_eq!(with_article("bowling", "sport"), "bowling");
        assert_eq!(with_article("cat with tears of joy", "cat-face"), "a cat with tears of joy");
    }

    #[test]
    fn shapes_have_short_names_once() {
        let large =
            of("black large square", &["black", "geometric", "large", "square"], "geometric", Some("black"));
        for want in ["black large square", "black square", "a black square", "a large black square"] {
            assert!(large.contains(&want.to_owned()), "{want}: {large:?}");
        }
        let small = of("black small square", &["black", "geometric"], "geometric", Some("black"));
        assert!(!small.contains(&"a black square".to_owned()), "{small:?}");
    }

    #[test]
    fn color_goes_before_the_thing_and_never_twice() {
        let facts = Facts { key: "k", label: "", tags: &[], subgroup: "", color: Some("orange") };
        let all: Vec<String> =
            (0..200).map(|i| colored(&format!("a picture of a thing {i}"), &facts, false)).collect();
        let with = all.iter().filter(|c| c.starts_with("a picture of an orange thing")).count();
        assert!((95..145).contains(&with), "about 60 %: {with} of 200");
        assert_eq!(with + all.iter().filter(|c| c.starts_with("a picture of a thing")).count(), 200);
        for i in 0..50 {
            let named = format!("a red thing {i}");
            assert_eq!(colored(&named, &facts, false), named);
        }
    }

    #[test]
    fn between_four_and_eight_unique() {
        for caps in [
            of("tiger", &[], "animal-mammal", None),
            of("red heart", &["love", "emotion", "dear", "sweet", "kind", "warm"], "heart", Some("red")),
        ] {
            assert!((4..=8).contains(&caps.len()), "{caps:?}");
            assert!(caps.iter().all(|c| *c == c.to_lowercase()));
        }
        assert!(
            of("red heart", &["love"], "heart", Some("red")).contains(&"symbol of love".to_owned())
                || of("red heart", &["love"], "heart", Some("red"))
                    .contains(&"red symbol of love".to_owned())
        );
    }
}
