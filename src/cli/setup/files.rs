//! Directories, anchor, PIN and `hermod.toml`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::ask::Ask;
use super::{Failure, Setup, SetupArgs};
use crate::cli::ownership;
use crate::config::{Config, id_parts};
use crate::message::SecurityServerId;
use crate::trust::anchor::Anchor;

const ANCHOR: &str = "configuration-anchor.xml";
const PIN: &str = "pin";
const PIN_LETTERS: usize = 24;

/// Makes a folder of mode 0750 where there is none.
pub fn make_folder(folder: &Path) -> Result<(), Failure> {
    if !folder.is_dir() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        say!("directory: {} made", folder.display());
    }
    Ok(())
}

/// Reads the configuration, or writes the first one, with anchor and PIN beside it.
pub fn configuration(args: &SetupArgs, ask: &Ask, folder: &Path) -> Result<Config, Failure> {
    if args.config.exists() {
        let config = Config::load(&args.config)?;
        say!("configuration: {} is there; this is {}", args.config.display(), config.server_id);
        if let (Some(given), Some(anchor)) = (&args.anchor, &config.globalconf.anchor) {
            take_anchor(args, ask, given, anchor)?;
        }
        make_folder(&config.root)?;
        return Ok(config);
    }
    let given = ask.answer(
        "--anchor",
        args.anchor.as_deref().and_then(Path::to_str),
        "File of the configuration anchor, from the instance's operator",
        None,
    )?;
    let target = folder.join(ANCHOR);
    let anchor = take_anchor(args, ask, Path::new(&given), &target)?;
    let server = server_id(args, ask, &anchor.instance)?;
    make_folder(&args.root)?;
    let root = args.root.canonicalize()?;
    let pin = pin_file(args, folder)?;
    let text = text(args, &server, &root, &pin, &target);
    // What was written must be what is read.
    let config = Config::parse(&args.config.display().to_string(), folder, &text)?;
    write_new(&args.config, text.as_bytes(), 0o640)?;
    say!("configuration: {} written; this is {server}", args.config.display());
    Ok(config)
}

fn take_anchor(args: &SetupArgs, ask: &Ask, given: &Path, target: &Path) -> Result<Anchor, Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("anchor {}: {error}", given.display());
    let bytes = fs::read(given).map_err(|error| failed(&error))?;
    let anchor = Anchor::parse(&bytes).map_err(|error| failed(&error.text()))?;
    let fingerprint = Anchor::fingerprint(&bytes);
    say!("anchor: {} is for instance {}", given.display(), anchor.instance);
    if let Some(at) = anchor.generated_at {
        say!("  generated   {at}");
    }
    anchor.sources.iter().for_each(|source| say!("  source      {}", source.download_url));
    say!("  SHA-224     {fingerprint}");
    if let Some(expected) = &args.anchor_hash {
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        if !plain(expected).eq_ignore_ascii_case(&plain(&fingerprint)) {
            return Err(
                "this is not the anchor that --anchor-hash means: get the right one, trust no other".into()
            );
        }
    }
    match fs::read(target) {
        Ok(there) if there == bytes => return Ok(anchor),
        Ok(_) => {
            return Err(format!(
                "another anchor is in force, {}: if the instance has a new one, move the old one away first",
                target.display()
            )
            .into());
        }
        Err(_) => {}
    }
    if args.anchor_hash.is_none()
        && !ask.agrees("Is this the fingerprint that the operator of the instance tells?")?
    {
        return Err("the anchor was not taken".into());
    }
    write_new(target, &bytes, 0o640)?;
    Ok(anchor)
}

fn server_id(args: &SetupArgs, ask: &Ask, instance: &str) -> Result<SecurityServerId, Failure> {
    let text = ask.answer(
        "--server",
        args.server.as_deref(),
        "Member class, member code of the owner and code of the server, such as GOV/300/ss2",
        None,
    )?;
    let parts = id_parts(&text)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match *parts.as_slice() {
        [class, code, server] => Ok(SecurityServerId::new(instance, class, code, server)?),
        [of, class, code, server] if of == instance => {
            Ok(SecurityServerId::new(instance, class, code, server)?)
        }
        [of, _, _, _] => Err(format!("the anchor is for instance {instance}, not for {of}").into()),
        _ => Err(format!("\"{text}\" is not class/member/server").into()),
    }
}

fn pin_file(args: &SetupArgs, folder: &Path) -> Result<PathBuf, Failure> {
    if let Some(file) = &args.pin_file {
        let text =
            fs::read_to_string(file).map_err(|error| format!("PIN file {}: {error}", file.display()))?;
        if text.lines().next().unwrap_or_default().is_empty() {
            return Err(format!("PIN file {}: its first line is empty", file.display()).into());
        }
        return Ok(file.canonicalize()?);
    }
    let file = folder.join(PIN);
    if !file.exists() {
        let mut random = [0; PIN_LETTERS];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| "no randomness for a PIN")?;
        // 32 letters: each takes five whole bits of its byte.
        let letter = |byte: &u8| char::from(b"abcdefghjkmnpqrstuvwxyz234567890"[usize::from(byte % 32)]);
        let pin: String = random.iter().map(letter).collect();
        write_new(&file, format!("{pin}\n").as_bytes(), 0o600)?;
        say!("PIN: made, in {}; keep a copy of it where backups are not", file.display());
    }
    Ok(file)
}

fn text(args: &SetupArgs, server: &SecurityServerId, root: &Path, pin: &Path, anchor: &Path) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let path = |path: &Path| quoted(&path.display().to_string());
    let mut out = format!(
        "# Written by `hermod setup`. All keys with their defaults: hermod.toml(5), docs/configuration.md.\nroot = {}\n\n\
         [server]\ninstance = {}\nmember_class = {}\nmember_code = {}\nserver_code = {}\n",
        path(root),
        quoted(server.instance()),
        quoted(server.member_class()),
        quoted(server.member_code()),
        quoted(server.server_code()),
    );
    if let Some(ip) = args.bind {
        let at = |port: u16| quoted(&std::net::SocketAddr::from((ip, port)).to_string());
        let _ = write!(
            out,
            "\n[listen]\nconsumer_http = {}\nconsumer_https = {}\nserver = {}\nocsp = {}\n",
            at(8080),
            at(8443),
            at(5500),
            at(5577),
        );
    }
    let _ = write!(
        out,
        "\n[admin]\nlisten = {}\n\n[signer]\npin_file = {}\nkey = \"{}\"\n\n[globalconf]\nanchor = {}\n",
        quoted(&args.admin),
        path(pin),
        args.key.as_deref().unwrap_or("rsa"),
        path(anchor),
    );
    out
}

/// Writes a file that is not there yet.
pub fn write_new(file: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    let written = options.write(true).create_new(true).mode(mode).open(file).and_then(|mut opened| {
        opened.write_all(bytes)?;
        opened.sync_all()
    });
    Ok(written.map_err(|error| format!("{}: {error}", file.display()))?)
}

/// What the server's own user must read is readable to its group, when root has written it.
pub fn protect(setup: &Setup<'_>) {
    let Some((_, group)) = ownership::of_state(&setup.config.root) else { return };
    let own = ["hermod.toml", ANCHOR, PIN, "registry.toml"].map(|name| setup.folder.join(name));
    own.iter().for_each(|file| ownership::share(&setup.config.root, file, false));
    let _ = std::os::unix::fs::chown(&setup.folder, Some(0), Some(group));
}
