//! Lists `providers/*.toml` for the catalogue, so that a new provider is one new file.

#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    // A published package carries its own copy; in the workspace the folder stands at the root.
    let packaged = here.join("providers");
    let folder = if packaged.is_dir() { packaged } else { here.join("../../providers") };
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut files = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();

    let mut list = String::from("/// The id and the text of every provider file, by id.\nconst FILES: &[(&str, &str)] = &[\n");
    for path in &files {
        let id = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a provider file's name is not UTF-8")?;
        writeln!(list, "    ({id:?}, include_str!({:?})),", fs::canonicalize(path)?)?;
    }
    list.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("providers.rs"), list)?;
    Ok(())
}
