//! gzip (RFC 1952), for whole bodies and for streams.
//!
//! Whole bodies are compressed by libdeflate, which is several times faster than zlib for the same size. At the same
//! level number its output is not always the smaller one, so its level is chosen such that responses do not grow: from
//! a table where that is certain, otherwise from a sample. Streams are compressed by zlib, because libdeflate keeps no
//! history between calls.

use std::error;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};

/// The level of the smallest output.
pub const MAX_LEVEL: u8 = 9;

/// Bodies up to this size, in bytes, are compressed by both libraries. Of larger ones, a sample of this size is, to
/// choose a level.
const SAMPLE_BYTES: usize = 8 * 1024;

/// Bodies up to this size, in bytes, are also compressed by both libraries if the two samples are about equally long.
const MAX_BOTH_BYTES: usize = 32 * 1024;

/// By zlib level: the libdeflate level whose output was never larger, in 600 files of text, markup, code and programs.
/// No fast level has this property from 5 on, see `FAST_LEVEL`.
const CERTAIN_LEVELS: [i32; 5] = [0, 2, 3, 4, 5];

/// Takes about a seventh of the time of zlib's level 9, and less space for data such as JSON with many numbers.
const FAST_LEVEL: i32 = 6;

/// By zlib level, for 5 and above: the libdeflate level whose output was larger in 3 of 600 files, by at most 0.6 %. It
/// takes two fifths of zlib's time at 9, and nearly all of it at 6.
const THOROUGH_LEVELS: [i32; 10] = [0, 2, 3, 4, 5, 7, 7, 8, 8, 8];

/// Compressors kept for later bodies. Each has 0.3 to 1 MB of tables, too much to build for every body.
const MAX_IDLE: usize = 4;

/// The output buffer grows in steps of at least this many bytes.
const STEP_BYTES: usize = 256;

static IDLE: Mutex<Vec<Tools>> = Mutex::new(Vec::new());

/// Why data could not be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There was no memory for the compressor or the output.
    OutOfMemory,
    /// The stream is already finished.
    Finished,
}

impl Error {
    /// The name of the variant, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OutOfMemory => "out_of_memory",
            Self::Finished => "finished",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::OutOfMemory => "out of memory while compressing",
            Self::Finished => "the stream is finished and takes no more data",
        })
    }
}

impl error::Error for Error {}

/// How much of the data in a stream is written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// As much as the compressor chooses.
    No,
    /// All of it, in a form that the receiver can decompress.
    Sync,
    /// All of it, and the end of the stream.
    Finish,
}

/// Compresses all of `data`. Levels above `MAX_LEVEL` are treated as `MAX_LEVEL`.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn compress(data: &[u8], level: u8) -> Result<Vec<u8>, Error> {
    let level = level.min(MAX_LEVEL);
    let mut tools = idle().pop().unwrap_or_default();
    let compressed = tools.compress(data, level);
    let mut idle = idle();
    if idle.len() < MAX_IDLE {
        idle.push(tools);
    }
    compressed
}

fn idle() -> std::sync::MutexGuard<'static, Vec<Tools>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The compressors for one body at a time.
#[derive(Default)]
struct Tools {
    /// libdeflate's compressors for the levels used so far.
    deflate: Vec<(i32, Compressor)>,
    zlib: Option<(u8, Compress)>,
}

impl Tools {
    fn compress(&mut self, data: &[u8], level: u8) -> Result<Vec<u8>, Error> {
        if data.len() <= SAMPLE_BYTES {
            return self.both(data, level);
        }
        if let Some(certain) = CERTAIN_LEVELS.get(usize::from(level)) {
            return self.with_libdeflate(data, *certain);
        }
        // The middle is more representative than the start.
        let start = (data.len() - SAMPLE_BYTES) / 2;
        let sample = data.get(start..start + SAMPLE_BYTES).expect("the body is larger");
        let expected = self.with_libdeflate(sample, FAST_LEVEL)?.len();
        if expected * 8 < SAMPLE_BYTES {
            // Long matches make every level fast, and a longer search pays off.
        } else if expected * 100 < self.with_zlib(sample, level)?.len() * 97 {
            let fast = self.with_libdeflate(data, FAST_LEVEL)?;
            // Unless the whole body compresses much better: then it repeats over longer distances than the sample.
            if fast.len() / 2 >= expected * (data.len() / SAMPLE_BYTES) / 4 {
                return Ok(fast);
            }
        } else if data.len() <= MAX_BOTH_BYTES {
            return self.both(data, level);
        }
        self.with_libdeflate(data, thorough_level(level))
    }

