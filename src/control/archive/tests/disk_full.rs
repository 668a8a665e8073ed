//! A file system that is really full.

use std::process::Command;

use super::*;

/// A small file system of its own, which goes with this value.
struct Small(PathBuf);

impl Small {
    /// `None` where this process may not mount one.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o"]).arg(format!("size={size}")).arg("none").arg(at);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            _ => {
                eprintln!("skipped: a small file system cannot be mounted here");
                None
            }
        }
    }

    /// Takes all space but some bytes.
    fn fill(&self, leave: u64) {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        let bytes = vec![0; usize::try_from(free.saturating_sub(leave)).unwrap()];
        fs::write(self.0.join("filler"), bytes).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_messages_and_archives_and_both_go_on_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("small");
    let Some(small) = Small::mount(&root, "2m") else { return };
    let log = open(&root.join("log"));
    (0..50).for_each(|number| append(&log, number));
    stamp(&log);
    let mut archiver = archiver(&root, Grouping::None, 1 << 20);
    archiver.log = log.reader().clone();

    // An archive finds no room, and leaves what there is to messages.
    small.fill(40_000);
    let error = archiver.run(NOW, &Stop::default()).unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    assert!(archiver.status.figures(&archiver.log, NOW).unwrap().failing);
    assert_eq!(fs::read_dir(root.join("archive")).unwrap().count(), 0);
    append(&log, 50);
    small.empty();

    small.fill(0);
    let refused = (51..200).find_map(|number| try_append(&log, number).err()).unwrap();
    assert_eq!(refused.code(), "logging_failed.io_error");
    assert_eq!(refused.text(), "the message log's disk is full");
    let logged = log.reader().counts().0;
    small.empty();

    append(&log, 200);
    assert_eq!(log.reader().counts().0, logged + 1);
    stamp(&log);
    assert_eq!(log.reader().iter().filter(Result::is_ok).count() as u64, logged + 1);
    let outcome = run(&archiver);
    assert_eq!(outcome.records as u64, logged + 1);
    assert!(!archiver.status.figures(log.reader(), NOW).unwrap().failing);
    log.close();
    let log = open(&root.join("log"));
    assert!(log.reader().damages().is_empty());
    assert_eq!(log.reader().counts().0, logged + 1);
    assert_each_once(&root, logged as usize + 1);
    log.close();
}
