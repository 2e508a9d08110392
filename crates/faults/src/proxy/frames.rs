//! Where the frames of an AMQP 0-9-1 stream begin (section 2.3.5 of its specification): one byte of type, two of channel,
//! four of length, the payload, and one that ends it.

/// The type of a frame that carries the body of a message.
const BODY: u8 = 3;
/// How a client greets, before its first frame.
const GREETING: &[u8] = b"AMQP";
const GREETING_LENGTH: u64 = 8;
const HEAD: usize = 7;

/// The place in a stream that is read in pieces.
#[derive(Default)]
pub(super) struct Frames {
    /// What of a frame's head was read.
    head: Vec<u8>,
    /// How many bytes of the payload and its end are still to come.
    left: u64,
}

impl Frames {
    /// Reads the next piece. Gives how much of it reaches into the middle of the first body that begins in it: at least
    /// its frame's head and never the whole frame.
    pub(super) fn middle_of_a_body(&mut self, piece: &[u8]) -> Option<usize> {
        let (mut at, mut middle) = (0, None);
        while at < piece.len() {
            if self.left > 0 {
                let step = usize::try_from(self.left).unwrap_or(usize::MAX).min(piece.len() - at);
                (at, self.left) = (at + step, self.left - step as u64);
                continue;
            }
            self.head.push(piece[at]);
            at += 1;
            if self.head.starts_with(GREETING) {
                self.left = GREETING_LENGTH - GREETING.len() as u64;
                self.head.clear();
            } else if let [kind, _, _, length @ ..] = self.head.as_slice()
                && let Ok(length) = <[u8; HEAD - 3]>::try_from(length)
            {
                let length = u32::from_be_bytes(length);
                if *kind == BODY && middle.is_none() {
                    middle = Some(piece.len().min(at + (length / 2) as usize));
                }
                self.left = u64::from(length) + 1;
                self.head.clear();
            }
        }
        middle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, 1], &length[..], payload, &[0xce]].concat()
    }

    #[test]
    fn the_middle_lies_inside_the_first_body() {
        let stream = [b"AMQP\x00\x00\x09\x01".to_vec(), frame(1, b"method"), frame(BODY, &[7; 100])].concat();
        let before = 8 + 14 + HEAD;
        assert_eq!(Frames::default().middle_of_a_body(&stream), Some(before + 50));
    }

    #[test]
    fn frames_are_found_however_the_stream_is_read() {
        let stream = [frame(1, &[3; 9]), frame(BODY, &[3; 20]), frame(8, b""), frame(BODY, b"ab")].concat();
        for size in 1..stream.len() {
            let mut frames = Frames::default();
            let found = stream.chunks(size).filter(|piece| frames.middle_of_a_body(piece).is_some()).count();
            let whole = size > 16 + 28 + 8 + HEAD;
            assert!((1..=2).contains(&found) && (found == 1 || !whole), "{found} in pieces of {size}");
        }
    }

    #[test]
    fn a_body_that_goes_on_in_the_next_piece_is_cut_at_the_end_of_this_one() {
        let body = frame(BODY, &[7; 100]);
        assert_eq!(Frames::default().middle_of_a_body(&body[..HEAD + 10]), Some(HEAD + 10));
    }

    #[test]
    fn what_looks_like_a_body_inside_a_payload_is_none() {
        assert_eq!(Frames::default().middle_of_a_body(&frame(1, &frame(BODY, b"x"))), None);
    }
}