    fn both(&mut self, data: &[u8], level: u8) -> Result<Vec<u8>, Error> {
        let ours = self.with_libdeflate(data, thorough_level(level))?;
        let zlibs = self.with_zlib(data, level)?;
        Ok(if ours.len() <= zlibs.len() { ours } else { zlibs })
    }

    fn with_libdeflate(&mut self, data: &[u8], level: i32) -> Result<Vec<u8>, Error> {
        let place = match self.deflate.iter().position(|(known, _)| *known == level) {
            Some(place) => place,
            None => {
                let valid = CompressionLvl::new(level).expect("the tables have levels of libdeflate only");
                self.deflate.push((level, Compressor::new(valid)));
                self.deflate.len() - 1
            }
        };
        let (_, compressor) = self.deflate.get_mut(place).expect("it was found or pushed there");
        let mut output = vec![0; compressor.gzip_compress_bound(data.len())];
        // The only possible failure is a lack of room, and the bound is enough.
        let length = compressor
            .gzip_compress(data, &mut output)
            .map_err(|_| Error::OutOfMemory)?;
        output.truncate(length);
        Ok(output)
    }

    fn with_zlib(&mut self, data: &[u8], level: u8) -> Result<Vec<u8>, Error> {
        let mut compressor = match self.zlib.take() {
            Some((known, mut compressor)) if known == level => {
                compressor.reset();
                compressor
            }
            _ => new_zlib(level),
        };
        let mut output = Vec::with_capacity(data.len() / 2 + STEP_BYTES);
        run(&mut compressor, data, FlushCompress::Finish, &mut output)?;
        self.zlib = Some((level, compressor));
        Ok(output)
    }
}

/// A body that is compressed chunk by chunk.
#[derive(Debug)]
pub struct Stream {
    compressor: Compress,
    is_finished: bool,
}

impl Stream {
    /// A stream at a level from 0 to `MAX_LEVEL`.
    #[must_use]
    pub fn new(level: u8) -> Self {
        Self {
            compressor: new_zlib(level.min(MAX_LEVEL)),
            is_finished: false,
        }
    }

    /// Takes in `data` and returns the output that can be sent by now.
    ///
    /// # Errors
    /// [`Error::Finished`] or [`Error::OutOfMemory`].
    pub fn compress(&mut self, data: &[u8], flush: Flush) -> Result<Vec<u8>, Error> {
        if self.is_finished {
            return Err(Error::Finished);
        }
        let how = match flush {
            Flush::No => FlushCompress::None,
            Flush::Sync => FlushCompress::Sync,
            Flush::Finish => FlushCompress::Finish,
        };
        let mut output = Vec::with_capacity(data.len() / 4 + STEP_BYTES);
        run(&mut self.compressor, data, how, &mut output)?;
        self.is_finished = flush == Flush::Finish;
        Ok(output)
    }
}

fn thorough_level(level: u8) -> i32 {
    *THOROUGH_LEVELS
        .get(usize::from(level))
        .expect("larger levels are treated as MAX_LEVEL")
}

fn new_zlib(level: u8) -> Compress {
    // 15: the window of 32 KiB that every browser has.
    Compress::new_gzip(Compression::new(u32::from(level)), 15)
}

