//! The archive of the device check: the program, the files it reads, and a script that finds NVIDIA's libraries.
use super::folder;
use anyhow::{Context, Result, bail, ensure};
use drgan_terminal::result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The folder that the archive holds.
const FOLDER: &str = "drgan-device-check";
/// The script that starts the program there.
const SCRIPT: &str = include_str!("device-check.sh");
const README: &str = include_str!("README.md");
/// Most MiB that the archive may have.
const MOST: u64 = 60;
/// What goes along: a folder of the repository, its name in the archive, and the ends of the files' names.
const FILES: [(&str, &str, &[&str]); 2] = [
    ("parity/golden", "golden", &["safetensors", "json", "txt"]),
    ("benches/pytorch", "pytorch", &["py", "txt"]),
];

/// Packs a program that was built with the link shims into a tar.
pub(super) fn pack(program: &Path, out: &Path) -> Result<ExitCode> {
    let room = tempfile::tempdir().context("no room for the files of the archive")?;
    let top = room.path().join(FOLDER);
    fs::create_dir(&top)?;
    // Beside the folders that it looks for.
    let packed = top.join(program.file_name().context("the program has no name")?);
    strip(program, &packed)?;
    for (from, to, ends) in FILES {
        copy(&folder(from), &top.join(to), ends)?;
    }
    executable(&top.join("device-check"), SCRIPT)?;
    fs::write(top.join("README.md"), README)?;
    if let Some(parent) = out.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    finish(Command::new("tar").arg("-czf").arg(out).arg("-C").arg(room.path()).arg(FOLDER), "tar")?;
    let bytes = fs::metadata(out).with_context(|| out.display().to_string())?.len();
    ensure!(bytes <= MOST << 20, "{}: {} MiB; at most {MOST} are wanted", out.display(), bytes >> 20);
    let mib = bytes as f64 / f64::from(1 << 20);
    result(format!(
        "{}: {mib:.1} MiB; on the GPU machine: tar -xzf it, then {FOLDER}/device-check",
        out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Copies the program without its line tables and names.
fn strip(program: &Path, to: &Path) -> Result<()> {
    finish(Command::new("strip").arg("--strip-all").arg("-o").arg(to).arg(program), "strip")
}

fn finish(command: &mut Command, name: &str) -> Result<()> {
    let output = command.output().with_context(|| format!("{name} cannot be started"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())
    }
    Ok(())
}

/// Copies the files of a folder whose names end so.
fn copy(from: &Path, to: &Path, ends: &[&str]) -> Result<()> {
    fs::create_dir(to)?;
    let mut copied = 0;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let path: PathBuf = entry?.path();
        let wanted = path.extension().is_some_and(|end| ends.iter().any(|wanted| end == *wanted));
        if let Some(name) = path.file_name().filter(|_| wanted) {
            fs::copy(&path, to.join(name)).with_context(|| path.display().to_string())?;
            copied += 1;
        }
    }
    ensure!(copied > 0, "{}: holds nothing to pack", from.display());
    Ok(())
}

fn executable(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn an_archive_has_the_program_its_files_and_a_script() -> Result<()> {
        let room = tempfile::tempdir()?;
        let (out, program) = (room.path().join("a/check.tar.gz"), std::env::current_exe()?);
        pack(&program, &out)?;
        finish(Command::new("tar").arg("-xzf").arg(&out).arg("-C").arg(room.path()), "tar")?;
        let top = room.path().join(FOLDER);
        let name = program.file_name().context("a name")?;
        for file in ["golden/golden.json", "golden/generator.safetensors", "pytorch/device.py", "README.md"] {
            assert!(top.join(file).is_file(), "{file}");
        }
        assert!(fs::metadata(top.join(name))?.len() < fs::metadata(&program)?.len(), "not stripped");
        let script = Command::new(top.join("device-check")).arg("--help").output()?;
        // The program of this archive is this test, and the script names it otherwise.
        let said = String::from_utf8_lossy(&script.stderr).into_owned();
        assert!(!script.status.success() && said.contains("drgan-device-check"), "{said}");
        Ok(())
    }
}
