//! The first registry file: the owner, and the subsystems that were named.

use std::fmt::Write as _;

use super::{Done, Setup, files};
use crate::config::client_id;
use crate::control::{RegistryDb, load_declaration};

/// Writes and applies the first declaration. A registry that has clients already is left as it is.
pub fn first(setup: &Setup<'_>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut db = runtime.block_on(RegistryDb::open(&setup.config.registry))?;
    let clients = runtime.block_on(db.load())?.clients().len();
    if clients > 0 {
        say!("registry: {} has {clients} clients", setup.config.registry.display());
        return Ok(());
    }
    let file = setup.folder.join("registry.toml");
    if !file.exists() {
        let owner = setup.config.server_id.owner();
        let mut text = format!(
            "# Written by `hermod setup`; docs/registry.md shows what more can be said.\n\
             # After a change: hermod registry apply {}\n\n[[client]]\nid = {}\n",
            file.display(),
            toml::Value::Array(
                [owner.instance(), owner.member_class(), owner.member_code()].map(Into::into).into()
            ),
        );
        for client in &setup.args.client {
            let id = client_id(client)?;
            let _ = write!(
                text,
                "\n[[client]]\nid = \"{client}\"\n# Its information systems call over HTTPS; \"NOSSL\" lets them call over HTTP too.\nconnection = \"SSLNOAUTH\"\n"
            );
            if id.instance() != owner.instance() {
                return Err(format!("{id} is not of instance {}", owner.instance()).into());
            }
        }
        files::write_new(&file, text.as_bytes(), 0o640)?;
        say!("registry: {} written", file.display());
    }
    let changes = runtime.block_on(db.apply(load_declaration(&file)?, false))?;
    changes.iter().for_each(|change| say!("registry: {change}"));
    Ok(())
}
