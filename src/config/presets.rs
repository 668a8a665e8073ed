//! What the countries' packages of official servers set differently, as defaults below the operator's own file.

/// Name and text of each preset, a file of the same form as the configuration.
pub const PRESETS: [(&str, &str); 4] = [
    ("ee", include_str!("presets/ee.toml")),
    ("fi", include_str!("presets/fi.toml")),
    ("fo", include_str!("presets/fo.toml")),
    ("is", include_str!("presets/is.toml")),
];

/// The text of the preset that a configuration file names; `None` when it names none, or one that is not there.
pub(super) fn named_in(text: &str) -> Option<&'static str> {
    let table = toml::de::DeTable::parse(text).ok()?;
    let name = table.get_ref().get("preset")?.get_ref().as_str()?.to_owned();
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
