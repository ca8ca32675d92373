//! Files of an npm package, packed or extracted.
use crate::DataError;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The files of `package` whose path inside it (without `package/`) is wanted.
pub(super) fn read(
    package: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Vec<u8>>, DataError> {
    let mut found = BTreeMap::new();
    if package.is_dir() {
        let inner = package.join("package");
        let root = if inner.is_dir() { inner } else { package.to_owned() };
        walk(&root, "", &wanted, &mut found)?;
        return Ok(found);
    }
    let file = std::fs::File::open(package).map_err(DataError::io(package))?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::io::BufReader::new(file)));
    for entry in archive.entries().map_err(DataError::io(package))? {
        let mut entry = entry.map_err(DataError::io(package))?;
        let path = entry.path().map_err(DataError::io(package))?.to_string_lossy().into_owned();
        let name = path.strip_prefix("package/").unwrap_or(&path);
        if entry.header().entry_type().is_file() && wanted(name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(DataError::io(package))?;
            found.insert(name.to_owned(), bytes);
        }
    }
    Ok(found)
}

fn walk(
    folder: &Path,
    prefix: &str,
    wanted: &impl Fn(&str) -> bool,
    found: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), DataError> {
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let entry = entry.map_err(DataError::io(folder))?;
        let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_string_lossy()));
        if path.is_dir() {
            walk(&path, &format!("{name}/"), wanted, found)?;
        } else if wanted(&name) {
            found.insert(name, std::fs::read(&path).map_err(DataError::io(&path))?);
        }
    }
    Ok(())
}
