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
    println!("cargo::rerun-if-changed=src");
    for variable in ["NVCC", "CUDA_HOME", "CUDA_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    let mut sources = Vec::new();
    find(Path::new("src"), &mut sources)?;
    sources.sort();

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

/// The .cu files below a folder.
fn find(folder: &Path, sources: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, sources)?;
        } else if path.extension().is_some_and(|end| end == "cu") {
            sources.push(path);
        }
    }
    Ok(())
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
