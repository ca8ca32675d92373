//! Compiles the kernels (`src/**/*.cu`) to PTX where the feature `cuda` is on: NVIDIA's driver compiles that for its GPU when
//! the program runs.
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::{env, fs};

/// The lowest compute capability that the kernels are for: A100, RTX 30 and newer.
const ARCHITECTURE: &str = "compute_80";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return Ok(());
    }
    for variable in ["NVCC", "CUDA_HOME", "CUDA_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    let mut files = Vec::new();
    find(Path::new("src"), &mut files)?;
    files.sort();
    for file in files.iter().filter(|file| is_watched(file)) {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let sources: Vec<PathBuf> = files.into_iter().filter(|file| ends(file, "cu")).collect();

    // All at once: each is small, and takes one thread for about a second.
    let started: Vec<(&PathBuf, PathBuf, Child)> =
        sources.iter().map(|source| start(source, &out)).collect::<Result<_, _>>()?;
    let mut table = String::from("&[\n");
    for (source, ptx, mut compiler) in started {
        if !compiler.wait()?.success() {
            return Err(
                format!("{} was not compiled: see the compiler's messages above", source.display()).into()
            );
        }
        table += &format!("    include_str!({:?}),\n", ptx);
    }
    fs::write(out.join("ptx.rs"), table + "]\n")?;
    Ok(())
}

/// All files below a folder.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn ends(file: &Path, end: &str) -> bool {
    file.extension().is_some_and(|of_file| of_file == end)
}

/// Whether a change of the file can be one of the kernels: of their sources, or of the `mod.rs` that gets a line where a new
/// source is launched from. A folder cannot be watched for new files alone: cargo looks at all that is in it. The test
/// `every_source_is_compiled` finds a source that came without such a line.
fn is_watched(file: &Path) -> bool {
    ends(file, "cu") || ends(file, "cuh") || file.file_name().is_some_and(|name| name == "mod.rs")
}

/// Starts the compiler for one file; the PTX will be in the second of what it gives.
fn start<'a>(source: &'a PathBuf, out: &Path) -> Result<(&'a PathBuf, PathBuf, Child), Box<dyn Error>> {
    let name = source.file_stem().ok_or("a source without a name")?;
    let ptx = out.join(name).with_extension("ptx");
    let nvcc = nvcc();
    let compiler = Command::new(&nvcc)
        .args(["--ptx", "-O3", "-std=c++17", "-I", "src/cuda", "--gpu-architecture", ARCHITECTURE, "-o"])
        .arg(&ptx)
        .arg(source)
        .spawn();
    match compiler {
        Ok(compiler) => Ok((source, ptx, compiler)),
        Err(e) => Err(format!(
            "the feature `cuda` needs NVIDIA's compiler, and {} does not start ({e}): install the CUDA toolkit 13.0, or name its \
             compiler in NVCC",
            nvcc.display()
        )
        .into()),
    }
}

/// NVIDIA's compiler: what NVCC names, or that of the toolkit's folder, or that on the PATH.
fn nvcc() -> PathBuf {
    if let Some(named) = env::var_os("NVCC") {
        return named.into();
    }
    let toolkit = ["CUDA_HOME", "CUDA_PATH"].iter().find_map(env::var_os);
    toolkit.map_or_else(|| "nvcc".into(), |folder| Path::new(&folder).join("bin/nvcc"))
}
