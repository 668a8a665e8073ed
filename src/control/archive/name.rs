//! Names of groups and of archives (`signature.md` 7.4).

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::config::Grouping;
use crate::message::ClientId;
use crate::time::UnixTime;

/// Characters of a group, its hyphen included, that a file name keeps; bytes, too, for the longest name is 255 of them.
const GROUP_MAX: usize = 200;
const DIGEST_CHARS: usize = 16;

/// The group of a local party's records; empty when all share their archives.
pub(super) fn group(grouping: Grouping, client: &ClientId) -> String {
    match grouping {
        Grouping::None => String::new(),
        Grouping::Member => client.member().to_string(),
        Grouping::Subsystem => client.to_string(),
    }
}

/// The grouping as it is configured.
pub(super) fn word(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::None => "none",
        Grouping::Member => "member",
        Grouping::Subsystem => "subsystem",
    }
}

/// The grouping of a word.
pub(super) fn grouping(of: &str) -> Option<Grouping> {
    [Grouping::None, Grouping::Member, Grouping::Subsystem].into_iter().find(|one| word(*one) == of)
}

/// The time of day where the server is.
pub(super) fn local(time: UnixTime, zone: &TimeZone) -> Zoned {
    Timestamp::from_millisecond(time.millis()).unwrap_or_default().to_zoned(zone.clone())
}

/// The file name of an archive: its group, the times of its oldest and newest record, the last digest of its chain.
pub(super) fn archive(group: &str, times: (UnixTime, UnixTime), digest: &str, zone: &TimeZone) -> String {
    let mut name = String::from("mlog-");
    if !group.is_empty() {
        let replaced = |c: char| if c.is_control() || r#"\<>/:|*?"#.contains(c) { '_' } else { c };
        let mut left = GROUP_MAX;
        for c in group.chars().map(replaced).chain(['-']) {
            if c.len_utf8() > left {
                break;
            }
            left -= c.len_utf8();
            name.push(c);
        }
    }
    let time = |time| local(time, zone).strftime("%Y%m%d%H%M%S").to_string();
    let digest = digest.get(..DIGEST_CHARS).unwrap_or(digest);
    format!("{name}{}-{}-{digest}.zip", time(times.0), time(times.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Local time, cleaned group names, sixteen characters of the digest.
    #[test]
    fn trap_signature_36_archives_are_named_as_official_servers_name_them() {
        let times = (UnixTime::from_secs(1_698_063_174), UnixTime::from_secs(1_698_063_180));
        let digest = "9011ab557706b505aaaa";
        let name = |group: &str, zone: &TimeZone| archive(group, times, digest, zone);
        let east = TimeZone::posix("EET-2").unwrap();
        assert_eq!(name("", &TimeZone::UTC), "mlog-20231023121254-20231023121300-9011ab557706b505.zip");
        assert_eq!(name("", &east), "mlog-20231023141254-20231023141300-9011ab557706b505.zip");
        assert_eq!(
            name("LAB/GOV/1:0|0\u{7}/ä<s>*?\\", &TimeZone::UTC),
            "mlog-LAB_GOV_1_0_0__ä_s____-20231023121254-20231023121300-9011ab557706b505.zip"
        );
        // Cut, the hyphen with the rest, and never longer than a file system takes.
        let long = name(&"x".repeat(300), &TimeZone::UTC);
        assert_eq!(
            long,
            format!("mlog-{}20231023121254-20231023121300-9011ab557706b505.zip", "x".repeat(200))
        );
        assert!(name(&"ä".repeat(300), &TimeZone::UTC).len() <= 255);
    }

    #[test]
    fn groups_are_named_by_member_or_subsystem() {
        let client = ClientId::new("LAB", "GOV", "100", Some("consumer")).unwrap();
        assert_eq!(group(Grouping::None, &client), "");
        assert_eq!(group(Grouping::Member, &client), "LAB/GOV/100");
        assert_eq!(group(Grouping::Subsystem, &client), "LAB/GOV/100/consumer");
        assert_eq!(grouping("member"), Some(Grouping::Member));
        assert_eq!(grouping("tribe"), None);
    }
}
