//! `_core.open_cached`: opens a file below a directory without waiting for a disk (Linux 5.12 and later).

use std::path::PathBuf;

use pyo3::exceptions::PyBlockingIOError;
use pyo3::prelude::*;

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (directory, path, follow_symlink, /))]
pub(crate) fn open_cached(directory: PathBuf, path: PathBuf, follow_symlink: bool) -> PyResult<Option<i32>> {
    match open::beneath(&directory, &path, follow_symlink) {
        open::Outcome::Opened(descriptor) => Ok(Some(descriptor)),
        open::Outcome::Absent => Ok(None),
        open::Outcome::Unknown => Err(PyBlockingIOError::new_err("cannot be answered without blocking")),
    }
}

#[cfg(target_os = "linux")]
mod open {
    use std::os::fd::{IntoRawFd, RawFd};
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    pub(super) enum Outcome {
        Opened(RawFd),
        Absent,
        Unknown,
    }

    /// Looks up the directory at each call (1.5 us), so that a directory replaced by a deployment is not served stale,
    /// and no descriptor must survive forks and pickling.
    pub(super) fn beneath(directory: &Path, path: &Path, follow_symlink: bool) -> Outcome {
        let folder = openat2(
            CWD,
            directory,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::CACHED,
        );
        // The slow path puts the target of a symbolic link into the response, so it must see every link.
        let resolve = if follow_symlink {
            ResolveFlags::CACHED
        } else {
            ResolveFlags::CACHED | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS
        };
        let opened = folder.and_then(|folder| {
            openat2(
                &folder,
                path,
                // NONBLOCK: do not wait for the writer of a pipe.
                OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK,
                Mode::empty(),
                resolve,
            )
        });
        match opened {
            Ok(descriptor) => Outcome::Opened(descriptor.into_raw_fd()),
            Err(Errno::NOENT | Errno::NOTDIR) => Outcome::Absent,
            // Not in the cache, a symbolic link, no permission, or a kernel or sandbox without openat2.
            Err(_) => Outcome::Unknown,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod open {
    use std::path::Path;

    #[expect(dead_code, reason = "only Linux opens files this way")]
    pub(super) enum Outcome {
        Opened(i32),
        Absent,
        Unknown,
    }

    pub(super) fn beneath(_: &Path, _: &Path, _: bool) -> Outcome {
        Outcome::Unknown
    }
}