/// Feeds all of `data` to `compressor` and appends its output.
fn run(compressor: &mut Compress, data: &[u8], flush: FlushCompress, output: &mut Vec<u8>) -> Result<(), Error> {
    let mut rest = data;
    loop {
        output.reserve(STEP_BYTES.max(rest.len() / 4));
        let taken_before = compressor.total_in();
        let status = compressor
            .compress_vec(rest, output, flush)
            .map_err(|_| Error::OutOfMemory)?;
        let taken = usize::try_from(compressor.total_in() - taken_before).unwrap_or(usize::MAX);
        rest = rest.get(taken..).expect("zlib takes no more than it is given");
        // With room to spare, zlib has no more output.
        let has_room = output.len() < output.capacity();
        match status {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError if has_room && rest.is_empty() => {
                return if flush == FlushCompress::Finish && status == Status::BufError {
                    Err(Error::OutOfMemory)
                } else {
                    Ok(())
                };
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn unpacked(compressed: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        GzDecoder::new(compressed)
            .read_to_end(&mut data)
            .expect("it was compressed here");
        data
    }

    /// Text with some variety, the same in every run.
    fn records(count: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        let mut text = Vec::new();
        for id in 0..count {
            let record = format!(
                "{{\"id\":{id},\"name\":\"user {}\",\"price\":{}.{}}},",
                next() % 50_000,
                next() % 100,
                next()
            );
            text.extend_from_slice(record.as_bytes());
        }
        text
    }

    fn zlibs(data: &[u8], level: u8) -> usize {
        let mut stream = Stream::new(level);
        stream.compress(data, Flush::Finish).expect("memory").len()
    }

    #[test]
    fn whole_bodies_of_every_size_and_level_unpack_and_are_not_larger() {
        for count in [0, 1, 20, 200, 600, 2_000, 5_000] {
            let data = records(count);
            for level in 0..=MAX_LEVEL {
                let compressed = compress(&data, level).expect("memory");
                assert_eq!(unpacked(&compressed), data, "{count} {level}");
                assert!(compressed.len() <= zlibs(&data, level), "{count} {level}");
            }
        }
    }

    #[test]
    fn whole_body_that_repeats_itself_far_apart_is_not_larger() {
        let data = records(150).repeat(30);
        for level in 0..=MAX_LEVEL {
            let compressed = compress(&data, level).expect("memory");
            assert_eq!(unpacked(&compressed), data, "{level}");
            assert!(compressed.len() <= zlibs(&data, level), "{level}");
        }
    }

    #[test]
    fn whole_body_that_cannot_shrink_grows_by_a_few_bytes_only() {
        let mut state = 7_u64;
        let noise: Vec<u8> = (0..100_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        for level in [0, 1, 6, 9] {
            let compressed = compress(&noise, level).expect("memory");
            assert!(compressed.len() <= noise.len() + 64, "{level}");
        }
    }

    #[test]
    fn compressors_kept_are_bounded() {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| compress(&records(500), 6).expect("memory"));
            }
        });
        assert!(idle().len() <= MAX_IDLE);
    }

    #[test]
    fn stream_flushed_can_be_read_before_its_end() {
        let mut stream = Stream::new(9);
        let first = stream.compress(b"one ", Flush::Sync).expect("memory");
        let mut seen = [0; 4];
        GzDecoder::new(&first[..])
            .read_exact(&mut seen)
            .expect("all of it was sent");
        assert_eq!(&seen, b"one ");
        let last = stream.compress(b"two", Flush::Finish).expect("memory");
        assert_eq!(unpacked(&[first, last].concat()), b"one two");
        assert_eq!(stream.compress(b"", Flush::Sync), Err(Error::Finished));
    }

    #[test]
    fn stream_without_data_is_an_empty_body() {
        let end = Stream::new(6).compress(b"", Flush::Finish).expect("memory");
        assert_eq!(unpacked(&end), b"");
    }

    proptest! {
        #[test]
        fn stream_cut_anywhere_unpacks(
            pieces in proptest::collection::vec((proptest::collection::vec(0_u8..8, 0..2_000), 0..2), 0..12),
            level in 0_u8..10,
        ) {
            let mut stream = Stream::new(level);
            let (mut sent, mut expected) = (Vec::new(), Vec::new());
            for (piece, flushed) in &pieces {
                let flush = if *flushed == 1 { Flush::Sync } else { Flush::No };
                sent.extend(stream.compress(piece, flush).expect("memory"));
                expected.extend_from_slice(piece);
            }
            sent.extend(stream.compress(b"", Flush::Finish).expect("memory"));
            prop_assert_eq!(unpacked(&sent), expected);
        }

        #[test]
        fn whole_body_of_any_bytes_unpacks(data in proptest::collection::vec(any::<u8>(), 0..20_000), level in 0_u8..10) {
            prop_assert_eq!(unpacked(&compress(&data, level).expect("memory")), data);
        }
    }
}
