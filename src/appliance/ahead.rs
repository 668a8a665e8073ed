//! What a start could fail at, looked at while the server before it still has the log and the ports: once that one has let go
//! of them, nothing that can be known before may be left to go wrong.

use super::keeping::Keeping;
use super::{Preparation, StartError, admin};
use crate::log::look_ahead;
use crate::worker::{RuntimeChoice, choose};

impl Preparation {
    /// Looks at what [`Self::start`] will take and open, without taking it: a successor's last step before its server lets go.
    ///
    /// # Errors
    /// What the start would fail at.
    pub fn look_ahead(&self) -> Result<(), StartError> {
        let config = &self.config;
        let log = look_ahead(&config.log.dir, &config.server_id)?;
        Keeping::new(config, &log, self.record_keys.as_deref())?;
        self.ports.iter().try_for_each(|port| port.probe())?;
        admin::probe(config, self.admin.0.as_ref())?;
        choose(RuntimeChoice::from(config.worker.runtime))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::host::Held;
    use crate::time::SystemClock;

    /// What the look says; nothing when the start may come.
    fn look(folder: &Path, server_port: u16, more: &str) -> String {
        let text = format!(
            "root = {folder:?}\n[server]\ninstance = \"LAB\"\nmember_class = \"GOV\"\nmember_code = \"1\"\n\
             server_code = \"ss1\"\n[signer]\npin = \"1234\"\n[listen]\nconsumer_http = \"off\"\n\
             consumer_https = \"off\"\nocsp = \"127.0.0.1:0\"\nserver = \"127.0.0.1:{server_port}\"\n{more}"
        );
        let config = Config::parse("hermod.toml", folder, &text).unwrap();
        let prepared =
            Preparation::new(config, Arc::new(SystemClock), Arc::new(|token| token), Held::default());
        prepared
            .and_then(|prepared| prepared.look_ahead())
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_a_start_would_fail_at_is_found_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(look(folder, 0, ""), "");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let said = look(folder, address.port(), "");
        assert!(said.contains(&address.to_string()), "{said}");
        for (more, told) in [
            (format!("[admin]\nlisten = \"{address}\"\n"), address.to_string()),
            (format!("[health]\nlisten = \"{address}\"\n"), address.to_string()),
            ("[log]\nencryption_keys = \"nowhere\"\nencryption_key = \"a\"\n".into(), "nowhere".into()),
            (
                "[log]\narchive_encryption = true\narchive_encryption_keys = \"nowhere\"\n".into(),
                "nowhere".into(),
            ),
            (
                "[archive_store]\nbucket = \"bucket\"\naccess_key = \"a\"\nsecret_key_file = \"nowhere\"\n"
                    .into(),
                "nowhere".into(),
            ),
            (
                "[follow_postgresql]\nurl = \"postgresql://a@127.0.0.1/a\"\npassword_file = \"nowhere\"\n"
                    .into(),
                "nowhere".into(),
            ),
        ] {
            let said = look(folder, 0, &more);
            assert!(said.contains(&told), "{more}: {said:?}");
        }
        std::fs::write(folder.join("log/begin-behind"), "?").unwrap();
        assert!(look(folder, 0, "").contains("begin-behind"));
        std::fs::remove_dir_all(folder.join("log")).unwrap();
        std::fs::write(folder.join("log"), "").unwrap();
        assert!(look(folder, 0, "").contains("log must be a folder"));
    }
}
