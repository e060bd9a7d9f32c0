//! Waits for the first of several futures, which are always polled in the order in which they are written.
//!
//! `tokio::select!` draws its order from a counter of the process unless it says `biased`. If `biased` were forgotten
//! in one place, the second run of a process would differ from the first; with these functions that cannot happen.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Which of up to four futures was ready first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First<A, B, C = std::convert::Infallible, D = std::convert::Infallible> {
    /// The first future as written.
    A(A),
    /// The second one.
    B(B),
    /// The third one.
    C(C),
    /// The fourth one.
    D(D),
}

/// Waits for the first of two futures; the other is dropped.
pub async fn first_of_2<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> First<A, B> {
    first_of_4(a, b, std::future::pending(), std::future::pending()).await
}

/// Waits for the first of four futures; the others are dropped.
pub async fn first_of_4<A, B, C, D>(
    a: impl Future<Output = A>,
    b: impl Future<Output = B>,
    c: impl Future<Output = C>,
    d: impl Future<Output = D>,
) -> First<A, B, C, D> {
    let (mut a, mut b, mut c, mut d) = (pin!(a), pin!(b), pin!(c), pin!(d));
    poll_fn(|cx| {
        if let Poll::Ready(ready) = a.as_mut().poll(cx) {
            return Poll::Ready(First::A(ready));
        }
        if let Poll::Ready(ready) = b.as_mut().poll(cx) {
            return Poll::Ready(First::B(ready));
        }
        if let Poll::Ready(ready) = c.as_mut().poll(cx) {
            return Poll::Ready(First::C(ready));
        }
        d.as_mut().poll(cx).map(First::D)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use std::future::{pending, ready};

    #[test]
    fn the_first_written_wins_a_tie() {
        assert_eq!(block_on(first_of_2(ready(1), ready(2))), First::A(1));
        assert_eq!(block_on(first_of_2(pending::<()>(), ready(2))), First::B(2));
    }
}
