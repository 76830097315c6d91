//! The body of a request, as long as it comes: who sends slowly on purpose, or not at all, does not keep a place. An upload may take as long as
//! it takes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// Each byte is good for so much more waiting: who sends 1,000 bytes a second or more is waited for without end.
const WORTH: Duration = Duration::from_millis(1);

/// A body that is waited for as long as it makes progress.
pub(crate) struct Paced<B> {
    body: B,
    patience: Duration,
    /// What is left of it.
    left: Duration,
    /// Since when nothing comes, and until when that is borne.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B> Paced<B> {
    /// `patience`: how long in all nothing may come; what comes restores it.
    pub(crate) fn new(body: B, patience: Duration) -> Paced<B> {
        Paced {
            body,
            patience,
            left: patience,
            waiting: None,
        }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    type Data = Bytes;
    type Error = io::Error;

    /// Only who wants more waits for it: the time that we take for what has come is not counted.
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some((since, _)) = self.waiting.take() {
                    self.left = self.left.saturating_sub(since.elapsed());
                }
                if let Some(Ok(frame)) = &frame {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    let earned = WORTH.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
                    self.left = self.left.saturating_add(earned).min(self.patience);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
            }
            Poll::Pending => {
                let left = self.left;
                let (_, over) = self
                    .waiting
                    .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
                match over.as_mut().poll(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into()))),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
