//! Lists `providers/*.toml` and `models/*.toml` for the catalogue, so that a new provider is one new file.

#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut list = String::from("/// The id and the text of every provider file, by id.\nconst FILES: &[(&str, &str)] = &[\n");
    for (id, path) in files("providers")? {
        writeln!(list, "    ({id:?}, include_str!({path:?})),")?;
    }
    list.push_str("];\n");
    fs::write(out.join("providers.rs"), list)?;

    let models = files("models")?;
    let mut list =
        String::from("/// The id of every provider that has a file of models, its text, and what was read of it, by id.\n");
    writeln!(list, "static MODEL_FILES: [(&str, &str, OnceLock<Table>); {}] = [", models.len())?;
    for (id, path) in models {
        writeln!(list, "    ({id:?}, include_str!({path:?}), OnceLock::new()),")?;
    }
    list.push_str("];\n");
    fs::write(out.join("models.rs"), list)?;
    Ok(())
}

/// The stems and the paths of a folder's TOML files, sorted by stem.
fn files(name: &str) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    // A published package carries its own copy; in the workspace the folder stands at the root.
    let packaged = here.join(name);
    let folder = if packaged.is_dir() { packaged } else { here.join("../..").join(name) };
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push((stem(&path)?.to_owned(), fs::canonicalize(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

fn stem(path: &Path) -> Result<&str, Box<dyn Error>> {
    path.file_stem().and_then(|stem| stem.to_str()).ok_or_else(|| "a file's name is not UTF-8".into())
}
