//! Transport messages: the events do not depend on how the bytes are cut.
#![no_main]

use bytes::Bytes;
use hermod::transport::{Decoder, Event};

const CONTENT_TYPE: &str = "multipart/mixed; charset=UTF-8; boundary=b";

fn parts(pieces: &[&[u8]]) -> Result<Vec<usize>, String> {
    let mut decoder = Decoder::new(CONTENT_TYPE).map_err(|error| error.to_string())?;
    let mut sizes = Vec::new();
    for piece in pieces.iter().map(Some).chain([None]) {
        match piece {
            Some(piece) => decoder.feed(Bytes::copy_from_slice(piece)),
            None => decoder.finish(),
        }
        while let Some(event) = decoder.next().map_err(|error| error.to_string())? {
            match event {
                Event::Part(part) => sizes.push(part.body.len()),
                Event::Start { .. } => sizes.push(0),
                Event::Data(data) => *sizes.last_mut().expect("data follows a start") += data.len(),
                Event::End | Event::Finished => {}
            }
        }
    }
    Ok(sizes)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (cut, data) = data.split_first().map_or((0, data), |(cut, rest)| (usize::from(*cut), rest));
    let (first, second) = data.split_at(cut.min(data.len()));
    if let Ok(whole) = parts(&[data]) {
        assert_eq!(Ok(whole), parts(&[first, second]));
    }
});
