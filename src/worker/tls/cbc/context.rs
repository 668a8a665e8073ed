//! AWS-LC's `EVP_aead_aes_256_cbc_sha384_tls` behind a safe type.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

use aws_lc_sys as sys;
use zeroize::Zeroizing;

/// Bytes of an AES block, and of an IV.
pub(super) const BLOCK_BYTES: usize = 16;
/// Bytes of an AES-256 key.
pub(super) const AES_KEY_BYTES: usize = 32;
/// Bytes of an HMAC-SHA-384 key as TLS makes it (RFC 5289 3.1).
pub(super) const MAC_KEY_BYTES: usize = 48;
/// Bytes of an HMAC-SHA-384.
pub(super) const MAC_BYTES: usize = 48;
/// Additional data: sequence number, content type, version.
pub(super) const AD_BYTES: usize = 11;

const KEY_BYTES: usize = MAC_KEY_BYTES + AES_KEY_BYTES;
const TAIL_BYTES_MAX: usize = MAC_BYTES + BLOCK_BYTES;

/// What a context is for; AWS-LC refuses the other use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Seal,
    Open,
}

/// What follows the plaintext's own length: the end of the MAC and the padding, encrypted.
pub(super) struct Tail {
    buffer: [u8; TAIL_BYTES_MAX],
    length: usize,
}

impl Tail {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

/// Record protection in one direction. The keys are on AWS-LC's heap, wiped when this is dropped.
pub(super) struct Context(Box<sys::EVP_AEAD_CTX>);

// SAFETY: a context is plain memory of its own on the heap, tied to no thread, and every call that uses it takes
// `&mut self`, so that there is one user at any time. `Sync` gives away nothing: no method takes `&self`.
unsafe impl Send for Context {}
unsafe impl Sync for Context {}

impl Context {
    /// `None` when a key has a wrong length or AWS-LC cannot make it.
    pub(super) fn new(mac_key: &[u8], key: &[u8], direction: Direction) -> Option<Self> {
        let mut keys = Zeroizing::new([0; KEY_BYTES]);
        let (mac_part, aes_part) = keys.split_at_mut(MAC_KEY_BYTES);
        if mac_key.len() != mac_part.len() || key.len() != aes_part.len() {
            return None;
        }
        mac_part.copy_from_slice(mac_key);
        aes_part.copy_from_slice(key);
        let direction = match direction {
            Direction::Seal => sys::evp_aead_direction_t_evp_aead_seal,
            Direction::Open => sys::evp_aead_direction_t_evp_aead_open,
        };
        let mut context = Box::new(MaybeUninit::<sys::EVP_AEAD_CTX>::uninit());
        // SAFETY: `EVP_AEAD_CTX_zero` makes a valid empty context of any memory of that size; all of the struct is
        // then initialised (C integers, pointers and a union of bytes: any pattern is valid). The key is readable for
        // its length and copied by the callee. Tag length 0 asks for the default.
        let (made, context) = unsafe {
            sys::EVP_AEAD_CTX_zero(context.as_mut_ptr());
            let aead = sys::EVP_aead_aes_256_cbc_sha384_tls();
            let made = sys::EVP_AEAD_CTX_init_with_direction(
                context.as_mut_ptr(),
                aead,
                keys.as_ptr(),
                keys.len(),
                0,
                direction,
            );
            (made, context.assume_init())
        };
        let context = Self(context);
        succeeded(made).then_some(context)
    }

    /// Encrypts `plaintext` in place and returns what goes behind it. `None` on failure.
    pub(super) fn seal(
        &mut self,
        iv: &[u8; BLOCK_BYTES],
        ad: &[u8; AD_BYTES],
        plaintext: &mut [u8],
    ) -> Option<Tail> {
        let mut tail = Tail { buffer: [0; TAIL_BYTES_MAX], length: 0 };
        let text = plaintext.as_mut_ptr();
        // SAFETY: input and output are the same bytes, as the callee allows, and it writes no more than the input's
        // length there. The tail is another buffer, of the size that is said. `extra_in` is empty. All pointers are
        // valid for their lengths during the call; the context is initialised.
        let sealed = unsafe {
            sys::EVP_AEAD_CTX_seal_scatter(
                &raw const *self.0,
                text,
                tail.buffer.as_mut_ptr(),
                &raw mut tail.length,
                tail.buffer.len(),
                iv.as_ptr(),
                iv.len(),
                text,
                plaintext.len(),
                ptr::null(),
                0,
                ad.as_ptr(),
                ad.len(),
            )
        };
        (succeeded(sealed) && tail.length <= tail.buffer.len()).then_some(tail)
    }

    /// Decrypts `body` in place; the plaintext is its first `n` bytes. `None` if MAC or padding is wrong, found out
    /// in constant time; the bytes are zero then.
    pub(super) fn open(
        &mut self,
        iv: &[u8; BLOCK_BYTES],
        ad: &[u8; AD_BYTES],
        body: &mut [u8],
    ) -> Option<usize> {
        let mut length = 0;
        let text = body.as_mut_ptr();
        // SAFETY: input and output are the same bytes, as the callee allows, and it writes no more than `max_out_len`
        // bytes there, the length of the slice. All pointers are valid for their lengths during the call; the context
        // is initialised.
        let opened = unsafe {
            sys::EVP_AEAD_CTX_open(
                &raw const *self.0,
                text,
                &raw mut length,
                body.len(),
                iv.as_ptr(),
                iv.len(),
                text,
                body.len(),
                ad.as_ptr(),
                ad.len(),
            )
        };
        (succeeded(opened) && length <= body.len()).then_some(length)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is initialised, empty if its making failed, and not used again.
        unsafe { sys::EVP_AEAD_CTX_cleanup(&raw mut *self.0) }
    }
}

// A failure leaves entries in the thread's error queue, which nobody else here reads or empties.
fn succeeded(result: std::ffi::c_int) -> bool {
    if result != 1 {
        // SAFETY: touches nothing but the calling thread's own queue.
        unsafe { sys::ERR_clear_error() }
    }
    result == 1
}
