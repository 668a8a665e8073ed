//! What becomes of the frames that come in.

use bytes::{Buf, BytesMut};

use super::super::channel::Channel;
use super::super::frame::{HEADER_BYTES, Header, Kind, Violation};
use super::{Channels, Hello, Role, UNREAD_BYTES_MAX};
use crate::limits::{
    CHANNEL_WINDOW_BYTES, CHANNEL_WINDOW_BYTES_MIN, CHANNELS_MAX, REPEATED_BYTES_MAX,
    REPEATED_BYTES_PER_BYTE_MAX,
};

impl Channels {
    /// Takes the frames that have come; what is left in `input` is the start of one.
    pub(in crate::worker::multiplex) fn receive(&mut self, input: &mut BytesMut) -> Result<(), Violation> {
        if self.closing || self.lost {
            // Nobody would get an answer; nothing that comes now may be carried out.
            input.clear();
            return Ok(());
        }
        loop {
            if self.out.bytes() > UNREAD_BYTES_MAX {
                return Err(Violation("answers are not read"));
            }
            if let Some((number, missing)) = self.partial {
                let length = missing.min(input.len());
                self.came += length as u64;
                self.data(number, input.split_to(length));
                self.partial = (length < missing).then_some((number, missing - length));
                if self.partial.is_some() {
                    return Ok(());
                }
            }
            let Some(header) = Header::read(input)? else { return Ok(()) };
            if header.kind == Kind::Data {
                input.advance(HEADER_BYTES);
                self.begin_data(header)?;
                self.partial = Some((header.number, header.length));
                continue;
            }
            if input.len() < HEADER_BYTES + header.length {
                return Ok(());
            }
            input.advance(HEADER_BYTES);
            let content = input.split_to(header.length);
            self.came += content.len() as u64;
            self.frame(header, &content)?;
        }
    }

    fn begin_data(&mut self, header: Header) -> Result<(), Violation> {
        let number = header.number;
        if number > self.last {
            if self.role == Role::Client {
                return Err(Violation("a channel that was not opened"));
            }
            self.last = number;
            // The client counts a channel that it has left no more, while it ends here.
            match self.open.len() < 2 * CHANNELS_MAX {
                true => {
                    self.empty_since = None;
                    self.open.insert(number, Channel::new(CHANNEL_WINDOW_BYTES_MIN, CHANNEL_WINDOW_BYTES));
                    self.arrived.push_back(number);
                }
                false => self.out.frame(Kind::Reset, number, &[]),
            }
        }
        match self.open.get_mut(&number) {
            Some(channel) => channel.admit(header.length),
            // It was on its way when this end left the channel.
            None => Ok(()),
        }
    }

    fn data(&mut self, number: u32, bytes: BytesMut) {
        if let Some(channel) = self.open.get_mut(&number) {
            channel.receive(bytes);
        }
    }

    fn frame(&mut self, header: Header, content: &[u8]) -> Result<(), Violation> {
        let four = content.first_chunk::<4>().copied().unwrap_or_default();
        match (header.kind, self.role) {
            (Kind::Entry, _) => {
                if !self.entries.set(header.number, content) {
                    return Err(Violation("no such place"));
                }
                return Ok(());
            }
            (Kind::Hello, Role::Client) => {
                let [a, b, c, d] = four;
                let (worker, workers) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                self.hello = Some(Hello { worker, workers });
                return Ok(());
            }
            (Kind::Leaving, Role::Client) => {
                self.retired = true;
                return Ok(());
            }
            (Kind::Ping, Role::Server) => {
                self.out.frame(Kind::Pong, 0, content);
                return Ok(());
            }
            (Kind::Pong, Role::Client) => {
                self.pongs = u32::from_be_bytes(four);
                return match self.pongs <= self.pings {
                    true => Ok(()),
                    false => Err(Violation("an answer to no question")),
                };
            }
            (Kind::Hello | Kind::Leaving | Kind::Pong, Role::Server) => {
                return Err(Violation("not for clients to say"));
            }
            (Kind::Ping, Role::Client) => return Err(Violation("not for servers to say")),
            _ => {}
        }
        if header.number > self.last {
            return Err(Violation("a channel that was not opened"));
        }
        let Some(channel) = self.open.get_mut(&header.number) else { return Ok(()) };
        match header.kind {
            Kind::End => {
                channel.ended = true;
                channel.wake_reader();
            }
            Kind::Reset => {
                channel.reset = true;
                channel.wake_reader();
                channel.wake_writer();
            }
            Kind::Credit => {
                let more = u32::from_be_bytes(four) as usize;
                channel.credit = channel
                    .credit
                    .checked_add(more)
                    .filter(|credit| *credit <= 1 << 31)
                    .ok_or(Violation("more leave to send than there can be"))?;
                channel.wake_writer();
            }
            Kind::Repeat => {
                let place = content.first().copied().unwrap_or_default();
                let bytes = self.entries.get(place).ok_or(Violation("nothing is in that place"))?;
                self.repeated += bytes.len() as u64;
                if self.repeated > REPEATED_BYTES_MAX + REPEATED_BYTES_PER_BYTE_MAX * self.came {
                    return Err(Violation("hardly anything but references"));
                }
                channel.admit(bytes.len())?;
                channel.receive_shared(bytes.clone());
            }
            Kind::Data | Kind::Entry | Kind::Hello | Kind::Leaving | Kind::Ping | Kind::Pong => {}
        }
        Ok(())
    }
}
